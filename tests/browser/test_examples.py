"""The example notebooks in JupyterLab: they run, they paint, they react, and the last one leaves nothing."""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import expect

from tests.browser.harness import bokeh_counts, screenshot
from tests.browser.waiting import REPLICAS, TIMEOUT_S, wait_in_kernel, wait_in_page
from tests.kernel.kernels import Kernel

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.harness import NotebookPage

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
SCREENSHOTS: Final = Path(__file__).parent / "screenshots"
NAMES: Final = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))
WINDOW: Final = {"width": 1280, "height": 4000}
"""So high that a whole notebook is painted and fits into one picture."""

_PAINTED: Final = """canvas => new Promise(resolve => {
    const look = () => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        new Set(new Uint32Array(data.buffer)).size > 10 ? resolve() : requestAnimationFrame(look);
    };
    look();
})"""

# where in the window a plot, found by the id of its model, has a point
_POSITION: Final = """([id, x, y]) => {
    const find = view => view.model.id === id ? view : view.child_views.map(find).find(found => found);
    const view = globalThis[Symbol.for("bokeh_widget")].replicas().flatMap(({ views }) => views).map(find).find(found => found);
    const box = view.canvas.el.getBoundingClientRect();
    return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)];
}"""


# what Python holds once garbage is collected; the widgets of ipywidgets itself stay, since it keeps them
COUNTS: Final = """(lambda gc, bokeh, comm, package, ipywidgets: (gc.collect(), {
    "documents": sum(issubclass(type(obj), bokeh.document.Document) for obj in gc.get_objects()),
    "models": sum(issubclass(type(obj), bokeh.model.Model) for obj in gc.get_objects()),
    "widgets": sum(issubclass(type(obj), package.BokehWidget) for obj in gc.get_objects()),
    "comms": len(comm.get_comm_manager().comms) - sum(
        issubclass(type(obj), ipywidgets.Widget) and type(obj).__module__.startswith("ipywidgets.") and obj.comm is not None
        for obj in gc.get_objects()
    ),
    "sessions": len(package.sessions()),
})[1])(*map(__import__, ["gc", "bokeh.document", "comm", "bokeh_widget", "ipywidgets"]))"""

CHANGE_THEME: Final = "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})"
PORTS: Final = (
    "[c.laddr.port for c in __import__('psutil').Process().net_connections('tcp') if c.status == 'LISTEN'].__len__()"
)
WORKERS: Final = "workers.document.get_model_by_name('workers')"


def _copy(name: str, folder: Path) -> None:
    """Put an example, and the applications beside it, into a new folder."""
    shutil.copytree(EXAMPLES / "apps", folder / "apps", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(EXAMPLES / f"{name}.ipynb", folder)


def _read(name: str) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    return notebook


class Example:
    """One example in JupyterLab; its cells go by their ids."""

    def __init__(self, lab: NotebookPage, name: str) -> None:
        self.lab: Final = lab
        self.name: Final = name
        self._indices: Final = {cell["id"]: index for index, cell in enumerate(_read(name)["cells"])}
        folder = lab.server.root_dir / uuid.uuid4().hex
        _copy(name, folder)
        lab.page.set_viewport_size(WINDOW)
        lab.open_path(f"{folder.name}/{name}.ipynb")

    def run(self, *cells: str) -> None:
        for cell in cells:
            self.lab.run(self._indices[cell])

    def run_until(self, cell: str) -> None:
        """Run all code cells from the top up to one, and this one."""
        code = [cell["id"] for cell in _read(self.name)["cells"] if cell["cell_type"] == "code"]
        self.run(*code[: code.index(cell) + 1])

    def run_again(self) -> None:
        """Run all of it once more: Python and the page end with as much as they had before.

        The page may differ by the few views that come and go with the mouse.
        """
        kernel = self.lab.eval_in_kernel(COUNTS)
        assert kernel["models"] > 0
        replicas = self.lab.page.evaluate(f"{REPLICAS}.length")
        [before] = bokeh_counts(self.lab.page).values()
        self._run_all(kernel, replicas)
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            [alive] = bokeh_counts(self.lab.page).values()
            if alive.documents == before.documents and alive.views <= before.views + 5:
                return
            assert time.monotonic() < deadline, (alive, before)

    def _run_all(self, kernel: dict[str, int], replicas: int) -> None:
        self.lab.run_all()
        wait_in_kernel(self.lab, COUNTS, kernel)
        wait_in_page(self.lab, f"{REPLICAS}.length", replicas)

    def index(self, cell: str) -> int:
        return self._indices[cell]

    def output(self, cell: str) -> Locator:
        return self.lab.output(self._indices[cell])

    def plots(self, cell: str, count: int) -> Locator:
        """Wait until a cell shows so many plots and each is painted; give them."""
        plots = self.output(cell).locator(".bk-Figure:visible")
        expect(plots).to_have_count(count)
        for plot in plots.all():
            plot.locator("canvas").first.evaluate(_PAINTED)
        return plots

    def drag(self, what: Locator, dx: float, dy: float = 0) -> None:
        """Drag from the middle of something, with the mouse."""
        what.scroll_into_view_if_needed()
        box = what.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.lab.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + dx, y + dy, steps=8)
        mouse.up()

    def tap(self, plot: str, x: str, y: str) -> None:
        """Click on a point of a plot; all three are expressions in the kernel."""
        target = self.lab.eval_in_kernel(f"[{plot}.id, {x}, {y}]")
        self.lab.page.mouse.click(*self.lab.page.evaluate(_POSITION, target))

    def picture(self, state: str) -> None:
        """Keep what the notebook looks like, for people; no plot may show an error by then."""
        expect(self.lab.locator(".bokeh-widget-notice")).to_have_count(0)
        self.lab.page.mouse.move(0, 0)  # no tooltip, no toolbar
        screenshot(self.lab.locator(".jp-NotebookPanel"), SCREENSHOTS / f"{self.name}_{state}.png")


def _of_model(lab: NotebookPage, model: str, path: str) -> str:
    """Give the JavaScript of a property of a model, an expression in the kernel, in the first replica that has it."""
    model_id = lab.eval_in_kernel(f"{model}.id")
    return f"{REPLICAS}.map(r => r.document.get_model_by_id('{model_id}')).find(model => model)?.{path}"


def _of_name(name: str, path: str) -> str:
    """Give the JavaScript of a property of the model with a name, in the first replica that has one."""
    return f"{REPLICAS}.flatMap(r => r.document.get_model_by_name({name!r}) ?? [])[0]?.{path}"


def _wait_bokeh(lab: NotebookPage, documents: int, views: int) -> None:
    """Wait until the page holds so many documents and views of BokehJS; fail with what it holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        [alive] = bokeh_counts(lab.page).values()
        if (alive.documents, alive.views) == (documents, views):
            return
        assert time.monotonic() < deadline, (alive, documents, views)


def test_quickstart(lab: NotebookPage) -> None:
    example = Example(lab, "01_quickstart")
    lab.run_all()
    plots = example.plots("penguins", 2)
    example.plots("stream", 1)
    example.picture("run")
    heavy = lab.eval_in_kernel("source.selected.indices")
    assert len(heavy) == lab.eval_in_kernel("int((penguins.body_mass_g > 5000).sum())")
    assert lab.eval_in_kernel("len(stream.data['time']) == len(readings)")
    wait_in_page(lab, _of_model(lab, "stream", "get_length()"), lab.eval_in_kernel("len(readings)"))
    # a box in the first plot: Python has the selection, and the second plot shows it
    example.drag(plots.nth(0).locator(".bk-events"), 120, 90)
    wait_in_kernel(lab, f"0 < len(source.selected.indices) and source.selected.indices != {heavy}", True)
    example.run("chosen")
    expect(example.output("chosen").locator("tbody tr")).to_have_count(lab.eval_in_kernel("chosen.species.nunique()"))
    example.picture("selected")


def test_two_way(lab: NotebookPage) -> None:
    example = Example(lab, "02_two_way")
    lab.run_all()
    plots = example.plots("app", 2)
    output = example.output("app")
    expect(output.locator(".bk-Div")).to_contain_text("In view in 1994")
    example.picture("run")
    wait_in_kernel(lab, "len(history.data['country'])", 3)
    # Rwanda of 1994 lies apart from all others
    rwanda = "world.data['country'].tolist().index('Rwanda')"
    lab.exec_in_kernel("world.selected.indices = []")  # a tap on what is selected would clear the selection
    wait_in_page(lab, _of_model(lab, "history", "get_length()"), 0)
    example.tap("bubbles", f"world.data['fertility'][{rwanda}]", f"world.data['life_expectancy'][{rwanda}]")
    wait_in_kernel(lab, "history.data['country']", ["Rwanda"])
    # the slider runs Python, which changes the plot
    example.drag(output.locator(".bk-Slider .noUi-handle"), 100)
    year = lab.page.evaluate(_of_model(lab, "slider", "value"))
    assert year > 1994
    wait_in_kernel(lab, "[slider.value, year_label.text]", [year, str(year)])  # the last of many changes
    expect(output.locator(".bk-Div")).to_contain_text(f"In view in {year}")
    # a pan does as well
    before = lab.eval_in_kernel("in_view.text")
    example.drag(plots.nth(0).locator(".bk-events"), 150, 40)
    wait_in_kernel(lab, f"bubbles.x_range.start < -1 and in_view.text != {before!r}", True)
    # and a callback of Python's own moves all of it
    output.get_by_role("button", name="Play").click()
    wait_in_kernel(lab, f"slider.value != {year}", True)
    output.get_by_role("button", name="Pause").click()
    wait_in_kernel(lab, "play.label", "▶ Play")
    revision = lab.eval_in_kernel("__import__('bokeh_widget')._session.session_of(world.document).revision")
    wait_in_page(lab, f"{REPLICAS}[0].revision", revision)
    example.picture("played")


def test_compose(lab: NotebookPage) -> None:
    example = Example(lab, "03_compose")
    lab.run_all()
    [plot] = example.plots("filter", 1).all()
    example.plots("tabs", 1)
    example.plots("interact", 1)
    example.picture("run")
    # a slider of ipywidgets filters what Bokeh shows
    filtered = example.output("filter")
    readout = filtered.locator(".widget-html-content")
    expect(readout).to_have_text("392 of 392 cars in view")
    example.drag(filtered.locator(".widget-slider .noUi-handle").first, 60)
    first_year = filtered.locator(".widget-readout").inner_text().split()[0]
    assert first_year > "1970"
    wait_in_kernel(lab, "str(years.value[0])", first_year)
    rows = lab.eval_in_kernel("int((1900 + cars.yr >= years.value[0]).sum())")
    wait_in_page(lab, _of_model(lab, "source", "get_length()"), rows)
    # and a pan in Bokeh's plot reaches the widgets of ipywidgets
    example.drag(plot.locator(".bk-events"), 200)
    start = lab.page.evaluate(_of_model(lab, "plot.x_range", "start"))
    assert start < 0
    wait_in_kernel(lab, "plot.x_range.start", start)
    shown = lab.eval_in_kernel("int(source.to_df().hp.between(plot.x_range.start, plot.x_range.end).sum())")
    expect(readout).to_have_text(f"{shown} of {rows} cars in view")
    # a row that is selected in one widget is selected in the other, hidden or not
    tabs = example.output("tabs")
    tabs.get_by_role("tab", name="Table").click()
    row = tabs.locator(".slick-row").nth(3)
    row.click()
    wait_in_kernel(lab, "monthly.selected.indices", [3])
    example.picture("table")
    tabs.get_by_role("tab", name="Plot").click()
    example.plots("tabs", 1)
    selected = f"{REPLICAS}.map(r => r.document.get_model_by_id('{lab.eval_in_kernel('monthly.id')}')?.selected.indices).filter(i => i)"
    wait_in_page(lab, selected, [[3], [3]])
    # interact changes the document
    example.drag(example.output("interact").locator(".widget-slider .noUi-handle"), 80)
    wait_in_kernel(lab, "'over 14 days' not in sea.title.text", True)
    example.picture("interacted")
    lab.exec_in_kernel("close_all()")
    wait_in_page(lab, f"{REPLICAS}.length", 0)
    _wait_bokeh(lab, 0, 0)


def test_lifecycle(lab: NotebookPage) -> None:
    example = Example(lab, "04_lifecycle")
    example.run("plot", "count")
    for _ in range(4):
        example.run("open")
        example.plots("open", 1)
    example.run("opened")
    assert lab.eval_in_kernel("counts.opened[['widgets', 'documents', 'comms']].tolist()") == [1, 1, 2]
    wait_in_page(lab, f"{REPLICAS}.length", 1)
    example.picture("opened")
    example.run("update")
    wait_in_page(lab, f"{REPLICAS}[0].document.roots()[0].title.text", lab.eval_in_kernel("widget.roots[0].title.text"))
    example.plots("open", 1)
    assert lab.eval_in_kernel("counts['after ten updates'].tolist() == counts.opened.tolist()")
    example.run("close")
    assert lab.eval_in_kernel("counts.closed.tolist()") == [0, 0, 0, 1]
    wait_in_page(lab, f"{REPLICAS}.length", 0)
    example.run("replicas")
    expect(example.output("replicas")).to_contain_text("BokehJS documents in this page: 0")
    _wait_bokeh(lab, 0, 0)
    example.picture("closed")


def test_session_lifecycle(lab: NotebookPage) -> None:
    example = Example(lab, "10_session_lifecycle")
    for run in range(2):
        lab.run_all()
        for cell in ("first", "second", "third"):
            example.plots(cell, 1)
        expect(example.output("closed")).to_contain_text(f"3 open, {3 * run} closed so far")
        wait_in_page(lab, f"{REPLICAS}.length", 3)
    expect(example.output("third")).to_contain_text(re.compile(r"reading \d+:"))  # a callback prints under its plot
    example.picture("run")
    # the cells that open sessions, run again, leave as many as there were
    for _ in range(4):
        example.run("first", "second")
    example.run("again")
    expect(example.output("again")).to_contain_text("3 open, 11 closed so far")
    for cell in ("first", "second", "third"):
        example.plots(cell, 1)
    wait_in_page(lab, f"{REPLICAS}.length", 3)
    # the slider for the period, and the one for the points
    example.drag(example.output("first").locator(".bk-Slider .noUi-handle").first, 60)
    period = lab.page.evaluate(_of_model(lab, "s1.period", "value"))
    assert period > 1
    wait_in_kernel(lab, "s1.callback_period", period)
    example.drag(example.output("second").locator(".bk-Slider .noUi-handle").nth(1), 60)
    wait_in_kernel(lab, "s2.turns > 250", True)
    turns = lab.eval_in_kernel("s2.turns")
    wait_in_page(lab, _of_model(lab, "s2.source", "get_length()"), turns)
    # the button in the plot
    example.output("third").get_by_role("button", name="Close").click()
    wait_in_kernel(lab, "[s1.is_open, s2.is_open, s3.is_open]", [True, True, False])
    wait_in_page(lab, f"{REPLICAS}.length", 2)
    example.run("closed")
    expect(example.output("closed")).to_contain_text("2 open, 12 closed so far")
    example.picture("closed")
    lab.exec_in_kernel("__import__('bokeh_widget').widget.unused_session_lifetime_ms = 50")
    lab.clear_all_outputs()
    wait_in_kernel(lab, "[len(sessions()), len(released)]", [0, 14])
    _wait_bokeh(lab, 0, 0)


def test_lifecycle_hooks(lab: NotebookPage) -> None:
    example = Example(lab, "13_lifecycle_hooks")
    for _ in range(2):
        lab.run_all()
        example.plots("first", 1)
        example.plots("second", 1)
        wait_in_page(lab, f"{REPLICAS}.length", 2)
        expect(example.output("first")).to_contain_text("on_session_created")
        expect(example.output("refused")).to_contain_text("SessionRefusedError: the application Monitor destroyed")
        life = [line.partition(":")[0] for line in example.output("life").inner_text().split("\n") if line]
        hooks = ["on_server_loaded", "on_session_created", "3 sessions", "on_session_destroyed", "on_server_unloaded"]
        assert life == [*hooks, "2 sessions"]
        assert lab.eval_in_kernel("len(sessions())") == 2
    # one producer: both show the same readings, and go on
    sources = "[w.document.get_model_by_name('load') for w in (first, second)]"
    wait_in_kernel(lab, f"min(len(source.data['time']) for source in {sources}) > 8", True)
    assert lab.eval_in_kernel(f"len({{tuple(source.data['time'][-5:]) for source in {sources}}})") == 1
    expect(example.output("first")).to_contain_text("Session 1 of 2")
    expect(example.output("second")).to_contain_text("Session 2 of 2")
    # the slider is the session's own
    example.drag(example.output("first").locator(".bk-Slider .noUi-handle"), -40)
    spans = "[w.document.select_one({'type': DataRange1d}).follow_interval for w in (first, second)]"
    lab.exec_in_kernel("from bokeh.models import DataRange1d")
    wait_in_kernel(lab, f"{spans}[0] < 60_000 == {spans}[1]", True)
    example.picture("run")
    # a session that ends leaves the producer and the other one alone
    example.run("first")
    example.plots("first", 1)
    expect(example.output("first")).to_contain_text("on_session_destroyed")
    expect(example.output("first")).to_contain_text("Session 2 of 2")
    expect(example.output("second")).to_contain_text("Session 1 of 2")
    assert lab.eval_in_kernel(f"min(len(source.data['time']) for source in {sources}) > 8")
    lab.exec_in_kernel("first.close()\nsecond.close()")
    wait_in_kernel(lab, "len(sessions())", 0)
    _wait_bokeh(lab, 0, 0)


# these run twice in JupyterLab
_NOT_HERE: Final = ("11_programmatic_apps", "12_app_formats", "14_two_way_callbacks", "15_export")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in _NOT_HERE])
def test_runs_twice_in_one_kernel(name: str, tmp_path: Path) -> None:
    with Kernel(tmp_path) as kernel:
        counts = []
        for _ in range(2):
            for cell in _read(name)["cells"]:
                if cell["cell_type"] == "code":
                    kernel.ok("".join(cell["source"]), cell_id=cell["id"])
            counts.append(kernel.value(COUNTS))
        assert counts[0] == counts[1]
        print(counts[1])


def test_programmatic_apps(lab: NotebookPage) -> None:
    example = Example(lab, "11_programmatic_apps")
    example.run_until("routes")
    listening = lab.eval_in_kernel(PORTS)
    example.run("cluster")
    assert lab.eval_in_kernel(PORTS) == listening  # neither Dask nor a dashboard listens
    example.run("workers", "dask")
    for cell in ("line", "circles", "wave", "routes", "workers", "dask"):
        example.plots(cell, 1)
    wait_in_page(lab, f"{_of_name('circles', 'get_length()')} > 10", True)
    example.run("work")
    expect(example.output("work")).to_contain_text("3.14")
    # while the cell waited, both plots were told what the workers do
    saturated = lab.eval_in_kernel(f"{WORKERS}.data['saturated']")
    idle = lab.eval_in_kernel(f"{WORKERS}.data['idle']")
    assert max(saturated) == 1
    assert {0, 3, 4} <= set(idle)
    wait_in_page(lab, f"{_of_name('workers', 'data.saturated')}.includes(1)", True)
    wait_in_page(
        lab,
        f"{REPLICAS}.flatMap(r => [...r.document._all_models.values()]).some(model => model.data?.worker?.length >= 150)",
        True,
    )
    example.picture("work")
    # the routes of Dask's dashboard are tabs
    for tab, selector in [("/progress", ".bk-Figure:visible"), ("/workers", ".bk-DataTable:visible")]:
        example.output("dask").get_by_text(tab, exact=True).click()
        expect(example.output("dask").locator(selector).first).to_be_visible()
        example.picture(tab.strip("/"))
    example.run("end", "left")
    wait_in_page(lab, f"{REPLICAS}.length", 4)
    expect(example.output("left").locator("tbody tr")).to_have_count(4)
    example.picture("end")
    example.run_again()
    expect(example.output("left").locator("tbody tr")).to_have_count(4)


def test_app_formats(lab: NotebookPage) -> None:
    example = Example(lab, "12_app_formats")
    lab.run_all()
    for cell in ("script", "planets", "again", "notebook", "several"):
        example.plots(cell, 1)
    expect(example.output("planets")).to_contain_text("planets: session created, 0 open")
    expect(example.output("again")).to_contain_text("planets: session created, 1 open")
    assert lab.text(example.index("trace")).splitlines() == [
        "planets: loaded, 0 sessions",
        "planets: session created, 0 open",
        "planets: session created, 1 open",
        "planets: session destroyed, 1 open",
        "planets: session destroyed, 0 open",
        "planets: unloaded, 0 sessions",
    ]
    wait_in_page(lab, f"{_of_name('planets', 'data.x[0]')} !== 0.387", True)
    theme = (
        f"{REPLICAS}.map(r => r.document.roots()[0].background_fill_color).filter(color => color === '#101828').length"
    )
    wait_in_page(lab, theme, 2)
    example.picture("run")
    example.run_again()
    # the script's button, and the second application of the tabs, with arguments of its own
    titles = f"{REPLICAS}.map(r => r.document.roots()[0].children?.[1].title.text)"
    wait_in_page(lab, f"{titles}.includes('379 commits on Sat')", True)
    example.output("script").get_by_role("button", name="Next day").click()
    wait_in_page(lab, f"{titles}.includes('428 commits on Sun')", True)
    example.output("several").get_by_text("/commits", exact=True).click()
    expect(example.output("several").get_by_role("button", name="Next day")).to_be_visible()
    example.plots("several", 1)
    wait_in_page(lab, f"{titles}.includes('718 commits on Fri')", True)
    example.output("notebook").get_by_role("button", name="silver").click()
    example.picture("changed")


def test_two_way_callbacks(lab: NotebookPage) -> None:
    example = Example(lab, "14_two_way_callbacks")
    lab.run_all()
    example.plots("app", 1)
    example.run_again()
    [plot] = example.plots("app", 1).all()
    output = example.output("app")
    before = output.locator(".bk-Div").first.inner_text()
    # one slider: CustomJS moves the box, Python counts what is in it
    example.drag(output.locator(".bk-RangeSlider .noUi-handle").last, 100)
    top = lab.page.evaluate(_of_model(lab, "target", "top"))
    assert top > 180
    wait_in_kernel(lab, "[target.top, limits.value[1]]", [top, top])
    share = lab.eval_in_kernel("f'{pd.Series(source.data[\"glucose\"]).between(70, limits.value[1]).mean():.0%}'")
    expect(output.locator(".bk-Div").first).to_have_text(f"{share} of the readings are in range")
    assert share not in before
    # what is selected with the mouse is told by Python
    example.drag(plot.locator(".bk-events"), 150, 20)
    wait_in_kernel(lab, "len(source.selected.indices) > 0", True)
    expect(output.locator(".bk-Div").last).to_contain_text(
        f"{lab.eval_in_kernel('len(source.selected.indices)')} selected"
    )
    example.picture("selected")
    # interact puts another day into the same plot, and the callbacks of the document answer
    example.drag(example.output("interact").locator(".widget-slider .noUi-handle"), 80)
    wait_in_kernel(lab, "plot.title.text != days[0]", True)
    wait_in_page(lab, _of_model(lab, "plot", "title.text"), lab.eval_in_kernel("plot.title.text"))
    expect(output.locator(".bk-Div").last).to_have_text("Nothing selected")
    wait_in_kernel(lab, "plot.x_range.end - plot.x_range.start < 2 * 24 * 3600 * 1000", True)  # one day fills the plot
    expect(output.locator(".bk-Div").first).to_have_text(lab.eval_in_kernel("share.text"))
    example.run("state")
    expect(example.output("state")).to_contain_text(f"'target': (70, {top})")
    example.picture("interacted")


def test_export(lab: NotebookPage) -> None:
    example = Example(lab, "15_export")
    example.run("plot")
    [plot] = example.plots("plot", 1).all()
    example.drag(plot.locator(".bk-events"), 120)
    wait_in_kernel(lab, "plot.x_range.start < 1860", True)
    lab.run_all()
    picture = example.output("png").locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 500
    expect(example.output("page")).to_contain_text("plot.html: ")
    expect(example.output("roots")).to_contain_text("Figure")
    expect(example.output("saved")).to_contain_text("text/html")
    example.plots("plot", 1)
    example.picture("run")
    example.run_again()
    folder = f"__import__('pathlib').Path.cwd() / {'exported'!r}"
    assert lab.eval_in_kernel(f"sorted(path.name for path in ({folder}).iterdir())") == [
        "plot.html",
        "plot.png",
        "plot.svg",
    ]


def test_themes(lab: NotebookPage) -> None:
    example = Example(lab, "16_themes")
    lab.run_all()
    example.plots("follows", 2)
    example.plots("dark", 1)
    example.plots("own", 1)
    colours = (
        "[plots[0].background_fill_color, named.roots[0].background_fill_color, own.roots[0].background_fill_color]"
    )
    wait_in_kernel(lab, colours, ["#ffffff", "#2C001E", "#fdf6e3"])
    expect(example.output("follows").get_by_role("figure", name="Two sets of points")).to_be_visible()
    example.drag(example.output("follows").locator(".bk-Slider .noUi-handle"), 120)
    wait_in_page(lab, f"{_of_model(lab, 'plots[0].renderers[0].glyph', 'size.value')} > 10", True)
    example.picture("light")
    try:
        lab.page.evaluate(CHANGE_THEME, "JupyterLab Dark")
        wait_in_kernel(lab, colours, ["#20262B", "#2C001E", "#fdf6e3"])
        example.output("follows").get_by_role("button", name="Show data as table").first.press("Enter")
        example.picture("dark")
    finally:
        lab.page.evaluate(CHANGE_THEME, "JupyterLab Light")
    wait_in_kernel(lab, colours, ["#ffffff", "#2C001E", "#fdf6e3"])


# the others run in a kernel without one in the test above
@pytest.mark.parametrize("name", _NOT_HERE)
def test_runs_without_a_front_end(name: str, tmp_path: Path) -> None:
    _copy(name, tmp_path / "examples")
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path / "examples")}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("name", NAMES)
def test_is_stored_clean(name: str) -> None:
    notebook = _read(name)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
