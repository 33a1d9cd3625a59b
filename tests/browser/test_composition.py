"""A document among other widgets, in every container, in every size, and scrolled away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect

from tests.browser.harness import bokeh_counts
from tests.browser.waiting import REPLICAS, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.harness import NotebookPage

SETUP: Final = """
import ipywidgets
from bokeh.plotting import figure
from IPython.display import display
from bokeh_widget import BokehWidget
def make(**options):
    options = {"width": 300, "height": 200, "name": "plot", "x_range": (0, 10), "y_range": (0, 10), **options}
    plot = figure(**options)
    plot.scatter([1, 5, 9], [1, 5, 9], size=20)
    return plot
plot = make()
w = BokehWidget(plot)
"""

CONTAINERS: Final = {
    "VBox": "ipywidgets.VBox([ipywidgets.IntSlider(), w])",
    "HBox": "ipywidgets.HBox([ipywidgets.IntSlider(), w])",
    "AppLayout": "ipywidgets.AppLayout(header=ipywidgets.Label('head'), center=w)",
    "GridBox": "ipywidgets.GridBox([w, ipywidgets.Button()], layout={'grid_template_columns': '1fr 1fr'})",
    "Tab": "ipywidgets.Tab([ipywidgets.Label('first'), w], titles=['one', 'two'])",
    "Accordion": "ipywidgets.Accordion([ipywidgets.Label('first'), w], titles=['one', 'two'], selected_index=0)",
    "Output": "out",
}
HIDDEN_FIRST: Final = {"Tab", "Accordion"}


def _size(locator: Locator) -> tuple[int, int]:
    box = locator.bounding_box()
    assert box is not None
    return round(box["width"]), round(box["height"])


def _painted(lab: NotebookPage, index: int = 0, replica: int = 0) -> None:
    """Wait until the first view of a replica has painted, and has something to show."""
    expect(lab.output(index).locator(".bk-Canvas").first).to_be_visible()
    wait_in_page(
        lab,
        f"""(() => {{
            const canvas = {REPLICAS}[{replica}]?.views[0]?.canvas_view?.primary?.canvas
            if (!canvas || canvas.width == 0) return false
            const {{data}} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            return data.some((value) => value != 0 && value != 255)
        }})()""",
        expected=True,
    )


@pytest.mark.parametrize("container", CONTAINERS)
def test_in_every_container(shared_lab: NotebookPage, container: str) -> None:
    """Painted in full size, two-way, and gone when it is closed."""
    made = "out = ipywidgets.Output()\nwith out: display(w)\n" if container == "Output" else ""
    shared_lab.open([SETUP + made + f"box = {CONTAINERS[container]}\nbox"])
    shared_lab.run(0)
    if container in HIDDEN_FIRST:
        shared_lab.output(0).get_by_text("first").wait_for()
        shared_lab.output(0).get_by_text("two", exact=True).click()
    _painted(shared_lab)
    assert _size(shared_lab.output(0).locator(".bk-Figure")) == (300, 200)
    shared_lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('plot').x_range.end = 5 }}")
    wait_in_kernel(shared_lab, "plot.x_range.end", 5)
    shared_lab.exec_in_kernel("plot.x_range.end = 7")
    wait_in_page(shared_lab, model_value("plot", "x_range.end"), 7)
    shared_lab.exec_in_kernel("w.close()")
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)
    expect(shared_lab.output(0).locator(".bk-Figure")).to_have_count(0)
    if container != "Output":
        assert shared_lab.eval_in_kernel("w in box.children") is False


def test_containers_leave_nothing_in_their_page(shared_lab: NotebookPage) -> None:
    """It is that of all tests above, and counting takes longer than each of them."""
    shared_lab.open([SETUP + "ipywidgets.VBox([w])"])
    shared_lab.run(0)
    _painted(shared_lab)
    shared_lab.exec_in_kernel("w.close()")
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)
    [counts] = bokeh_counts(shared_lab.page).values()
    assert (counts.documents, counts.views) == (0, 0)


def test_a_closed_child_does_not_hang_the_next_reload(shared_lab: NotebookPage) -> None:
    shared_lab.open([SETUP + "box = ipywidgets.VBox([w, ipywidgets.Label('still here')])\nbox"])
    shared_lab.run(0)
    _painted(shared_lab)
    shared_lab.exec_in_kernel("w.close()")
    shared_lab.reload()
    expect(shared_lab.output(0).get_by_text("still here")).to_be_visible()


def test_hidden_again_and_shown_again(shared_lab: NotebookPage) -> None:
    """A tab that hides the plot keeps its replica: zoom and data are those of the same document."""
    shared_lab.open([SETUP + "box = ipywidgets.Tab([w, ipywidgets.Label('other')], titles=['plot', 'more'])\nbox"])
    shared_lab.run(0)
    _painted(shared_lab)
    shared_lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('plot').x_range.end = 4 }}")
    shared_lab.output(0).get_by_text("more", exact=True).click()
    expect(shared_lab.output(0).get_by_text("other")).to_be_visible()
    shared_lab.exec_in_kernel("plot.y_range.end = 6")
    shared_lab.output(0).get_by_text("plot", exact=True).click()
    _painted(shared_lab)
    assert _size(shared_lab.output(0).locator(".bk-Figure")) == (300, 200)
    assert shared_lab.page.evaluate(model_value("plot", "x_range.end")) == 4
    wait_in_page(shared_lab, model_value("plot", "y_range.end"), 6)


def test_layout_takes_css_sizes(shared_lab: NotebookPage) -> None:
    """``layout=`` sizes the widget's box, and a stretching plot fills it; later changes apply, too."""
    shared_lab.open(
        [
            SETUP.replace("w = BokehWidget(plot)", "plot = make(sizing_mode='stretch_both')")
            + "w = BokehWidget(plot, layout={'width': '500px', 'height': '260px'})\nw",
            "v = BokehWidget(make(sizing_mode='stretch_both'), layout={'height': '260px'})\nipywidgets.VBox([v])",
        ]
    )
    shared_lab.run(0)
    _painted(shared_lab)
    assert _size(shared_lab.output(0).locator(".bk-Figure")) == (500, 260)
    shared_lab.exec_in_kernel("w.layout.width = '50%'; w.layout.height = '150px'")
    half = _size(shared_lab.output(0).locator(".bokeh-widget").locator("xpath=.."))[0] // 2
    wait_in_page(
        shared_lab,
        f"Math.abs({REPLICAS}[0].views[0].el.getBoundingClientRect().width - {half}) < 3"
        f" && {REPLICAS}[0].views[0].el.getBoundingClientRect().height",
        150,
    )
    shared_lab.run(1)  # in a column, which has no height of its own
    _painted(shared_lab, 1, 1)
    assert _size(shared_lab.output(1).locator(".bk-Figure"))[1] == 260


def test_layout_made_later(shared_lab: NotebookPage) -> None:
    """A widget that was made without a layout has none on the wire until somebody asks for it."""
    shared_lab.open([SETUP + "w", "w.layout.border = '3px solid red'; w.add_class('mine')"])
    shared_lab.run(0)
    _painted(shared_lab)
    assert shared_lab.eval_in_kernel("'layout' in w._trait_values") is False
    shared_lab.run(1)
    expect(shared_lab.output(0).locator(".bokeh-widget.mine")).to_have_css("border-top-width", "3px")


# What of the width that the cell offers, and of a box that is 260 px high, a plot of 300 x 200 takes: the same as
# in a page that BokehJS embeds it in.
SIZING: Final[dict[str, tuple[str, str]]] = {
    "fixed": ("300", "200"),
    "inherit": ("300", "200"),
    "stretch_width": ("offer", "200"),
    "stretch_height": ("300", "260"),
    "stretch_both": ("offer", "260"),
    "scale_width": ("offer", "ratio"),
    "scale_height": ("ratio", "260"),
    "scale_both": ("offer", "ratio"),
}


@pytest.mark.parametrize("mode", SIZING)
def test_every_sizing_mode(shared_lab: NotebookPage, mode: str) -> None:
    high = mode in {"stretch_height", "stretch_both", "scale_height", "scale_both"}
    layout = "{'height': '260px'}" if high else "None"
    shared_lab.open([SETUP + f"plot = make(sizing_mode={mode!r})\nw = BokehWidget(plot, layout={layout})\nw"])
    shared_lab.run(0)
    _painted(shared_lab)
    width, height = _size(shared_lab.output(0).locator(".bk-Figure"))
    offer = _size(shared_lab.output(0).locator(".bokeh-widget"))[0]
    assert offer > 600 or not mode.endswith(("width", "both"))
    ratio = 300 / 200
    wide, tall = SIZING[mode]
    expected_width = {"ratio": 260 * ratio, "offer": offer}.get(wide) or int(wide)
    expected_height = width / ratio if tall == "ratio" else int(tall)
    assert (width, height) == (pytest.approx(expected_width, abs=2), pytest.approx(expected_height, abs=2))


def test_a_plot_follows_the_width_of_the_window(shared_lab: NotebookPage) -> None:
    shared_lab.open([SETUP + "plot = make(sizing_mode='stretch_width')\nw = BokehWidget(plot)\nw"])
    shared_lab.run(0)
    _painted(shared_lab)
    before, _ = _size(shared_lab.output(0).locator(".bk-Figure"))
    shared_lab.page.set_viewport_size({"width": 1000, "height": 900})
    wait_in_page(shared_lab, f"{REPLICAS}[0].views[0].el.getBoundingClientRect().width < {before - 200}", expected=True)


@pytest.mark.parametrize("mode", ["full", "defer", "contentVisibility"])
def test_scrolled_out_and_back_keeps_the_zoom(lab: NotebookPage, mode: Any) -> None:
    tall = [f"print('row {i}\\n' * 40)" for i in range(12)]
    lab.open([SETUP + "w", *tall], windowing=mode)
    lab.run_all()
    lab.scroll_to(0)
    _painted(lab)
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('plot').x_range.end = 4 }}")
    wait_in_kernel(lab, "plot.x_range.end", 4)
    lab.scroll_to(12)
    lab.exec_in_kernel("plot.y_range.end = 3; plot.title.text = 'changed while away'")
    lab.scroll_to(0)
    _painted(lab)
    assert lab.page.evaluate(model_value("plot", "x_range.end")) == 4
    wait_in_page(lab, model_value("plot", "title.text"), "changed while away")
    assert lab.eval_in_kernel("(plot.x_range.end, plot.y_range.end, w.state.value)") == [4, 3, "shown"]


def test_interact_updates_a_document(shared_lab: NotebookPage) -> None:
    shared_lab.open(
        [
            SETUP + "w",
            (
                "@ipywidgets.interact(end=ipywidgets.IntSlider(min=1, max=10, value=8))\n"
                "def zoom(end):\n    plot.x_range.end = end"
            ),
        ]
    )
    shared_lab.run(0)
    _painted(shared_lab)
    shared_lab.run(1)
    wait_in_page(shared_lab, model_value("plot", "x_range.end"), 8)
    handle = shared_lab.output(1).locator(".noUi-handle")
    handle.focus()
    handle.press("ArrowLeft")
    wait_in_page(shared_lab, model_value("plot", "x_range.end"), 7)
    assert shared_lab.eval_in_kernel("plot.x_range.end") == 7


def test_a_plot_that_a_callback_displays_stays_without_a_variable(shared_lab: NotebookPage) -> None:
    """What ``interact`` displays is held by no cell's run and no variable: by what is on the screen."""
    shared_lab.open(
        [
            SETUP + "import gc\n@ipywidgets.interact(end=ipywidgets.IntSlider(min=1, max=10, value=8))\n"
            "def zoom(end):\n    display(BokehWidget(make(x_range=(0, end))))",
        ]
    )
    shared_lab.run(0)
    expect(shared_lab.output(0).locator(".bk-Figure")).to_have_count(1)
    handle = shared_lab.output(0).locator(".noUi-handle")
    handle.focus()
    handle.press("ArrowLeft")
    wait_in_page(shared_lab, f"{REPLICAS}.map(r => r.document.get_model_by_name('plot').x_range.end)", [7])
    shared_lab.exec_in_kernel("for _ in range(3): gc.collect()")
    expect(shared_lab.output(0).locator(".bk-Figure")).to_have_count(1)
    shared_lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('plot').x_range.end = 5 }}")
    found = "[w.roots[0].x_range.end for w in __import__('bokeh_widget').widget._widgets if w.state.value == 'shown']"
    wait_in_kernel(shared_lab, found, [5])


def test_in_notebook7(shared_notebook7: NotebookPage) -> None:
    """The same front end in Notebook 7: in a box, hidden first, re-run and closed."""
    shared_notebook7.open([SETUP + "box = ipywidgets.Tab([ipywidgets.Label('first'), w], titles=['one', 'two'])\nbox"])
    for _ in range(2):
        shared_notebook7.run(0)
        shared_notebook7.output(0).get_by_text("two", exact=True).click()
        _painted(shared_notebook7)
    shared_notebook7.exec_in_kernel("w.close()")
    wait_in_page(shared_notebook7, f"{REPLICAS}.length", 0)
    wait_in_kernel(shared_notebook7, "w.closed", expected=True)
