"""Calls of lifecycle hooks, plain or coroutines: at once, with waiting for the end, or on the kernel's loop.

Pure of kernels: the loop is given.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from bokeh.application.handlers import Handler
from bokeh.application.handlers.lifecycle import LifecycleHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable

    from tornado.ioloop import IOLoop

_WRAPPERS: Final = {
    method.__code__
    for owner in (Handler, LifecycleHandler)
    for method in (owner.on_session_created, owner.on_session_destroyed)
}
"""Coroutines of Bokeh that only call a plain function, or give back the coroutine of the user without awaiting it."""

FAILURES: Final = (Exception, SystemExit)
"""What is a failure of a user's function, and of nothing else: ``sys.exit()`` in it is not to end the kernel."""

_unfinished: Final[dict[Coroutine[Any, Any, None], asyncio.AbstractEventLoop]] = {}
"""What runs on the kernel's loop, or is about to, with that loop."""

_PATIENCE_S: Final = 5.0
_TURN_S: Final = 0.02


def call_each(calls: Iterable[Callable[[], object]], report: Callable[[BaseException], object]) -> None:
    """Call each of several functions of the user, whatever the others raise.

    An interrupt ends the one that runs, and is raised at the end.

    Parameters
    ----------
    calls : iterable of callable
        The functions.
    report : callable
        Told of each failure.
    """
    interrupt: BaseException | None = None
    for call in calls:
        try:
            call()
        except FAILURES as error:
            report(error)
        except BaseException as error:  # noqa: BLE001  # raised below
            interrupt = interrupt or error
    if interrupt is not None:
        raise interrupt


def call_hook(hook: Callable[[Any], object], context: object) -> Awaitable[Any] | None:
    """Call a hook; a plain one has run then.

    Parameters
    ----------
    hook : callable
        A hook of the user, or the method of a handler that calls it.
    context : SessionContext or ServerContext
        Its argument.

    Returns
    -------
    awaitable or None
        What is still to be awaited: a coroutine that has not begun.
    """
    result = hook(context)
    while inspect.iscoroutine(result) and result.cr_code in _WRAPPERS:
        try:
            result.send(None)
        except StopIteration as stop:
            result = stop.value
    return result if inspect.isawaitable(result) else None


async def _await(awaitable: Awaitable[Any]) -> None:
    await awaitable


def finish(awaitable: Awaitable[Any] | None) -> None:
    """Wait for the end of a hook in this thread, whether a loop runs in it or not.

    Where one does, as in every cell of a notebook, the coroutine runs on a loop of its own in a thread of its own.

    Parameters
    ----------
    awaitable : awaitable or None
        What :func:`call_hook` gave.
    """
    if awaitable is None:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _run_on(asyncio.new_event_loop(), _await(awaitable))
    else:
        _run_beside(awaitable)


def _run_on(loop: asyncio.AbstractEventLoop, work: Awaitable[None]) -> None:
    # asyncio.run() would take the current loop of the thread away
    try:
        loop.run_until_complete(work)
    finally:
        # what the hook began and did not await, or the hook itself after an interrupt
        loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _end(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _run_beside(awaitable: Awaitable[Any]) -> None:
    outcome: concurrent.futures.Future[None] = concurrent.futures.Future()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
    is_abandoned = False

    def run() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_await(awaitable))
        running.append((loop, task))
        if is_abandoned:
            task.cancel()
        try:
            _run_on(loop, task)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    # in this context, so that what the hook prints goes where this code prints
    context = contextvars.copy_context()
    try:
        threading.Thread(target=context.run, args=(run,), name="bokeh_widget.hook", daemon=True).start()
        outcome.result()
    except BaseException:
        # the user interrupts the cell that waits, or the hook has failed, and its loop is closed
        is_abandoned = True
        for loop, task in running:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        raise


def finish_soon(loop: IOLoop | None, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on the kernel's loop, or at once where none runs.

    Parameters
    ----------
    loop : tornado.ioloop.IOLoop or None
        The kernel's loop.
    work : coroutine
        Must not raise.
    """
    event_loop: asyncio.AbstractEventLoop | None = getattr(loop, "asyncio_loop", None)
    if loop is None or event_loop is None or not event_loop.is_running():
        finish(work)
        return
    _unfinished[work] = event_loop
    print_there = _note_where_prints_go()

    def start() -> None:
        print_there()
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _task: _unfinished.pop(work, None))

    loop.add_callback(contextvars.copy_context().run, start)


def _note_where_prints_go() -> Callable[[], None]:
    """Give what lets prints of another context go to the cell to which they go here.

    The streams of a kernel know that by a context variable, and otherwise, as in a thread of the user, take the newest
    cell: until a coroutine comes to its end that may be another one.
    """
    noted: list[tuple[Callable[[Any], object], Any]] = []
    for stream in (sys.stdout, sys.stderr):
        set_parent, header = getattr(stream, "set_thread_parent", None), getattr(stream, "parent_header", None)
        if callable(set_parent) and header:
            noted.append((set_parent, header))

    def print_there() -> None:
        for set_parent, header in noted:
            set_parent(header)

    return print_there


def finish_running() -> None:
    """Wait for what was begun on a loop that has ended, or runs in another thread; for at most five seconds."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        loops = [loop for loop in _unfinished.values() if not loop.is_closed() and not _runs_here(loop)]
        if not loops:
            return
        if any(loop.is_running() for loop in loops):
            time.sleep(_TURN_S)
            continue
        loops[0].call_later(_TURN_S, loops[0].stop)
        loops[0].run_forever()  # it may have been told to stop before


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
