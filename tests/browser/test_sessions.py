"""Sessions of the control-room notebook in the front ends: what runs is what is on the screen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.browser.harness import BokehCounts, bokeh_counts, collect_garbage
from tests.browser.waiting import REPLICAS, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage, PageLog

SETUP: Final = """
import gc, time
import numpy as np
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.model import Model
from bokeh.models import Button, ColumnDataSource, Slider
from bokeh.plotting import figure
import bokeh_widget
from bokeh_widget import BokehSession, BokehWidget, sessions

bokeh_widget.widget.unused_session_lifetime_ms = 300
calls = closed = 0

class Noise(BokehSession):
    callback_period = 0.25
    count = 50

    def setup_model(self):
        self.source = ColumnDataSource({"x": [], "y": []})
        period = Slider(name="period", start=0.05, end=2, step=0.05, value=self.callback_period, title="Refresh period [s]")
        period.on_change("value", lambda attr, old, new: setattr(self, "callback_period", new))
        count = Slider(start=0, end=1000, step=10, value=self.count, title="Num. points")
        count.on_change("value", lambda attr, old, new: setattr(self, "count", new))
        close = Button(label="close")
        close.on_click(self.close)
        plot = figure(height=150, width=400)
        plot.line("x", "y", source=self.source)
        self.periodic_callback_of_plot()
        return column(period, count, close, plot)

    def periodic_callback_of_plot(self):
        self.source.data = {"x": np.arange(self.count), "y": np.random.rand(self.count)}

    def periodic_callback(self):
        global calls
        calls += 1
        self.periodic_callback_of_plot()

    def on_close(self):
        global closed
        closed += 1

def counts():
    gc.collect()
    alive = gc.get_objects()
    kinds = (Document, Model, BokehWidget, BokehSession)
    return [len(sessions()), *(sum(issubclass(type(obj), kind) for obj in alive) for kind in kinds)]
"""
OPEN: Final = "s1 = Noise()\ns1.open()"


@pytest.fixture
def notebook(shared_notebook: NotebookPage) -> NotebookPage:
    """Give a page of each front end in which a user runs cells."""
    return shared_notebook


def _rate(notebook: NotebookPage, seconds: float = 1.5) -> float:
    """Measure how many calls there are in a second."""
    before, began = notebook.eval_in_kernel("(calls, time.monotonic())")
    time.sleep(seconds)  # what is measured is a rate
    after, ended = notebook.eval_in_kernel("(calls, time.monotonic())")
    return float((after - before) / (ended - began))


def _is_shown(notebook: NotebookPage, index: int) -> None:
    expect(notebook.output(index).locator(".bk-Figure")).to_be_visible()


def _nothing_runs(notebook: NotebookPage) -> None:
    wait_in_kernel(notebook, "len(sessions())", 0)
    assert _rate(notebook, 0.5) == 0
    wait_in_page(notebook, f"{REPLICAS}.length", 0)


def test_no_zombies(notebook: NotebookPage) -> None:
    notebook.open([SETUP, OPEN])
    notebook.run(0)
    for _ in range(10):
        notebook.run(1)
    _is_shown(notebook, 1)
    assert notebook.eval_in_kernel("[len(sessions()), closed]") == [1, 9]
    rate = _rate(notebook)
    print(f"after 10 runs: {rate:.1f} calls/s")
    assert 3 < rate < 4.8
    # nothing else than the plot, which keeps its text in shadow trees, and what the keyboard reaches
    assert notebook.text(1) == "Show data as table"

    notebook.clear_output(1)
    _nothing_runs(notebook)

    notebook.run(1)
    _is_shown(notebook, 1)
    notebook.insert_cell(2, OPEN.replace("s1", "s2"))
    notebook.run(2)
    _is_shown(notebook, 2)
    assert notebook.eval_in_kernel("[s.name for s in sessions()] == [s1.name, s2.name]")
    notebook.delete_cell(1)
    wait_in_kernel(notebook, "[s1.is_open, s2.is_open, len(sessions())]", [False, True, 1])
    notebook.exec_in_kernel("s2.close()")
    _nothing_runs(notebook)
    expect(notebook.output(1).locator(".bk-Figure")).to_have_count(0)


def _settled_counts(notebook: NotebookPage) -> BokehCounts:
    """Count what BokehJS has, when it has built all that it is to build, and what is unreachable is collected."""

    def count() -> BokehCounts:
        collect_garbage(notebook.page)
        [found] = [counts for name, counts in bokeh_counts(notebook.page).items() if name.startswith("bokeh_widget")]
        return found

    before, found = None, count()
    for _ in range(20):
        if before == found:
            break
        before, found = found, count()
    return found


def test_fifty_runs_leave_what_one_does(shared_lab: NotebookPage) -> None:
    shared_lab.open([SETUP, OPEN])
    shared_lab.run(0)
    shared_lab.run(1)
    _is_shown(shared_lab, 1)
    in_kernel = shared_lab.eval_in_kernel("counts()")
    wait_in_page(shared_lab, f"{REPLICAS}.map(replica => replica.views.length)", [1])
    in_page = _settled_counts(shared_lab)
    for _ in range(50):
        shared_lab.run(1)
    wait_in_page(shared_lab, f"{REPLICAS}.map(replica => replica.views.length)", [1])
    wait_in_kernel(shared_lab, "counts()", in_kernel)
    assert _settled_counts(shared_lab) == in_page
    assert shared_lab.eval_in_kernel("closed") == 50
    print(f"sessions, documents, models, widgets: {in_kernel}; in the page: {in_page}")
    shared_lab.exec_in_kernel("s1.close()")
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)
    left = _settled_counts(shared_lab)
    assert (left.documents, left.views) == (0, 0)


WIDGETS: Final = """
def make():
    plot = figure(height=150, width=400)
    plot.line([1, 2], [3, 4])
    plot.document or Document().add_root(plot)
    plot.document.add_periodic_callback(tick, 20)
    return BokehWidget(plot)

def tick():
    global calls
    calls += 1

def state():
    gc.collect()
    bokeh_widget._weak.close_dead()
    return [held.state.value, len(bokeh_widget.widget.open_widgets())]
"""


def test_widgets_that_a_variable_holds_and_those_that_none_does(notebook: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("restart|Canceled|kernel", "the kernel is restarted")
    notebook.open([SETUP + WIDGETS, "held = make(); held", "make()"])
    for index in range(3):
        notebook.run(index)
    for _ in range(2):  # what no variable holds is freed when its cell runs again
        notebook.run(2)
        _is_shown(notebook, 2)
        wait_in_kernel(notebook, "state()", ["shown", 2])
    wait_in_page(notebook, f"{REPLICAS}.length", 2)
    # what a variable holds is hidden, and rests, when its output is cleared and when its cell is deleted
    notebook.clear_output(1)
    wait_in_kernel(notebook, "state()", ["hidden", 2])
    wait_in_page(notebook, f"{REPLICAS}.length", 1)
    notebook.insert_cell(3, "held")
    notebook.run(3)
    _is_shown(notebook, 3)
    wait_in_kernel(notebook, "state()", ["shown", 2])
    notebook.delete_cell(3)
    wait_in_kernel(notebook, "state()", ["hidden", 2])
    # without any output there is what the variable holds, at rest
    notebook.clear_all_outputs()
    wait_in_kernel(notebook, "state()", ["hidden", 1])
    wait_in_page(notebook, f"{REPLICAS}.length", 0)
    assert _rate(notebook, 0.2) == 0
    # the end of the kernel is said in the place of what was shown
    notebook.run(2)
    _is_shown(notebook, 2)
    notebook.restart_kernel()
    expect(notebook.output(2)).to_contain_text("Disconnected")
    wait_in_page(notebook, f"{REPLICAS}.length", 0)


def test_the_buttons_and_sliders_of_the_plot(notebook: NotebookPage) -> None:
    notebook.open([SETUP, OPEN, OPEN.replace("s1", "s2")])
    for index in range(3):
        notebook.run(index)
        if index > 0:
            _is_shown(notebook, index)
    wait_in_page(notebook, f"{REPLICAS}.length", 2)
    notebook.page.evaluate(f"() => {REPLICAS}[0].document.get_model_by_name('period').setv({{value: 0.05}})")
    wait_in_kernel(notebook, "sorted([s1.callback_period, s2.callback_period])", [0.05, 0.25])
    assert _rate(notebook) > 12
    notebook.output(1).get_by_role("button", name="close").click()
    wait_in_kernel(notebook, "[s1.is_open, s2.is_open, closed]", [False, True, 1])
    expect(notebook.output(1).locator(".bk-Figure")).to_have_count(0)
    _is_shown(notebook, 2)
    notebook.run(1)  # it is opened afresh
    _is_shown(notebook, 1)
    notebook.clear_all_outputs()
    _nothing_runs(notebook)


def test_a_tab_that_is_closed_ends_nothing_and_one_that_comes_back_goes_on(
    notebook: NotebookPage, page_errors: PageLog
) -> None:
    page_errors.allow("restart|Canceled|kernel", "the kernel is restarted")
    notebook.open([SETUP, OPEN])
    notebook.run(0)
    notebook.run(1)
    _is_shown(notebook, 1)
    assert _rate(notebook) > 3
    notebook.save()
    url = notebook.page.url
    notebook.page.goto("about:blank")
    wait_in_kernel(notebook, "sessions()[0].pages", 0)
    time.sleep(0.6)  # twice the time after which a session that its page no longer shows is discarded
    assert _rate(notebook, 0.5) == 0
    assert notebook.eval_in_kernel("[s1.is_open, sessions()[0].is_resting]") == [True, True]
    notebook.page.goto(url)
    notebook.wait_ready()
    _is_shown(notebook, 1)
    assert _rate(notebook) > 3

    notebook.restart_kernel()
    expect(notebook.output(1)).to_contain_text("Disconnected")
    wait_in_page(notebook, f"{REPLICAS}.length", 0)
    notebook.run(0)
    notebook.run(1)
    _is_shown(notebook, 1)
    assert notebook.eval_in_kernel("len(sessions())") == 1
