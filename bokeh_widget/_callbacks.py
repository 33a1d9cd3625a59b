"""The periodic, timeout and next-tick callbacks of a document, on the loop of the kernel.

Scheduling is Bokeh's own (``DocumentCallbackGroup``); what is added here is the lock and batch of
the session around each call, and that a session which nobody sees rests.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import time
import traceback
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.io.doc import _PATCHED_CURDOCS, patch_curdoc
from bokeh.server.callbacks import DocumentCallbackGroup, PeriodicCallback, SessionCallback
from tornado.ioloop import IOLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator

    from bokeh.core.types import ID
    from bokeh.document import Document

    from ._session import Session


class SessionCallbacks:
    """Runs the callbacks of one session. The loop holds the session weakly.

    Parameters
    ----------
    session : Session
        The session; its lock is held while a plain callback runs.
    loop : tornado.ioloop.IOLoop or None
        Where to run; without a loop (plain Python) nothing is ever scheduled.
    """

    def __init__(self, session: Session, loop: IOLoop | None) -> None:
        self._session = weakref.ref(session)
        self._loop = loop
        self._group = None if loop is None else DocumentCallbackGroup(loop)
        self._wanted: set[ID] = set()
        for callback in session.document.session_callbacks:
            self.add(callback)

    def add(self, callback: SessionCallback) -> None:
        """Schedule a callback that was added to the document, from whichever thread."""
        group = self._group
        if group is None:
            return
        scheduled = copy.copy(callback)
        scheduled._callback = _guarded(  # type: ignore[assignment]  # noqa: SLF001  # as Bokeh's server does
            self._session, callback.callback, rests=isinstance(callback, PeriodicCallback)
        )
        wanted = self._wanted
        wanted.add(callback.id)

        def schedule() -> None:
            if callback.id in wanted:
                group.add_session_callback(scheduled)

        self._on_loop(schedule)

    def remove(self, callback: SessionCallback) -> None:
        """Cancel a callback that was removed from the document, from whichever thread."""
        group = self._group
        if group is None:
            return
        self._wanted.discard(callback.id)
        self._on_loop(lambda: group.remove_session_callback(callback))

    def close(self) -> None:
        """Cancel all of them."""
        self._wanted.clear()
        if self._group is not None:
            self._on_loop(self._group.remove_all_callbacks)

    def _on_loop(self, work: Callable[[], None]) -> None:
        on_loop(self._loop, work)


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


def _guarded(
    session_ref: weakref.ref[Session], callback: Callable[[], Any], *, rests: bool
) -> Callable[[], Awaitable[None] | None]:
    def call() -> Awaitable[None] | None:
        session = session_ref()
        if session is None or session.closed or (rests and session.is_resting):
            return None
        session.callback_rate.count(time.monotonic() * 1000)
        try:
            with session.batch():
                result = callback()
        except Exception as error:  # noqa: BLE001  # a user's callback may raise anything
            session.report_error(error)
            return None
        except BaseException as error:
            restore_curdoc(error)
            raise
        return _finish(session_ref, result) if inspect.isawaitable(result) else None

    return call


class Steppable(Protocol):
    """What a coroutine works on: a session, or the context of one."""

    @property
    def closed(self) -> bool:
        """Whether no further step is taken."""

    @property
    def document(self) -> Document:
        """The document, which is ``curdoc()`` in each step."""

    def batch(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock for one step."""


class Steps:
    """Runs an asynchronous callback step by step: each, from one await to the next, is like a plain callback.

    Bokeh sets ``curdoc()`` only while it makes the coroutine, and neither the lock nor the batch may be held
    while it waits.
    """

    def __init__(self, session_ref: weakref.ref[Any], awaitable: Awaitable[Any]) -> None:
        self._session: weakref.ref[Steppable] = session_ref
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._awaitable.__await__()
        step: Callable[[], Any] = functools.partial(next, inner)
        while True:
            session = self._session()
            if session is None or session.closed:
                close = getattr(inner, "close", None)  # generators have it, other iterators may not
                if close is not None:
                    close()
                return None
            with session.batch():
                is_done, value = _advance(session.document, step)
            if is_done:
                return value
            del session  # the loop holds it weakly
            try:
                sent = yield value
            except BaseException as error:  # noqa: BLE001  # the callback decides what to do about it
                step = functools.partial(_throw, inner, error)
            else:
                step = functools.partial(_send, inner, sent)


def _advance(document: Document, step: Callable[[], Any]) -> tuple[bool, Any]:
    with curdoc_is(document):
        try:
            return False, step()
        except StopIteration as stop:
            return True, stop.value


@contextlib.contextmanager
def curdoc_is(document: Document) -> Iterator[None]:
    """Make ``curdoc()`` a document, and what it was at the end, even of an exception.

    Parameters
    ----------
    document : bokeh.document.Document
        The document.
    """
    patched = patch_curdoc(document)
    patched.__enter__()
    try:
        yield
    finally:
        patched.__exit__(None, None, None)  # with the exception, it would keep the document


def _send(inner: Any, value: Any) -> Any:
    return next(inner) if value is None else inner.send(value)


def _throw(inner: Any, error: BaseException) -> Any:
    return inner.throw(error)


async def _finish(session_ref: weakref.ref[Session], result: Awaitable[Any]) -> None:
    try:
        await Steps(session_ref, result)
    except Exception as error:  # noqa: BLE001
        session = session_ref()
        if session is not None:
            session.report_error(error)


def restore_curdoc(error: BaseException) -> None:
    """Undo what Bokeh's ``patch_curdoc`` leaves behind when an exception passes through it.

    Parameters
    ----------
    error : BaseException
        The exception, where it was caught. Each frame of its traceback that has set ``curdoc()``
        has left one entry; entries of other threads, which may wait for the lock, must stay.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is invoke_with_curdoc.__code__:
            left = frame.f_locals["curdoc"]
            for index in reversed(range(len(_PATCHED_CURDOCS))):
                if _PATCHED_CURDOCS[index]() is left:
                    del _PATCHED_CURDOCS[index]
                    break
