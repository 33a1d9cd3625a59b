"""What one property costs in a document of few and of many models: time of the processor, in kernel and page.

The property is one that no view looks at, so that the page has nothing to paint: what is left is the patch. The change
is made again and again, alone each time. What the loop itself costs, measured in the same way without a
change, is taken off on both sides.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.browser.harness import cdp

from .page import flow_page, forgiving, run_free, show
from .peers import FLOOR, JUPYTER_BOKEH, OURS, PANEL, PUSH, SERVER, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import NotebookPage

    from .page import Servers

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER, PUSH, PANEL, FLOOR)
SIZES: Final = (50, 5000)
QUICK_SIZES: Final = (50, 200)
_INTERVAL_MS: Final = 25
_GIVE_UP_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class PatchCost:
    """What one patch cost one peer in a document of so many models, in milliseconds of the processor.

    Attributes
    ----------
    peer : str
        Who.
    models : int
        How many.
    kernel_ms : float or None
        All threads of the kernel; None without one.
    page_ms : float
        The tasks of the page's main thread.
    """

    peer: str
    models: int
    kernel_ms: float | None
    page_ms: float


def measure(
    servers: Servers,
    browser: Browser,
    peers: Sequence[Peer],
    *,
    sizes: Sequence[int] = SIZES,
    patches: int = 200,
) -> list[PatchCost]:
    """Measure each peer for each size, in a page and kernel of its own.

    Parameters
    ----------
    servers, browser
        Where.
    peers : sequence of Peer
        Who.
    sizes : sequence of int, optional
        How many models the document has.
    patches : int, optional
        How many patches one number is the mean of.
    """
    found = []
    for peer in peers:
        for models in sizes:
            with forgiving(peer), flow_page(servers.of(peer), browser, peer) as lab:
                show(lab, peer, f"make_crowd({models})")
                measured = _in_page(lab, peer, patches) if peer.embeds else _in_kernel(lab, peer, patches)
                found.append(PatchCost(peer.name, models, *measured))
                print(f"measured: {found[-1]}", file=sys.stderr, flush=True)
    return found


def _in_page(lab: NotebookPage, peer: Peer, patches: int) -> tuple[None, float]:
    def run(count: int) -> None:
        lab.page.evaluate(
            f"([count, interval]) => __flow.set_notes({peer.document}, count, interval)", [count, _INTERVAL_MS]
        )

    run(patches // 10 + 1)  # compiled
    with _watched(lab) as load:
        idle = load(lambda: lab.page.wait_for_timeout(patches * _INTERVAL_MS))
        busy = load(lambda: run(patches))
    return None, busy.over(idle) / patches


def _in_kernel(lab: NotebookPage, peer: Peer, patches: int) -> tuple[float, float]:
    cpu_ms = {}

    def run(what: str, count: int) -> None:
        run_free(lab, f"task = asyncio.ensure_future(notes.{what}({count}, {_INTERVAL_MS / 1000}))")
        if what == "pause":
            lab.page.wait_for_timeout(count * _INTERVAL_MS)
        else:
            lab.page.wait_for_function(
                f"last => {peer.document}.get_model_by_name('note').start === last",
                arg=count - 1,
                timeout=1000 * _GIVE_UP_S,
                polling=_INTERVAL_MS,
            )

    def note(what: str) -> None:
        while not lab.eval_in_kernel("notes.done"):
            lab.page.wait_for_timeout(_INTERVAL_MS)
        cpu_ms[what] = lab.eval_in_kernel("notes.cpu_ms")

    run_free(lab, "notes = Notes(change)")
    run("set", patches // 10 + 1)  # compiled
    note("warm-up")
    with _watched(lab) as load:
        idle = load(lambda: run("pause", patches))
        note("pause")
        busy = load(lambda: run("set", patches))
        note("set")
    return cpu_ms["set"] - cpu_ms["pause"], busy.over(idle) / patches


@dataclass(frozen=True, slots=True)
class _Load:
    """What the main thread worked, within what time."""

    task_ms: float
    elapsed_ms: float

    def over(self, idle: _Load) -> float:
        """Tell how much more it worked than when it was idle for as long."""
        return self.task_ms - idle.task_ms * self.elapsed_ms / idle.elapsed_ms


@contextmanager
def _watched(lab: NotebookPage) -> Iterator[Callable[[Callable[[], object]], _Load]]:
    """Yield a function that tells how much the page works while something is done."""
    with cdp(lab.page) as session:
        session.send("Performance.enable")  # Chromium counts from here

        def task_ms() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return float(1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

        def load(work: Callable[[], object]) -> _Load:
            before, begun = task_ms(), time.monotonic()
            work()
            return _Load(task_ms() - before, 1000 * (time.monotonic() - begun))

        yield load
