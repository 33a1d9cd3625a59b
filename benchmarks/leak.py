"""What a cycle of opening and closing leaves, in the page and in the kernel.

Each pair of peer and case has a page and a kernel of its own. After a warm-up, and again after the cycles, garbage is
collected and everything is counted; the difference is divided by the number of cycles.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from tests.browser.harness import BokehCounts, bokeh_counts, dom_counters, heap_used

from .page import peer_page, wait_until_idle
from .peers import EMPTY, JUPYTER_BOKEH, OURS, SERVER, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer, NotebookPage

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER, EMPTY)
_SHOW = 1
_GRACE_MS: Final = 100
"""Longer than the grace period that the set-up gives a plot without a view: what changes, changes within it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a plot goes.

    Attributes
    ----------
    name : str
        Its name in the table.
    cell : str
        The cell after the set-up.
    cycle : callable
        Opens a plot and lets it go; ``cycle(lab, peer)``.
    """

    name: str
    cell: str
    cycle: Callable[[NotebookPage, Peer], None]


def _show(lab: NotebookPage, peer: Peer) -> None:
    lab.run(_SHOW)
    lab.output(_SHOW).locator(peer.painted).first.wait_for(state="attached")


def _close(lab: NotebookPage, peer: Peer) -> None:
    _show(lab, peer)
    # not in a cell: JupyterLab keeps hundreds of nodes of its own each time another cell becomes the active one
    lab.exec_in_kernel("close(held); held = None")
    wait_until_idle(lab, peer)


def _clear_output(lab: NotebookPage, peer: Peer) -> None:
    _show(lab, peer)
    lab.clear_output(_SHOW)
    wait_until_idle(lab, peer)


def _delete_cell(lab: NotebookPage, peer: Peer) -> None:
    lab.insert_cell(_SHOW, "hold(small);")
    _show(lab, peer)
    lab.delete_cell(_SHOW)
    wait_until_idle(lab, peer)


CASES: Final = (
    Case("close", "held = hold(small)", _close),
    Case("re-execution", "held = hold(small)", _show),
    Case("output clearing", "hold(small);", _clear_output),
    Case("cell deletion", "pass", _delete_cell),
)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is alive at one moment."""

    heap: int
    nodes: int
    listeners: int
    bokehjs: BokehCounts
    kernel: dict[str, int]

    def flat(self) -> dict[str, int]:
        """All numbers under one name each."""
        page = {"heap": self.heap, "nodes": self.nodes, "listeners": self.listeners}
        return {
            **page,
            **{f"js_{name}": count for name, count in asdict(self.bokehjs).items()},
            **{f"py_{name}": count for name, count in self.kernel.items()},
        }


@dataclass(frozen=True, slots=True)
class Leak:
    """What one case left of one peer."""

    case: str
    peer: str
    cycles: int
    per_cycle: dict[str, float] = field(default_factory=dict)
    at_end: dict[str, int] = field(default_factory=dict)


def wait_until_settled(lab: NotebookPage) -> None:
    """Wait until two countings in the kernel agree: what the page let go may go in the kernel a little later."""
    previous: dict[str, int] = {}
    while (found := lab.eval_in_kernel("{**counts(), 'rss': 0}")) != previous:
        previous = found
        lab.page.wait_for_timeout(_GRACE_MS)


def take_inventory(lab: NotebookPage) -> Inventory:
    """Collect garbage everywhere and count what is left."""
    # first the kernel: comms that close there free something in the page
    kernel = lab.eval_in_kernel("counts()")
    heap = heap_used(lab.page)
    dom = dom_counters(lab.page)
    bokehjs = sum(bokeh_counts(lab.page).values(), BokehCounts())
    return Inventory(heap, dom.nodes, dom.listeners, bokehjs, kernel)


def measure(
    server: JupyterServer,
    browser: Browser,
    peers: Sequence[Peer],
    *,
    cases: Sequence[Case] = CASES,
    cycles: int = 30,
    warm_up: int = 20,
) -> list[Leak]:
    """Measure every pair of case and peer.

    Parameters
    ----------
    server, browser
        Where.
    peers : sequence of Peer
        Compared in each case.
    cases : sequence of Case, optional
        All by default.
    cycles, warm_up : int, optional
        How many cycles are counted, and how many come before.
    """
    return [
        _measure_one(server, browser, case, peer, cycles=cycles, warm_up=warm_up) for case in cases for peer in peers
    ]


def _measure_one(server: JupyterServer, browser: Browser, case: Case, peer: Peer, *, cycles: int, warm_up: int) -> Leak:
    with peer_page(server, browser, peer, [case.cell]) as lab:
        # the first plot brings BokehJS and what it keeps for ever, once: count from there
        case.cycle(lab, peer)
        start = _take_away_and_count(lab, peer)
        for _ in range(warm_up):
            case.cycle(lab, peer)
        before = take_inventory(lab).flat()
        for _ in range(cycles):
            case.cycle(lab, peer)
        after = take_inventory(lab).flat()
        end = _take_away_and_count(lab, peer)
    # the part takes minutes, and its table comes at the end
    print(f"measured: {case.name}, {peer.name}", file=sys.stderr, flush=True)
    return Leak(
        case=case.name,
        peer=peer.name,
        cycles=cycles,
        per_cycle={name: (after[name] - before[name]) / cycles for name in after},
        at_end={name: end[name] - start[name] for name in end},
    )


def _take_away_and_count(lab: NotebookPage, peer: Peer) -> dict[str, int]:
    """Clear the output, let go of what a variable holds, and count what is left."""
    lab.clear_output(_SHOW)
    lab.exec_in_kernel("held = None")
    wait_until_idle(lab, peer)
    wait_until_settled(lab)
    return take_inventory(lab).flat()
