"""A callback that is interrupted, and a line that is cut: the cell says so, and everything is current afterwards."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import pytest
import websocket
from jupyter_client.session import Session
from playwright.sync_api import expect

from tests.browser.faults import CHANNELS
from tests.browser.harness import cdp
from tests.browser.test_truth import assert_equal, change_all, open_document
from tests.browser.waiting import REPLICAS, TIMEOUT_S, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Route, WebSocketRoute

    from tests.browser.harness import NotebookPage, PageLog


@pytest.fixture(params=["lab", "notebook7"])
def notebook(request: pytest.FixtureRequest) -> NotebookPage:
    """Give a page of each front end in which a user runs cells, newly opened: its sockets are routed."""
    page: NotebookPage = request.getfixturevalue(request.param)
    return page


def test_an_interrupt_while_a_callback_is_at_work_leaves_all_equal(shared_lab: NotebookPage, tmp_path: Path) -> None:
    """Whether it ends the callback, or does not reach it: JupyterLab has comms handled by a subshell, a thread."""
    lab, entered = shared_lab, tmp_path / "entered"
    open_document(
        lab,
        f"""
import pathlib
go = threading.Event()
def slow(attr, old, new):
    if new == 50:
        pathlib.Path({str(entered)!r}).touch()
        go.wait(60)
        plot.title.text = "after it"
slider.on_change("value", slow)""",
    )
    lab.run(1)
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 50 }}")
    deadline = time.monotonic() + TIMEOUT_S
    while not entered.exists():  # the kernel may answer nobody while its callback is at work
        assert time.monotonic() < deadline
        lab.page.wait_for_timeout(20)
    lab.interrupt()
    lab.exec_in_kernel("go.set()")
    wait_in_kernel(lab, "slider.value", 50)
    assert_equal(lab)
    change_all(6, lab)


class Cable:
    """The sockets between a page and its kernels, which can be cut for as long as a test likes.

    Jupyter Server ends its kernels when it ends. So what a page sees of a server that starts again, with the kernel
    alive, is made in this way: sockets that break on both sides, and neither sockets nor requests that get through.
    """

    def __init__(self, page: NotebookPage) -> None:
        self.is_cut = False
        self._sockets: list[WebSocketRoute] = []
        page.page.route_web_socket(CHANNELS, self._connect)
        page.page.route("**/api/**", self._request)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            socket.close(code=4000)
        else:
            self._sockets += [socket, socket.connect_to_server()]

    def _request(self, route: Route) -> None:
        if self.is_cut:
            route.abort("connectionrefused")
        else:
            route.continue_()

    def cut(self) -> None:
        """Break the sockets; new ones break, too."""
        self.is_cut = True
        while self._sockets:
            self._sockets.pop().close(code=4000)

    def mend(self) -> None:
        """Let new sockets pass."""
        self.is_cut = False


DOCUMENTS_SENT: Final = "[client.documents_sent for client in w.stats.clients]"
SESSION: Final = """path => [...window.jupyterapp.shell.widgets("main")]
    .find((panel) => panel.context?.path == path).sessionContext.session"""


def _lose_what_the_server_keeps(notebook: NotebookPage) -> None:
    """Have Jupyter Server throw away what it keeps for the page: another one has a look at the kernel meanwhile."""
    address = notebook.server.page_url(f"api/kernels/{notebook.kernel_id}/channels?session_id=another")
    socket = websocket.create_connection(address.replace("http", "ws", 1), timeout=TIMEOUT_S)
    session = Session()
    socket.send(json.dumps({**session.msg("kernel_info_request"), "channel": "shell", "buffers": []}, default=str))
    socket.recv()  # it is connected by now
    socket.close()


def test_a_line_that_is_cut_is_said_and_everything_is_current_when_it_is_back(
    notebook: NotebookPage, page_errors: PageLog
) -> None:
    broken = "WebSocket|Connection lost|Canceled future|Kernel connection|ERR_CONNECTION_REFUSED|Failed to fetch"
    page_errors.allow(broken, "sockets are broken on purpose")
    cable = Cable(notebook)
    open_document(notebook)
    change_all(3, notebook)
    said = notebook.output(0).locator(".bokeh-widget-connection")
    expect(said).to_be_hidden()
    slider = f"{REPLICAS}[0].document.get_model_by_name('slider')"
    session = f"({SESSION})({json.dumps(notebook.path)})"

    def change(number: int) -> None:
        notebook.exec_in_kernel(f"plot.title.text = 'while it was cut {number}'; stream()")
        notebook.page.evaluate(f"() => {{ {slider}.value = {number} }}")

    def is_current(number: int) -> None:
        expect(said).to_be_hidden()
        wait_in_page(notebook, model_value("plot", "title.text"), f"while it was cut {number}")
        wait_in_kernel(notebook, "slider.value", number)
        assert_equal(notebook)
        change_all(number + 1, notebook)

    cable.cut()
    expect(said).to_contain_text("Disconnected")
    change(40)
    cable.mend()
    notebook.page.evaluate(f"() => {{ void {session}.kernel.reconnect() }}")
    is_current(40)

    # cut for so long that the server has thrown away what it kept for the page
    cable.cut()
    expect(said).to_contain_text("Disconnected")
    change(50)
    _lose_what_the_server_keeps(notebook)
    notebook.exec_in_kernel("for _ in range(300): stream()")
    before = notebook.eval_in_kernel(DOCUMENTS_SENT)
    cable.mend()
    notebook.page.evaluate(f"() => {{ void {session}.kernel.reconnect() }}")
    is_current(50)
    assert notebook.eval_in_kernel(DOCUMENTS_SENT) > before

    # and until the page has given up, for which JupyterLab takes a minute
    attempts = notebook.page.evaluate(f"() => {session}.kernel._reconnectLimit")
    notebook.page.evaluate(f"() => {{ {session}.kernel._reconnectLimit = 0 }}")
    cable.cut()
    expect(said).to_contain_text('Choose "Reconnect to Kernel" in the Kernel menu')
    notebook.page.evaluate(f"() => {{ {session}.kernel._reconnectLimit = {attempts} }}")
    change(60)
    cable.mend()
    notebook.page.evaluate("() => { void window.jupyterapp.commands.execute('kernelmenu:reconnect-to-kernel') }")
    is_current(60)


def test_a_page_that_is_frozen_during_a_stream_is_current_when_it_wakes(shared_notebook: NotebookPage) -> None:
    """As the browser freezes what is in the background, and a laptop everything.

    Chromium freezes no page that is seen, so the debugger holds this one: no script of it runs, and its line is open.
    """
    notebook = shared_notebook
    open_document(notebook)
    change_all(3, notebook)
    held: list[str] = []
    with cdp(notebook.page) as devtools:
        devtools.on("Debugger.paused", lambda _: held.append("held"))
        devtools.send("Debugger.enable")
        devtools.send("Debugger.pause")
        notebook.exec_in_kernel("plot.title.text = 'while it was frozen'\nthread.start()")
        wait_in_kernel(notebook, "rows[0] > 800", True)
        assert held
        devtools.send("Debugger.resume")
        devtools.send("Debugger.disable")
    wait_in_page(notebook, model_value("plot", "title.text"), "while it was frozen")
    notebook.exec_in_kernel("stop.set(); thread.join()")
    assert_equal(notebook)
    change_all(4, notebook)
