"""Pages without Python: embeds, exported and reopened notebooks show the plot as it was, and CustomJS runs."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bokeh
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
BOKEHJS: Final = Path(bokeh.__file__).parent / "server" / "static" / "js"
CDN: Final = (
    (r"/require(\.min)?\.js", MODULES / "requirejs" / "require.js"),
    (
        r"/@jupyter-widgets/html-manager@[^/]+/dist/embed-amd\.js",
        MODULES / "@jupyter-widgets/html-manager/dist/embed-amd.js",
    ),
    (r"/bokeh-widget@[^/]+/dist/index\.js", Path(bokeh_widget.__file__).parent / "nbextension" / "index.js"),
    *(
        (rf"cdn\.bokeh\.org/bokeh/release/{name}-{bokeh.__version__}\.min\.js", BOKEHJS / f"{name}.min.js")
        for name in ("bokeh", "bokeh-widgets")
    ),
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
                    headers = {"Access-Control-Allow-Origin": "*"}  # as what is checked by its hash must have
                    route.fulfill(path=path, content_type="text/javascript", headers=headers)
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


def test_nbconvert_and_nbsphinx(open_html: Callable[[str], Page], tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (PLOT, CHANGE)])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    _check_static(open_html(HTMLExporter().from_notebook_node(notebook)[0]), "nbconvert")
    nbformat.write(notebook, tmp_path / "index.ipynb")
    (tmp_path / "conf.py").write_text(SPHINX)
    build = [sys.executable, "-m", "sphinx", "-Q", "-b", "html", str(tmp_path), str(tmp_path / "html")]
    subprocess.run(build, check=True)
    # the CDN's file is another release of require.js than ours
    html = re.sub(r' integrity="[^"]*"', "", (tmp_path / "html" / "index.html").read_text(encoding="utf-8"))
    _check_static(open_html(html), "nbsphinx")


SPHINX: Final = 'extensions = ["nbsphinx"]\nhtml_theme = "basic"\nnbsphinx_execute = "never"\n'


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


def test_saved_notebook_has_a_picture_a_page_or_a_line(lab: NotebookPage, open_html: Callable[[str], Page]) -> None:
    """For each plot what its widget wants; all of it as it is when the notebook is saved, and shown without a kernel."""
    cells = [cell.source for cell in nbformat.read(EXAMPLE, as_version=4).cells if cell.cell_type == "code"]
    others = [PLOT.replace("BokehWidget(", f"BokehWidget(fallback={fallback!r}, obj=") for fallback in (None, "html")]
    lab.open([*cells, *others, CHANGE])
    lab.run_all()
    expect(lab.output(len(cells) + 1).locator(".bokeh-widget .bk-Figure")).to_have_count(1)
    expect(lab.output(len(cells) + 1).locator("iframe")).to_have_count(0)
    print(lab.eval_in_kernel("repr(w.stats)"))
    lab.page.wait_for_function(
        f"() => {REPLICAS}.some(({{document}}) => document.get_model_by_name('plot')?.title.text == 'later')"
    )
    path = lab.server.root_dir / lab.path
    before = lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])")
    lab.save()
    assert lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])") == before
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert len(shown) >= 3
    *plots, line, live = shown
    assert sorted(line["data"]) == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    for output in plots:
        assert 2_000 < len(output["data"]["image/png"]) < MAX_GROWTH_BYTES
    assert 1_000 < len(live["data"]["text/html"]) < MAX_GROWTH_BYTES
    sources = sum(len(json.dumps(cell.source)) for cell in notebook.cells)
    assert path.stat().st_size - sources < (len(plots) + 1) * MAX_GROWTH_BYTES
    _check_page_without_widgets(open_html(HTMLExporter().from_notebook_node(notebook)[0]), len(plots))
    lab.server.shutdown_sessions(lab.path)
    lab.log.allow("widget model not found", "ipywidgets has no state, and says so before the picture is shown")
    lab.page.route("https://cdn.bokeh.org/**", _answer_with_bokehjs)
    lab.open_path(lab.path)
    picture = lab.output(0).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200
    expect(lab.output(len(cells))).to_contain_text(LINE)
    frame = lab.output(len(cells) + 1).frame_locator("iframe")
    expect(frame.locator(".bk-Figure")).to_be_visible()


LINE: Final = "Bokeh: start. To see it live, run this cell in JupyterLab or Notebook 7."


def _answer_with_bokehjs(route: Route) -> None:
    [path] = [path for pattern, path in CDN if re.search(pattern + "$", route.request.url)]
    route.fulfill(path=path, content_type="text/javascript", headers={"Access-Control-Allow-Origin": "*"})


def _check_page_without_widgets(page: Page, pictures: int) -> None:
    """As nbviewer and GitHub have it: no state, no widgets."""
    expect(page.locator("img")).to_have_count(pictures)
    screenshot(page.locator("img").first, SCREENSHOTS / "static_picture.png")
    expect(page.get_by_text(LINE)).to_be_visible()
    frame = page.frame_locator("iframe")
    expect(frame.locator(".bk-Figure")).to_be_visible()
    expect(page.get_by_text("Bokeh: start. To make it live, run this cell.")).to_be_visible()
    inner = page.frames[1]
    find = "Bokeh.documents[0].get_model_by_name"
    assert inner.evaluate(
        f"() => [{find}('plot').title.text, {find}('slider').value, {find}('source').get_length()]"
    ) == [
        "later",
        4,
        4,
    ]
    inner.evaluate(f"() => {{ {find}('slider').value = 7 }}")
    assert inner.evaluate(f"() => {find}('slider').title") == "JS 7"
    height = "frame => frame.clientHeight - frame.contentDocument.body.offsetHeight"
    page.wait_for_function(f"() => ({height})(document.querySelector('iframe')) == 0")
    screenshot(page.locator("iframe"), SCREENSHOTS / "static_page.png")
