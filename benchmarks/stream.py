"""Streaming: how far the page is behind, how many states it paints, what an update costs, and what gets lost.

Each row carries a number that counts up, so that missing, doubled, disordered and changed rows are counted on both
sides. The lag is the time from the last update in the kernel until its state has been painted, as in the display part:
the second animation frame after the stroke. The clock of the page and that of the kernel are the machine's.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from playwright.sync_api import TimeoutError as NotInTime

from tests.browser.harness import heap_used, next_frame

from .page import flow_page, forgiving, run_free, show
from .peers import FLOOR, JUPYTER_BOKEH, OURS, PANEL, PUSH, SERVER, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import NotebookPage

    from .page import Servers

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER, PUSH, PANEL, FLOOR)
ROLLOVER: Final = 100_000
GIVE_UP_S: Final = 15.0
_MOST_S: Final = 40.0
"""A peer that is slower than that makes fewer updates."""
_PATIENCE_S: Final = 120.0
_LOOK_S: Final = 2.0
_COLOR: Final = "#1357a5"


@dataclass(frozen=True, slots=True)
class Mode:
    """How rows are streamed.

    Attributes
    ----------
    name : str
        Its name in the table.
    how : {"rate", "loop", "cell"}
        From a task at a rate, from a task that only yields to the event loop, from a cell that blocks it.
    count : int
        Rows of one update.
    updates : int
        How many.
    hertz : float
        The rate; 0 if there is none.
    """

    name: str
    how: Literal["rate", "loop", "cell"]
    count: int
    updates: int
    hertz: float = 0


MODES: Final = (
    Mode("60 Hz, 10 rows", "rate", 10, 600, 60),
    Mode("60 Hz, 1000 rows", "rate", 1000, 600, 60),
    Mode("cell, 10 rows", "cell", 10, 2000),
    Mode("cell, 1000 rows", "cell", 1000, 2000),
    Mode("loop, 10 rows", "loop", 10, 2000),
    Mode("loop, 1000 rows", "loop", 1000, 2000),
)
QUICK_MODES: Final = (Mode("60 Hz, 10 rows", "rate", 10, 30, 60), Mode("cell, 10 rows", "cell", 10, 50))


@dataclass(frozen=True, slots=True)
class Streamed:
    """One run.

    Attributes
    ----------
    mode, peer : str
        Of what.
    lag_ms : float or None
        From the last update until painted; None if it was not within :data:`GIVE_UP_S`.
    states_per_second : float
        Distinct states painted between the first and the last update.
    updates_per_second : float
        What the kernel reached.
    cpu_ms : float or None
        Processor time of the kernel for each update; None without a kernel.
    browser, python : dict
        Rows, and how many are missing, doubled, disordered and wrong; None without a kernel.
    rss_growth, heap_growth : int
        Bytes more in the kernel and in the page than before, garbage collected.
    """

    mode: str
    peer: str
    lag_ms: float | None
    states_per_second: float
    updates_per_second: float
    cpu_ms: float | None
    browser: dict[str, int]
    python: dict[str, int] | None
    rss_growth: int
    heap_growth: int


def measure(
    servers: Servers, browser: Browser, peers: Sequence[Peer], *, modes: Sequence[Mode] = MODES, rounds: int = 1
) -> list[Streamed]:
    """Measure every peer in every mode, each in a page and kernel of its own.

    Parameters
    ----------
    servers, browser
        Where.
    peers : sequence of Peer
        Those with a document.
    modes : sequence of Mode, optional
        All by default.
    rounds : int, optional
        How often.
    """
    found = []
    for _ in range(rounds):
        for mode in modes:
            for peer in peers:
                with forgiving(peer):
                    found.append(_measure_one(servers, browser, peer, mode))
                    print(f"measured: {found[-1]}", file=sys.stderr, flush=True)
    return found


def _measure_one(servers: Servers, browser: Browser, peer: Peer, mode: Mode) -> Streamed:
    with flow_page(servers.of(peer), browser, peer) as lab:
        show(lab, peer, f"make_line({_COLOR!r}, fixed=False)")
        lab.page.evaluate(
            f"""color => {{
                const source = {peer.document}.get_model_by_name("source");
                __flow.watch(color, () => __flow.last(source.data.x));
            }}""",
            _COLOR,
        )
        heap, rss = heap_used(lab.page), lab.eval_in_kernel("counts()")["rss"]
        times = _stream_in_page(lab, peer, mode) if peer.embeds else _stream_in_kernel(lab, mode)
        total = round(times["updates"]) * mode.count
        painted = lab.page.evaluate("last => __flow.painted(last)", total - 1)
        lag = None if painted is None or painted - times["last"] > 1000 * GIVE_UP_S else painted - times["last"]
        states = lab.page.evaluate("() => __flow.states()")
        seconds = (times["last"] - times["started"]) / 1000
        # what the page sends back has arrived
        next_frame(lab.page)
        lab.run_source("pass")
        rows = lab.page.evaluate(
            f"([total, rollover]) => __flow.faults({peer.document}, total, rollover)", [total, ROLLOVER]
        )
        return Streamed(
            mode=mode.name,
            peer=peer.name,
            lag_ms=lag,
            states_per_second=len({state for state, at in states if state is not None and at <= times["last"]})
            / seconds,
            updates_per_second=(times["updates"] - 1) / seconds,
            cpu_ms=times.get("cpu_ms"),
            browser=rows,
            python=None if peer.embeds else lab.eval_in_kernel("stream.faults()"),
            rss_growth=lab.eval_in_kernel("counts()")["rss"] - rss,
            heap_growth=heap_used(lab.page) - heap,
        )


def _stream_in_page(lab: NotebookPage, peer: Peer, mode: Mode) -> dict[str, float]:
    options = {
        "how": mode.how,
        "count": mode.count,
        "rollover": ROLLOVER,
        "updates": mode.updates,
        "hertz": mode.hertz,
    }
    times: dict[str, float] = lab.page.evaluate(f"options => __flow.stream({peer.document}, options)", options)
    _wait_until_painted(lab, mode.count * mode.updates, _GIVE_UP_MS)
    return {**times, "updates": mode.updates}


_GIVE_UP_MS: Final = 1000 * GIVE_UP_S


def _stream_in_kernel(lab: NotebookPage, mode: Mode) -> dict[str, float]:
    run_free(lab, f"stream = Stream(change, {mode.count}, {ROLLOVER}, {_MOST_S})")
    begun = time.monotonic()
    arguments = f"{mode.updates}, {mode.hertz}" if mode.how == "rate" else f"{mode.updates}"
    call = f"stream.{mode.how}({arguments})"
    run_free(lab, call if mode.how == "cell" else f"task = asyncio.ensure_future({call})")
    updates: float = mode.updates
    # the kernel is asked seldom, since the question costs it time, too
    while not _wait_until_painted(lab, round(updates) * mode.count, 1000 * _LOOK_S):
        times = _report(lab)
        if times["finished"] > 0:
            updates = times["updates"]
        is_over = times["finished"] > 0 and 1000 * time.time() > times["last"] + _GIVE_UP_MS
        if is_over or time.monotonic() - begun > _PATIENCE_S:
            return times
    return _report(lab)


def _report(lab: NotebookPage) -> dict[str, float]:
    report: dict[str, float] = lab.eval_in_kernel("stream.report()", timeout=_PATIENCE_S)
    return report


def _wait_until_painted(lab: NotebookPage, total: int, timeout_ms: float) -> bool:
    try:
        lab.page.wait_for_function(
            "last => __flow.painted(last) !== null", arg=total - 1, timeout=timeout_ms, polling=100
        ).dispose()
    except NotInTime:
        return False
    return True
