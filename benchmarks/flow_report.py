"""The table of the flow parts: one row for each number and peer, with its ratio to the best peer and to the floor."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from .peers import FLOOR, OURS, OURS_WHOLE, TRANSFER
from .report import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .replace import Replaced
    from .size import PatchCost
    from .slider import Slid
    from .stream import Streamed

FLOW_PARTS: Final = ("stream", "replace", "slider", "size")
_REFERENCES: Final = (OURS.name, OURS_WHOLE.name, FLOOR.name, TRANSFER.name)
"""Not peers to be the best of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one peer.

    Attributes
    ----------
    measure : str
        What it is, with its unit.
    peer : str
        Whose.
    value : float or None
        The median of the rounds; None if it was given up.
    more_is_better : bool
        Whether the best is the largest.
    note : str
        What else has to be known.
    """

    measure: str
    peer: str
    value: float | None
    more_is_better: bool = False
    note: str = ""


def rows_of(parts: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Turn the results of the flow parts into rows.

    Parameters
    ----------
    parts : mapping
        Results by the name of the part.
    """
    return [
        *_stream_rows(parts.get("stream", ())),
        *_replace_rows(parts.get("replace", ())),
        *_slider_rows(parts.get("slider", ())),
        *_size_rows(parts.get("size", ())),
    ]


def flow_table(rows: Sequence[Row]) -> str:
    """Lay the rows out, one block for each measure."""
    lines = [["measure", "by", "median", "to best peer", "to floor", "note"]]
    for measure in dict.fromkeys(row.measure for row in rows):
        block = [row for row in rows if row.measure == measure]
        best = best_peer(block)
        floor = next((row for row in block if row.peer == FLOOR.name), None)
        lines += [
            [row.measure, row.peer, _number(row.value), _ratio(row, best), _ratio(row, floor), row.note]
            for row in block
        ]
    return table(lines)


def best_peer(block: Iterable[Row]) -> Row | None:
    """Give the row of the best of the peers: neither ours nor a floor."""
    peers = [(row.value, row) for row in block if row.value is not None and row.peer not in _REFERENCES]
    if not peers:
        return None
    choose = max if peers[0][1].more_is_better else min
    return choose(peers, key=lambda peer: peer[0])[1]


def _number(value: float | None) -> str:
    return "gave up" if value is None else f"{value:,.2f}"


def _ratio(row: Row, other: Row | None) -> str:
    if other is None or row.value is None or not other.value:
        return ""
    return f"{row.value / other.value:.2f}"


def _median(values: Sequence[float | None]) -> float | None:
    """Give the median; one that was given up counts as longer than all others."""
    ordered = sorted(values, key=lambda value: (value is None, value or 0))
    known = [value for value in values if value is not None]
    middle = ordered[len(ordered) // 2]
    return median(known) if len(known) == len(values) else middle


def _faults(found: Sequence[Streamed]) -> str:
    """Say what got lost or changed, on which side."""
    words = []
    for side in ("browser", "python"):
        worst: dict[str, int] = {}
        for one in found:
            for name, count in (getattr(one, side) or {}).items():
                if name != "rows":
                    worst[name] = max(count, worst.get(name, 0))
        wrong = [f"{count:,} {name}" for name, count in worst.items() if count]
        if wrong:
            words.append(f"{side}: {', '.join(wrong)}")
    return "; ".join(words) or "every row"


def _stream_rows(results: Sequence[Streamed]) -> list[Row]:
    rows = []
    for mode in dict.fromkeys(one.mode for one in results):
        of_mode = [one for one in results if one.mode == mode]
        groups = {
            peer: [one for one in of_mode if one.peer == peer] for peer in dict.fromkeys(one.peer for one in of_mode)
        }
        rows += [
            Row(f"{mode}: lag ms", peer, _median([one.lag_ms for one in group]), note=_faults(group))
            for peer, group in groups.items()
        ]
        if mode.startswith("60 Hz"):
            rows += [
                Row(
                    f"{mode}: states painted per s",
                    peer,
                    median(one.states_per_second for one in group),
                    more_is_better=True,
                    note=f"{median(one.updates_per_second for one in group):.0f} updates/s",
                )
                for peer, group in groups.items()
            ]
        for name, unit, divisor in (
            ("cpu_ms", "kernel CPU ms per update", 1),
            ("rss_growth", "kernel RSS growth MB", 1e6),
            ("heap_growth", "page heap growth MB", 1e6),
        ):
            if name != "cpu_ms" and not (mode.startswith("60 Hz") and "1000" in mode):
                continue
            rows += [
                Row(f"{mode}: {unit}", peer, median(getattr(one, name) / divisor for one in group))
                for peer, group in groups.items()
                if group[0].cpu_ms is not None or name == "heap_growth"
            ]
    return rows


def _replace_rows(results: Sequence[Replaced]) -> list[Row]:
    return [
        Row(f"replace {one.what}: ms to painted", one.peer, _median(one.times_ms))
        for what in dict.fromkeys(one.what for one in results)
        for one in results
        if one.what == what
    ]


def _slider_rows(results: Sequence[Slid]) -> list[Row]:
    rows = [Row("slider: round trip ms", one.peer, _median(one.times_ms)) for one in results]
    for one in results:
        if one.busy is not None:
            busy = one.busy
            note = (
                f"{'right' if busy.is_right else 'WRONG'}; {busy.callbacks} callbacks of {busy.events} events; "
                f"{busy.clicks} of {busy.clicks_made} clicks"
            )
            # who ends with another value has not settled, however fast
            settled = busy.settled_ms if busy.is_right else None
            rows.append(Row("slider, busy kernel: settled after ms", one.peer, settled, note=note))
    return rows


def _size_rows(results: Sequence[PatchCost]) -> list[Row]:
    rows = []
    for side, name in (("kernel", "kernel_ms"), ("page", "page_ms")):
        for models in dict.fromkeys(one.models for one in results):
            for one in results:
                value = getattr(one, name)
                if one.models == models and value is not None:
                    rows.append(
                        Row(
                            f"patch among {models:,} models: {side} CPU ms",
                            one.peer,
                            value,
                            note=_growth(one, results, name),
                        )
                    )
    return rows


def _growth(one: PatchCost, results: Sequence[PatchCost], name: str) -> str:
    """Compare with the smallest document of the same peer."""
    smallest = min((other for other in results if other.peer == one.peer), key=lambda other: other.models)
    if smallest.models == one.models:
        return ""
    return f"{getattr(one, name) / getattr(smallest, name):.2f} times that of {smallest.models}"
