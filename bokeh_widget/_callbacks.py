"""The periodic, timeout and next-tick callbacks of a document, on the loop of the kernel.

What is added here to scheduling is the lock and batch of the session around each call, that a session which nobody
sees rests, and that the loop is never kept busy by periodic callbacks alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.server.callbacks import PeriodicCallback, SessionCallback

from ._hooks import FAILURES
from ._loop_callbacks import LoopCallbacks, is_being_cancelled
from ._output import Output, captured_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from bokeh.core.types import ID
    from bokeh.document import Document
    from tornado.ioloop import IOLoop

    from ._session import Session

_REST_S: Final = 0.1
"""A periodic callback that rests looks so often whether it may go on."""

_BUSY_S: Final = 0.03
_FREE_S: Final = 0.004
"""After so long a stretch of periodic callbacks the loop is left to others for so long.

A loop that always finds a timer due never waits for its sockets: with a period of 1 ms and 2 ms of work, ipykernel
took up to 27 s to read the next cell.
"""


class _Stretch:
    """For how long periodic callbacks, of whichever sessions, have kept the loop busy without a pause."""

    def __init__(self) -> None:
        self._began_s = self._ended_s = float("-inf")

    def is_too_long(self) -> bool:
        """Tell whether others are to have their turn before another callback begins; one that may begin does."""
        now = time.monotonic()
        if now - self._ended_s >= _FREE_S / 2:
            self._began_s = now
        return now - self._began_s > _BUSY_S

    def ends(self) -> None:
        """Take note that a callback has returned."""
        self._ended_s = time.monotonic()


_stretch: Final = _Stretch()


class SessionCallbacks(LoopCallbacks):
    """Runs the callbacks of one session. The loop holds neither the session nor the callbacks.

    Parameters
    ----------
    session : Session
        The session; its lock is held while a plain callback runs.
    loop : tornado.ioloop.IOLoop or None
        Where to run; without a loop (plain Python) nothing is ever scheduled.
    """

    def __init__(self, session: Session, loop: IOLoop | None) -> None:
        super().__init__(session, loop)
        self._session = weakref.ref(session)
        for callback in session.document.session_callbacks:
            self.add(callback)

    def run(self, callback_id: ID) -> Awaitable[None] | None:
        """Run a callback that is due; a periodic one is not due again before what this gives has come."""
        callback = self._callbacks.get(callback_id)
        session = self._session()
        if callback is None or session is None or session.closed:
            return None
        if not isinstance(callback, PeriodicCallback):
            return self._start(session, callback)
        if session.is_resting:
            return self._spawn(asyncio.sleep(_REST_S))
        if _stretch.is_too_long():
            return self._spawn(_after_others(weakref.ref(self), callback_id))
        try:
            return self._start(session, callback)
        finally:
            _stretch.ends()

    def _start(self, session: Session, callback: SessionCallback) -> Awaitable[None] | None:
        steps = run_callback(session, callback.callback)
        return None if steps is None else self._spawn(_finish(self._session, steps), steps.close)


async def _after_others(ref: weakref.ref[SessionCallbacks], callback_id: ID) -> None:
    await asyncio.sleep(_FREE_S)
    found = ref()
    if found is None:
        return
    again = found.run(callback_id)
    del found
    if again is not None:
        await again


# --- one callback ------------------------------------------------------------------------------


def run_callback(session: Session, callback: Callable[[], Any]) -> Steps | None:
    """Call a callback of the document as one batch; what it raises is reported.

    Parameters
    ----------
    session : Session
        Its lock is held, unless the callback is marked with Bokeh's ``without_document_lock``.
    callback : callable
        As Bokeh wraps it: it sets ``curdoc()`` itself.

    Returns
    -------
    Steps or None
        The steps of an asynchronous callback, to be awaited.
    """
    is_unlocked = _is_unlocked(callback)
    session.callback_rate.count(time.monotonic() * 1000)
    try:
        with captured_by(session.output), _step_of(session, is_unlocked=is_unlocked) as may_run:
            result = callback() if may_run else None
    except (*FAILURES, asyncio.CancelledError) as error:
        session.report_error(error)
        return None
    return Steps(weakref.ref(session), result, is_unlocked=is_unlocked) if inspect.isawaitable(result) else None


def _is_unlocked(callback: Callable[[], Any]) -> bool:
    return bool(getattr(callback, "nolock", False))


@contextlib.contextmanager
def _step_of(session: Steppable, *, is_unlocked: bool) -> Generator[bool, None, None]:
    """Run one step of a callback, unless the session has been closed by then."""
    if is_unlocked:
        yield not session.closed
        return
    with session.step() as may_run:
        yield may_run


class Steppable(Protocol):
    """What a coroutine works on: a session, or the context of one."""

    @property
    def closed(self) -> bool:
        """Whether no further step is taken."""

    @property
    def document(self) -> Document:
        """The document, which is ``curdoc()`` in each step."""

    @property
    def output(self) -> Output | None:
        """What takes in what is printed."""

    def step(self) -> contextlib.AbstractContextManager[bool]:
        """Hold the lock for one step, and tell whether it may be taken."""


class Steps:
    """Runs an asynchronous callback step by step: each, from one await to the next, is like a plain callback.

    Bokeh sets ``curdoc()`` only while it makes the coroutine, and neither the lock nor the batch may be held
    while it waits. When the session is closed meanwhile, the callback is told as if its task were cancelled; what it
    does then to clean up are steps without lock and document.
    """

    def __init__(self, session_ref: weakref.ref[Any], awaitable: Awaitable[Any], *, is_unlocked: bool = False) -> None:
        self._session: weakref.ref[Steppable] = session_ref
        self._awaitable = awaitable
        self._is_unlocked = is_unlocked

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._awaitable.__await__()
        step: Callable[[], Any] = functools.partial(next, inner)
        is_ending = False
        ended = asyncio.CancelledError()
        while True:
            if not is_ending:
                is_ended, is_done, value = self._take(step)
                if is_ended:
                    is_ending = True
                    step = functools.partial(_throw, inner, ended)
            if is_ending:
                try:
                    is_done, value = _result_of(step)
                except asyncio.CancelledError as error:
                    if error is not ended:
                        raise
                    return None  # it has cleaned up
            if is_done:
                return value
            try:
                sent = yield value
            except BaseException as error:  # noqa: BLE001  # the callback decides what to do about it
                step = functools.partial(_throw, inner, error)
            else:
                step = functools.partial(_send, inner, sent)

    def close(self) -> None:
        """Give up what was never begun, as its task was cancelled before; without effect otherwise."""
        close = getattr(self._awaitable, "close", None)  # coroutines have it, other awaitables may not
        if close is not None:
            close()

    def _take(self, step: Callable[[], Any]) -> tuple[bool, bool, Any]:
        """Take one step; tell whether the session has ended instead, whether that was the last, and what it awaits."""
        session = self._session()  # not held while the callback waits: the loop holds it weakly
        if session is None:
            return True, False, None
        with captured_by(session.output), _step_of(session, is_unlocked=self._is_unlocked) as may_run:
            if not may_run:
                return True, False, None
            return False, *_advance(session.document, step, is_unlocked=self._is_unlocked)


def _advance(document: Document, step: Callable[[], Any], *, is_unlocked: bool) -> tuple[bool, Any]:
    result: tuple[bool, Any] = (True, None)

    def advance() -> None:
        nonlocal result
        result = _result_of(step)

    advance.nolock = is_unlocked  # type: ignore[attr-defined]  # curdoc() is then what may be used without the lock
    invoke_with_curdoc(document, advance)
    return result


def _result_of(step: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return False, step()
    except StopIteration as stop:
        return True, stop.value


def _send(inner: Any, value: Any) -> Any:
    return next(inner) if value is None else inner.send(value)


def _throw(inner: Any, error: BaseException) -> Any:
    return inner.throw(error)


async def _finish(session_ref: weakref.ref[Session], steps: Awaitable[None]) -> None:
    try:
        await steps
    except asyncio.CancelledError as error:
        session = session_ref()
        if session is None or session.closed or is_being_cancelled():
            raise
        session.report_error(error)  # not this was cancelled, but something that the callback awaits
    except FAILURES as error:
        session = session_ref()
        if session is not None:
            session.report_error(error)
