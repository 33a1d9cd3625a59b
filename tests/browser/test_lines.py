"""A callback that is interrupted, and a line that is cut: the cell says so, and everything is current afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.faults import CHANNELS
from tests.browser.test_truth import assert_equal, change_all, open_document
from tests.browser.waiting import REPLICAS, TIMEOUT_S, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import WebSocketRoute

    from tests.browser.harness import NotebookPage, PageLog


def test_an_interrupt_while_a_callback_is_at_work_leaves_all_equal(lab: NotebookPage, tmp_path: Path) -> None:
    """Whether it ends the callback, or does not reach it: JupyterLab has comms handled by a subshell, a thread."""
    entered = tmp_path / "entered"
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
    """The sockets between a page and its kernels, which can be cut for as long as a test likes."""

    def __init__(self, page: NotebookPage) -> None:
        self.is_cut = False
        self._sockets: list[WebSocketRoute] = []
        page.page.route_web_socket(CHANNELS, self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        if self.is_cut:
            socket.close(code=4000)
            return
        socket.connect_to_server()
        self._sockets.append(socket)

    def cut(self) -> None:
        """Break the sockets; new ones break, too."""
        self.is_cut = True
        while self._sockets:
            self._sockets.pop().close(code=4000)

    def mend(self) -> None:
        """Let new sockets pass."""
        self.is_cut = False


def test_a_line_that_is_cut_is_said_and_everything_is_current_when_it_is_back(
    lab: NotebookPage, page_errors: PageLog
) -> None:
    page_errors.allow("WebSocket|Connection lost|Canceled future|Kernel connection", "sockets are broken on purpose")
    cable = Cable(lab)
    open_document(lab)
    change_all(3, lab)
    said = lab.output(0).locator(".bokeh-widget-connection")
    expect(said).to_be_hidden()
    cable.cut()
    expect(said).to_contain_text("Disconnected")
    lab.exec_in_kernel("plot.title.text = 'while it was cut'; stream()")
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 42 }}")
    cable.mend()
    lab.page.evaluate(
        """path => [...window.jupyterapp.shell.widgets("main")]
            .find((panel) => panel.context?.path == path).sessionContext.session.kernel.reconnect()""",
        lab.path,
    )
    expect(said).to_be_hidden()
    wait_in_page(lab, model_value("plot", "title.text"), "while it was cut")
    wait_in_kernel(lab, "slider.value", 42)
    assert_equal(lab)
    change_all(4, lab)
