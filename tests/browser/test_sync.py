"""A document in JupyterLab: what Python changes is painted, what the page changes reaches Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.browser.harness import websocket_frames
from tests.browser.waiting import REPLICAS, model_value, wait_in_kernel, wait_in_page

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


def _open(lab: NotebookPage, *cells: str) -> None:
    lab.open([PLOT, *cells])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    wait_in_kernel(lab, "w.state.value", "shown")


def test_slider_runs_python_and_the_result_comes_back(lab: NotebookPage) -> None:
    _open(lab)
    _drag(lab, ".noUi-handle", 120)
    wait_in_kernel(lab, "slider.value > 1 and seen[-1] == slider.value", True)
    value = lab.eval_in_kernel("slider.value")
    wait_in_page(lab, model_value("plot", "title.text"), f"value {value}")
    assert lab.eval_in_kernel("slider.value_throttled") == value
    wait_in_page(lab, f"{REPLICAS}[0].revision - {lab.eval_in_kernel('w.session.revision')}", 0)


def test_pan_reaches_python_as_ranges_and_events(lab: NotebookPage) -> None:
    lab.open(
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
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    _drag(lab, ".bk-Canvas .bk-events, .bk-events", 80)
    wait_in_kernel(lab, "'pan end' in events", True)
    wait_in_kernel(lab, "plot.x_range.start < -1 and plot.x_range.start in events", True)


def test_tap_and_button_events(lab: NotebookPage) -> None:
    lab.open(
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
    lab.run(0)
    wait_in_kernel(lab, "'ready' in events", True)
    lab.output(0).get_by_role("button", name="press").click()
    wait_in_kernel(lab, "events.count('click')", 1)
    box = lab.output(0).locator(".bk-events").first.bounding_box()
    assert box is not None
    lab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_in_kernel(lab, "5 in events and list(source.selected.indices) == [1]", True)


def test_stream_patch_replace_and_roots(lab: NotebookPage) -> None:
    _open(
        lab,
        "source.stream({'x': [2, 3], 'y': [3, 2]})",
        "source.patch({'y': [(0, 7), (slice(3, 5), [4, 4])]})",
        "source.data = {'x': np.arange(1000.0), 'y': np.arange(1000, dtype='float32')}",
        "other = figure(name='other', width=200, height=150); other.line([1, 2], [1, 2]); w.document.add_root(other)",
        "w.document.remove_root(other); w.document.title = 'a title'",
    )
    lab.run(1)
    wait_in_page(lab, f"Array.from({model_value('source', 'data.x')} ?? [])", [1, 5, 9, 2, 3])
    lab.run(2)
    wait_in_page(lab, f"Array.from({model_value('source', 'data.y')} ?? [])", [7, 5, 9, 4, 4])
    with websocket_frames(lab.page, keep_content=True) as frames:
        lab.run(3)
        wait_in_page(lab, model_value("source", "data.y.length"), 1000)
        frames.flush()
        patches = [m for m in frames.comm("received") if m.buffer_size > 0]
        assert [m.buffer_size for m in patches] == [12000]
        assert all("base64" not in str(m) for m in frames.comm())
    assert lab.page.evaluate(model_value("source", "data.x.constructor.name")) is not None
    lab.run(4)
    expect(lab.output(0).locator(".bk-Figure")).to_have_count(2)
    lab.run(5)
    expect(lab.output(0).locator(".bk-Figure")).to_have_count(1)
    wait_in_page(lab, f"{REPLICAS}[0].document.title()", "a title")


def test_custom_js_stays_in_the_browser(lab: NotebookPage) -> None:
    lab.open(
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
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    lab.page.evaluate(
        f"() => {{ {model_value('slider', 'value')} ; {REPLICAS}[0].document.get_model_by_name('slider').value = 4 }}"
    )
    version = lab.eval_in_kernel("__import__('bokeh').__version__")
    wait_in_kernel(lab, "plot.title.text", f"js 4 {version}")
    lab.output(0).get_by_role("button", name="press").click()
    wait_in_kernel(lab, "button.label", version)
    assert lab.page.evaluate("typeof globalThis.Bokeh") == "undefined"


def test_updates_appear_while_a_cell_blocks(lab: NotebookPage) -> None:
    lab.open([PLOT, "import threading\ngo = threading.Event()\nplot.title.text = 'while it runs'\ngo.wait(30)"])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    lab.start(1)
    wait_in_page(lab, model_value("plot", "title.text"), "while it runs")
    lab.interrupt()


def test_shown_and_changed_in_one_blocking_cell(lab: NotebookPage) -> None:
    lab.open(
        [
            "from IPython.display import display\nimport time\n"
            + PLOT.replace("\nw\n", "\ndisplay(w)\n")
            + "for i in range(600):\n    plot.title.text = f'step {i}'\n    time.sleep(0.05)\n"
        ]
    )
    lab.start(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    wait_in_page(lab, f"/^step [1-9]/.test({model_value('plot', 'title.text')})", True)
    lab.interrupt()


def test_an_image_a_table_tabs_and_math(lab: NotebookPage) -> None:
    lab.open(
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
    lab.run(0)
    tabs = lab.output(0).locator(".bk-Tabs")
    expect(tabs).to_be_visible()
    lab.output(0).get_by_text("table", exact=True).click()
    expect(lab.output(0).locator(".slick-row")).to_have_count(3)
    wait_in_kernel(lab, "tabs.active", 1)
    lab.output(0).get_by_text("gl", exact=True).click()
    wait_in_kernel(lab, "tabs.active", 2)


def test_models_that_come_later_bring_their_bundles(lab: NotebookPage) -> None:
    lab.open(
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
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    lab.run(1)
    expect(lab.output(0).locator(".bk-Slider")).to_be_visible()
    lab.run(2)
    wait_in_page(lab, f"{REPLICAS}[0].revision", lab.eval_in_kernel("w.session.revision"))


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


def test_custom_model_compiled_by_bokeh(lab: NotebookPage) -> None:
    lab.open([CUSTOM, "badge.text = 'silver'"])
    lab.run(0, timeout=60)
    expect(lab.output(0).locator(".badge")).to_have_text("gold")
    lab.run(1)
    expect(lab.output(0).locator(".badge")).to_have_text("silver")


def test_hold_sends_one_patch(lab: NotebookPage) -> None:
    _open(lab, "w.document.hold('combine')\nfor i in range(20): plot.title.text = f'{i}'\nw.document.unhold()")
    before = lab.eval_in_kernel("w.session.revision")
    lab.run(1)
    wait_in_page(lab, model_value("plot", "title.text"), "19")
    assert lab.eval_in_kernel("w.session.revision") == before + 1


def test_python_error_is_shown_in_the_cell(lab: NotebookPage) -> None:
    _open(lab, "slider.on_change('value', lambda a, o, n: 1 / 0)")
    lab.run(1)
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 3 }}")
    expect(lab.output(0).locator(".bokeh-widget-error")).to_contain_text("ZeroDivisionError")
    assert lab.eval_in_kernel("type(w.session.last_error).__name__") == "ZeroDivisionError"
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 5 }}")
    wait_in_kernel(lab, "seen[-1]", 5)


def test_browser_error_is_shown_and_reaches_python(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("bokeh_widget could not", "the model's view throws on purpose")
    lab.open([CUSTOM.replace("    super.render()\n", "    throw new Error('on purpose')\n", 1)])
    lab.run(0, timeout=60)
    expect(lab.output(0).locator(".bokeh-widget-error")).to_contain_text("on purpose")
    wait_in_kernel(lab, "'on purpose' in str(w.session.last_error)", True)


def test_a_refused_patch_is_rolled_back_in_the_page(lab: NotebookPage) -> None:
    _open(lab)
    lab.page.evaluate(
        f"""() => {{
            const {{properties}} = {REPLICAS}[0].document.get_model_by_name('slider')
            properties.title.validate = () => true
            properties.title.valid = () => true
            properties.title.obj.title = 5
        }}"""
    )
    expect(lab.output(0).locator(".bokeh-widget-error")).to_contain_text("title")
    wait_in_page(lab, model_value("slider", "title"), "value")
    assert lab.eval_in_kernel("slider.title") == "value"
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 6 }}")
    wait_in_kernel(lab, "seen[-1:]", [6])


def test_two_widgets_of_one_document_share_it(lab: NotebookPage) -> None:
    _open(lab, "v = BokehWidget(slider)\nv")
    lab.run(1)
    expect(lab.output(1).locator(".bk-Slider")).to_be_visible()
    expect(lab.output(1).locator(".bk-Figure")).to_have_count(0)
    assert lab.eval_in_kernel("v.session is w.session")
    lab.page.evaluate(f"() => {{ {REPLICAS}[1].document.get_model_by_name('slider').value = 7 }}")
    wait_in_page(lab, model_value("slider", "value", 0), 7)
    wait_in_page(lab, model_value("plot", "title.text", 0), "value 7")
    wait_in_page(lab, model_value("plot", "title.text", 1), "value 7")


def test_two_views_share_a_replica(lab: NotebookPage) -> None:
    _open(lab, "w", "plot.title.text = 'both'")
    lab.run(1)
    expect(lab.output(1).locator(".bk-Figure")).to_be_visible()
    assert lab.page.evaluate(f"{REPLICAS}.length") == 1
    assert lab.page.evaluate(f"{REPLICAS}[0].views.length") == 2
    lab.clear_output(1)
    wait_in_page(lab, f"{REPLICAS}[0].views.length", 1)
    lab.run(2)
    wait_in_page(lab, model_value("plot", "title.text"), "both")
    assert lab.eval_in_kernel("w.state.value") == "shown"


def test_update_swaps_the_content(lab: NotebookPage) -> None:
    _open(
        lab, "old = w.session\nnew = figure(name='new', width=300, height=200)\nnew.line([1, 2], [2, 1])\nw.update(new)"
    )
    lab.run(1)
    wait_in_page(lab, model_value("new", "width"), 300)
    expect(lab.output(0).locator(".bk-Slider")).to_have_count(0)
    expect(lab.output(0).locator(".bk-Figure")).to_have_count(1)
    assert lab.eval_in_kernel("old.closed")
    assert lab.page.evaluate(f"{REPLICAS}.length") == 1


def test_reload_shows_the_current_state(lab: NotebookPage) -> None:
    _open(lab)
    lab.exec_in_kernel("plot.title.text = 'after the reload'")
    lab.reload()
    wait_in_page(lab, f"{REPLICAS}.length", 1)
    wait_in_page(lab, model_value("plot", "title.text"), "after the reload")
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 8 }}")
    wait_in_kernel(lab, "slider.value", 8)


def test_kernel_restart_disconnects(lab: NotebookPage) -> None:
    _open(lab)
    lab.restart_kernel()
    wait_in_page(lab, f"{REPLICAS}.length", 0)
    expect(lab.output(0).locator(".bokeh-widget-warning")).to_contain_text("Run the cell again")
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()


def test_two_notebooks_with_two_kernels(lab: NotebookPage) -> None:
    _open(lab)
    other = lab.open_beside([PLOT])
    other.run(0)
    expect(other.output(0).locator(".bk-Figure")).to_be_visible()
    assert lab.page.evaluate('globalThis[Symbol.for("bokeh_widget")].versions().length') == 1
    assert lab.page.evaluate(f"{REPLICAS}.length") == 2
    other.exec_in_kernel("plot.title.text = 'other'")
    wait_in_page(lab, model_value("plot", "title.text", 1), "other")
    assert lab.page.evaluate(model_value("plot", "title.text", 0)) == "start"


def test_a_foreign_bokeh_in_the_page_is_left_alone(lab: NotebookPage) -> None:
    lab.open([PLOT])
    lab.page.evaluate("() => { globalThis.Bokeh = {version: '2.0.0', foreign: true} }")
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    assert lab.page.evaluate("globalThis.Bokeh.foreign") is True


@pytest.mark.parametrize("front_end", ["notebook7", "voila"])
def test_other_front_ends(front_end: str, request: pytest.FixtureRequest) -> None:
    page: NotebookPage | VoilaPage = request.getfixturevalue(front_end)
    page.open([PLOT])
    if front_end == "notebook7":
        page.run(0)  # type: ignore[union-attr]
    expect(page.locator(".bk-Figure").first).to_be_visible()
    _drag(page, ".noUi-handle", 120)
    wait_in_kernel(page, "slider.value > 1 and seen[-1] == slider.value", True)
    value = page.eval_in_kernel("slider.value")
    wait_in_page(page, model_value("plot", "title.text"), f"value {value}")
    page.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 2 }}")
    wait_in_kernel(page, "seen[-1]", 2)
