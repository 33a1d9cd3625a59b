"""The harness itself: each function proved with plain cells, so that a red test elsewhere is not the harness's."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.harness import (
    BokehCounts,
    CellError,
    JupyterServer,
    KernelError,
    Notebook7Page,
    NotebookPage,
    PageLog,
    PageProblemsError,
    ServerError,
    VoilaPage,
    bokeh_counts,
    chromium,
    collect_garbage,
    count_instances,
    dom_counters,
    heap_used,
    screenshot,
    websocket_frames,
)

if TYPE_CHECKING:
    from pathlib import Path

SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(description="speed", value=3)
slider
"""

TALL_CELLS = [f"print('row {i}\\n' * 40)" for i in range(12)]

WATCH_EVENTS = """
seen = []
ip = get_ipython()
for name in ('pre_execute', 'pre_run_cell', 'post_run_cell'):
    ip.events.register(name, lambda *_, name=name: seen.append(name))
42
"""


def test_lab_runs_and_edits_cells(lab: NotebookPage) -> None:
    """Running, reading, editing, moving and deleting cells of a notebook in JupyterLab."""
    lab.open(["x = 20", "print('x is', x + 1)", "raise RuntimeError('on purpose')"])
    assert lab.cell_count == 3
    assert lab.execution_count(0) is None
    lab.run(0)
    lab.run(1)
    assert lab.text(1) == "x is 21"
    assert lab.execution_count(1) == 2

    with pytest.raises(CellError, match="on purpose") as raised:
        lab.run(2)
    assert (raised.value.index, raised.value.ename) == (2, "RuntimeError")
    assert "\x1b" not in str(raised.value)
    with pytest.raises(CellError, match="on purpose"):
        lab.run_all()

    lab.set_cell_source(2, "print('mended')")
    assert lab.cell_source(2) == "print('mended')"
    lab.run_all()
    assert lab.text(2) == "mended"
    assert [lab.execution_count(i) for i in range(3)] == [7, 8, 9]

    lab.clear_output(1)
    assert lab.text(1) == ""
    assert lab.text(2) == "mended"
    lab.clear_all_outputs()
    assert lab.text(2) == ""

    moved = lab.cell_id(2)
    lab.move_cell(2, 0)
    assert lab.cell_id(0) == moved
    lab.delete_cell(0)
    assert [lab.cell_source(i) for i in range(lab.cell_count)] == ["x = 20", "print('x is', x + 1)"]
    lab.insert_cell(1, "x = 1")
    assert lab.cell_source(1) == "x = 1"

    assert lab.run_source("print('scratch', x)") == 3
    assert lab.text(3) == "scratch 20"
    assert lab.run_source("print('again')") == 3
    assert lab.text(3) == "again"
    with pytest.raises(Exception, match="none at index 9"):
        lab.run(9)


def test_eval_in_kernel_is_no_cell(lab: NotebookPage) -> None:
    """Evaluation beside the notebook counts no execution, leaves no history and belongs to no cell."""
    lab.open([WATCH_EVENTS])
    lab.run(0)
    lab.exec_in_kernel("seen.clear()")
    assert lab.eval_in_kernel("{'x': [1, 2.5, None], 'text': 'caf\\u00e9 \\'quoted\\''}") == {
        "x": [1, 2.5, None],
        "text": "café 'quoted'",
    }
    assert lab.eval_in_kernel("'long' * 100_000") == "long" * 100_000
    assert lab.eval_in_kernel("seen") == []
    assert lab.eval_in_kernel("list(Out.values())") == [42]
    assert lab.eval_in_kernel("ip.execution_count") == 2
    assert lab.eval_in_kernel("ip.get_parent()['metadata'].get('cellId', 'none')") == "none"
    lab.exec_in_kernel("y = 7")
    assert lab.eval_in_kernel("y") == 7
    with pytest.raises(KernelError, match="ZeroDivisionError"):
        lab.eval_in_kernel("1 / 0")
    with pytest.raises(KernelError, match="NameError"):
        lab.exec_in_kernel("unknown_name")
    assert lab.execution_count(0) == 1


def test_lab_kernel_lifecycle(lab: NotebookPage) -> None:
    """Interrupt, restart and shutdown."""
    lab.open(["import time\nprint('begun')\nwhile True:\n    time.sleep(0.01)", "print('alive')"])
    lab.start(0)
    expect(lab.output(0)).to_contain_text("begun")
    with pytest.raises(Exception, match=r"more than 0\.1 s"):
        lab.wait(0, timeout=0.1)
    lab.interrupt()
    with pytest.raises(CellError, match="KeyboardInterrupt"):
        lab.wait(0)

    assert lab.kernel_status == "idle"
    lab.exec_in_kernel("kept = 1")
    before = lab.kernel_id
    lab.restart_kernel()
    assert lab.kernel_id == before
    assert lab.eval_in_kernel("'kept' in globals()") is False
    lab.run(1)
    assert lab.text(1) == "alive"

    lab.shutdown_kernel()
    assert before not in lab.server.kernel_ids()
    with pytest.raises(KernelError, match="has no kernel"):
        lab.eval_in_kernel("1")


def test_lab_document_lifecycle(lab: NotebookPage) -> None:
    """Save, reload, close, reopen, and a second tab: the kernel lives on."""
    lab.open(["print('out')", "n = 5"])
    lab.run_all()
    kernel = lab.kernel_id
    lab.reload()
    assert lab.text(0) == "out"
    assert lab.kernel_id == kernel
    lab.close_notebook()
    assert lab.page.locator(".jp-Notebook").count() == 0
    lab.reopen()
    assert lab.kernel_id == kernel
    assert lab.eval_in_kernel("n") == 5
    tab = lab.open_tab()
    assert tab.page is not lab.page
    assert tab.kernel_id == kernel
    tab.page.close()


def test_lab_two_notebooks_in_one_page(lab: NotebookPage) -> None:
    """Two notebooks with two kernels beside each other; outputs are not mixed up."""
    lab.open(["print('left')", *TALL_CELLS])
    right = lab.open_beside(["print('right')"])
    assert right.kernel_id != lab.kernel_id
    lab.run(0)
    right.run(0)
    expect(lab.output(0)).to_have_text("left")
    expect(right.output(0)).to_have_text("right")
    # Without full windowing all cells are rendered, at heights that are estimated at first.
    lab.run_all()
    lab.scroll_to(9)
    expect(lab.output(9)).to_be_in_viewport()
    expect(lab.output(0)).not_to_be_in_viewport()
    expect(lab.output(0)).to_be_visible()


def test_lab_scrolls(lab: NotebookPage) -> None:
    """With full windowing, cells out of view are not rendered, and scrolling brings them."""
    lab.open(TALL_CELLS, windowing="full")
    lab.run_all()
    lab.scroll_to(0)
    expect(lab.output(0)).to_be_in_viewport()
    expect(lab.output(9)).to_be_hidden()
    lab.scroll_to(9)
    expect(lab.output(9)).to_be_in_viewport()
    expect(lab.output(0)).to_be_hidden()


def test_widget_frames(lab: NotebookPage) -> None:
    """The recorder sees an ipywidgets slider's comm messages each way, with their sizes."""
    lab.open([SLIDER, "slider.value = 50", "blob = ipywidgets.Image(value=bytes(1000)); blob"])
    with websocket_frames(lab.page, keep_content=True) as frames:
        lab.run(0)
        expect(lab.output(0)).to_contain_text("speed")
        opened = frames.of_type("comm_open", "received")
        # The slider, its layout and its style.
        assert len(opened) == 3
        model_id = lab.eval_in_kernel("slider.model_id")
        assert model_id in {message.comm_id for message in opened}

        frames.clear()
        lab.run(1)
        expect(lab.output(0)).to_contain_text("50")
        (update,) = frames.comm("received")
        assert (update.channel, update.msg_type, update.comm_id) == ("iopub", "comm_msg", model_id)
        assert update.binary
        assert update.content["data"]["state"] == {"value": 50}
        assert update.buffer_sizes == ()
        assert 0 < update.content_size < update.frame_size

        frames.clear()
        lab.output(0).locator(".noUi-handle").press("ArrowRight")
        lab.page.wait_for_function("() => document.querySelector('.widget-readout').textContent === '51'")
        wait_for_kernel(lab, "slider.value", 51)
        (sent,) = frames.comm("sent", comm_id=model_id)
        assert (sent.channel, sent.msg_type) == ("shell", "comm_msg")
        assert sent.content["data"]["state"] == {"value": 51}

        frames.clear()
        lab.run(2)
        expect(lab.output(2).locator("img")).to_have_count(1)
        assert [m.buffer_sizes for m in frames.comm("received") if m.buffer_sizes] == [(1000,)]
        assert frames.of_type("execute_request", "sent")
    assert frames.unparsed == []


def wait_for_kernel(page: NotebookPage, expression: str, value: object) -> None:
    """Wait until an expression in the kernel has a value."""
    deadline = time.monotonic() + 10
    while (found := page.eval_in_kernel(expression)) != value:
        assert time.monotonic() < deadline, f"{expression} is {found!r}, expected {value!r}"


def test_probes(lab: NotebookPage, tmp_path: Path) -> None:
    """Instances, DOM counters, heap and Bokeh counts follow what the page does."""
    lab.open(["print('probe')"])
    page = lab.page
    page.evaluate(
        """() => {
            class Base {}
            class Derived extends Base {}
            window.probe = { Base, kept: [new Base(), new Derived(), new Derived()] };
        }"""
    )
    assert count_instances(page, "probe.Base.prototype") == 3
    page.evaluate("() => { probe.kept.length = 1; }")
    assert count_instances(page, "probe.Base.prototype") == 1
    with pytest.raises(ValueError, match="prototype object"):
        count_instances(page, "probe.missing")

    collect_garbage(page)
    before, heap = dom_counters(page), heap_used(page)
    page.evaluate(
        """() => {
            probe.nodes = Array.from({ length: 500 }, () => {
                const node = document.createElement("b");
                node.addEventListener("click", () => undefined);
                return node;
            });
            probe.blob = Array.from({ length: 300_000 }, (_, i) => i + 0.5);
        }"""
    )
    collect_garbage(page)
    during = dom_counters(page)
    assert during.nodes - before.nodes == pytest.approx(500, abs=40)
    assert during.listeners - before.listeners == pytest.approx(500, abs=40)
    assert heap_used(page) - heap > 2_000_000
    page.evaluate("() => { delete probe.nodes; delete probe.blob; }")
    assert abs(heap_used(page) - heap) < 400_000
    assert dom_counters(page).nodes - before.nodes == pytest.approx(0, abs=40)

    assert bokeh_counts(page) == {}
    page.evaluate(FAKE_BOKEH)
    sources = {"window": "globalThis.Bokeh", "same": "globalThis.Bokeh", "none": "globalThis.missing?.bokeh()"}
    assert bokeh_counts(page, sources) == {"window": BokehCounts(documents=1, models=2, views=0)}
    assert BokehCounts(1, 2, 3) + BokehCounts(views=1) == BokehCounts(1, 2, 4)

    picture = screenshot(lab.cell(0), tmp_path / "shots" / "cell.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert screenshot(page, tmp_path / "page.png").stat().st_size > picture.stat().st_size


FAKE_BOKEH = """() => {
    class Document {}
    class HasProps {}
    class Model extends HasProps {}
    class View {}
    const modules = { document: { Document }, "core/has_props": { HasProps }, "core/view": { View } };
    window.Bokeh = { require: (name) => modules[name], alive: [new Document(), new Model(), new Model()] };
}"""


def test_page_problems_are_caught(lab: NotebookPage, page_errors: PageLog) -> None:
    """Page errors, console errors, failed requests and error statuses fail a test, unless it allows them."""
    lab.open([])
    page_errors.check()
    page = lab.page
    page.evaluate("() => { setTimeout(() => { throw new Error('boom'); }); }")
    page.evaluate("() => console.error('logged fault')")
    page.evaluate("() => fetch('/api/contents/missing.ipynb').then(() => undefined)")
    page.evaluate("() => fetch('https://example.invalid/x.js').catch(() => undefined)")
    page.evaluate("() => { setTimeout(() => alert('hello')); }")
    page.evaluate("() => new Promise(done => setTimeout(done))")
    wanted = {"page error", "console error", "http status", "failed request", "dialog"}
    assert {problem.kind for problem in page_errors.unexpected()} == wanted
    with pytest.raises(PageProblemsError, match="boom"), page_errors.checked():
        pass
    for pattern in ("boom", "logged fault", r"404.*missing\.ipynb", "dialog: alert", r"example\.invalid"):
        page_errors.allow(pattern, "provoked above")
    page_errors.allow("console error: Failed to load resource.*(missing|example)", "provoked above")
    page_errors.check()


def test_notebook7(notebook7: Notebook7Page) -> None:
    """The same page object drives Notebook 7."""
    notebook7.open(["x = 4", "print(x * 2)", SLIDER, "1 / 0"])
    notebook7.run(0)
    notebook7.run(1)
    assert notebook7.text(1) == "8"
    with websocket_frames(notebook7.page) as frames:
        notebook7.run(2)
        expect(notebook7.output(2)).to_contain_text("speed")
        assert len(frames.of_type("comm_open", "received")) == 3
    with pytest.raises(CellError, match="ZeroDivisionError"):
        notebook7.run(3)
    notebook7.clear_output(1)
    assert notebook7.text(1) == ""
    notebook7.move_cell(1, 0)
    assert notebook7.cell_source(0) == "print(x * 2)"
    notebook7.delete_cell(3)
    assert notebook7.cell_count == 3
    notebook7.scroll_to(2)
    assert notebook7.run_source("print('scratch')") == 3
    assert notebook7.text(3) == "scratch"
    assert notebook7.eval_in_kernel("x") == 4
    kernel = notebook7.kernel_id
    notebook7.reload()
    assert notebook7.kernel_id == kernel
    notebook7.close_notebook()
    notebook7.reopen()
    assert notebook7.eval_in_kernel("x") == 4
    notebook7.restart_kernel()
    assert notebook7.eval_in_kernel("'x' in globals()") is False
    notebook7.shutdown_kernel()
    assert notebook7.server.kernel_of(notebook7.path) is None
    with pytest.raises(NotImplementedError, match="one notebook per page"):
        notebook7.open_beside([])


def test_voila(voila: VoilaPage) -> None:
    """Voila runs the notebook, shows outputs and widgets, and the slider reaches its kernel."""
    voila.open(["print('from voila')", SLIDER])
    expect(voila.locator("body")).to_contain_text("from voila")
    expect(voila.output(0)).to_contain_text("from voila")
    expect(voila.output(1)).to_contain_text("speed")
    voila.locator(".noUi-handle").press("ArrowRight")
    expect(voila.locator(".widget-readout")).to_have_text("4")
    deadline = time.monotonic() + 10
    while voila.eval_in_kernel("slider.value") != 4:
        assert time.monotonic() < deadline


def test_server_is_isolated(jupyter: JupyterServer) -> None:
    """The server finds the harness's configuration only, and names what went wrong."""
    specs = jupyter.request("GET", "api/kernelspecs")["kernelspecs"]
    assert specs["python3"]["spec"]["display_name"] == "python3"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", jupyter.url)
    with pytest.raises(ServerError, match="404"):
        jupyter.request("GET", "api/contents/missing.ipynb")


def test_server_that_dies_shows_its_log() -> None:
    """A server that cannot start raises with the end of its log."""
    with pytest.raises(ServerError, match="no_such_module"):
        JupyterServer(env={"PYTHONSTARTUP": ""}, config={"ServerApp": {"contents_manager_class": "no_such_module.X"}})


def test_a_browser_that_is_measured_tells_nothing_of_the_network(jupyter: JupyterServer) -> None:
    """Playwright would be sent a copy of all that a websocket brings; a thread can have one Playwright alone."""

    def requests(*, watches_network: bool) -> int:
        with chromium(watches_network=watches_network) as browser:
            page, seen = browser.new_page(), list[str]()
            page.on("request", lambda request: seen.append(request.url))
            page.goto(f"{jupyter.url}api")
            expect(page.locator("body")).to_contain_text("version")
            return len(seen)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(requests, watches_network=True).result() > 0
        assert pool.submit(requests, watches_network=False).result() == 0
