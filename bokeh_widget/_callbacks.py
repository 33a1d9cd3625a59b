"""The periodic, timeout and next-tick callbacks of a document, on the loop of the kernel.

Scheduling is Bokeh's own (``DocumentCallbackGroup``); what is added here is the lock and batch of
the session around each call, and that a session which nobody sees rests.
"""

from __future__ import annotations

import copy
import inspect
import weakref
from typing import TYPE_CHECKING, Any

from bokeh.server.callbacks import DocumentCallbackGroup, PeriodicCallback, SessionCallback
from tornado.ioloop import IOLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bokeh.core.types import ID

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
        # Bokeh makes futures of the loop of this thread, and those of a thread that handles comm
        # messages (a subshell of the kernel) never wake the loop that is to run the callback
        loop = self._loop
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
        try:
            with session.batch():
                result = callback()
        except Exception as error:  # noqa: BLE001  # a user's callback may raise anything
            session.report_error(error)
            return None
        return _finish(session_ref, result) if inspect.isawaitable(result) else None

    return call


async def _finish(session_ref: weakref.ref[Session], result: Awaitable[Any]) -> None:
    try:
        await result
    except Exception as error:  # noqa: BLE001
        session = session_ref()
        if session is not None:
            session.report_error(error)
