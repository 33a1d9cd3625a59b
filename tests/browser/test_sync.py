"""A document in JupyterLab: what Python changes is painted, what the page changes reaches Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.browser.harness import Notebook7Page, bokeh_counts, count_instances, websocket_frames
from tests.browser.waiting import REGISTRY, REPLICAS, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage, PageLog, VoilaPage

PLOT: Final = """
import numpy as np
from bokeh.layouts import column
from bokeh.models import Slider, Button
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(name="plot", width=400, height=250, title="start", x_range=(0, 10), y_range=(0, 10), tools="pan,wheel_zoom,tap,box_select,reset")
points = plot.scatter([1, 5, 9], [1, 5, 9], size=20, name="points")
source = points.data_source
source.name = "source"
slider = Slider(name="slider", start=0, end=10, value=1, step=1, title="value")
button = Button(name="button", label="press")
seen = []
slider.on_change("value", lambda attr, old, new: (seen.append(new), setattr(plot.title, "text", f"value {new}")))
w = BokehWidget(column(slider, button, plot))
w
"""


def _drag(page: NotebookPage | VoilaPage, selector: str, dx: float) -> None:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = page.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx, y, steps=8)
    mouse.up()


def _open(notebook: NotebookPage, *cells: str) -> None:
    notebook.open([PLOT, *cells])
    notebook.run(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    wait_in_kernel(notebook, "w.state.value", "shown")


@pytest.fixture
def notebook(shared_notebook: NotebookPage) -> NotebookPage:
    """Give a page of each front end in which a user runs cells."""
    return shared_notebook


@pytest.fixture(params=["lab", "notebook7"])
def fresh(request: pytest.FixtureRequest) -> NotebookPage:
    """Give the same, but newly opened: of what a page and a kernel load, nothing is there yet."""
    page: NotebookPage = request.getfixturevalue(request.param)
    return page


def test_slider_runs_python_and_the_result_comes_back(notebook: NotebookPage) -> None:
    _open(notebook)
    _drag(notebook, ".noUi-handle", 120)
    # the second comes with the end of the drag: values of its middle may have come before
    wait_in_kernel(notebook, "slider.value > 1 and slider.value_throttled == slider.value == seen[-1]", True)
    value = notebook.eval_in_kernel("slider.value")
    wait_in_page(notebook, model_value("plot", "title.text"), f"value {value}")
    wait_in_page(notebook, f"{REPLICAS}[0].revision - {notebook.eval_in_kernel('w.session.revision')}", 0)


def test_pan_reaches_python_as_ranges_and_events(notebook: NotebookPage) -> None:
    notebook.open(
        [
            PLOT.replace(
                "w = BokehWidget",
                "from bokeh.events import Pan, PanEnd, RangesUpdate\n"
                "events = []\n"
                "plot.on_event(PanEnd, lambda e: events.append('pan end'))\n"
                "plot.on_event(RangesUpdate, lambda e: events.append(e.x0))\n"
                "w = BokehWidget",
            )
        ]
    )
    notebook.run(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    _drag(notebook, ".bk-Canvas .bk-events, .bk-events", 80)
    wait_in_kernel(notebook, "'pan end' in events", True)
    wait_in_kernel(notebook, "plot.x_range.start < -1 and plot.x_range.start in events", True)


def test_tap_and_button_events(notebook: NotebookPage) -> None:
    notebook.open(
        [
            PLOT.replace(
                "w = BokehWidget",
                "from bokeh.events import Tap, DocumentReady\n"
                "events = []\n"
                "plot.on_event(Tap, lambda e: events.append(round(e.x)))\n"
                "button.on_click(lambda: events.append('click'))\n"
                "w = BokehWidget",
            ).replace("\nw\n", "\nw.document.on_event(DocumentReady, lambda e: events.append('ready'))\nw\n")
        ]
    )
    notebook.run(0)
    wait_in_kernel(notebook, "'ready' in events", True)
    notebook.output(0).get_by_role("button", name="press").click()
    wait_in_kernel(notebook, "events.count('click')", 1)
    box = notebook.output(0).locator(".bk-events").first.bounding_box()
    assert box is not None
    notebook.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_in_kernel(notebook, "5 in events and list(source.selected.indices) == [1]", True)


def test_stream_patch_replace_and_roots(notebook: NotebookPage) -> None:
    _open(
        notebook,
        "source.stream({'x': [2, 3], 'y': [3, 2]})",
        "source.patch({'y': [(0, 7), (slice(3, 5), [4, 4])]})",
        "source.data = {'x': np.arange(1000.0), 'y': np.arange(1000, dtype='float32')}",
        "other = figure(name='other', width=200, height=150); other.line([1, 2], [1, 2]); w.document.add_root(other)",
        "w.document.remove_root(other); w.document.title = 'a title'",
    )
    notebook.run(1)
    wait_in_page(notebook, f"Array.from({model_value('source', 'data.x')} ?? [])", [1, 5, 9, 2, 3])
    notebook.run(2)
    wait_in_page(notebook, f"Array.from({model_value('source', 'data.y')} ?? [])", [7, 5, 9, 4, 4])
    with websocket_frames(notebook.page, keep_content=True) as frames:
        notebook.run(3)
        wait_in_page(notebook, model_value("source", "data.y.length"), 1000)
        frames.flush()
        patches = [m for m in frames.comm("received") if m.buffer_size > 0]
        assert [m.buffer_size for m in patches] == [12000]
        assert all("base64" not in str(m) for m in frames.comm())
    assert notebook.page.evaluate(model_value("source", "data.x.constructor.name")) is not None
    notebook.run(4)
    expect(notebook.output(0).locator(".bk-Figure")).to_have_count(2)
    notebook.run(5)
    expect(notebook.output(0).locator(".bk-Figure")).to_have_count(1)
    wait_in_page(notebook, f"{REPLICAS}[0].document.title()", "a title")


def test_custom_js_stays_in_the_browser(notebook: NotebookPage) -> None:
    notebook.open(
        [
            PLOT.replace(
                "w = BokehWidget",
                "from bokeh.models import CustomJS\n"
                "slider.js_on_change('value', CustomJS(args=dict(plot=plot), code='plot.title.text = `js ${cb_obj.value} ${Bokeh.version}`'))\n"
                "button.js_on_click(CustomJS(code='export default (args, obj) => { obj.origin.label = Bokeh.version }'))\n"
                "slider._callbacks.clear()\nw = BokehWidget",
            )
        ]
    )
    notebook.run(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    notebook.page.evaluate(
        f"() => {{ {model_value('slider', 'value')} ; {REPLICAS}[0].document.get_model_by_name('slider').value = 4 }}"
    )
    version = notebook.eval_in_kernel("__import__('bokeh').__version__")
    wait_in_kernel(notebook, "plot.title.text", f"js 4 {version}")
    notebook.output(0).get_by_role("button", name="press").click()
    wait_in_kernel(notebook, "button.label", version)
    assert notebook.page.evaluate("typeof globalThis.Bokeh") == "undefined"


def test_updates_appear_while_a_cell_blocks(notebook: NotebookPage) -> None:
    notebook.open([PLOT, "import threading\ngo = threading.Event()\nplot.title.text = 'while it runs'\ngo.wait(30)"])
    notebook.run(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    notebook.start(1)
    wait_in_page(notebook, model_value("plot", "title.text"), "while it runs")
    notebook.interrupt()


def test_shown_and_changed_in_one_blocking_cell(notebook: NotebookPage) -> None:
    notebook.open(
        [
            "from IPython.display import display\nimport time\n"
            + PLOT.replace("\nw\n", "\ndisplay(w)\n")
            + "for i in range(600):\n    plot.title.text = f'step {i}'\n    time.sleep(0.05)\n"
        ]
    )
    notebook.start(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    wait_in_page(notebook, f"/^step [1-9]/.test({model_value('plot', 'title.text')})", True)
    notebook.interrupt()


def test_an_image_a_table_tabs_and_math(notebook: NotebookPage) -> None:
    notebook.open(
        [
            """
import numpy as np
from bokeh.models import ColumnDataSource, DataTable, TableColumn, Tabs, TabPanel, Div
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
picture = figure(width=300, height=200, title="$$\\\\sin(x)$$")
picture.image([np.arange(12.0).reshape(3, 4)], x=0, y=0, dw=4, dh=3)
table = DataTable(source=ColumnDataSource({"a": [1, 2, 3], "b": ["x", "y", "z"]}), columns=[TableColumn(field="a"), TableColumn(field="b")], width=300, height=150)
gl = figure(width=300, height=200, output_backend="webgl")
gl.scatter([1, 2, 3], [1, 2, 3])
tabs = Tabs(tabs=[TabPanel(child=picture, title="picture"), TabPanel(child=table, title="table"), TabPanel(child=gl, title="gl")])
w = BokehWidget(tabs)
w
"""
        ]
    )
    notebook.run(0)
    tabs = notebook.output(0).locator(".bk-Tabs")
    expect(tabs).to_be_visible()
    notebook.output(0).get_by_text("table", exact=True).click()
    expect(notebook.output(0).locator(".slick-row")).to_have_count(3)
    wait_in_kernel(notebook, "tabs.active", 1)
    notebook.output(0).get_by_text("gl", exact=True).click()
    wait_in_kernel(notebook, "tabs.active", 2)


def test_models_that_come_later_bring_their_bundles(fresh: NotebookPage) -> None:
    fresh.open(
        [
            """
from bokeh.layouts import column
from bokeh.models import Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(width=300, height=200)
plot.line([1, 2], [1, 2])
box = column(plot)
w = BokehWidget(box)
w
""",
            "box.children = [plot, Slider(start=0, end=1, value=0.5)]",
            "plot.title.text = r'$$\\frac{1}{2}$$'",
        ]
    )
    fresh.run(0)
    expect(fresh.output(0).locator(".bk-Figure")).to_be_visible()
    fresh.run(1)
    expect(fresh.output(0).locator(".bk-Slider")).to_be_visible()
    fresh.run(2)
    wait_in_page(fresh, f"{REPLICAS}[0].revision", fresh.eval_in_kernel("w.session.revision"))


CUSTOM: Final = """
from bokeh.core.properties import String
from bokeh.models import LayoutDOM
class Badge(LayoutDOM):
    __implementation__ = '''
import type * as p from "core/properties"
import {LayoutDOM, LayoutDOMView} from "models/layouts/layout_dom"
export class BadgeView extends LayoutDOMView {
  declare model: Badge
  get child_models() { return [] }
  override render(): void {
    super.render()
    const b = document.createElement("b")
    b.className = "badge"
    b.textContent = this.model.text
    this.shadow_el.append(b)
  }
  override connect_signals(): void {
    super.connect_signals()
    this.connect(this.model.properties.text.change, () => this.render())
  }
}
export namespace Badge {
  export type Attrs = p.AttrsOf<Props>
  export type Props = LayoutDOM.Props & {text: p.Property<string>}
}
export interface Badge extends Badge.Attrs {}
export class Badge extends LayoutDOM {
  declare properties: Badge.Props
  declare __view_type__: BadgeView
  static override __name__ = "Badge"
  static {
    this.prototype.default_view = BadgeView
    this.define<Badge.Props>(({Str}) => ({text: [Str, ""]}))
  }
}
'''
    text = String("")
from bokeh_widget import BokehWidget
badge = Badge(text="gold", width=100, height=30)
w = BokehWidget(badge)
w
"""


def test_custom_model_compiled_by_bokeh(fresh: NotebookPage) -> None:
    fresh.open([CUSTOM, "badge.text = 'silver'"])
    fresh.run(0, timeout=60)
    expect(fresh.output(0).locator(".badge")).to_have_text("gold")
    fresh.run(1)
    expect(fresh.output(0).locator(".badge")).to_have_text("silver")
    fresh.exec_in_kernel("w.close()")
    wait_in_page(fresh, f"{REPLICAS}.length", 0)
    version = fresh.eval_in_kernel("__import__('bokeh').__version__")
    badge = f"{REGISTRY}.bokeh('{version}').Models.get('Badge').prototype"
    assert count_instances(fresh.page, badge) == 0
    assert count_instances(fresh.page, f"{badge}.default_view.prototype") == 0


def test_hold_sends_one_patch(notebook: NotebookPage) -> None:
    _open(notebook, "w.document.hold('combine')\nfor i in range(20): plot.title.text = f'{i}'\nw.document.unhold()")
    # the ranges that the page has fitted to the data are told of a moment later
    wait_in_page(notebook, f"{REPLICAS}[0].in_flight + {REPLICAS}[0].waiting", 0)
    before = notebook.eval_in_kernel("w.session.revision")
    notebook.run(1)
    wait_in_page(notebook, model_value("plot", "title.text"), "19")
    assert notebook.eval_in_kernel("w.session.revision") == before + 1


def test_python_error_is_shown_in_the_cell(notebook: NotebookPage) -> None:
    _open(notebook, "slider.on_change('value', lambda a, o, n: 1 / 0)")
    notebook.run(1)
    notebook.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 3 }}")
    expect(notebook.output(0).locator(".bokeh-widget-error")).to_contain_text("ZeroDivisionError")
    assert notebook.eval_in_kernel("type(w.session.last_error).__name__") == "ZeroDivisionError"
    notebook.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 5 }}")
    wait_in_kernel(notebook, "seen[-1]", 5)


def test_browser_error_is_shown_and_reaches_python(fresh: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("bokeh_widget could not", "the model's view throws on purpose")
    fresh.open([CUSTOM.replace("    super.render()\n", "    throw new Error('on purpose')\n", 1)])
    fresh.run(0, timeout=60)
    expect(fresh.output(0).locator(".bokeh-widget-error")).to_contain_text("on purpose")
    wait_in_kernel(fresh, "'on purpose' in str(w.session.last_error)", True)


def test_a_refused_patch_is_rolled_back_in_the_page(notebook: NotebookPage) -> None:
    _open(notebook)
    notebook.page.evaluate(
        f"""() => {{
            const {{properties}} = {REPLICAS}[0].document.get_model_by_name('slider')
            properties.title.validate = () => true
            properties.title.valid = () => true
            properties.title.obj.title = 5
        }}"""
    )
    expect(notebook.output(0).locator(".bokeh-widget-error")).to_contain_text("title")
    wait_in_page(notebook, model_value("slider", "title"), "value")
    assert notebook.eval_in_kernel("slider.title") == "value"
    notebook.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 6 }}")
    wait_in_kernel(notebook, "seen[-1:]", [6])


def test_two_widgets_of_one_document_share_it(notebook: NotebookPage) -> None:
    _open(notebook, "v = BokehWidget(slider)\nv")
    notebook.run(1)
    expect(notebook.output(1).locator(".bk-Slider")).to_be_visible()
    expect(notebook.output(1).locator(".bk-Figure")).to_have_count(0)
    assert notebook.eval_in_kernel("v.session is w.session")
    notebook.page.evaluate(f"() => {{ {REPLICAS}[1].document.get_model_by_name('slider').value = 7 }}")
    wait_in_page(notebook, model_value("slider", "value", 0), 7)
    wait_in_page(notebook, model_value("plot", "title.text", 0), "value 7")
    wait_in_page(notebook, model_value("plot", "title.text", 1), "value 7")


def test_two_views_share_a_replica(notebook: NotebookPage) -> None:
    _open(notebook, "w", "plot.title.text = 'both'")
    notebook.run(1)
    expect(notebook.output(1).locator(".bk-Figure")).to_be_visible()
    assert notebook.page.evaluate(f"{REPLICAS}.length") == 1
    assert notebook.page.evaluate(f"{REPLICAS}[0].views.length") == 2
    notebook.clear_output(1)
    wait_in_page(notebook, f"{REPLICAS}[0].views.length", 1)
    notebook.run(2)
    wait_in_page(notebook, model_value("plot", "title.text"), "both")
    assert notebook.eval_in_kernel("w.state.value") == "shown"


def test_update_swaps_the_content(notebook: NotebookPage) -> None:
    _open(
        notebook,
        "old = w.session\nnew = figure(name='new', width=300, height=200)\nnew.line([1, 2], [2, 1])\nw.update(new)",
    )
    notebook.run(1)
    wait_in_page(notebook, model_value("new", "width"), 300)
    expect(notebook.output(0).locator(".bk-Slider")).to_have_count(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_have_count(1)
    assert notebook.eval_in_kernel("old.closed")
    assert notebook.page.evaluate(f"{REPLICAS}.length") == 1


def test_reload_shows_the_current_state(notebook: NotebookPage) -> None:
    _open(notebook)
    notebook.exec_in_kernel("plot.title.text = 'after the reload'")
    notebook.reload()
    wait_in_page(notebook, f"{REPLICAS}.length", 1)
    wait_in_page(notebook, model_value("plot", "title.text"), "after the reload")
    notebook.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 8 }}")
    wait_in_kernel(notebook, "slider.value", 8)


def test_kernel_restart_disconnects(notebook: NotebookPage) -> None:
    _open(notebook)
    notebook.restart_kernel()
    wait_in_page(notebook, f"{REPLICAS}.length", 0)
    expect(notebook.output(0).locator(".bokeh-widget-warning")).to_contain_text("Run the cell again")
    notebook.run(0)
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()


def test_two_notebooks_with_two_kernels(fresh: NotebookPage) -> None:
    """In one page of JupyterLab, whose BokehJS they share, or in two pages of Notebook 7."""
    _open(fresh)
    if isinstance(fresh, Notebook7Page):
        other: NotebookPage = Notebook7Page(fresh.server, fresh.context, fresh.log).open([PLOT])
        index = 0
    else:
        other = fresh.open_beside([PLOT])
        index = 1
    other.run(0)
    expect(other.output(0).locator(".bk-Figure")).to_be_visible()
    assert other.page.evaluate(f"{REGISTRY}.versions().length") == 1
    assert other.page.evaluate(f"{REPLICAS}.length") == index + 1
    other.exec_in_kernel("plot.title.text = 'other'")
    wait_in_page(other, model_value("plot", "title.text", index), "other")
    assert fresh.page.evaluate(model_value("plot", "title.text")) == "start"


def test_a_foreign_bokeh_in_the_page_is_left_alone(fresh: NotebookPage) -> None:
    fresh.open([PLOT])
    fresh.page.evaluate("() => { globalThis.Bokeh = {version: '2.0.0', foreign: true} }")
    fresh.run(0)
    expect(fresh.output(0).locator(".bk-Figure")).to_be_visible()
    assert fresh.page.evaluate("globalThis.Bokeh.foreign") is True


def test_voila(voila: VoilaPage) -> None:
    """Display, slider to Python and back, and close."""
    voila.open([PLOT])
    expect(voila.locator(".bk-Figure").first).to_be_visible()
    _drag(voila, ".noUi-handle", 120)
    wait_in_kernel(voila, "slider.value > 1 and seen[-1] == slider.value", True)
    value = voila.eval_in_kernel("slider.value")
    wait_in_page(voila, model_value("plot", "title.text"), f"value {value}")
    voila.eval_in_kernel("w.close()")
    wait_in_page(voila, f"{REPLICAS}.length", 0)
    expect(voila.locator(".bk-Figure")).to_have_count(0)
    [counts] = bokeh_counts(voila.page).values()
    assert (counts.documents, counts.views) == (0, 0)
