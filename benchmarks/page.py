"""A notebook of one peer, ready to be measured."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.browser.harness import JupyterServer, NotebookPage

from .peers import PEER_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser

    from .peers import Peer

_PAINT_SCRIPT: Final = Path(__file__).with_name("paint.js")
RUN_TIMEOUT_S: Final = 120.0


def make_server() -> JupyterServer:
    """Start a Jupyter server in which the peers are installed beside what the environment has."""
    return JupyterServer(
        env={"PYTHONPATH": str(PEER_PACKAGES)},
        labextensions=[PEER_PACKAGES / "share" / "jupyter" / "labextensions"],
    )


@contextmanager
def peer_page(server: JupyterServer, browser: Browser, peer: Peer, cells: Sequence[str]) -> Iterator[NotebookPage]:
    """Yield an open notebook in which the set-up of a peer has run; problems of the page are raised at the end.

    Parameters
    ----------
    server, browser
        Where.
    peer : Peer
        Whose set-up is cell 0.
    cells : sequence of str
        The cells after it.
    """
    with NotebookPage.fresh(server, browser) as lab:
        lab.page.add_init_script(path=_PAINT_SCRIPT)
        origin = f"http://{urlsplit(server.url).netloc}"
        lab.open([f"import os\nos.environ['BENCHMARK_ORIGIN'] = {origin!r}\n{peer.source}", *cells])
        lab.run(0, timeout=RUN_TIMEOUT_S)
        if peer.document.startswith("globalThis.Bokeh"):
            lab.page.wait_for_function("() => globalThis.Bokeh?.documents !== undefined")
        yield lab
        lab.log.check()


def wait_until_idle(lab: NotebookPage, peer: Peer) -> None:
    """Wait until the page has freed what it frees by itself."""
    if peer.idle:
        lab.page.wait_for_function(f"() => {peer.idle}")
