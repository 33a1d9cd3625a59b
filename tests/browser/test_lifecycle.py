"""Nothing is left: cycles of opening and closing, counted in Python and in the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from bokeh.resources import Resources

from tests.browser.harness import bokeh_counts, dom_counters, heap_used, launch
from tests.browser.shared_pages import PASSED, SharedLabPage, SharedPages
from tests.browser.waiting import wait_in_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.browser.harness import BokehCounts, JupyterServer, NotebookPage, PageLog

CYCLES: Final = 100
WARM_UP: Final = 60
"""So many in a new page until V8 and JupyterLab have done what they do once.

Some seconds after the start JupyterLab's list of what runs gets a button "Delete All", in a React root of its own: 133
listeners, 11 nodes, and an icon, which counts as a document.
"""
WARM_UP_AGAIN: Final = 15
"""So many of another kind in a page that is warm."""
FLOOR_CYCLES: Final = 30
HEAP_ALLOWANCE_BYTES: Final = 6 * 1024
"""What a cycle may keep more than one with an empty output: JupyterLab's comm handler keeps a comm."""

NO_OPTIMISING: Final = "--js-flags=--no-opt --no-maglev --no-sparkplug"
"""V8 goes on compiling functions that get hot for some hundred cycles, 8 kB each: that is no leak."""

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

def make_widget():
    plot = figure(width=300, height=200)
    plot.line([1, 2, 3], [4, 6, 5])
    return BokehWidget(plot)

def make_empty():
    return HTML("")

w, make = None, make_empty

def counts():
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


@dataclass(frozen=True)
class Case:
    """A cell that shows what ``make()`` gives, and how it goes away."""

    cell: str
    remove: Callable[[NotebookPage], None]
    keeps_last: bool = False
    platform_keeps_output: bool = False
    """JupyterLab keeps the nodes of a deleted cell, 420 and more, and with them the box of its output."""

    def cycle(self, lab: NotebookPage, *, shows_plot: bool) -> None:
        """Run the cell, wait for the plot, remove it; the cell stays the active one all the time."""
        # with another active cell JupyterLab makes a toolbar, of which it keeps 500 nodes for ever
        lab.run(1)
        if shows_plot:
            lab.output(1).locator("canvas").first.wait_for()
        self.remove(lab)
        if shows_plot and not self.keeps_last:
            _wait_no_replicas(lab)


def _wait_no_replicas(lab: NotebookPage) -> None:
    lab.page.wait_for_function('() => globalThis[Symbol.for("bokeh_widget")].replicas().length === 0')


def _close(lab: NotebookPage) -> None:
    lab.exec_in_kernel("getattr(w, 'close', int)()\nw = None")


def _delete_cell(lab: NotebookPage) -> None:
    source = lab.cell_source(1)
    lab.delete_cell(1)
    lab.insert_cell(1, source)


CASES: Final = {
    "close": Case("w = make(); display(w)", _close),
    "re-execution": Case("w = make(); w", lambda _: None, keeps_last=True),
    "output clearing": Case("display(make())", lambda lab: lab.clear_output(1)),
    "cell deletion": Case("display(make())", _delete_cell, platform_keeps_output=True),
}


def _grow(lab: NotebookPage, cycle: Callable[[], None], cycles: int, warm_up: int) -> Growth:
    for _ in range(warm_up):
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


@pytest.fixture(scope="module")
def steady_pages(jupyter: JupyterServer, browser: Browser) -> Iterator[SharedPages]:
    """Give pages of a Chromium that does not optimise what gets hot."""
    steady = launch(browser.browser_type, arguments=[NO_OPTIMISING])
    pages = SharedPages(jupyter, steady)
    yield pages
    pages.close()
    steady.close()


@pytest.fixture
def steady_lab(
    request: pytest.FixtureRequest, steady_pages: SharedPages, page_errors: PageLog
) -> Iterator[NotebookPage]:
    """Give the page that all cases share: each after the first finds it warm."""
    yield steady_pages.lend(SharedLabPage, page_errors)
    if not request.node.stash.get(PASSED, False):
        steady_pages.drop(SharedLabPage)


@pytest.fixture(scope="module")
def untouched(browser: Browser) -> BokehCounts:
    """Count what BokehJS itself makes when it is loaded: a model for each alias of a tool."""
    page = browser.new_page()
    try:
        page.add_script_tag(path=Resources("absolute", components=["bokeh"]).js_files[0])
        return bokeh_counts(page)["window"]
    finally:
        page.close()


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_after_100_cycles(steady_lab: NotebookPage, untouched: BokehCounts, name: str) -> None:
    case, lab = CASES[name], steady_lab
    is_measured = not case.platform_keeps_output
    warm_up = WARM_UP if lab.path == "" else WARM_UP_AGAIN
    lab.open([SETUP, case.cell])
    lab.run(0)
    floor = Growth(0, 0, 0)
    if is_measured:
        floor = _grow(lab, lambda: case.cycle(lab, shows_plot=False), FLOOR_CYCLES, warm_up)
    # the runtime model of BokehJS stays, one for the kernel: count from there
    lab.exec_in_kernel("make_widget().close(); w, make = None, make_widget")
    before = lab.eval_in_kernel("counts()")
    growth = _grow(lab, lambda: case.cycle(lab, shows_plot=True), CYCLES, WARM_UP_AGAIN if is_measured else 0)
    lab.clear_output(1)
    lab.exec_in_kernel("w = None")
    _wait_no_replicas(lab)
    wait_in_kernel(lab, "counts()", before)
    assert _ours(lab) == untouched
    print(f"{name}: {growth}, with an empty output {floor}")
    if is_measured:
        assert growth.nodes - floor.nodes < 0.5
        assert growth.listeners - floor.listeners < 0.5
        assert growth.heap_bytes - floor.heap_bytes < HEAP_ALLOWANCE_BYTES
