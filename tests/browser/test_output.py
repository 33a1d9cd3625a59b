"""What callbacks print, display and raise is seen below the plot, in the front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import wait_in_kernel

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.harness import NotebookPage

SETUP: Final = """
import asyncio, warnings
import ipywidgets
from bokeh.models import Slider
from IPython.display import HTML, display
from bokeh_widget import BokehWidget
slider = Slider(name="slider", start=0, end=10, value=1, title="value")

def change(attr, old, new):
    print("now", new)
    if new == 3:
        display(HTML("<b>bold</b>"), ipywidgets.IntSlider(value=4, description="inner"))
    if new == 4:
        raise LookupError("on purpose")

slider.on_change("value", change)
w = BokehWidget(slider)
"""


@pytest.fixture
def notebook(shared_notebook: NotebookPage) -> NotebookPage:
    """Give a page of each front end in which a user runs cells."""
    return shared_notebook


def _output(notebook: NotebookPage, index: int) -> Locator:
    return notebook.output(index).locator(".bokeh-widget-output")


def _move(notebook: NotebookPage, value: int) -> None:
    notebook.page.evaluate(
        "value => globalThis[Symbol.for('bokeh_widget')].replicas()[0].document.get_model_by_name('slider')"
        ".setv({value})",
        value,
    )


def test_output_is_below_every_view_during_and_after_the_cell_and_after_a_reload(notebook: NotebookPage) -> None:
    tick = "w.document.add_timeout_callback(lambda: print('tick'), 10)\nfor _ in range(200):\n    await asyncio.sleep(0.01)\nprint('end')"
    notebook.open([SETUP, "print('a cell')\nw", "w", tick, "slider.value = 9"])
    for index in range(3):
        notebook.run(index)
    expect(_output(notebook, 1)).to_be_hidden()
    notebook.start(3)
    for index in (1, 2):
        expect(_output(notebook, index)).to_contain_text("tick")
    assert "end" not in notebook.text(3)  # the cell still runs
    notebook.wait(3)
    assert notebook.text(3) == "end"
    _move(notebook, 2)
    for index in (1, 2):
        expect(_output(notebook, index)).to_contain_text("now 2")
        expect(_output(notebook, index).locator("pre")).to_have_count(1)
    notebook.run(4)
    assert notebook.text(4) == "now 9"  # of the cell that changes it
    notebook.reload()
    for index in (1, 2):
        expect(_output(notebook, index)).to_contain_text("tick\nnow 2")
    _output(notebook, 1).get_by_role("button", name="Clear").click()
    for index in (1, 2):
        expect(_output(notebook, index)).to_be_hidden()


def test_objects_are_rendered_and_errors_have_their_traceback(notebook: NotebookPage) -> None:
    notebook.open([SETUP, "w", "'other cell'"])
    for index in range(3):
        notebook.run(index)
    expect(notebook.output(1).locator(".bk-Slider")).to_be_visible()
    _move(notebook, 3)
    shown = _output(notebook, 1)
    expect(shown.locator("b")).to_have_text("bold")
    expect(shown.locator(".widget-slider")).to_contain_text("inner")
    expect(shown.locator(".widget-readout")).to_have_text("4")
    _move(notebook, 4)
    error = shown.locator("details.bokeh-widget-error")
    expect(error.locator("summary")).to_have_text("LookupError: on purpose")
    expect(error.locator("pre")).to_be_hidden()
    error.locator("summary").click()
    expect(error.locator("pre")).to_contain_text('in change\n    raise LookupError("on purpose")')
    shown.get_by_role("button", name="Clear").click()
    expect(shown).to_be_hidden()
    assert notebook.text(2).endswith("'other cell'")
    wait_in_kernel(notebook, "len(w.session.output._blocks)", 0)
    _move(notebook, 5)
    expect(shown).to_contain_text("now 5")
