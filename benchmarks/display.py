"""Time from running the cell to painted.

The clock is the page's. It starts when the page is told to run the cell and stops at the second animation frame after
the canvas was stroked in the colour of this run's line: the first such frame shows the stroke, the second begins when
it is done. Nothing polls. The data are made before, BokehJS is loaded before, garbage is collected before in the
kernel. Not so in the page: a collection that is forced there throws compiled code away with the last plot of its
kind, which nobody's page does between two cells, and which costs only those who free what they have shown. Afterwards,
with the clock stopped, pixels of the colour must be on a canvas of the page.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from tests.browser.harness import next_frame

from .page import peer_page, wait_until_idle
from .peers import EMPTY, JUPYTER_BOKEH, OURS, SERVER, STROKE, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer, NotebookPage

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER, STROKE)
SIZES: Final = (10_000, 100_000, 1_000_000)
_CELL, _CLOSE = 1, 2


@dataclass(frozen=True, slots=True)
class DisplayTime:
    """The times of one peer for one number of points, in milliseconds, oldest first."""

    peer: str
    points: int
    times_ms: list[float]

    @property
    def median_ms(self) -> float:
        """The median."""
        return median(self.times_ms)


def measure(
    server: JupyterServer, browser: Browser, peers: Sequence[Peer], *, sizes: Sequence[int] = SIZES, rounds: int = 7
) -> list[DisplayTime]:
    """Measure all peers in interleaved rounds, each in a page and kernel of its own.

    Parameters
    ----------
    server, browser
        Where.
    peers : sequence of Peer
        In this order in the first round; each round begins with the next one.
    sizes : sequence of int, optional
        Numbers of points.
    rounds : int, optional
        Measurements of each pair of peer and size, after one that is thrown away.
    """
    peers = [peer for peer in peers if peer is not EMPTY]
    times: dict[tuple[str, int], list[float]] = {(peer.name, size): [] for peer in peers for size in sizes}
    with ExitStack() as stack:
        pages = {
            peer.name: stack.enter_context(peer_page(server, browser, peer, ["", "close(held); held = None"]))
            for peer in peers
        }
        for page in pages.values():
            page.exec_in_kernel("\n".join(f"prepare({size})" for size in sizes))
        for number in range(rounds + 1):
            first = number % len(peers)
            for size in sizes:
                for peer in [*peers[first:], *peers[:first]]:
                    elapsed = _measure_one(pages[peer.name], peer, size, number)
                    if number > 0:
                        times[peer.name, size].append(elapsed)
    return [DisplayTime(peer, points, found) for (peer, points), found in times.items()]


def _measure_one(lab: NotebookPage, peer: Peer, size: int, number: int) -> float:
    # its own colour, so that nothing painted before is taken for it
    color = f"#{size.bit_length():02x}{number + 1:02x}a5"
    lab.set_cell_source(_CELL, f"held = hold(lambda: line({size}, {color!r}))")
    lab.exec_in_kernel("collect()")
    next_frame(lab.page)
    elapsed = float(
        lab.page.evaluate(
            "([path, index, color]) => __benchmark.time_to_paint(path, index, color)", [lab.path, _CELL, color]
        )
    )
    lab.wait(_CELL)
    if not lab.page.evaluate("color => __benchmark.shows(color)", color):
        message = f"{peer.name} stroked {color}, but no canvas shows it"
        raise AssertionError(message)
    lab.run(_CLOSE)
    lab.clear_output(_CELL)
    wait_until_idle(lab, peer)
    return elapsed
