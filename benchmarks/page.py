"""A notebook of one peer, ready to be measured."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from bokeh.util.paths import bokehjs_path
from playwright.sync_api import Error as PlaywrightError

from tests.browser.harness import JupyterServer, KernelError, NotebookPage, next_frame

from .peers import OURS, OURS_WHOLE, PEER_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser

    from .peers import Peer

_SCRIPTS: Final = [Path(__file__).with_name(name) for name in ("paint.js", "flow.js")]
_IN_KERNEL: Final = Path(__file__).with_name("in_kernel.py")
_SHOW: Final = 2
FREE: Final = 3
"""The cell of a flow page that :func:`run_free` uses."""
RUN_TIMEOUT_S: Final = 120.0


def make_server(packages: Path = PEER_PACKAGES, *, is_ours: bool = True) -> JupyterServer:
    """Start a Jupyter server in which the peers of a folder are installed beside what the environment has.

    Parameters
    ----------
    packages : Path, optional
        The folder.
    is_ours : bool, optional
        Whether the server has the extension that bokeh_widget brings, as it does where bokeh_widget is installed.
    """
    return JupyterServer(
        config={} if is_ours else {"ServerApp": {"jpserver_extensions": {"bokeh_widget": False}}},
        env={"PYTHONPATH": str(packages)},
        labextensions=[packages / "share" / "jupyter" / "labextensions"],
    )


class Servers:
    """A Jupyter server for each folder of peers, as without bokeh_widget, started when the first of them is measured.

    Parameters
    ----------
    ours : JupyterServer
        That of bokeh_widget.
    """

    def __init__(self, ours: JupyterServer) -> None:
        self._ours = ours
        self._others: dict[Path, JupyterServer] = {}

    def __enter__(self) -> Self:
        """Return the servers."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop those that were started here."""
        for server in self._others.values():
            server.close()

    def of(self, peer: Peer) -> JupyterServer:
        """Give the server of a peer."""
        if peer in {OURS, OURS_WHOLE}:
            return self._ours
        if peer.packages not in self._others:
            self._others[peer.packages] = make_server(peer.packages, is_ours=False)
        return self._others[peer.packages]


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
        for script in _SCRIPTS:
            lab.page.add_init_script(path=script)
        origin = f"http://{urlsplit(server.url).netloc}"
        lab.open([f"import os\nos.environ['BENCHMARK_ORIGIN'] = {origin!r}\n{peer.source}", *cells])
        lab.run(0, timeout=RUN_TIMEOUT_S)
        if peer.embeds:
            for name in ("bokeh", "bokeh-widgets"):
                lab.page.add_script_tag(path=bokehjs_path() / "js" / f"{name}.min.js")
        if peer.document.startswith("globalThis.Bokeh"):
            lab.page.wait_for_function("() => globalThis.Bokeh?.documents !== undefined")
        yield lab
        if not peer.package:
            lab.log.check()
        for problem in lab.log.unexpected():
            print(f"the page of {peer.name}: {problem!s:.200}", file=sys.stderr)


@contextmanager
def flow_page(server: JupyterServer, browser: Browser, peer: Peer) -> Iterator[NotebookPage]:
    """Yield an open notebook in which a peer and ``in_kernel.py`` are set up; cell :data:`FREE` is free to use.

    Parameters
    ----------
    server, browser
        Where.
    peer : Peer
        Who.
    """
    with peer_page(server, browser, peer, [_IN_KERNEL.read_text(encoding="utf-8") + peer.foreign, "", ""]) as lab:
        lab.run(1)
        yield lab


@contextmanager
def forgiving(peer: Peer) -> Iterator[None]:
    """Let a peer of another package fail without ending the run: it has no row then."""
    try:
        yield
    except (PlaywrightError, KernelError, AssertionError) as error:
        if not peer.package:
            raise
        print(f"{peer.name} failed: {error!s:.500}", file=sys.stderr, flush=True)


def run_free(lab: NotebookPage, source: str, *, timeout: float = RUN_TIMEOUT_S) -> None:
    """Run source in the free cell."""
    lab.set_cell_source(FREE, source)
    lab.run(FREE, timeout=timeout)


def show(lab: NotebookPage, peer: Peer, make: str, *, timeout: float = RUN_TIMEOUT_S) -> None:
    """Show a plot of ``in_kernel.py`` and wait until the page has it.

    Parameters
    ----------
    lab, peer
        Of :func:`flow_page`.
    make : str
        Python expression that makes it.
    timeout : float, optional
        Seconds.
    """
    lab.set_cell_source(_SHOW, f"held = hold(lambda: {make})")
    lab.run(_SHOW, timeout=timeout)
    if peer.embeds:
        item = lab.eval_in_kernel("embedded", timeout=timeout)
        lab.page.evaluate("item => Bokeh.embed.embed_item(item).then(() => undefined)", item)
    if peer.document:
        # laid out; a document of Panel is never idle
        lab.page.wait_for_function(
            f"() => {peer.document}?.get_model_by_name('plot')?.inner_width > 0", timeout=1000 * timeout
        )
    elif peer.painted:
        lab.output(_SHOW).locator(peer.painted).first.wait_for()
    # what the page computes first, ranges and sizes, has reached the kernel
    next_frame(lab.page)
    run_free(lab, "pass")


def wait_until_idle(lab: NotebookPage, peer: Peer) -> None:
    """Wait until the page has freed what it frees by itself."""
    if peer.idle:
        lab.page.wait_for_function(f"() => {peer.idle}")
