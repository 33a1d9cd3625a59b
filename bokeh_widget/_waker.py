"""Calls that come due while a cell keeps the loop of the kernel busy: one thread for all sessions.

The thread ends when nothing is due any more, and begins again when something is.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bokeh_widget")

THREAD_NAME: Final = "bokeh_widget.waker"


class Alarm:
    """One call that can be made due, at one moment at a time."""

    __slots__ = ("callback", "due_s", "waker")

    def __init__(self, waker: Waker, callback: Callable[[], object]) -> None:
        self.waker = waker
        self.callback = callback
        self.due_s: float | None = None

    def within(self, delay_ms: float) -> None:
        """Call after ``delay_ms`` milliseconds, or earlier if it is due earlier already."""
        self.waker.set(self, time.monotonic() + delay_ms / 1000)

    def cancel(self) -> None:
        """Do not call."""
        self.due_s = None
        self.waker.forget(self)


class Waker:
    """The thread, which lives as long as something is due."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Alarm]] = []
        self._count = itertools.count()
        self._thread: threading.Thread | None = None

    def alarm(self, callback: Callable[[], object]) -> Alarm:
        """Make a call that is not due yet. It must not hold what is to be collected."""
        return Alarm(self, callback)

    def set(self, alarm: Alarm, due_s: float) -> None:
        """Make an alarm due at a time of ``time.monotonic``, unless it is due earlier."""
        if alarm.due_s is not None and alarm.due_s <= due_s:
            return
        with self._condition:
            alarm.due_s = due_s
            heapq.heappush(self._heap, (due_s, next(self._count), alarm))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()
            elif self._heap[0][2] is alarm:
                self._condition.notify()

    def forget(self, alarm: Alarm) -> None:
        """Wait no more for an alarm that was cancelled: the thread may end."""
        with self._condition:
            if self._heap and self._heap[0][2] is alarm:
                self._condition.notify()

    def _run(self) -> None:
        while True:
            alarm = self._next()
            if alarm is None:
                return
            try:
                alarm.callback()
            except Exception:
                log.exception("a call that was due failed")
            del alarm  # it must not be held while the thread waits

    def _next(self) -> Alarm | None:
        with self._condition:
            while self._heap:
                due_s, _, alarm = self._heap[0]
                if alarm.due_s != due_s:  # cancelled, or set to another moment
                    heapq.heappop(self._heap)
                    continue
                wait_s = due_s - time.monotonic()
                if wait_s <= 0:
                    heapq.heappop(self._heap)
                    alarm.due_s = None
                    return alarm
                del alarm
                self._condition.wait(wait_s)
            self._thread = None
            return None


waker: Final = Waker()
"""The one of this process."""
