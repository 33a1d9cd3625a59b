"""One document, all kinds of changes, and what users do to the page: every view is what Python has, model by model.

A change from Python, one of a slider, a pan, a selection and a stream (``change_all``) are made in each of these tests,
and every model of every page is compared with Python's (``assert_equal``). All run in JupyterLab and in Notebook 7:

==========================================  =============================================================
a second display, two views, a Tab and a    ``test_places_of_one_page``
cell at once, views of different sizes
"Create New View for Output"                ``test_a_new_view_of_the_output``; Notebook 7 has none
two tabs                                    ``test_two_tabs_and_a_drag_in_one_while_the_other_changes``
reload, reload during a stream,             ``test_reload_also_during_a_stream_and_notebook_closed_and_opened_again``
notebook closed and opened again
kernel restarted                            ``test_a_restarted_kernel_says_so_and_the_cell_runs_again``
kernel busy, or interrupted                 ``test_a_busy_kernel_and_interrupts``; test_lines.py: in a callback
line cut, messages lost, page given up,     test_lines.py
page frozen
saved, and opened without a kernel          test_static.py: ``test_saved_widget_state``, as it was saved; without
                                            the state of the widgets ``test_saved_notebook_has_…_picture…``
nbconvert, the embedding of ipywidgets      test_static.py: ``test_nbconvert_and_nbsphinx``,
                                            ``test_embed``: no front end has a part
==========================================  =============================================================
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect

from tests.browser.harness import bokeh_counts, next_frame
from tests.browser.test_faults import PAGE_VALUES
from tests.browser.waiting import REPLICAS, TIMEOUT_S, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.harness import NotebookPage, PageLog

CELL: Final = """
import threading
import ipywidgets
import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget

source = ColumnDataSource({"n": np.arange(3.0), "y": np.array([2.0, 5.0, 8.0])}, name="source")
plot = figure(name="plot", width=300, height=200, x_range=(0, 10), y_range=(0, 10), tools="pan,tap", toolbar_location=None)
plot.scatter("n", "y", source=source, size=10)
slider = Slider(name="slider", start=0, end=10**6, value=0)
div = Div(name="div", text="start")
rows = [3]
w = BokehWidget(column(slider, div, plot))

slider.on_change("value", lambda attr, old, new: div.update(text=f"slider {new}"))

def stream():
    n = np.arange(rows[0], rows[0] + 2.0)
    rows[0] += 2
    source.stream({"n": n, "y": n / 2}, rollover=200)

stop = threading.Event()
def stream_on():
    while not stop.wait(0.005):
        stream()
thread = threading.Thread(target=stream_on)

def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in (value.tolist() if isinstance(value, np.ndarray) else value)]
    return {"id": value.id} if hasattr(value, "id") else value

CHECKED = {"value", "title", "text", "data", "start", "end", "width", "height", "children", "renderers", "name", "indices"}

def values():
    with w.session.lock:
        return {
            model.id: {name: plain(getattr(model, name)) for name in sorted(CHECKED & set(model.properties()))}
            for model in w.document.models
        }
w
"""

CHANGE: Final = f"""async n => {{
  const {{ document }} = {REPLICAS}[0];
  const of = name => document.get_model_by_name(name);
  of("slider").value = n;
  of("plot").x_range.setv({{start: n, end: n + 10}});
  of("source").selected.indices = [n % 3];
}}"""


def middle(canvas: Locator) -> tuple[float, float]:
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, canvas: Locator, dx: float) -> None:
    """Pan with the mouse."""
    x, y = middle(canvas)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y, steps=4)
    page.mouse.up()


def shown(page: NotebookPage, index: int = 0) -> None:
    expect(page.output(index).locator(".bk-Figure").first).to_be_visible()  # a second one may be about to replace it
    wait_in_page(page, f"{REPLICAS}.length", 1)


def open_document(page: NotebookPage, *cells: str, cell: str = CELL) -> None:
    page.open([cell, *cells])
    page.run(0)
    shown(page)
    wait_in_kernel(page, "w.state.value", "shown")


def assert_equal(*pages: NotebookPage) -> None:
    """Wait until nothing is on its way, and compare every model of every page with Python's."""
    for page in pages:
        wait_in_page(page, f"{REPLICAS}[0].in_flight + {REPLICAS}[0].waiting", 0)
        wait_in_kernel(page, "w.stats.changes_waiting", 0)
    for page in pages:
        wait_in_page(page, f"{REPLICAS}[0].revision", page.eval_in_kernel("w.session.revision"))
        python: dict[str, dict[str, Any]] = json.loads(page.eval_in_kernel("__import__('json').dumps(values())"))
        names = {model: list(values) for model, values in python.items()}
        assert page.page.evaluate(PAGE_VALUES, names) == python


def change_all(n: int, page: NotebookPage, *others: NotebookPage) -> None:
    """Change in all five ways: Python, slider, ranges, selection, stream; then everybody is equal."""
    page.exec_in_kernel(f"plot.title.text = 'python {n}'; stream()")
    page.page.evaluate(CHANGE, n)
    wait_in_kernel(page, "(slider.value, plot.x_range.start, source.selected.indices)", [n, n, [n % 3]])
    for each in (page, *others):
        wait_in_page(each, model_value("div", "text"), f"slider {n}")
        wait_in_page(each, model_value("plot", "title.text"), f"python {n}")
    assert_equal(page, *others)


def _wait_until_wide(output: Locator, low: float, high: float) -> None:
    """Wait until the plot of an output has a width between two limits, in CSS pixels."""
    deadline = time.monotonic() + TIMEOUT_S
    while (
        not low < (width := output.locator(".bk-Figure").first.evaluate("e => e.getBoundingClientRect().width")) < high
    ):
        assert time.monotonic() < deadline, width


def _wait_nothing_left(page: NotebookPage) -> None:
    """Wait until BokehJS has no document and no view; a frame that was asked for may hold them for a moment."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        [counts] = bokeh_counts(page.page).values()
        if (counts.documents, counts.views) == (0, 0):
            return
        assert time.monotonic() < deadline, counts


@pytest.fixture
def notebook(shared_notebook: NotebookPage) -> NotebookPage:
    """Give a page of each front end in which a user runs cells."""
    return shared_notebook


def test_places_of_one_page(notebook: NotebookPage) -> None:
    """In two cells, in a Tab, pulled about with the mouse, and each torn down alone."""
    open_document(notebook, "w", "box = ipywidgets.Tab([ipywidgets.VBox([w])], titles=['plot'])\nbox")
    for index in (1, 2):
        notebook.run(index)
        shown(notebook, index)
    change_all(7, notebook)
    drag(notebook.page, notebook.output(1).locator(".bk-events").first, 50)
    wait_in_kernel(notebook, "plot.x_range.start < 6", True)
    assert_equal(notebook)
    # as wide as each place allows: none of them tells Python, and so the others, its own width
    notebook.exec_in_kernel("plot.sizing_mode = w.roots[0].sizing_mode = 'stretch_width'; box.layout.width = '500px'")
    _wait_until_wide(notebook.output(0), 550, 1200)
    _wait_until_wide(notebook.output(2), 350, 500)
    change_all(8, notebook)
    _wait_until_wide(notebook.output(0), 550, 1200)
    _wait_until_wide(notebook.output(2), 350, 500)
    views = f"{REPLICAS}[0].views.length"
    for index, left in ((0, 2), (2, 1)):
        notebook.clear_output(index)
        wait_in_page(notebook, views, left)
        change_all(10 + index, notebook)
    notebook.clear_output(1)
    wait_in_page(notebook, f"{REPLICAS}.length", 0)
    _wait_nothing_left(notebook)


def test_a_new_view_of_the_output(shared_lab: NotebookPage) -> None:
    lab = shared_lab
    open_document(lab)
    lab.page.evaluate("() => { window.jupyterapp.shell.mode = 'multiple-document'; }")
    lab._call("command", 0, "notebook:create-output-view")
    wait_in_page(lab, f"{REPLICAS}[0].views.length", 2)
    change_all(5, lab)
    lab.clear_output(0)
    wait_in_page(lab, f"{REPLICAS}.length", 0)  # that view follows the output of the cell
    lab.page.evaluate("() => { window.jupyterapp.shell.mode = 'single-document'; }")


def test_two_tabs_and_a_drag_in_one_while_the_other_changes(notebook: NotebookPage) -> None:
    open_document(notebook)
    notebook.save()
    other = notebook.open_tab()
    shown(other)
    change_all(3, notebook, other)
    change_all(4, other, notebook)
    notebook.page.bring_to_front()
    canvas = notebook.output(0).locator(".bk-events").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    mouse = notebook.page.mouse
    mouse.move(box["x"] + 60, box["y"] + 60)
    mouse.down()
    mouse.move(box["x"] + 80, box["y"] + 60, steps=2)
    other.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 99 }}")
    wait_in_page(notebook, model_value("div", "text"), "slider 99")
    mouse.move(box["x"] + 110, box["y"] + 60, steps=2)
    mouse.up()
    wait_in_kernel(notebook, "plot.x_range.start < 3.5", True)
    assert_equal(notebook, other)
    # said before the page goes: on a busy machine the browser may drop what a page says while it goes
    other.page.evaluate("() => window.dispatchEvent(new PageTransitionEvent('pagehide'))")
    wait_in_kernel(notebook, "[len(w._pages.clients), len(w.session.flow.outbox.peers())]", [1, 1])
    other.page.close()
    change_all(6, notebook)


def test_reload_also_during_a_stream_and_notebook_closed_and_opened_again(notebook: NotebookPage) -> None:
    """Ranges are state: the zoom is kept."""
    open_document(notebook)
    change_all(4, notebook)
    notebook.exec_in_kernel("thread.start()")
    notebook.reload()
    shown(notebook)
    assert notebook.page.evaluate(model_value("plot", "x_range.start")) == 4
    notebook.exec_in_kernel("stop.set(); thread.join()")
    assert_equal(notebook)
    notebook.close_notebook()
    notebook.exec_in_kernel("plot.title.text = 'while it was closed'; stream()")
    notebook.reopen()
    shown(notebook)
    wait_in_page(notebook, model_value("plot", "title.text"), "while it was closed")
    assert_equal(notebook)
    change_all(8, notebook)


def test_a_busy_kernel_and_interrupts(notebook: NotebookPage) -> None:
    open_document(
        notebook,
        "import time\nfor i in range(10**6):\n    div.text = f'loop {i}'\n    stream()\n    time.sleep(0.002)",
    )
    notebook.start(1)
    wait_in_page(notebook, f"{model_value('div', 'text')}?.startsWith('loop')", True)
    notebook.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 5 }}")
    notebook.interrupt()
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        notebook.wait(1)
    wait_in_kernel(notebook, "slider.value", 5)
    assert_equal(notebook)
    change_all(6, notebook)


def test_a_restarted_kernel_says_so_and_the_cell_runs_again(notebook: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("restart|Canceled", "the kernel is restarted")
    open_document(notebook)
    notebook.restart_kernel()
    expect(notebook.output(0).locator(".bokeh-widget-warning")).to_contain_text("Run the cell again")
    expect(notebook.output(0).locator(".bokeh-widget-connection")).to_be_hidden()
    wait_in_page(notebook, f"{REPLICAS}.length", 0)
    notebook.run(0)
    shown(notebook)
    change_all(2, notebook)


RANGES: Final = """
import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(name="plot", width=400, height=200, y_range=(0, 1))
source = ColumnDataSource({"x": [0.0, 10.0], "y": [0.0, 1.0]})
plot.line("x", "y", source=source)
def stream(x):
    source.stream({"x": [x], "y": [0.5]})
BokehWidget(plot)
"""


def test_ranges_follow_the_data_in_each_page_until_somebody_moves_them(lab: NotebookPage) -> None:
    """After a reload and in a second tab, too, of which neither takes what the other has found for the user's choice."""
    lab.open([RANGES])
    lab.run(0)
    wait_in_kernel(lab, "plot.x_range.end", 10.5)
    lab.reload()
    wait_in_page(lab, f"{REPLICAS}.length", 1)
    tab = lab.open_tab()
    wait_in_page(tab, f"{REPLICAS}.length", 1)
    pages = (lab, tab)

    def wait_for(end: float) -> None:
        wait_in_kernel(lab, "plot.x_range.end", end)
        for page in pages:
            wait_in_page(page, model_value("plot", "x_range.end"), end)

    wait_for(10.5)
    lab.exec_in_kernel("stream(20.0)")
    wait_for(21)
    # as the pan tool does it
    tab.page.evaluate(
        f"""() => {{
            const [view] = {REPLICAS}[0].views
            const range = view.model.x_range
            view.update_range({{xrs: new Map([[range, {{start: 5, end: 15}}]]), yrs: new Map()}}, {{panning: true}})
        }}"""
    )
    wait_for(15)
    lab.exec_in_kernel("stream(30.0)")
    for page in pages:
        wait_in_page(page, f"{REPLICAS}[0].document.get_model_by_name('plot').renderers[0].data_source.get_length()", 4)
        next_frame(page.page)
    wait_for(15)
    tab.reload()
    wait_in_page(tab, f"{REPLICAS}.length", 1)
    lab.exec_in_kernel("stream(40.0)")
    wait_in_page(tab, f"{REPLICAS}[0].document.get_model_by_name('plot').renderers[0].data_source.get_length()", 5)
    next_frame(tab.page)
    wait_for(15)
    tab.page.evaluate(f"() => {REPLICAS}[0].views[0].reset()")
    wait_for(42)
    lab.exec_in_kernel("stream(50.0)")
    wait_for(52.5)
    tab.page.close()
