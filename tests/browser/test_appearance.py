"""Light and dark pages, and what screen readers are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.browser.test_examples import CHANGE_THEME, Example
from tests.browser.waiting import REPLICAS, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage

SCREENSHOTS: Final = Path(__file__).parent / "screenshots"
SETUP: Final = """
from bokeh.layouts import column
from bokeh.models import Button, DataTable, Dropdown, FileInput, Select, Slider, TabPanel, TableColumn, Tabs, TextInput
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(name="plot", title="Sales", width=400, height=200)
source = plot.scatter([1, 5, 9], [1, 5, 9], size=20).data_source
text = TextInput(name="text", value="a text", title="Name")
w = BokehWidget(column(plot, text, Slider(start=0, end=9, value=3, title="Size"), Select(options=["a", "b"], value="a"),
    Button(label="Press"), Dropdown(label="Choose", menu=["one"]), FileInput(title="File"),
    DataTable(source=source, columns=[TableColumn(field="x", title="x")], width=200, height=90), Tabs(tabs=[TabPanel(title="one", child=figure(width=400, height=100))])), theme="auto")
w
"""
COLOURS: Final = f"""(() => {{
    const views = {REPLICAS}[0]?.views[0]?.child_views ?? []
    const input = views.find((view) => view.model.name == "text")?.input_el
    if (!input) return null
    const {{color, backgroundColor}} = getComputedStyle(input)
    return [color, backgroundColor]
}})()"""
SURFACES: Final = f"""(() => {{
    const all = root => [...root.querySelectorAll("*")].flatMap(
        element => [element, ...element.shadowRoot ? all(element.shadowRoot) : []]
    )
    const [view] = {REPLICAS}[0].views
    view.child_views.find(({{model}}) => model.type == "Dropdown").menu.show({{x: 0, y: 0}})
    const elements = all(view.el.parentElement)
    const parts = [["slick-row", null], ["slick-cell", null], ["bk-Menu", null], ["bk-input", "::file-selector-button"]]
    const found = parts.map(
        ([name, part]) => elements.filter(element => element.matches("." + name)).map(element => {{
            const {{color, backgroundColor}} = getComputedStyle(element, part)
            return [name, color, backgroundColor]
        }})
    )
    view.child_views.find(({{model}}) => model.type == "Dropdown").menu.hide()
    return found.flat()
}})()"""
DARK: Final = ["rgb(255, 255, 255)", "rgb(32, 38, 43)"]
AXE: Final = Path(__file__).parents[2] / "js/node_modules/axe-core/axe.min.js"
VIOLATIONS: Final = """async () => {
    const {violations} = await axe.run({include: [[".jp-OutputArea-output"]]}, {resultTypes: ["violations"]})
    return violations.flatMap(({id, impact, nodes}) => nodes.map(({target}) => [impact, id, target.flat().join(" ")]))
}"""
LISTENERS: Final = """() => {
    const {observe, disconnect} = MutationObserver.prototype
    window.__watching = new Set()
    MutationObserver.prototype.observe = function (target, options) {
        if (options.attributeFilter?.includes("data-jp-theme-light")) window.__watching.add(this)
        return observe.call(this, target, options)
    }
    MutationObserver.prototype.disconnect = function () {
        window.__watching.delete(this)
        return disconnect.call(this)
    }
}"""


BLOCK: Final = """
import pathlib, time
from IPython.display import display
display(w)
while not pathlib.Path({0!r}).exists():
    time.sleep(0.01)
"""


def _turn(lab: NotebookPage, scheme: str) -> None:
    lab.page.evaluate(CHANGE_THEME, f"JupyterLab {scheme.title()}")
    wait_in_page(lab, "document.body.dataset.jpThemeLight", str(scheme == "light").lower())


def test_a_document_follows_the_theme_of_the_page(lab: NotebookPage, tmp_path: Path) -> None:
    """Plot and inputs turn dark and light again with JupyterLab; zoom and selection stay; nothing watches in the end.

    In a dark page they are dark from the first, even if the kernel has no time to hear of it.
    """
    end = tmp_path / "end"
    lab.open([SETUP.removesuffix("w\n") + BLOCK.format(str(end))])
    lab.page.evaluate(LISTENERS)
    try:
        _turn(lab, "dark")
        lab.start(0)
        expect(lab.output(0).get_by_role("figure", name="Sales")).to_be_visible()
        wait_in_page(lab, COLOURS, DARK)
        assert lab.page.evaluate(model_value("plot", "background_fill_color")) == "#20262B"
        lab.output(0).screenshot(path=SCREENSHOTS / "appearance_first.png")
        end.touch()
        lab.wait(0)
        wait_in_kernel(lab, "plot.background_fill_color", "#20262B")
        assert lab.page.evaluate(COLOURS) == DARK
        _turn(lab, "light")
        wait_in_kernel(lab, "plot.background_fill_color", "#ffffff")
        wait_in_page(lab, model_value("plot", "background_fill_color"), "#ffffff")
        light = lab.page.evaluate(COLOURS)
        assert light != DARK
        assert lab.page.evaluate("window.__watching.size") == 1
        lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('plot').x_range.end = 5 }}")
        wait_in_kernel(lab, "plot.x_range.end", 5)
        lab.exec_in_kernel("source.selected.indices = [1]; document = w.document.to_json(deferred=False)")
        _turn(lab, "dark")
        wait_in_kernel(lab, "plot.background_fill_color", "#20262B")
        wait_in_page(lab, model_value("plot", "background_fill_color"), "#20262B")
        wait_in_page(lab, COLOURS, DARK)
        wait_in_page(lab, model_value("plot", "x_range.end"), 5)
        _check_surfaces(lab)
        lab.output(0).screenshot(path=SCREENSHOTS / "appearance_dark.png")
    finally:
        end.touch()
        _turn(lab, "light")
    wait_in_kernel(lab, "plot.background_fill_color", "#ffffff")
    wait_in_page(lab, COLOURS, light)
    lab.output(0).screenshot(path=SCREENSHOTS / "appearance_light.png")
    assert lab.eval_in_kernel("w.document.to_json(deferred=False) == document")
    assert lab.eval_in_kernel("(plot.x_range.end, list(source.selected.indices))") in ((5, [1]), [5, [1]])
    _check_keyboard(lab)
    lab.exec_in_kernel("w.close()")
    wait_in_page(lab, f"{REPLICAS}.length", 0)
    wait_in_page(lab, "window.__watching.size", 0)


def _check_surfaces(lab: NotebookPage) -> None:
    """Rows of tables, menus and buttons of files are dark with light text, as is what is behind them."""

    def lightness(color: str) -> int:
        return sum(int(part) for part in re.findall(r"\d+", color)[:3])

    found = lab.page.evaluate(SURFACES)
    assert {name for name, *_ in found} == {"slick-row", "slick-cell", "bk-Menu", "bk-input"}
    for name, color, background in found:
        assert lightness(color) > 400, (name, color)
        assert "rgba(0, 0, 0, 0)" in background or lightness(background) < 250, (name, background)


def _check_keyboard(lab: NotebookPage) -> None:
    """The label follows the title; the keyboard reaches the plot, and then its data as a table; axe finds nothing."""
    lab.exec_in_kernel("plot.title.text = 'Later sales'")
    plot = lab.output(0).get_by_role("figure", name="Later sales")
    button = lab.output(0).get_by_role("button", name="Show data as table")
    expect(plot).to_be_visible()
    box = button.bounding_box()
    assert box is not None
    assert box["width"] <= 1
    button.focus()
    assert (button.bounding_box() or {})["width"] > 50
    lab.page.keyboard.press("Enter")
    table = lab.output(0).get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_text(["x", "y"])
    expect(table.locator("tbody tr")).to_have_text(["11", "55", "99"])
    lab.page.keyboard.press("Shift+Tab")  # the last one of Bokeh's own
    plot.focus()
    assert plot.evaluate("element => getComputedStyle(element, '::after').outlineStyle") == "solid"
    lab.output(0).screenshot(path=SCREENSHOTS / "appearance_table.png")
    lab.page.evaluate(AXE.read_text())
    assert _serious(lab) == []
    lab.exec_in_kernel("w.aria_label = 'Costs'")
    expect(lab.output(0).get_by_role("figure", name="Costs")).to_be_visible()


def _serious(lab: NotebookPage) -> list[list[str]]:
    return [found for found in lab.page.evaluate(VIOLATIONS) if found[0] in ("serious", "critical")]


def test_axe_finds_nothing_serious_in_the_quickstart(lab: NotebookPage) -> None:
    """In all outputs, with what BokehJS draws in shadow roots and the tables, in a light and in a dark page."""
    example = Example(lab, "01_quickstart")
    lab.run_all()
    example.plots("penguins", 2)
    example.plots("stream", 1)
    tables = lab.locator(".bokeh-widget-data > button")
    expect(tables).to_have_count(2)
    for button in tables.all():
        button.press("Enter")
    expect(lab.locator(".bokeh-widget-tables caption")).to_have_count(2)
    lab.page.evaluate(AXE.read_text())
    try:
        for scheme in ("light", "dark"):
            _turn(lab, scheme)
            assert _serious(lab) == []
        # it would find something, in shadow roots, too
        lab.page.evaluate(
            "() => document.querySelector('.bk-Row').shadowRoot.querySelector('.bk-Figure').shadowRoot"
            ".append(document.createElement('img'))"
        )
        assert [(impact, rule) for impact, rule, _ in _serious(lab)] == [("critical", "image-alt")]
    finally:
        _turn(lab, "light")
