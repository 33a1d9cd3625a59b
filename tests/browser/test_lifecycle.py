"""Nothing is left: cycles of opening and closing, counted in Python and in the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.browser.harness import BokehCounts, NotebookPage, bokeh_counts, dom_counters, heap_used

CYCLES: Final = 100
WARM_UP: Final = 10
HEAP_ALLOWANCE_BYTES: Final = 6 * 1024
"""What a cycle may keep more than an empty output: JupyterLab's own comm handler, see docs."""

SETUP: Final = """
import gc
import comm
from bokeh.document import Document
from bokeh.model import Model
from bokeh.plotting import figure
from IPython.display import HTML, display
from ipywidgets import Layout, Widget
import bokeh_widget
from bokeh_widget import BokehWidget
bokeh_widget.widget.unused_session_lifetime_ms = 50

def make():
    plot = figure(width=300, height=200)
    plot.line([1, 2, 3], [4, 6, 5])
    return BokehWidget(plot)

def counts():
    bokeh_widget._weak.close_dead()
    gc.collect()
    bokeh_widget._weak.close_dead()
    kinds = {"documents": Document, "models": Model, "widgets": BokehWidget, "layouts": Layout}
    alive = gc.get_objects()
    found = {name: sum(issubclass(type(obj), kind) for obj in alive) for name, kind in kinds.items()}
    return {**found, "comms": len(comm.get_comm_manager().comms)}
"""


@dataclass(frozen=True)
class Growth:
    """What one cycle leaves in the page, in the mean."""

    nodes: float
    listeners: float
    heap_bytes: float


def _grow(lab: NotebookPage, cycle: Callable[[], None], cycles: int = CYCLES) -> Growth:
    for _ in range(WARM_UP):
        cycle()
    heap_before, before = heap_used(lab.page), dom_counters(lab.page)
    for _ in range(cycles):
        cycle()
    heap_after, after = heap_used(lab.page), dom_counters(lab.page)
    return Growth(
        nodes=(after.nodes - before.nodes) / cycles,
        listeners=(after.listeners - before.listeners) / cycles,
        heap_bytes=(heap_after - heap_before) / cycles,
    )


def _ours(lab: NotebookPage) -> BokehCounts:
    [counts] = [found for name, found in bokeh_counts(lab.page).items() if name.startswith("bokeh_widget")]
    return counts


def _wait_painted(lab: NotebookPage, index: int) -> None:
    lab.output(index).locator("canvas").first.wait_for()


def _wait_no_replicas(lab: NotebookPage) -> None:
    lab.page.wait_for_function('() => globalThis[Symbol.for("bokeh_widget")].replicas().length === 0')


def _close(lab: NotebookPage) -> Callable[[], None]:
    def cycle() -> None:
        lab.run(1)
        _wait_painted(lab, 1)
        lab.run(2)
        _wait_no_replicas(lab)

    return cycle


def _re_execute(lab: NotebookPage) -> Callable[[], None]:
    def cycle() -> None:
        lab.run(1)
        _wait_painted(lab, 1)

    return cycle


def _clear_output(lab: NotebookPage) -> Callable[[], None]:
    def cycle() -> None:
        lab.run(1)
        _wait_painted(lab, 1)
        lab.clear_output(1)
        _wait_no_replicas(lab)

    return cycle


CASES: Final[dict[str, tuple[list[str], Any]]] = {
    "close": (["w = make(); display(w)", "w.close(); del w"], _close),
    "re-execution": (["w = make(); w", "pass"], _re_execute),
    "output clearing": (["display(make())", "pass"], _clear_output),
}


def _run_empty(lab: NotebookPage) -> Callable[[], None]:
    return lambda: lab.run(1)


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_left_after_100_cycles(lab: NotebookPage, case: str) -> None:
    cells, make_cycle = CASES[case]
    lab.open([SETUP, *cells])
    lab.run(0)
    # the runtime model of BokehJS stays, one for the kernel; count from there
    lab.run_source("w = make(); w.close(); del w")
    before = lab.eval_in_kernel("counts()")
    growth = _grow(lab, make_cycle(lab))
    lab.clear_output(1)
    lab.exec_in_kernel("w = None")
    _wait_no_replicas(lab)
    lab.page.wait_for_timeout(200)
    after = lab.eval_in_kernel("counts()")
    print(case, growth, before, after, _ours(lab))
    assert _ours(lab) == BokehCounts()
    assert after == before
