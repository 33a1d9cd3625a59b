"""Bytes and messages for each change, in both directions.

A message is a frame of a websocket: a comm message of the kernel with its buffers, or a frame of the Bokeh server.
Its size is that of the whole frame. Status messages of the kernel are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .page import RUN_TIMEOUT_S, peer_page
from .peers import JUPYTER_BOKEH, OURS, SERVER, Peer
from .wire import Traffic, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER)
_SHOW, _CHANGE = 1, 2
_TWO_PAINTINGS: Final = """async () => {
    for (let i = 0; i < 2; i++) {
        await new Promise(resolve => requestAnimationFrame(resolve));
    }
    await new Promise(resolve => setTimeout(resolve));
}"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, made in the kernel or in the page, and how the page shows that all of it has arrived."""

    name: str
    python: str
    javascript: str
    arrived: str


def changes(points: int) -> list[Change]:
    """Give the changes, in the order in which they are made.

    Parameters
    ----------
    points : int
        How many points the plot has.
    """
    title = "document.get_model_by_name('plot').title.text"
    rows = "document.get_model_by_name('source').data.x.length"
    first = "document.get_model_by_name('source').data.y[0]"
    return [
        Change("one property", "plot.title.text = 'changed'", "", f"{title} === 'changed'"),
        Change(
            "stream of 10 rows", "source.stream({'x': [0.0] * 10, 'y': [1.0] * 10})", "", f"{rows} === {points + 10}"
        ),
        Change(
            f"data = {points} points",
            f"source.data = {{'x': np.arange({points}.0), 'y': np.full({points}, 7.0)}}",
            "",
            f"{rows} === {points} && {first} === 7",
        ),
        Change("slider event", "", "document.get_model_by_name('slider').value = 5", f"{title} === 'value 5'"),
    ]


@dataclass(frozen=True, slots=True)
class PatchTraffic:
    """What one change cost one peer."""

    change: str
    peer: str
    to_page: Traffic
    to_kernel: Traffic


def measure(
    server: JupyterServer, browser: Browser, peers: Sequence[Peer], *, points: int = 1_000_000
) -> list[PatchTraffic]:
    """Make each change once for each peer, the display of the plot being the first.

    Parameters
    ----------
    server, browser
        Where.
    peers : sequence of Peer
        Those without a document are left out.
    points : int, optional
        How many points the plot has.
    """
    return [found for peer in peers if peer.document for found in _measure_one(server, browser, peer, points)]


def _measure_one(server: JupyterServer, browser: Browser, peer: Peer, points: int) -> list[PatchTraffic]:
    found = []
    cells = [f"prepare({points})\nheld = hold(lambda: with_slider({points}))", ""]
    with peer_page(server, browser, peer, cells) as lab:
        # BokehJS comes with the first document of a kernel, once; it is not counted
        lab.run_source("prepare(10)\nwarm = hold(lambda: with_slider(10))")
        lab.page.wait_for_function(f"() => {{ const document = {peer.document}; return document?.is_idle; }}")
        lab.page.evaluate(f"() => {{ globalThis.__benchmark.warm = new WeakRef({peer.document}); }}")
        lab.clear_output(lab.cell_count - 1)
        lab.exec_in_kernel("close(warm); del warm")
        with recorded(lab.page) as wire:

            def note(change: str) -> None:
                frames = wire.take()
                found.append(
                    PatchTraffic(change, peer.name, Traffic.of(frames, "received"), Traffic.of(frames, "sent"))
                )

            def wait_for(condition: str) -> None:
                lab.page.wait_for_function(
                    f"() => {{ const document = {peer.document}; return {condition}; }}",
                    timeout=1000 * RUN_TIMEOUT_S,
                )
                # an acknowledgement follows the painting; what is on its way back then has arrived when the kernel has
                # answered once more
                lab.page.evaluate(_TWO_PAINTINGS)
                lab.run_source("pass")

            lab.run_source("pass")
            wire.take()
            lab.run(_SHOW, timeout=RUN_TIMEOUT_S)
            wait_for("document !== __benchmark.warm.deref() && document?.get_model_by_name('plot') && document.is_idle")
            note(f"display of {points} points")
            for change in changes(points):
                if change.python:
                    lab.set_cell_source(_CHANGE, f"def function():\n    {change.python}\nchange(function)")
                    lab.run(_CHANGE, timeout=RUN_TIMEOUT_S)
                else:
                    lab.page.evaluate(f"() => {{ const document = {peer.document}; {change.javascript}; }}")
                wait_for(change.arrived)
                note(change.name)
    return found
