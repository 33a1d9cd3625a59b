"""What flow control promises, and whether it holds in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .flow_report import Row, best_peer, rows_of
from .peers import FLOOR, JUPYTER_BOKEH, OURS, TRANSFER
from .report import line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAG_AT_RATE_MS: Final = 100
_LAG_AT_FULL_RATE_MS: Final = 300
_CPU_OF_BEST: Final = 0.25
_REPLACE_OF_FLOOR: Final = 1.3
_SLIDER_OF_PEER: Final = 0.6
_CALLBACKS_TO_SETTLE: Final = 2
_GROWTH: Final = 1.5


def flow_verdicts(parts: Mapping[str, Sequence[Any]]) -> list[str]:
    """Say for each promise that this run can judge whether it holds.

    Parameters
    ----------
    parts : mapping
        Results by the name of the part.
    """
    rows = rows_of(parts)
    blocks = {row.measure: [other for other in rows if other.measure == row.measure] for row in rows}
    lines: list[str] = []
    for measure, block in blocks.items():
        ours = _value(block, OURS.name)
        if ours is not None:
            lines += _judge(measure, ours, block)
        elif any(row.peer == OURS.name for row in block):
            lines.append(line(f"{measure}: gave up", fine=False))
    return [*lines, *_busy_verdicts(parts), *_size_verdicts(parts)]


def _value(block: Sequence[Row], peer: str) -> float | None:
    return next((row.value for row in block if row.peer == peer), None)


def _judge(measure: str, ours: float, block: Sequence[Row]) -> list[str]:
    """Judge one measure that was not given up."""
    best, floor = best_peer(block), _value(block, FLOOR.name)
    at_rate = measure.startswith("60 Hz")
    lines = []
    limits: dict[str, float] = {}
    if measure.endswith("lag ms"):
        note = next(row.note for row in block if row.peer == OURS.name)
        lines.append(line(f"{measure}: {note}", fine=note == "every row"))
        limits["in all"] = max(_LAG_AT_RATE_MS, floor or 0) if at_rate else _LAG_AT_FULL_RATE_MS
    elif best is not None and best.value is not None and measure.endswith("states painted per s"):
        lines.append(line(f"{measure}: {ours:.1f}, {best.peer} {best.value:.1f}", fine=ours >= best.value))
    elif best is not None and best.value is not None and measure.endswith("CPU ms per update") and not at_rate:
        limits[f"{_CPU_OF_BEST} of {best.peer}"] = _CPU_OF_BEST * best.value
    elif measure.startswith("replace"):
        transfer = _value(block, TRANSFER.name)
        if best is not None and best.value is not None:
            limits[best.peer] = best.value
        if floor is not None and transfer is not None:
            limits[f"{_REPLACE_OF_FLOOR} of floor and transfer"] = _REPLACE_OF_FLOOR * (floor + transfer)
    elif measure.startswith("slider: round trip"):
        peer = _value(block, JUPYTER_BOKEH.name)
        if peer is not None:
            limits[f"{_SLIDER_OF_PEER} of {JUPYTER_BOKEH.name}"] = _SLIDER_OF_PEER * peer
    lines += [
        line(f"{measure}: {ours:,.2f}, at most {limit:,.2f} ({what})", fine=ours <= limit)
        for what, limit in limits.items()
    ]
    return lines


def _busy_verdicts(parts: Mapping[str, Sequence[Any]]) -> list[str]:
    for one in parts.get("slider", ()):
        if one.peer == OURS.name and one.busy is not None:
            late = one.busy.late_callbacks
            settled = f"settled with {late} callbacks after the last event, {one.busy.settled_ms:,.0f} ms"
            clicks = f"{one.busy.clicks} of {one.busy.clicks_made}"
            return [
                line("busy kernel: the last value is right", fine=one.busy.is_right),
                line(f"busy kernel: {settled}, at most {_CALLBACKS_TO_SETTLE}", fine=late <= _CALLBACKS_TO_SETTLE),
                line(f"busy kernel: {clicks} clicks", fine=one.busy.clicks == one.busy.clicks_made),
            ]
    return []


def _size_verdicts(parts: Mapping[str, Sequence[Any]]) -> list[str]:
    costs = sorted((one for one in parts.get("size", ()) if one.peer == OURS.name), key=lambda one: one.models)
    lines = []
    for side, name in (("kernel", "kernel_ms"), ("page", "page_ms")):
        few, many = (getattr(costs[at], name) for at in (0, -1)) if len(costs) > 1 else (0, 0)
        if few > 0:
            text = f"patch among {costs[-1].models} models: {side} {many / few:.2f} times that of {costs[0].models}"
            lines.append(line(f"{text}, at most {_GROWTH}", fine=many <= _GROWTH * few))
    return lines
