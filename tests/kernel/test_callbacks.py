"""Callbacks of a document in a real kernel: the loop is there for cells, too, and threads work beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernel.kernels import Kernel

SHORT: str = """
def step():
    global calls
    calls += 1
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end:
        pass

import time
calls = 0
w = BokehWidget(div := Div(), pause_when_hidden=False)
w.document.add_periodic_callback(step, 1)
"""


def test_a_period_below_a_frame_starves_nobody(kernel: Kernel) -> None:
    kernel.ok(SHORT)
    slowest_s = 0.0
    for _ in range(150):
        began = time.monotonic()
        kernel.ok("1")
        slowest_s = max(slowest_s, time.monotonic() - began)
    assert kernel.value("calls") > 100
    assert slowest_s < 1
