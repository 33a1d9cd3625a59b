"""js/src/upstream: with it BokehJS leaves nothing behind, and each of its work-arounds is still needed.

Runs without Jupyter: documents are serialised here, opened and closed in a plain page.

``BOKEH_WIDGET_STATIC`` names the directory of another BokehJS (with ``bokeh.min.js`` in it or in ``js/``) to test; by
default it is the one of the installed Bokeh.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import bokeh
import numpy as np
import pytest
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.document.events import ModelChangedEvent
from bokeh.layouts import column, gridplot, row
from bokeh.plotting import figure
from bokeh.transform import linear_cmap

from tests.browser.harness import BokehCounts, PageLog, bokeh_counts, cdp, collect_garbage, dom_counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bokeh.models.sources import ColumnDataSource
    from bokeh.models.ui import UIElement
    from playwright.sync_api import Browser, Page

    Roots = Callable[[], Sequence[UIElement]]

# For a type checker the package exports next to nothing.
bkm: Any = importlib.import_module("bokeh.models")

ROOT: Final = Path(__file__).parents[2]
STATIC_VARIABLE: Final = "BOKEH_WIDGET_STATIC"
ESBUILD_VARIABLE: Final = "BOKEH_WIDGET_ESBUILD"
ORIGIN: Final = "http://upstream.test"
BUNDLES: Final = ("bokeh", "bokeh-widgets", "bokeh-tables", "bokeh-gl", "bokeh-mathjax")
CYCLES: Final = 3
POINTS: Final = 20

NOTHING: Final = BokehCounts()


# ----------------------------------------------------------------------------------------------------------------------
# The page


def static_dir() -> Path:
    """Return the directory of the BokehJS to test."""
    named = os.environ.get(STATIC_VARIABLE)
    base = Path(named) if named else Path(bokeh.__file__).parent / "server" / "static"
    return base if (base / "bokeh.min.js").exists() else base / "js"


@pytest.fixture(scope="module")
def page_script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return upstream_page.ts with the work-arounds, bundled."""
    local = ROOT / "js" / "node_modules" / ".bin" / "esbuild"
    esbuild = os.environ.get(ESBUILD_VARIABLE) or (str(local) if local.exists() else shutil.which("esbuild"))
    if esbuild is None:
        pytest.fail(f"Expected esbuild in js/node_modules (run `npm ci` in js/) or in ${ESBUILD_VARIABLE}")
    target = tmp_path_factory.mktemp("upstream") / "page.js"
    source = Path(__file__).with_name("upstream_page.ts")
    command = [esbuild, str(source), "--bundle", "--format=iife", "--target=es2022", f"--outfile={target}"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target.read_text(encoding="utf-8")


class Playground:
    """Pages with BokehJS and the work-arounds, with those of ``skip`` left out."""

    def __init__(self, browser: Browser, log: PageLog, script: str, static: Path | None = None) -> None:
        self._static = static_dir() if static is None else static
        self._browser = browser
        self._log = log
        self._script = script
        self._pages: list[Page] = []

    def page(self, *skip: str, bundles: Sequence[str] = BUNDLES, device_scale_factor: float = 1) -> Page:
        """Return a fresh page."""
        context = self._browser.new_context(
            viewport={"width": 900, "height": 700}, device_scale_factor=device_scale_factor
        )
        page = context.new_page()
        self._pages.append(page)
        self._log.watch(page)
        page.route(
            f"{ORIGIN}/**", lambda route: route.fulfill(body="<!doctype html><body></body>", content_type="text/html")
        )
        page.route(f"{ORIGIN}/data", lambda route: route.fulfill(json={"x": [1], "y": [2]}))
        page.goto(ORIGIN)
        for name in bundles:
            page.add_script_tag(path=self._static / f"{name}.min.js")
        page.evaluate("() => window.Bokeh.set_log_level('error')")
        page.add_script_tag(content=self._script)
        page.evaluate("skip => upstream.setup(skip)", list(skip))
        return page

    def close(self) -> None:
        """Close all pages."""
        for page in self._pages:
            page.context.close()
        self._pages.clear()


@pytest.fixture
def playground(browser: Browser, page_errors: PageLog, page_script: str) -> Iterator[Playground]:
    """Yield a source of pages, closed afterwards."""
    pages = Playground(browser, page_errors, page_script)
    yield pages
    pages.close()


def document_json(roots: Sequence[UIElement]) -> str:
    """Return the JSON of a document with the roots, arrays inline."""
    document = Document()
    for root in roots:
        document.add_root(root)
    return json.dumps(document.to_json(deferred=False))


def alive(page: Page) -> BokehCounts:
    """Count the documents, models and views made by us that something in the page still reaches."""
    with cdp(page) as session:
        session.send("HeapProfiler.collectGarbage")
    return BokehCounts(*page.evaluate("() => upstream.alive()"))


def steady(page: Page) -> BokehCounts:
    """Return what is alive once two counts in a row agree."""
    before = alive(page)
    for _ in range(10):
        page.evaluate("() => upstream.next_frames(2)")
        counts = alive(page)
        if counts == before:
            break
        before = counts
    return before


def settle(page: Page, expected: BokehCounts = NOTHING, polls: int = 20) -> BokehCounts:
    """Return what is alive once it is what is expected, at the latest after some time.

    BokehJS's own short timers (a plot's ``lod_timeout``, a tap, a highlighted row) have to run out.
    """
    counts = alive(page)
    for _ in range(polls):
        if counts == expected:
            break
        page.wait_for_timeout(100)
        counts = alive(page)
    return counts


# ----------------------------------------------------------------------------------------------------------------------
# Documents of all kinds


def source() -> ColumnDataSource:
    """Return a few points with everything the kinds below want of them."""
    values = list(range(POINTS))
    made: ColumnDataSource = bkm.ColumnDataSource(
        {"x": values, "y": [(7 * v) % 11 for v in values], "name": [f"n{v}" for v in values]}
    )
    return made


def plot(**attributes: Any) -> figure:
    """Return a figure with a line and points."""
    attributes = {"width": 300, "height": 200, **attributes}
    fig = figure(**attributes)
    data = source()
    fig.line("x", "y", source=data, legend_label="line")
    fig.scatter("x", "y", source=data, size=8, color=linear_cmap("y", "Viridis256", 0, 10))
    return fig


def plain() -> list[UIElement]:
    """Return a figure."""
    return [plot()]


def tools() -> list[UIElement]:
    """Return a figure with nearly every tool."""
    names = (
        "pan,xpan,wheel_zoom,xwheel_zoom,xwheel_pan,box_zoom,box_select,lasso_select,poly_select,tap,hover,crosshair,"
        "reset,undo,redo,save,help,fullscreen,zoom_in,zoom_out,copy"
    )
    fig = plot(tools=names)
    data = source()
    renderer: Any = fig.scatter("x", "y", source=data)
    fig.add_tools(
        bkm.PointDrawTool(renderers=[renderer]),
        bkm.RangeTool(x_range=bkm.Range1d(start=0, end=5)),
        bkm.LineEditTool(renderers=[], intersection_renderer=renderer),
    )
    return [fig]


def widgets() -> list[UIElement]:
    """Return every widget that is known to hold on to the page, and the usual ones."""
    tip = bkm.Tooltip(content="more", position="right")
    hint = bkm.Tooltip(content="about", position="right")
    options = ["one", "two", "three"]
    items: list[UIElement] = [
        bkm.MultiChoice(options=options, value=["one"]),
        bkm.AutocompleteInput(completions=options, min_characters=1),
        bkm.Dropdown(label="menu", menu=[("a", "a"), None, ("b", "b")]),
        bkm.Dropdown(label="split", split=True, menu=["a", "b"]),
        bkm.HelpButton(tooltip=tip),
        bkm.Select(options=options, value="two", description=hint),
        bkm.TextInput(title="text", description="plain"),
        bkm.MultiSelect(options=options),
        bkm.Slider(start=0, end=1, value=0.5, step=0.1),
        bkm.RangeSlider(start=0, end=1, value=(0.2, 0.5), step=0.1),
        bkm.Spinner(low=0, high=3, value=1, step=1),
        bkm.DatePicker(value="2024-01-02"),
        bkm.ColorPicker(),
        bkm.FileInput(),
        bkm.PasswordInput(),
        bkm.TextAreaInput(),
        bkm.Button(label="go"),
        bkm.Toggle(label="on"),
        bkm.CheckboxGroup(labels=options),
        bkm.RadioButtonGroup(labels=options),
        bkm.Switch(active=True),
        bkm.PaletteSelect(value="a", items=[("a", ["red", "blue"]), ("b", ["green", "blue"])]),
    ]
    return [column(items)]


def table() -> list[UIElement]:
    """Return a table whose cells can be edited."""
    columns = [
        bkm.TableColumn(field="x", title="x", editor=bkm.IntEditor()),
        bkm.TableColumn(field="name", title="name", editor=bkm.StringEditor()),
    ]
    return [bkm.DataTable(source=source(), columns=columns, editable=True, width=300, height=200)]


def tabs() -> list[UIElement]:
    """Return tabs of which one is hidden."""
    panels = [bkm.TabPanel(child=plot(), title="one"), bkm.TabPanel(child=plot(), title="two")]
    return [bkm.Tabs(tabs=panels)]


def gl() -> list[UIElement]:
    """Return a figure that is drawn with WebGL."""
    fig = plot(output_backend="webgl")
    fig.rect("x", "y", 0.5, 0.5, source=source(), line_dash="dashed")
    fig.image([np.array([[1.0, 2.0], [3.0, 4.0]])], x=0, y=0, dw=5, dh=5)
    return [fig]


def custom_js() -> list[UIElement]:
    """Return a slider and a figure that CustomJS links."""
    fig = plot()
    slider = bkm.Slider(start=0, end=10, value=1, step=1)
    slider.js_on_change("value", bkm.CustomJS(args={"range": fig.x_range}, code="range.end = cb_obj.value + 20"))
    fig.js_on_event("tap", bkm.CustomJS(args={"slider": slider}, code="slider.value = 3"))
    return [column(slider, fig)]


def selecting() -> list[UIElement]:
    """Return a figure whose points can be hovered and selected."""
    return [plot(tools="hover,box_select,tap,crosshair", active_drag="box_select", tooltips=[("name", "@name")])]


def grid() -> list[UIElement]:
    """Return a grid of linked figures with one toolbar."""
    left = plot()
    return [gridplot([[left, plot(x_range=left.x_range)], [plot(y_range=left.y_range), None]])]


def svg() -> list[UIElement]:
    """Return a figure that is drawn as SVG."""
    return [plot(output_backend="svg")]


def math() -> list[UIElement]:
    """Return a figure and a text with formulas."""
    fig = plot(title=r"$$\alpha$$")
    fig.xaxis.axis_label = r"$$\beta^2$$"
    return [row(fig, bkm.Div(text=r"$$\gamma$$ and $$\delta$$"))]


def dialogs() -> list[UIElement]:
    """Return a figure that can be examined, and a dialog."""
    fig = plot(tools="pan,examine")
    return [fig, bkm.Dialog(title="title", content=bkm.Div(text="content"), visible=True)]


def many_roots() -> list[UIElement]:
    """Return several roots."""
    return [plot(), bkm.Div(text="<b>text</b>"), bkm.Paragraph(text="text"), bkm.PreText(text="text")]


KINDS: Final[tuple[Roots, ...]] = (
    plain,
    tools,
    widgets,
    table,
    tabs,
    gl,
    custom_js,
    selecting,
    grid,
    svg,
    math,
    dialogs,
    many_roots,
)


@pytest.fixture(scope="module")
def one_page(browser: Browser, page_script: str) -> Iterator[Page]:
    """Yield one page for many documents."""
    log = PageLog()
    pages = Playground(browser, log, page_script)
    yield pages.page()
    pages.close()
    log.check()


@pytest.fixture
def shared(one_page: Page) -> Iterator[Page]:
    """Yield the page that tests share; each leaves it as empty as it was, even if it fails."""
    yield one_page
    one_page.mouse.up()
    one_page.mouse.move(0, 0)
    one_page.evaluate("async () => { delete globalThis.handle; delete globalThis.late; await upstream.close_all() }")


@pytest.fixture(scope="module")
def oldest_page(browser: Browser, page_script: str, oldest_bokeh: Path) -> Iterator[Page]:
    """Yield a page with the oldest BokehJS that is supported."""
    log = PageLog()
    pages = Playground(browser, log, page_script, oldest_bokeh / "bokeh" / "server" / "static" / "js")
    yield pages.page()
    pages.close()
    log.check()


def check_nothing_is_left(page: Page, roots: Roots) -> None:
    """Objects: none. Nodes and listeners: no more than after the first cycle, which loads what is loaded once."""
    text = document_json(roots())
    page.evaluate("text => upstream.cycle(text, 1)", text)
    assert settle(page) == NOTHING
    before = dom_counters(page)
    page.evaluate("([text, count]) => upstream.cycle(text, count)", [text, CYCLES])
    assert settle(page) == NOTHING
    after = dom_counters(page)
    assert after.listeners == before.listeners
    if roots is not math:  # a formula is an SVG image: Chromium's image cache keeps some of their documents for a while
        assert after.nodes == before.nodes
    assert page.evaluate("() => Bokeh.documents.length") == 0


@pytest.mark.parametrize("roots", KINDS, ids=lambda roots: roots.__name__)
def test_nothing_is_left_of_a_closed_document(shared: Page, roots: Roots) -> None:
    check_nothing_is_left(shared, roots)


@pytest.mark.parametrize("roots", KINDS, ids=lambda roots: roots.__name__)
def test_nothing_is_left_with_the_oldest_bokeh(oldest_page: Page, roots: Roots) -> None:
    check_nothing_is_left(oldest_page, roots)


# ----------------------------------------------------------------------------------------------------------------------
# One view of a document that lives on


@pytest.mark.parametrize(
    "roots", [plain, tools, widgets, table, tabs, gl, selecting, grid, math, dialogs], ids=lambda roots: roots.__name__
)
def test_nothing_is_left_of_a_view_of_a_living_document(shared: Page, roots: Roots) -> None:
    """Views that come and go beside one that stays leave no object, and the one that stays works."""
    text = document_json(roots())
    handle = shared.evaluate("text => upstream.open(text, 2)", text)
    shared.evaluate("handle => upstream.close_view(handle, 1)", handle)
    before = steady(shared)
    shared.evaluate("([handle, count]) => upstream.come_and_go(handle, count)", [handle, CYCLES])
    assert settle(shared, before) == before
    assert shared.evaluate("handle => upstream.view(handle).el.getBoundingClientRect().height", handle) > 0
    shared.evaluate("handle => upstream.close(handle)", handle)
    assert settle(shared) == NOTHING


@pytest.mark.parametrize("roots", KINDS, ids=lambda roots: roots.__name__)
def test_nothing_is_left_of_a_document_that_another_of_its_kind_replaces(shared: Page, roots: Roots) -> None:
    """What lives is the newest: the engine's shapes hold no function of an older one."""
    text = document_json(roots())
    first = shared.evaluate("text => upstream.open(text)", text)
    before = steady(shared)
    second = shared.evaluate("text => upstream.open(text)", text)
    shared.evaluate("handle => upstream.close(handle)", first)
    assert settle(shared, before) == before
    shared.evaluate("handle => upstream.close(handle)", second)
    assert settle(shared) == NOTHING


# ----------------------------------------------------------------------------------------------------------------------
# Each work-around is still needed


@dataclass(frozen=True, slots=True)
class Scenario:
    """What leaks without one work-around.

    Parameters
    ----------
    cause : str
        The work-around's name.
    roots : callable
        Makes the document.
    script : str
        JavaScript function of the document's JSON.
    measure : {"alive", "classes", "growth", "value"}
        What tells the leak: objects alive after the script has closed everything; more than two of MathJax's
        classes alive of those the script notes; more objects alive than after the first of two runs, in a document
        that the script leaves open; or a truthy value the script returns.
    bundles : tuple of str, optional
        The bundles of BokehJS it needs.
    """

    cause: str
    roots: Roots
    script: str
    measure: Literal["alive", "classes", "growth", "value"] = "alive"
    bundles: tuple[str, ...] = ("bokeh", "bokeh-widgets")


CORE: Final = ("bokeh",)
CYCLE: Final = "text => upstream.cycle(text, 2)"
COME_AND_GO: Final = """async text => {
    globalThis.handle ??= await upstream.open(text);
    await upstream.come_and_go(handle, 2);
}"""


def only(model: Callable[[], UIElement]) -> Roots:
    """Return a factory of a document with one root."""
    return lambda: [model()]


def described() -> UIElement:
    """Return an input with a tooltip."""
    made: UIElement = bkm.Select(options=["a"], description=bkm.Tooltip(content="about", position="right"))
    return made


def polling() -> UIElement:
    """Return a figure with a source that polls."""
    fig = figure(width=200, height=200)
    fig.scatter("x", "y", source=bkm.AjaxDataSource(data_url=f"{ORIGIN}/data", polling_interval=60_000, method="GET"))
    return fig


SCENARIOS: Final = (
    Scenario("visual_viewport", plain, CYCLE, bundles=CORE),
    Scenario("fullscreen", only(lambda: figure(tools="fullscreen")), CYCLE, bundles=CORE),
    Scenario("description", only(described), CYCLE),
    Scenario("help_button", only(lambda: bkm.HelpButton(tooltip=bkm.Tooltip(content="x", position="right"))), CYCLE),
    Scenario(
        "autocomplete_menu",
        only(lambda: bkm.AutocompleteInput(completions=["one", "two"], min_characters=1)),
        """async text => {
            const handle = await upstream.open(text);
            const view = upstream.view(handle);
            view.input_el.value = "o";
            view._toggle_menu();
            await upstream.close(handle);
        }""",
    ),
    Scenario(
        "dialog_drag",
        only(lambda: bkm.Dialog(title="title", content=bkm.Div(text="content"), visible=True)),
        """async text => {
            const handle = await upstream.open(text);
            const { area } = upstream.view(handle)._handles;
            area.setPointerCapture = () => {}; // there is no such pointer
            area.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, composed: true, cancelable: true }));
            await upstream.close(handle);
        }""",
    ),
    Scenario("multi_choice", only(lambda: bkm.MultiChoice(options=["one", "two"])), CYCLE),
    Scenario(
        "open_menus",
        only(lambda: bkm.PaletteSelect(value="a", items=[("a", ["red", "blue"])])),
        """async text => {
            const handle = await upstream.open(text);
            upstream.view(handle)._pane.show();
            await upstream.close(handle);
        }""",
    ),
    Scenario(
        "forgotten_views",
        only(lambda: bkm.Dropdown(label="menu", menu=["a", "b"])),
        """async text => {
            const handle = await upstream.open(text);
            upstream.view(handle)._toggle_menu();
            await upstream.close(handle);
        }""",
    ),
    Scenario(
        "replaced_views",
        only(described),
        """async text => {
            const handle = await upstream.open(text);
            const view = upstream.view(handle);
            const old = view.description;
            const Tooltip = Bokeh.Models.get("Tooltip");
            view.model.description = new Tooltip({ content: "new", position: "left" });
            await view.ready;
            const left = !old.is_destroyed;
            await upstream.close(handle);
            return left;
        }""",
        "value",
    ),
    Scenario(
        "late_views",
        lambda: [column(bkm.Div(text="text"))],
        """async text => {
            globalThis.handle ??= await upstream.open(text);
            const stays = upstream.view(handle);
            const { children } = stays.model;
            const Div = Bokeh.Models.get("Div");
            globalThis.late ??= new Div({ text: "late" });
            const { prototype } = Div.prototype.default_view;
            for (let i = 0; i < 2; i++) {
                await upstream.show(handle);
                prototype.lazy_initialize = async () => await upstream.next_frames(3);
                const view = upstream.opened.get(handle).trees.pop().views[0];
                stays.model.children = [...children, late];
                view.remove();
                await view.ready;
                await stays.ready;
                delete prototype.lazy_initialize;
                stays.model.children = children;
                await stays.ready;
            }
            await upstream.next_frames(1);
        }""",
        "growth",
    ),
    Scenario(
        "failed_build",
        lambda: [column(described(), bkm.Div(text="text"))],
        """async text => {
            globalThis.handle ??= await upstream.open(text);
            const { prototype } = Bokeh.Models.get("Div").prototype.default_view;
            prototype.lazy_initialize = async () => { throw new Error("on purpose") };
            for (let i = 0; i < 2; i++) {
                await upstream.show(handle).catch(() => {});
            }
            delete prototype.lazy_initialize;
        }""",
        "growth",
    ),
    Scenario(
        "tooltip_revival",
        only(lambda: bkm.HelpButton(tooltip=bkm.Tooltip(content="x", position="right"))),
        """async text => {
            const handle = await upstream.open(text);
            upstream.view(handle).tooltip.model.visible = true;
            await upstream.next_frames(2);
            document.dispatchEvent(new Event("scroll"));
            const closing = upstream.close(handle);
            await closing;
            await upstream.next_frames(2);
            const left = [...document.querySelectorAll(".bk-Tooltip")];
            left.forEach(el => el.remove());
            return left.length;
        }""",
        "value",
    ),
    Scenario(
        "shapes",
        plain,
        """async text => {
            const { handle } = globalThis;
            globalThis.handle = await upstream.open(text);
            if (handle !== undefined) {
                await upstream.close(handle);
            }
        }""",
        "growth",
        CORE,
    ),
    Scenario("signals", plain, COME_AND_GO, "growth", CORE),
    Scenario(
        "dirty_signals",
        only(lambda: bkm.Div(text="text")),
        """async text => {
            globalThis.handle ??= await upstream.open(text);
            const { prototype } = Bokeh.Models.get("Div").prototype.default_view;
            const slot = () => {};
            prototype.initialize = function () {
                Object.getPrototypeOf(prototype).initialize.call(this);
                this.connect(this.model.change, slot);
            };
            for (let i = 1; i < 3; i++) {
                await upstream.show(handle);
                const view = upstream.opened.get(handle).trees.pop().views[0];
                view.disconnect(view.model.change, slot);
                view.remove();
            }
            delete prototype.initialize;
        }""",
        "growth",
    ),
    Scenario("event_callbacks", only(bkm.FileInput), COME_AND_GO, "growth"),
    Scenario("range_bounds", plain, COME_AND_GO, "growth", CORE),
    Scenario("derived_glyphs", plain, COME_AND_GO, "growth", CORE),
    Scenario(
        "examiner",
        only(lambda: plot(tools="examine")),
        """async text => {
            const handle = await upstream.open(text);
            const { tool_views } = upstream.view(handle);
            [...tool_views.values()].find(view => view.model.type == "ExamineTool").doit();
            await upstream.next_frames(2);
            await upstream.close(handle);
        }""",
        bundles=CORE,
    ),
    Scenario(
        "webgl",
        gl,
        """async text => {
            const { prototype } = WebGLRenderingContext;
            const original = {};
            let live = 0;
            for (const [name, step] of [["createBuffer", 1], ["createTexture", 1], ["deleteBuffer", -1], ["deleteTexture", -1]]) {
                original[name] = prototype[name];
                prototype[name] = function (...args) { live += step; return original[name].apply(this, args) };
            }
            await upstream.cycle(text, 1);
            const first = live;
            await upstream.cycle(text, 2);
            Object.assign(prototype, original);
            return live - first;
        }""",
        "value",
        ("bokeh", "bokeh-gl"),
    ),
    Scenario(
        "math_provider",
        only(lambda: bkm.Div(text="$$x$$")),
        """async text => {
            const { default_provider } = Bokeh.require("models/text/providers");
            const { status } = default_provider;
            default_provider.status = "loading";
            await upstream.cycle(text, 1);
            default_provider.status = status;
        }""",
    ),
    Scenario(
        "document_registry",
        only(lambda: bkm.Div(text="text")),
        "async text => { await upstream.cycle(text, 1); return Bokeh.documents.length }",
        "value",
    ),
    Scenario(
        "failed_document",
        plain,
        """async text => {
            const json = JSON.parse(text);
            json.roots.push({ type: "object", name: "NoSuchModel", id: "none" });
            try { upstream.from_json(JSON.stringify(json)); return "did not fail" } catch { return Bokeh.documents.length }
        }""",
        "value",
        CORE,
    ),
    Scenario(
        "recompute_timer",
        plain,
        """async text => {
            const handle = await upstream.open(text);
            const document = upstream.document(handle);
            await upstream.close(handle);
            document.apply_json_patch({ events: [{ kind: "TitleChanged", title: "late" }] });
        }""",
        bundles=CORE,
    ),
    Scenario(
        "stale_models",
        plain,
        """async text => {
            const handle = await upstream.open(text);
            const patch = () => {
                upstream.patch(handle, JSON.stringify({ events: [{ kind: "TitleChanged", title: "new" }] }));
                return upstream.document(handle)._recompute_timer;
            };
            const restarted = patch() != patch();
            await upstream.close(handle);
            return restarted;
        }""",
        "value",
        CORE,
    ),
    Scenario(
        "received_models",
        plain,
        """async text => {
            const handle = await upstream.open(text);
            const document = upstream.document(handle);
            const [fig] = document.roots();
            const title = { type: "object", name: "Title", id: "new-title", attributes: { text: "new" } };
            const event = { kind: "ModelChanged", model: { id: fig.id }, attr: "title", new: title };
            upstream.patch(handle, JSON.stringify({ events: [event] }));
            const { ModelChangedEvent } = Bokeh.require("document/events");
            const back = document.create_json_patch([new ModelChangedEvent(document, fig, "title", fig.title)]);
            await upstream.close(handle);
            return JSON.stringify(back).includes('"object"');
        }""",
        "value",
        CORE,
    ),
    Scenario("web_sources", only(polling), CYCLE, bundles=CORE),
    Scenario(
        "timers",
        plain,
        """async text => {
            const handle = await upstream.open(text);
            upstream.view(handle).notify_about("text");
            await upstream.view(handle).ready;
            await upstream.close(handle);
        }""",
        bundles=CORE,
    ),
    Scenario(
        "resize_observer",
        plain,
        """async text => {
            const Native = window.ResizeObserver;
            globalThis.kept ??= []; // as JupyterLab's throttle keeps those that it delayed
            window.ResizeObserver = class extends Native {
                constructor(callback) {
                    super(entries => this.callback(entries, this));
                    this.callback = callback;
                    kept.push(this);
                }
            };
            try {
                await upstream.cycle(text, 2);
            } finally {
                window.ResizeObserver = Native;
            }
        }""",
        bundles=CORE,
    ),
    Scenario(
        "event_bus",
        plain,
        """async text => {
            const handle = await upstream.open(text);
            globalThis.late = upstream.view(handle).canvas_view.events_el;
            await upstream.close(handle);
        }""",
        bundles=CORE,
    ),
    Scenario(
        "interactive_state",
        plain,
        """async text => {
            const handle = await upstream.open(text, 2);
            const document = upstream.document(handle);
            document.interactive_start(upstream.view(handle, 1).model, () => {});
            await upstream.close_view(handle, 1);
            const left = document._interactive_finalize != null;
            await upstream.close(handle);
            return left;
        }""",
        "value",
        CORE,
    ),
    Scenario(
        "math_classes",
        only(lambda: figure(width=200, height=200, title="$$x$$")),
        """async text => {
            const { set } = Map.prototype;
            const classes = [];
            Map.prototype.set = function (name, value) {
                if (/^configTags-/.test(name)) {
                    classes.push(new WeakRef(value));
                }
                return set.call(this, name, value);
            };
            await upstream.cycle(text, 6);
            Map.prototype.set = set;
            globalThis.classes = classes;
        }""",
        "classes",
        ("bokeh", "bokeh-mathjax"),
    ),
)


def leaks(page: Page, scenario: Scenario, polls: int) -> bool:
    """Say whether the scenario leaves something behind in the page, for longer than so many polls."""
    text = document_json(scenario.roots())

    def run() -> object:
        return page.evaluate(scenario.script, text)

    match scenario.measure:
        case "value":
            return bool(run())
        case "classes":
            run()
            collect_garbage(page)
            count = "() => new Set(classes.map(ref => ref.deref()).filter(Boolean)).size"
            return int(page.evaluate(count)) > 2  # the base and the latest
        case "alive":
            run()
            return settle(page, NOTHING, polls) != NOTHING
        case "growth":
            run()
            before = steady(page)
            run()
            grown = settle(page, before, polls) != before
            page.evaluate(
                """async () => {
                    const { handle } = globalThis;
                    delete globalThis.handle;
                    delete globalThis.late;
                    await upstream.close(handle);
                }"""
            )
            return grown


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.cause)
def test_work_around_works_and_is_needed(playground: Playground, shared: Page, scenario: Scenario) -> None:
    """If the second half fails, BokehJS has fixed it: take the work-around out."""
    assert not leaks(shared, scenario, polls=20), f"{scenario.cause}: leaks in spite of the work-around"
    assert settle(shared) == NOTHING
    bare = playground.page(scenario.cause, bundles=scenario.bundles)
    assert leaks(bare, scenario, polls=3), f"{scenario.cause}: nothing leaks without the work-around any more"


AXE: Final = ROOT / "js/node_modules/axe-core/axe.min.js"
UNNAMED: Final = """async () => {
    const {violations} = await axe.run(document.body, {runOnly: {type: "tag", values: ["wcag2a", "wcag2aa"]}})
    const found = violations.filter(({impact}) => impact == "serious" || impact == "critical")
    return found.flatMap(({id, nodes}) => nodes.map(({target}) => [id, target.flat().at(-1)]))
}"""
NAMES: Final = """() => {
    const named = root => [...root.querySelectorAll("*")].flatMap(
        element => [...element.getAttribute("aria-label") ? [element.getAttribute("aria-label")] : [], ...element.shadowRoot ? named(element.shadowRoot) : []]
    )
    return named(document.body)
}"""


def test_widgets_have_names_and_need_them(playground: Playground, shared: Page) -> None:
    """If the second half fails, BokehJS has fixed bokeh#12259: take ``accessible_names`` out."""
    slider = bkm.Slider(start=0, end=9, value=1, title="Size", name="slider")
    bounds = bkm.RangeSlider(start=0, end=9, value=(1, 2), title="Bounds")
    unnamed = [
        bkm.Select(options=["a", "b"], value="a", name="letter"),
        bkm.TextInput(),
        bkm.Spinner(description="count"),
    ]
    untitled = bkm.Slider(start=0, end=9, value=1)
    titled = bkm.Select(options=["a"], value="a", title="Titled")
    text = document_json([column(slider, bounds, untitled, *unnamed, titled)])
    shared.add_script_tag(path=AXE)
    shared.evaluate("async text => { globalThis.handle = await upstream.open(text) }", text)
    assert shared.evaluate(UNNAMED) == []
    names = ["Size", "Bounds from", "Bounds to", "Slider", "letter", "TextInput", "count", "Increase", "Decrease"]
    assert shared.evaluate(NAMES) == names
    shared.evaluate("() => { Bokeh.documents[0].get_model_by_name('slider').title = 'Width' }")
    assert shared.evaluate(NAMES)[0] == "Width"
    bare = playground.page("accessible_names")
    bare.add_script_tag(path=AXE)
    bare.evaluate("async text => { globalThis.handle = await upstream.open(text) }", text)
    found = bare.evaluate(UNNAMED)
    assert {rule for rule, _ in found} == {"aria-input-field-name", "button-name", "label", "select-name"}
    assert len(found) == len(names)


INDEX: Final = """name => {
    const view = upstream.view(handle);
    const { glyph } = view.views.find_one(view.model.document.get_model_by_name(name));
    return { is_sorted: glyph.index.index._pos == glyph.index.index._boxes.length, glyph };
}"""


def test_an_index_is_sorted_for_whoever_looks_into_it(playground: Playground, shared: Page) -> None:
    """If the second half fails, BokehJS sorts an index when it is needed: take ``lazy_index`` out."""
    x = np.arange(1000.0)
    fig = plot()
    fig.line(x, x % 7, name="line")
    fig.scatter(x, x % 5, name="points")
    text = document_json([fig])

    def is_sorted(page: Page, name: str) -> bool:
        found: bool = page.evaluate(f"name => ({INDEX})(name).is_sorted", name)
        return found

    look = f"rect => [...({INDEX})('line').glyph.index.indices(rect)]"
    inside = {"x0": 2.5, "x1": 30.5, "y0": 5.5, "y1": 9}
    expected = [i for i in range(1000) if 2.5 < i < 30.5 and i % 7 == 6]
    shared.evaluate("async text => { globalThis.handle = await upstream.open(text) }", text)
    assert not is_sorted(shared, "line")
    assert shared.evaluate(f"() => ({INDEX})('line').glyph.bounds()") == {"x0": 0, "x1": 999, "y0": 0, "y1": 6}
    assert not is_sorted(shared, "line")
    assert shared.evaluate(look, inside) == expected
    assert shared.evaluate(look, inside) == expected
    assert is_sorted(shared, "line")
    assert is_sorted(shared, "points"), "those that are in the frame are looked for with every painting"
    shared.evaluate(
        "name => Bokeh.documents[0].get_model_by_name(name).data_source.stream({x: [1000], y: [6]})", "line"
    )
    shared.evaluate("() => upstream.next_frames(2)")
    assert not is_sorted(shared, "line")
    assert shared.evaluate(look, {**inside, "x0": 985, "x1": 1001}) == [986, 993, 1000]
    assert shared.evaluate(f"() => ({INDEX})('line').glyph.index.bounds({json.dumps(inside)})") == {
        "x0": expected[0],
        "x1": expected[-1],
        "y0": 6,
        "y1": 6,
    }
    bare = playground.page("lazy_index", bundles=CORE)
    bare.evaluate("async text => { globalThis.handle = await upstream.open(text) }", text)
    assert is_sorted(bare, "line")


DROP: Final = """async text => {
    const handle = await upstream.open(text);
    const view = upstream.view(handle);
    await upstream.next_frames(4);
    await view.ready;
    view.schedule_paint();
    await upstream.next_frames(1);  // painted just now: the next one is put off
    view.schedule_paint();
    const begun = performance.now();
    while (performance.now() < begun + 30) {}  // and is overdue before its timer can tell
    view.schedule_paint();
    return Promise.race([view.ready.then(() => true), upstream.next_frames(6).then(() => false)]);
}"""


def test_a_view_is_ready_after_a_painting_that_was_dropped(playground: Playground, shared: Page) -> None:
    """If the second half fails, BokehJS keeps what it promises: take ``dropped_paintings`` out."""
    text = document_json([plot()])
    assert shared.evaluate(DROP, text)
    assert not playground.page("dropped_paintings", bundles=CORE).evaluate(DROP, text)


READS: Final = """() => {
    const { prototype } = CanvasRenderingContext2D;
    const { getImageData } = prototype;
    globalThis.reads = 0;
    prototype.getImageData = function (...args) {
        globalThis.reads += 1;
        return getImageData.apply(this, args);
    };
}"""
PIXELS: Final = """async source => {
    const view = upstream.view(handle);
    const glyphs = ["mapped", "colors"].map(
        name => view.views.find_one(view.model.document.get_model_by_name(name)).glyph
    );
    await upstream.next_frames(2);
    const { reads } = globalThis;
    return [reads, ...glyphs.map(glyph => {
        const [canvas] = glyph.image_data;
        return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    })];
}"""


def test_pixels_of_an_image_are_not_read_before_they_are_replaced(playground: Playground, shared: Page) -> None:
    """If the second half fails, BokehJS has stopped reading them: take ``image_readback`` out."""
    fig = plot()
    values = np.arange(6.0).reshape(2, 3)
    colors = (np.arange(6, dtype=np.uint32) * 10 + 0xFF000000).reshape(2, 3)
    fig.image([values], x=0, y=0, dw=1, dh=1, name="mapped", palette=["#102030", "#405060", "#708090"])
    fig.image_rgba([colors], x=1, y=0, dw=1, dh=1, name="colors")
    text = document_json([fig])
    found = []
    for page in (shared, playground.page("image_readback", bundles=CORE)):
        page.evaluate(READS)
        page.evaluate("async text => { globalThis.handle = await upstream.open(text) }", text)
        found.append(page.evaluate(PIXELS))
    assert [reads > 0 for reads, *_ in found] == [False, True]
    assert found[0][1:] == found[1][1:]
    assert found[0][2][::4] == [0, 10, 20, 30, 40, 50]


# ----------------------------------------------------------------------------------------------------------------------
# Closing in the middle of something


def press_and_move(page: Page) -> None:
    """Begin to drag."""
    page.mouse.down()
    page.mouse.move(180, 110)
    page.mouse.move(200, 120)


def hover(page: Page) -> None:
    """Move over the points."""
    for x in range(60, 280, 10):
        page.mouse.move(x, 100)


DURING: Final[dict[str, tuple[Roots, str, Callable[[Page], None]]]] = {
    "pan": (plain, "bk-Figure", press_and_move),
    "box_select": (selecting, "bk-Figure", press_and_move),
    "wheel": (only(lambda: plot(active_scroll="wheel_zoom")), "bk-Figure", lambda page: page.mouse.wheel(0, 100)),
    "hover": (selecting, "bk-Figure", hover),
    "slider": (only(lambda: bkm.Slider(start=0, end=1, value=0, step=0.1)), "bk-Slider", press_and_move),
    "spinner": (only(lambda: bkm.Spinner(low=0, high=9, value=1, step=1)), "bk-Spinner", press_and_move),
    "dropdown": (
        only(lambda: bkm.Dropdown(label="menu", menu=["a", "b"])),
        "bk-Dropdown",
        lambda page: page.mouse.click(150, 20),
    ),
}


@pytest.mark.parametrize("what", DURING)
def test_nothing_is_left_when_closed_during(shared: Page, what: str) -> None:
    """A real pointer is in the middle of something when the document closes, and is released long after."""
    roots, css_class, act = DURING[what]
    listeners: list[int] = []
    for _ in range(2):  # the first time loads what is loaded once
        handle = shared.evaluate("text => upstream.open(text)", document_json(roots()))
        box = shared.locator(f".{css_class}").bounding_box()
        assert box is not None
        shared.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        act(shared)
        shared.evaluate("handle => upstream.close(handle)", handle)
        assert settle(shared) == NOTHING
        shared.mouse.up()
        shared.mouse.move(0, 0)
        collect_garbage(shared)
        listeners.append(dom_counters(shared).listeners)
    assert listeners[1] <= listeners[0]


def test_closing_while_a_part_is_being_built(shared: Page) -> None:
    """The document changes, and with it its view, while it is closed."""
    script = """async text => {
        const handle = upstream.from_json(text);
        const showing = upstream.show(handle);
        const [fig] = upstream.document(handle).roots();
        await Promise.resolve();
        fig.title = new (Bokeh.Models.get("Title"))({ text: "new" });
        await showing;
        fig.title = new (Bokeh.Models.get("Title"))({ text: "newer" });
        await upstream.close(handle);
    }"""
    for _ in range(CYCLES):
        shared.evaluate(script, document_json(plain()))
    assert settle(shared) == NOTHING


# ----------------------------------------------------------------------------------------------------------------------
# What else a supported release of Bokeh has to do


def base64_of(buffers: Sequence[Any]) -> dict[str, str]:
    """Return the buffers of a serialisation, for the page."""
    return {buffer.id: base64.b64encode(buffer.data).decode() for buffer in buffers}


def test_raw_buffers(shared: Page) -> None:
    """Python leaves arrays out of the JSON, and BokehJS takes them as ArrayBuffers: document and patch."""
    data = bkm.ColumnDataSource({"x": np.arange(5.0), "y": np.arange(5, dtype=np.int32)})
    fig = figure(width=200, height=200)
    fig.line("x", "y", source=data)
    document = Document()
    document.add_root(fig)
    serializer = Serializer(references=set(), deferred=True)
    roots = serializer.encode(document.roots)
    state = {"version": bokeh.__version__, "title": "", "roots": roots}
    assert len(serializer.buffers) == len(data.data)
    text, buffers = json.dumps(state, default=lambda part: {"id": part.id}), base64_of(serializer.buffers)
    handle = shared.evaluate("([text, buffers]) => upstream.open(text, 1, buffers)", [text, buffers])
    read = """([handle, id]) => {
        const { data } = upstream.document(handle).get_model_by_id(id);
        const column = name => [...(data instanceof Map ? data.get(name) : data[name])];
        return [column("x"), column("y")];
    }"""
    assert shared.evaluate(read, [handle, data.id]) == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]

    serializer = Serializer(references=document.models.synced_references, deferred=True)
    change = ModelChangedEvent(document, data, "data", {"x": np.array([7.0]), "y": np.array([8.0])})
    patch = {"events": serializer.encode([change])}
    assert serializer.buffers
    text, buffers = json.dumps(patch, default=lambda part: {"id": part.id}), base64_of(serializer.buffers)
    shared.evaluate("([handle, text, buffers]) => upstream.patch(handle, text, buffers)", [handle, text, buffers])
    assert shared.evaluate(read, [handle, data.id]) == [[7], [8]]
    shared.evaluate("handle => upstream.close(handle)", handle)
    assert settle(shared) == NOTHING


def test_what_is_missing_is_named(playground: Playground) -> None:
    """A BokehJS without the internals that everything rests on is refused."""
    page = playground.page(bundles=CORE)
    script = """() => {
        const bokeh = { ...Bokeh, require: name => name == "core/view" ? { View: class {} } : Bokeh.require(name) };
        try { upstream.instrument(bokeh); return null } catch (error) { return error.message }
    }"""
    assert "View.prototype.initialize (core/view)" in str(page.evaluate(script))


def test_debugger_finds_nothing_either(shared: Page) -> None:
    """Last, for all the above together: no instance of BokehJS's classes beyond those it makes when it is loaded."""
    collect_garbage(shared)
    counts = bokeh_counts(shared, {"page": "window.Bokeh"})["page"]
    fresh = shared.context.new_page()
    for name in BUNDLES:
        fresh.add_script_tag(path=static_dir() / f"{name}.min.js")
    assert counts == bokeh_counts(fresh, {"page": "window.Bokeh"})["page"]
