"""The tables for people, and the JSON for everybody else."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bokeh_widget._transfer import DEFAULT_FRAME_LIMIT_BYTES

from .peers import EMPTY, JUPYTER_BOKEH, OURS, SERVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .display import DisplayTime
    from .leak import Leak
    from .patch import PatchTraffic

_LEAK_COLUMNS: Final = {
    "heap": "heap B",
    "nodes": "nodes",
    "listeners": "listeners",
    "js_documents": "JS docs",
    "js_models": "JS models",
    "js_views": "JS views",
    "py_widgets": "widgets",
    "py_layouts": "layouts",
    "py_comms": "comms",
    "py_documents": "Py docs",
    "py_models": "Py models",
    "py_rss": "RSS B",
}


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns; the first row is the head, the first column is flush left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def leak_table(leaks: Sequence[Leak]) -> str:
    """One block for each case: per cycle, beside the empty output, and what is there at the end."""
    blocks = []
    for case in dict.fromkeys(leak.case for leak in leaks):
        found = [leak for leak in leaks if leak.case == case]
        floor = next((leak.per_cycle["heap"] for leak in found if leak.peer == EMPTY.name), None)
        rows = [[f"{case}, {found[0].cycles} cycles", "over empty", *_LEAK_COLUMNS.values()]]
        for leak in found:
            over = "" if floor is None else f"{leak.per_cycle['heap'] - floor:+,.0f} B"
            rows.append(
                [
                    f"{leak.peer}, per cycle",
                    over,
                    *(f"{leak.per_cycle[name]:,.2f}".replace(".00", "") for name in _LEAK_COLUMNS),
                ]
            )
        rows += [
            [f"{leak.peer}, at the end", "", *(f"{leak.at_end[name]:,}" for name in _LEAK_COLUMNS)] for leak in found
        ]
        blocks.append(table(rows))
    return "\n\n".join(blocks)


def display_table(times: Sequence[DisplayTime]) -> str:
    """Medians with their range, and their ratio to ours."""
    ours = {time.points: time.median_ms for time in times if time.peer == OURS.name}
    rows = [["cell run to painted", "points", "median ms", "fastest", "slowest", "to ours"]]
    for time in sorted(times, key=lambda time: time.points):
        ratio = f"{time.median_ms / ours[time.points]:.2f}" if time.points in ours else ""
        numbers = (time.median_ms, min(time.times_ms), max(time.times_ms))
        rows.append([time.peer, f"{time.points:,}", *(f"{number:,.0f}" for number in numbers), ratio])
    return table(rows)


def patch_table(traffic: Sequence[PatchTraffic]) -> str:
    """Messages and bytes of each change."""
    rows = [["change", "by", "to page", "bytes", "base64", "to kernel", "bytes", "base64"]]
    for change in dict.fromkeys(found.change for found in traffic):
        for found in traffic:
            if found.change == change:
                cells = [
                    cell
                    for one in (found.to_page, found.to_kernel)
                    for cell in (str(one.messages), f"{one.size:,}", "yes" if one.base64 else "no")
                ]
                rows.append([change, found.peer, *cells])
    return table(rows)


def verdicts(leaks: Sequence[Leak], times: Sequence[DisplayTime], traffic: Sequence[PatchTraffic]) -> list[str]:
    """Say for each thing that was promised whether it holds in this run."""
    lines = [*_leak_verdicts(leaks), *_display_verdicts(times)]
    ours = [found for found in traffic if found.peer == OURS.name]
    if ours:
        pushes = [found for found in ours if found.change.startswith(("one property", "stream", "data"))]
        # what is larger than a frame may be comes in several
        framed = [found for found in pushes if found.to_page.size <= DEFAULT_FRAME_LIMIT_BYTES]
        lines.append(line("one message per patch", fine=all(found.to_page.messages == 1 for found in framed)))
        lines.append(line("no base64 on the wire", fine=not any(f.to_page.base64 or f.to_kernel.base64 for f in ours)))
    return lines


_HEAP_ALLOWANCE: Final = 6 * 1024
_NEARLY_NONE: Final = 0.5
"""Counts of one cycle are averages, and the browser has objects of its own that come and go."""


def _leak_verdicts(leaks: Sequence[Leak]) -> list[str]:
    lines = []
    floors = {leak.case: leak for leak in leaks if leak.peer == EMPTY.name}
    for leak in leaks:
        if leak.peer != OURS.name or leak.case not in floors:
            continue
        over = {
            name: leak.per_cycle[name] - floors[leak.case].per_cycle[name] for name in ("heap", "nodes", "listeners")
        }
        fine = over["heap"] <= _HEAP_ALLOWANCE and over["nodes"] < _NEARLY_NONE and over["listeners"] < _NEARLY_NONE
        text = ", ".join(f"{name} {value:+,.1f}" for name, value in over.items())
        lines.append(line(f"{leak.case}: per cycle over the empty output: {text}", fine=fine))
        left = {name: leak.at_end[name] for name in ("js_documents", "js_models", "js_views")}
        lines.append(line(f"{leak.case}: BokehJS at the end: {left}", fine=not any(left.values())))
    return lines


def _display_verdicts(times: Sequence[DisplayTime]) -> list[str]:
    most = max((time.points for time in times), default=0)
    medians = {time.peer: time.median_ms for time in times if time.points == most}
    lines = []
    for peer, limit in ((JUPYTER_BOKEH.name, 0.5), (SERVER.name, 1.0)):
        if OURS.name in medians and peer in medians:
            ratio = medians[OURS.name] / medians[peer]
            lines.append(
                line(f"{most:,} points: {ratio:.2f} of the time of {peer}, at most {limit}", fine=ratio <= limit)
            )
    return lines


def line(text: str, *, fine: bool) -> str:
    """Write one verdict."""
    return f"[{'holds' if fine else 'FAILS'}] {text}"


def write_json(path: Path, machine: Mapping[str, str], parts: Mapping[str, Sequence[Any]]) -> None:
    """Write everything that was measured.

    Parameters
    ----------
    path : Path
        The file; its folder is made.
    machine : mapping
        Versions and hardware.
    parts : mapping
        Results (dataclasses) by the name of the part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": dict(machine),
        **{name: [asdict(found) for found in results] for name, results in parts.items()},
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
