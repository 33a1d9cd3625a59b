"""Replacing all data: from the assignment in the kernel until painted.

Beside the peers stand BokehJS alone, which is given the same typed arrays in the page, and the transfer alone: a comm
message with the same bytes, until the page has it. The clock of the page and that of the kernel are the machine's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from playwright.sync_api import TimeoutError as NotInTime

from tests.browser.harness import collect_garbage

from .page import FREE, flow_page, forgiving, run_free, show
from .peers import FLOOR, IPYMPL, JUPYTER_BOKEH, OURS, OURS_WHOLE, PANEL, PLOTLY, PUSH, SERVER, TRANSFER, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import NotebookPage

    from .page import Servers

PEERS: Final = (OURS, OURS_WHOLE, JUPYTER_BOKEH, SERVER, PUSH, PANEL, PLOTLY, IPYMPL, TRANSFER, FLOOR)
_GIVE_UP_MS: Final = 30_000
_COLOR: Final = "#1357a5"

What = Literal["points", "image"]
SIZES: Final[dict[What, int]] = {"points": 1_000_000, "image": 2000}
QUICK_SIZES: Final[dict[What, int]] = {"points": 10_000, "image": 200}


@dataclass(frozen=True, slots=True)
class Replaced:
    """The times of one peer, in milliseconds, oldest first; None for what was not painted in time."""

    what: str
    peer: str
    times_ms: list[float | None] = field(default_factory=list)

    @property
    def median_ms(self) -> float | None:
        """The median, None if a round was given up."""
        times = [time for time in self.times_ms if time is not None]
        return median(times) if len(times) == len(self.times_ms) else None


def measure(
    servers: Servers,
    browser: Browser,
    peers: Sequence[Peer],
    *,
    sizes: dict[What, int] | None = None,
    rounds: int = 5,
) -> list[Replaced]:
    """Measure each peer in a page and kernel of its own for points, and in another for an image.

    Parameters
    ----------
    servers, browser
        Where.
    peers : sequence of Peer
        Who.
    sizes : dict, optional
        How many points, and the side of the image.
    rounds : int, optional
        Measurements, after one that is thrown away.
    """
    found = []
    for what, size in (SIZES if sizes is None else sizes).items():
        for peer in peers:
            with forgiving(peer):
                found.append(_measure_one(servers, browser, peer, what, size, rounds=rounds))
                print(f"measured: {found[-1]}", file=sys.stderr, flush=True)
    return found


def _measure_one(servers: Servers, browser: Browser, peer: Peer, what: What, size: int, *, rounds: int) -> Replaced:
    with flow_page(servers.of(peer), browser, peer) as lab:
        _prepare(lab, peer, what, size)
        times = [_replace(lab, peer, what, size, number) for number in range(1, rounds + 2)]
    return Replaced(what, peer.name, times[1:])


def _prepare(lab: NotebookPage, peer: Peer, what: What, size: int) -> None:
    if peer is TRANSFER:
        lab.page.evaluate("path => __flow.listen(path, 'benchmark')", lab.path)
    make = "make_image()" if what == "image" else f"make_line({_COLOR!r}, fixed=True)"
    show(lab, peer, make)
    if peer.document:
        column = "y" if what == "points" else "image"
        lab.page.evaluate(
            f"""([mark, column]) => {{
                const source = {peer.document}.get_model_by_name("source");
                const read = () => __flow.last(column === "y" ? source.data.y : source.data.image[0]);
                __flow.watch(mark, read);
            }}""",
            [_COLOR if what == "points" else size, column],
        )
    elif peer.watch:
        lab.page.evaluate(peer.watch)
    if not peer.embeds:
        run_free(lab, "replacing = Replacing(change, assign)")


def _replace(lab: NotebookPage, peer: Peer, what: What, size: int, number: int) -> float | None:
    if peer.embeds:
        lab.page.evaluate(f"([size, number]) => __flow.make_{what}(size, number)", [size, number])
    collect_garbage(lab.page)
    if peer.embeds:
        started = lab.page.evaluate(f"() => __flow.replace({peer.document})")
    else:
        lab.exec_in_kernel("collect()")
        lab.set_cell_source(FREE, f"replacing.{what}({size}, {number})")
        lab.start(FREE)
    try:
        lab.page.wait_for_function(
            "number => __flow.painted(number) !== null", arg=number, timeout=_GIVE_UP_MS, polling=50
        ).dispose()
    except NotInTime:
        return None
    if not peer.embeds:
        lab.wait(FREE)
        started = 1000 * lab.eval_in_kernel("replacing.started")
    return float(lab.page.evaluate("number => __flow.painted(number)", number)) - float(started)
