"""Pages without Python: embeds, exported and reopened notebooks show the plot as it was, and CustomJS runs."""

from __future__ import annotations

import io
import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import nbformat
import pytest
from bokeh.layouts import column
from bokeh.models import CustomJS, Slider
from bokeh.plotting import figure
from ipywidgets.embed import embed_minimal_html
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import expect

import bokeh_widget
from bokeh_widget import BokehWidget
from tests.browser.harness import screenshot
from tests.browser.waiting import REPLICAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, Route

    from tests.browser.harness import NotebookPage, PageLog

ROOT: Final = Path(__file__).parents[2]
SCREENSHOTS: Final = Path(__file__).parent / "screenshots"
EXAMPLE: Final = ROOT / "examples" / "01_quickstart.ipynb"
MAX_GROWTH_BYTES: Final = 200 * 1024
ADDRESS: Final = "http://static.invalid/page.html"
MODULES: Final = ROOT / "js" / "node_modules"
CDN: Final = (
    (r"/require(\.min)?\.js", MODULES / "requirejs" / "require.js"),
    (
        r"/@jupyter-widgets/html-manager@[^/]+/dist/embed-amd\.js",
        MODULES / "@jupyter-widgets/html-manager/dist/embed-amd.js",
    ),
    (r"/bokeh-widget@[^/]+/dist/index\.js", Path(bokeh_widget.__file__).parent / "nbextension" / "index.js"),
)
"""What the pages load from the network, by the end of its address, and where we have it."""

PLOT: Final = """
import numpy as np
from bokeh.layouts import column
from bokeh.models import CustomJS, Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(name="plot", width=400, height=250, title="start")
source = plot.scatter(np.arange(3.0), np.arange(3.0), size=20).data_source
source.name = "source"
slider = Slider(name="slider", start=0, end=10, value=1)
slider.js_on_change("value", CustomJS(code="this.title = `JS ${this.value}`"))
w = BokehWidget(column(slider, plot))
w
"""
CHANGE: Final = """
slider.value = 4
source.stream({"x": np.array([3.0]), "y": np.array([5.0])})
plot.title.text = "later"
"""


def _find(name: str) -> str:
    return f"{REPLICAS}[0]?.document.get_model_by_name('{name}')"


MOVE: Final = f"() => {{ const slider = {_find('slider')}; slider.value = 7 }}"


STATE: Final = f"""() => [
    {_find("plot")}?.title.text,
    {_find("slider")}?.value,
    Array.from({_find("source")}?.data.get?.("y") ?? {_find("source")}?.data.y ?? []),
]"""
CURRENT: Final = ["later", 4, [0, 1, 2, 5]]


@pytest.fixture
def open_html(browser: Browser, page_errors: PageLog) -> Iterator[Callable[[str], Page]]:
    """Open a page whose scripts come from a CDN, which is played by files of ours."""
    context = browser.new_context()

    def open_page(html: str) -> Page:
        def answer(route: Route) -> None:
            url = route.request.url
            if url == ADDRESS:
                route.fulfill(body=html, content_type="text/html")
                return
            for pattern, path in CDN:
                if re.search(pattern + "$", url):
                    route.fulfill(path=path, content_type="text/javascript")
                    return
            if "static.invalid" in url:  # a module is looked for beside the page first
                route.fulfill(status=404, body="")
                return
            route.fulfill(body="", content_type="text/javascript")  # MathJax and others

        page = context.new_page()
        page_errors.watch(page)
        page_errors.allow("static.invalid", "the html manager looks for modules beside the page first")
        page_errors.allow("404", "the html manager looks for modules beside the page first")
        page.route("**/*", answer)
        page.goto(ADDRESS)
        return page

    yield open_page
    context.close()


def _check_static(page: Page, name: str) -> None:
    expect(page.locator(".bk-Figure")).to_be_visible()
    assert page.evaluate(STATE) == CURRENT
    expect(page.locator(".bokeh-widget-notices")).to_have_text("")
    screenshot(page.locator(".bokeh-widget").first, SCREENSHOTS / f"static_{name}.png")
    page.evaluate(MOVE)
    assert page.evaluate(f"() => {_find('slider')}.title") == "JS 7"


def test_embed(open_html: Callable[[str], Page]) -> None:
    plot = figure(name="plot", width=400, height=250, title="start")
    source = plot.scatter([0, 1, 2], [0, 1, 2], size=20).data_source
    source.name = "source"
    slider = Slider(name="slider", start=0, end=10, value=1)
    slider.js_on_change("value", CustomJS(code="this.title = `JS ${this.value}`"))
    with BokehWidget(column(slider, plot)) as widget:
        slider.value = 4
        source.stream({"x": [3], "y": [5]})
        plot.title.text = "later"
        out = io.StringIO()
        embed_minimal_html(out, views=[widget])
    # the CDN's file is minified, and ours is not
    _check_static(open_html(re.sub(r' integrity="[^"]*"', "", out.getvalue())), "embed")


def test_nbconvert(open_html: Callable[[str], Page]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (PLOT, CHANGE)])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    _check_static(open_html(HTMLExporter().from_notebook_node(notebook)[0]), "nbconvert")


@contextmanager
def _saving_widget_state(lab: NotebookPage) -> Iterator[None]:
    """Switch JupyterLab's setting on, which other notebooks have, too, and off again."""
    toggle = "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
    lab.page.evaluate(toggle)
    try:
        yield
    finally:
        lab.page.evaluate(toggle)


def test_saved_widget_state(lab: NotebookPage, open_html: Callable[[str], Page]) -> None:
    lab.open([PLOT, CHANGE])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    lab.run(1)
    lab.page.wait_for_function(
        f"expected => JSON.stringify(({STATE})()) == expected", arg=json.dumps(CURRENT, separators=(",", ":"))
    )
    with _saving_widget_state(lab):
        lab.save()
    notebook = nbformat.read(lab.server.root_dir / lab.path, as_version=4)
    _check_static(open_html(HTMLExporter().from_notebook_node(notebook)[0]), "widget_state")
    lab.server.shutdown_sessions(lab.path)
    lab.open_path(lab.path)  # with a kernel that knows nothing of it
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    assert lab.page.evaluate(STATE) == CURRENT
    expect(lab.output(0).locator(".bokeh-widget-notices")).to_contain_text("Saved plot")
    lab.page.evaluate(MOVE)
    assert lab.page.evaluate(f"() => {_find('slider')}.title") == "JS 7"
    lab.run(0)
    expect(lab.output(0).locator(".bokeh-widget-notices")).to_have_text("")


def test_saved_notebook_has_a_small_picture_of_each_plot(lab: NotebookPage, open_html: Callable[[str], Page]) -> None:
    cells = [cell.source for cell in nbformat.read(EXAMPLE, as_version=4).cells if cell.cell_type == "code"]
    lab.open([*cells, PLOT.replace("BokehWidget(", "BokehWidget(fallback=None, obj=")])
    lab.run_all()
    expect(lab.output(len(cells)).locator(".bk-Figure")).to_be_visible()
    path = lab.server.root_dir / lab.path
    before = lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])")
    lab.save()
    assert lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])") == before
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert len(shown) >= 2
    *plots, without = shown
    assert "image/png" not in without["data"]
    for output in plots:
        assert 2_000 < len(output["data"]["image/png"]) < MAX_GROWTH_BYTES
    sources = sum(len(json.dumps(cell.source)) for cell in notebook.cells)
    assert path.stat().st_size - sources < len(plots) * MAX_GROWTH_BYTES
    page = open_html(HTMLExporter().from_notebook_node(notebook)[0])  # as nbviewer and GitHub: no state, no widgets
    expect(page.locator("img")).to_have_count(len(plots))
    screenshot(page.locator("img").first, SCREENSHOTS / "static_picture.png")
    lab.server.shutdown_sessions(lab.path)
    lab.log.allow("widget model not found", "ipywidgets has no state, and says so before the picture is shown")
    lab.open_path(lab.path)
    picture = lab.output(0).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200
