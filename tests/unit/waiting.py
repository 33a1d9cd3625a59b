"""Threads that wait for each other, and for conditions."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait for a condition, asked again and again."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        threading.Event().wait(0.002)


def in_thread(work: Callable[[], object], wait_s: float) -> threading.Thread:
    """Run something in a thread, and wait for it; it may have to wait for us."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(wait_s)
    return thread


def is_free(lock: threading.RLock) -> bool:
    """Tell whether no thread holds a lock."""
    found: list[bool] = []

    def look() -> None:
        if lock.acquire(blocking=False):
            lock.release()
            found.append(True)

    in_thread(look, 10)
    return bool(found)


def stands_in(thread: threading.Thread, *functions: str) -> bool:
    """Tell whether a thread is in one of some functions just now, and nowhere deeper."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name in functions
