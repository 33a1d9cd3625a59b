"""A slider in the page whose callback in the kernel writes the title: round trips, idle and with a busy kernel."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from .page import flow_page, forgiving, run_free, show
from .peers import FLOOR, JUPYTER_BOKEH, OURS, PANEL, SERVER, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import NotebookPage

    from .page import Servers

PEERS: Final = (OURS, JUPYTER_BOKEH, SERVER, PANEL, FLOOR)
CALLBACK_S: Final = 0.05
_GIVE_UP_MS: Final = 15_000
_QUIET_MS: Final = 1000
"""Nothing happened for so long: no callback runs any more."""
_MOST_LOOKS: Final = 60


@dataclass(frozen=True, slots=True)
class Busy:
    """What became of many events that came while each callback took long.

    Attributes
    ----------
    settled_ms : float
        From the last event until the title changed for the last time and the last callback ended.
    is_right : bool
        Whether the title said the last value in the end.
    callbacks : int
        How often the slider's callback was called.
    late_callbacks : int
        How many of these calls ended after the last event.
    clicks, clicks_made : int
        How often the button's callback was called, and how often the button was clicked.
    events : int
        How many values the slider had.
    """

    settled_ms: float
    is_right: bool
    callbacks: int
    late_callbacks: int
    clicks: int
    clicks_made: int
    events: int


@dataclass(frozen=True, slots=True)
class Slid:
    """The round trips of one peer, in milliseconds, and its busy second; None for those without a kernel."""

    peer: str
    times_ms: list[float | None]
    busy: Busy | None

    @property
    def median_ms(self) -> float | None:
        """The median, None if a round trip was given up."""
        times = [time for time in self.times_ms if time is not None]
        return median(times) if len(times) == len(self.times_ms) else None


def measure(
    servers: Servers,
    browser: Browser,
    peers: Sequence[Peer],
    *,
    trips: int = 50,
    events: int = 200,
    clicks: int = 50,
    milliseconds: int = 1000,
) -> list[Slid]:
    """Measure each peer whose page reaches the kernel, in a page and kernel of its own.

    Parameters
    ----------
    servers, browser
        Where.
    peers : sequence of Peer
        Who.
    trips : int, optional
        Round trips, after one that is thrown away.
    events, clicks, milliseconds : int, optional
        Of the busy part: events of the slider, clicks between them, and within what time.
    """
    found = []
    for peer in peers:
        with forgiving(peer), flow_page(servers.of(peer), browser, peer) as lab:
            run_free(lab, "controls = Controls()")
            show(lab, peer, "controls.make()")
            if peer.embeds:
                lab.page.evaluate(f"() => __flow.follow_slider({peer.document})")
            slide = f"([value, limit]) => __flow.slide({peer.document}, value, limit)"
            times = [lab.page.evaluate(slide, [value, _GIVE_UP_MS]) for value in range(1, trips + 2)]
            busy = None if peer.embeds else _busy(lab, peer, events, clicks, milliseconds)
            found.append(Slid(peer.name, times[1:], busy))
            print(f"measured: {found[-1]}", file=sys.stderr, flush=True)
    return found


def _busy(lab: NotebookPage, peer: Peer, events: int, clicks: int, milliseconds: int) -> Busy:
    first = 1000
    run_free(lab, f"controls.sleep_s = {CALLBACK_S}; controls.calls.clear(); controls.clicks = 0")
    lab.page.evaluate(f"() => __flow.record_titles({peer.document})")
    times = lab.page.evaluate(
        f"options => __flow.burst({peer.bokeh}, {peer.document}, options)",
        {"first": first, "events": events, "clicks": 0, "milliseconds": milliseconds},
    )
    calls, titles = _wait_until_quiet(lab)
    settled_ms = max([0, *calls["calls"], *(at for _, at in titles)]) - times["last"]
    is_right = bool(titles) and titles[-1][0] == f"value {first + events - 1}"
    # once more with clicks between: each of them keeps the value before it from being joined with the one after it
    lab.page.evaluate(
        f"options => __flow.burst({peer.bokeh}, {peer.document}, options)",
        {"first": first + events, "events": events, "clicks": clicks, "milliseconds": milliseconds},
    )
    clicked, _ = _wait_until_quiet(lab)
    return Busy(
        settled_ms=settled_ms,
        is_right=is_right,
        callbacks=len(calls["calls"]),
        late_callbacks=sum(at > times["last"] for at in calls["calls"]),
        clicks=clicked["clicks"],
        clicks_made=clicks,
        events=events,
    )


def _wait_until_quiet(lab: NotebookPage) -> tuple[dict[str, Any], list[Any]]:
    """Look at both sides until they stay as they are."""
    look = "{'calls': controls.calls, 'clicks': controls.clicks}"
    before: object = None
    for _ in range(_MOST_LOOKS):
        calls = lab.eval_in_kernel(look, timeout=_MOST_LOOKS)
        titles = lab.page.evaluate("() => __flow.titles")
        if (calls, titles) == before:
            break
        before = (calls, titles)
        lab.page.wait_for_timeout(_QUIET_MS)
    return calls, titles
