"""Whether the pages of a session are still there: one that dies says nothing, and is not to be waited for.

While a page shows the document a beat comes every few seconds. Each counts only if the loop of the kernel was free
to read what pages say: while it is kept busy no page is silent, it is only not heard.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from ._flow import now_ms
from ._waker import waker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.ioloop import IOLoop

    from ._session import Session

BEAT_MS: Final = 5000.0
"""From one beat to the next."""

BEATS_UNTIL_ASKED: Final = 2
"""A page that is silent for so many beats is asked where it is, and again after as many."""

BEATS_UNTIL_LOST: Final = 5
"""A page that is silent for so many beats, and was asked twice then, is gone: 25 s."""

BEATS_WHILE_LOADING: Final = 120
"""The same of a page that a document is on its way to: 10 min, since it answers when the document is there."""

LATE_MS: Final = 1000.0
"""The loop was busy if it takes longer than this until it comes to a beat."""


class Heartbeat:
    """The beats of one session.

    Parameters
    ----------
    session : Session
        The session, held weakly.
    loop : tornado.ioloop.IOLoop or None
        That of the kernel, which reads what pages say; without one there is no beat.
    """

    def __init__(self, session: Session, loop: IOLoop | None) -> None:
        self._session = weakref.ref(session)
        self._loop = loop
        self._alarm = waker.alarm(_weakly(self))
        self._was_disturbed = False

    def start(self) -> None:
        """Beat from now on, since a page is there; until none is."""
        if self._loop is not None:
            self._alarm.within(BEAT_MS)

    def disturb(self) -> None:
        """Take note that a cell runs: what pages say waits behind it, and perhaps behind others."""
        self._was_disturbed = True

    def close(self) -> None:
        """Beat no more."""
        self._alarm.cancel()

    def due(self) -> None:
        """Leave the beat to the loop. This is called by the thread of the clock."""
        if self._loop is not None:
            self._loop.add_callback(self._beat, now_ms())

    def _beat(self, due_ms: float) -> None:
        session = self._session()
        if session is None or session.closed or not session.has_clients:
            return
        was_disturbed, self._was_disturbed = self._was_disturbed or session.flow.is_blocked, False
        is_late = now_ms() - due_ms > LATE_MS
        if not (was_disturbed or is_late) and session.lock.acquire(blocking=False):
            try:
                session.beat()
            finally:
                session.lock.release()
        self.start()


def _weakly(heartbeat: Heartbeat) -> Callable[[], None]:
    ref = weakref.ref(heartbeat)

    def call() -> None:
        found = ref()
        if found is not None:
            found.due()

    return call
