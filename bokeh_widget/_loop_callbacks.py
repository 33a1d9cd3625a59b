"""Callbacks on a loop, which holds neither them nor whose they are.

Scheduling is Bokeh's own (``DocumentCallbackGroup``).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import weakref
from typing import TYPE_CHECKING, Any

from bokeh.server.callbacks import DocumentCallbackGroup, SessionCallback
from tornado.ioloop import IOLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bokeh.core.types import ID


class LoopCallbacks:
    """Callbacks of one owner, looked up by their id when they are due.

    Parameters
    ----------
    owner : object
        Whose callbacks they are; when it is collected the loop forgets them.
    loop : tornado.ioloop.IOLoop or None
        Where to run; without a loop (plain Python) nothing is ever scheduled.
    """

    def __init__(self, owner: object, loop: IOLoop | None) -> None:
        self._loop = loop
        self._group = None if loop is None else DocumentCallbackGroup(loop)
        self._callbacks: dict[ID, SessionCallback] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        if loop is not None and self._group is not None:
            # who drops an owner without closing it leaves no timer that goes on for ever
            weakref.finalize(owner, _stop, loop, self._group).atexit = False

    def add(self, callback: SessionCallback) -> None:
        """Schedule a callback, from whichever thread."""
        group = self._group
        if group is None:
            return
        scheduled = copy.copy(callback)
        # as Bokeh's server replaces it; the callback itself may hold the owner, and all that its user has
        scheduled._callback = _weakly(self, callback.id)  # type: ignore[assignment]  # noqa: SLF001
        callbacks = self._callbacks
        callbacks[callback.id] = callback

        def schedule() -> None:
            if scheduled.id in callbacks:
                group.add_session_callback(scheduled)

        on_loop(self._loop, schedule)

    def remove(self, callback: SessionCallback) -> None:
        """Cancel a callback, from whichever thread."""
        group = self._group
        if group is None:
            return
        self._callbacks.pop(callback.id, None)
        on_loop(self._loop, lambda: group.remove_session_callback(callback))

    def close(self) -> None:
        """Cancel all of them; asynchronous ones that wait are cancelled as tasks are, and may clean up."""
        self._callbacks.clear()
        if self._group is not None:
            on_loop(self._loop, self._group.remove_all_callbacks)
            on_loop(self._loop, self._cancel_tasks)

    def _cancel_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    def run(self, callback_id: ID) -> Awaitable[None] | None:
        """Run a callback that is due; a periodic one is not due again before what this gives has come."""
        raise NotImplementedError

    def _spawn(
        self, work: Coroutine[Any, Any, None], clean_up: Callable[[], None] | None = None
    ) -> asyncio.Future[None]:
        """Run a coroutine; what is given never fails, as it would end the callback for good."""
        loop = asyncio.get_running_loop()
        tasks, done = self._tasks, loop.create_future()

        def end(task: asyncio.Task[None]) -> None:  # holds nothing of the owner
            tasks.discard(task)
            if clean_up is not None:
                clean_up()
            if not done.done():
                done.set_result(None)

        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(end)
        return done


def on_loop(loop: IOLoop | None, work: Callable[[], object]) -> None:
    """Do something in the thread of a loop, at once if this is it.

    Bokeh makes futures of the loop of this thread, and those of a thread that handles comm messages (a subshell of
    the kernel) never wake the loop that is to run the callback.

    Parameters
    ----------
    loop : tornado.ioloop.IOLoop or None
        The loop; without one it is done here.
    work : callable
        What to do.
    """
    if loop is None or loop is IOLoop.current(instance=False):
        work()
    else:
        loop.add_callback(work)


def _weakly(callbacks: LoopCallbacks, callback_id: ID) -> Callable[[], Awaitable[None] | None]:
    ref = weakref.ref(callbacks)

    def call() -> Awaitable[None] | None:
        found = ref()
        return None if found is None else found.run(callback_id)

    return call


def _stop(loop: IOLoop, group: DocumentCallbackGroup) -> None:
    # runs inside garbage collection, in whichever thread
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.add_callback(group.remove_all_callbacks)


def is_being_cancelled() -> bool:
    """Tell whether the task that runs was cancelled itself, and not something that it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
