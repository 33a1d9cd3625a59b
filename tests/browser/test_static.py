"""Pages without Python: embeds, exported and reopened notebooks show the plot as it was, and CustomJS runs."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bokeh
import nbformat
import pytest
from bokeh.document import Document
from bokeh.layouts import row
from bokeh.plotting import figure
from ipywidgets.embed import embed_minimal_html
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import expect

import bokeh_widget
from bokeh_widget import BokehWidget
from tests.browser.harness import screenshot
from tests.browser.test_faults import PAGE_VALUES
from tests.browser.test_truth import CELL, assert_equal, change_all, drag, middle, open_document
from tests.browser.waiting import REPLICAS, wait_in_kernel

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

PLOT: Final = CELL.replace('figure(name="plot", ', 'figure(name="plot", title="start", ').replace(
    "w = BokehWidget",
    "from bokeh.models import CustomJS\n"
    "slider.js_on_change('value', CustomJS(code='this.title = `JS ${this.value}`'))\nw = BokehWidget",
)
CHANGE: Final = """
import json
plot.title.text = "later"
slider.value = 4
plot.x_range.update(start=-1, end=8)
source.selected.indices = [1]
source.stream({"n": np.array([3.0]), "y": np.array([5.0])})
print(json.dumps(values()))
"""


def _find(name: str) -> str:
    return f"{REPLICAS}[0]?.document.get_model_by_name('{name}')"


MOVE: Final = f"() => {{ const slider = {_find('slider')}; slider.value = 7 }}"


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


def _check_static(page: Page, name: str, python: dict[str, dict[str, Any]]) -> None:
    """See what Python had in all models when the page was made, and a page in which that goes on without Python."""
    expect(page.locator(".bk-Figure")).to_be_visible()
    assert page.evaluate(PAGE_VALUES, {model: list(values) for model, values in python.items()}) == python
    expect(page.locator(".bokeh-widget-notices")).to_have_text("")
    screenshot(page.locator(".bokeh-widget").first, SCREENSHOTS / f"static_{name}.png")
    _use_static(page)


def _use_static(page: Page) -> None:
    """Move the slider, pan, select and stream: CustomJS runs, and the others have nobody to wait for."""
    page.evaluate(MOVE)
    assert page.evaluate(f"() => {_find('slider')}.title") == "JS 7"
    canvas = page.locator(".bokeh-widget .bk-events").first
    start, indices = f"() => {_find('plot')}.x_range.start", f"{_find('source')}.selected.indices"
    before = page.evaluate(start)
    drag(page, canvas, 60)
    assert page.evaluate(start) < before
    page.evaluate(f"() => {{ const plot = {_find('plot')}; plot.x_range.setv({{start: -0.01, end: 0.01}}) }}")
    page.evaluate(f"() => {{ const plot = {_find('plot')}; plot.y_range.setv({{start: 1.99, end: 2.01}}) }}")
    page.evaluate(f"() => {{ const [points] = {_find('plot')}.renderers; points.glyph.size = {{value: 100}} }}")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.mouse.click(*middle(canvas))
    page.wait_for_function(f"() => JSON.stringify({indices}) == '[0]'")
    page.evaluate(f"() => {_find('source')}.stream({{n: [9], y: [9]}})")
    assert page.evaluate(f"() => {_find('source')}.get_column('y').at(-1)") == 9


def test_embed(open_html: Callable[[str], Page]) -> None:
    names: dict[str, Any] = {}
    exec(PLOT + CHANGE, names)
    with names["w"] as widget:
        out = io.StringIO()
        embed_minimal_html(out, views=[widget])
        python = names["values"]()
    # the CDN's file is minified, and ours is not
    _check_static(open_html(re.sub(r' integrity="[^"]*"', "", out.getvalue())), "embed", python)


def test_nbconvert_and_nbsphinx(open_html: Callable[[str], Page], tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (PLOT, CHANGE)])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    python = json.loads(notebook.cells[1].outputs[0].text)
    _check_static(open_html(HTMLExporter().from_notebook_node(notebook)[0]), "nbconvert", python)
    nbformat.write(notebook, tmp_path / "index.ipynb")
    (tmp_path / "conf.py").write_text(SPHINX)
    build = [sys.executable, "-m", "sphinx", "-Q", "-b", "html", str(tmp_path), str(tmp_path / "html")]
    subprocess.run(build, check=True)
    # the CDN's file is another release of require.js than ours
    html = re.sub(r' integrity="[^"]*"', "", (tmp_path / "html" / "index.html").read_text(encoding="utf-8"))
    _check_static(open_html(html), "nbsphinx", python)


SPHINX: Final = 'extensions = ["nbsphinx"]\nhtml_theme = "basic"\nnbsphinx_execute = "never"\n'


@contextmanager
def _saving_widget_state(notebook: NotebookPage) -> Iterator[None]:
    """Switch JupyterLab's setting on, which other notebooks have, too, and off again."""
    toggle = "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
    notebook.page.evaluate(toggle)
    try:
        yield
    finally:
        notebook.page.evaluate(toggle)


@pytest.mark.parametrize("kind", ["lab", "notebook7"])
def test_saved_widget_state(request: pytest.FixtureRequest, open_html: Callable[[str], Page], kind: str) -> None:
    notebook: NotebookPage = request.getfixturevalue(kind)
    open_document(notebook, cell=PLOT)
    change_all(5, notebook)
    drag(notebook.page, notebook.output(0).locator(".bk-events").first, 50)
    wait_in_kernel(notebook, "plot.x_range.start < 4", True)
    assert_equal(notebook)
    python = notebook.eval_in_kernel("values()")
    with _saving_widget_state(notebook):
        notebook.save()
    saved = nbformat.read(notebook.server.root_dir / notebook.path, as_version=4)
    if kind == "lab":
        _check_static(open_html(HTMLExporter().from_notebook_node(saved)[0]), "widget_state", python)
    notebook.server.shutdown_sessions(notebook.path)
    notebook.open_path(notebook.path)  # with a kernel that knows nothing of it
    expect(notebook.output(0).locator(".bk-Figure")).to_be_visible()
    names = {model: list(values) for model, values in python.items()}
    assert notebook.page.evaluate(PAGE_VALUES, names) == python
    expect(notebook.output(0).locator(".bokeh-widget-notices")).to_contain_text("Saved plot")
    _use_static(notebook.page)
    notebook.run(0)
    expect(notebook.output(0).locator(".bokeh-widget-notices")).to_have_text("")


def test_notebook_7_saves_a_picture_and_shows_it_without_a_kernel(notebook7: NotebookPage) -> None:
    notebook7.open([PLOT])
    notebook7.run(0)
    expect(notebook7.output(0).locator(".bk-Figure")).to_be_visible()
    notebook7.save()
    notebook7.server.shutdown_sessions(notebook7.path)
    notebook7.log.allow("widget model not found", "ipywidgets has no state, and says so before the picture is shown")
    notebook7.open_path(notebook7.path)
    picture = notebook7.output(0).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 200


def test_saved_notebook_has_a_picture_a_page_or_a_line(lab: NotebookPage, open_html: Callable[[str], Page]) -> None:
    """For each plot what its widget wants; all of it as it is when the notebook is saved, and shown without a kernel."""
    cells = [cell.source for cell in nbformat.read(EXAMPLE, as_version=4).cells if cell.cell_type == "code"]
    others = [PLOT.replace("BokehWidget(", f"BokehWidget(fallback={fallback!r}, obj=") for fallback in (None, "html")]
    cells += [UNSEEN, "kept"]
    lab.open([*cells, *others, CHANGE])
    lab.run_all()
    expect(lab.output(len(cells) + 1).locator(".bokeh-widget .bk-Figure")).to_have_count(1)
    expect(lab.output(len(cells) + 1).locator("iframe")).to_have_count(0)
    expect(lab.output(len(cells) - 1).locator(".bk-Figure")).to_be_visible()
    lab.page.wait_for_function(
        f"() => {REPLICAS}.some(({{document}}) => document.get_model_by_name('plot')?.title.text == 'later')"
    )
    path = lab.server.root_dir / lab.path
    before = lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])")
    lab.save()
    assert lab.page.evaluate(f"() => {REPLICAS}.map(({{client_id, views}}) => [client_id, views.length])") == before
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "bokeh_widget" in output.get("metadata", {})]
    assert len(shown) >= 4
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


UNSEEN: Final = """
from ipywidgets import HTML, Tab
from bokeh.plotting import figure
kept = BokehWidget(figure(height=200))
Tab([HTML("in front"), kept], titles=["one", "two"])
"""


def test_a_saved_page_shows_what_the_widget_shows(open_html: Callable[[str], Page]) -> None:
    """A part of a root alone, and roots in another order than the document has."""
    upper, lower = figure(title="upper", height=100), figure(title="lower", height=100)
    inner, beside = figure(title="inner", height=100), figure(title="beside", height=100)
    document = Document()
    for root in (row(inner, beside), upper, lower):
        document.add_root(root)
    for models in ([inner], [lower, upper]):
        widget = BokehWidget(models, fallback="html")
        page = open_html(widget._repr_mimebundle_()[0]["text/html"])
        plots = page.frame_locator("iframe").locator(".bk-Figure:visible")
        expect(plots).to_have_count(len(models))
        shown = "Bokeh.documents[0].get_model_by_id(element.parentElement.id.slice(5))?.title.text"
        assert plots.evaluate_all(f"elements => elements.map(element => {shown})") == [m.title.text for m in models]
        page.close()
    widget.session.close()


def test_a_saved_page_says_when_there_is_no_bokehjs(open_html: Callable[[str], Page], page_errors: PageLog) -> None:
    page_errors.allow("Bokeh is not defined", "which the scripts of the bundle say in the console")
    with BokehWidget(figure(title="start"), fallback="html") as widget:
        html = widget._repr_mimebundle_()[0]["text/html"]
    page = open_html(html.replace("cdn.bokeh.org/bokeh/", "cdn.bokeh.org/moved/"))
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("BokehJS from cdn.bokeh.org, which could not")


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
