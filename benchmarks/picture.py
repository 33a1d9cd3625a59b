"""A picture of the flow parts: ``python -m benchmarks.picture RESULT.json`` writes ``docs/benchmarks.svg``.

The numbers are written beside it.

It needs matplotlib, which ``make bench`` installs with the peers.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .flow_report import Row, rows_of
from .peers import FLOOR, OURS, OURS_WHOLE, PEER_PACKAGES, ROOT, TRANSFER
from .replace import Replaced
from .size import PatchCost
from .slider import Busy, Slid
from .stream import Streamed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PICTURE: Final = ROOT / "docs" / "benchmarks.svg"
_COLORS: Final = {OURS.name: "#1f6feb", OURS_WHOLE.name: "#79a8f2", FLOOR.name: "#c9d1d9", TRANSFER.name: "#c9d1d9"}
_PEER_COLOR: Final = "#8b949e"
_LEFT_OUT: Final = ("growth",)
"""Measures that say little in a picture."""
_COLUMNS: Final = 3
_LARGE: Final = 100
_LABEL_SIZE: Final = 7


def read_results(path: Path) -> dict[str, list[Any]]:
    """Read the flow parts of a file of results.

    Parameters
    ----------
    path : Path
        As :func:`benchmarks.run.main` writes it.
    """
    return flow_parts(json.loads(path.read_text(encoding="utf-8")))


def flow_parts(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Give the flow parts of results as objects.

    Parameters
    ----------
    content : mapping
        What a file contains, or :func:`merge` gives.
    """
    return {
        "stream": [Streamed(**one) for one in content.get("stream", [])],
        "replace": [Replaced(**one) for one in content.get("replace", [])],
        "slider": [
            Slid(**{**one, "busy": None if one["busy"] is None else Busy(**one["busy"])})
            for one in content.get("slider", [])
        ],
        "size": [PatchCost(**one) for one in content.get("size", [])],
    }


_KEYS: Final = ("mode", "what", "models", "peer")
"""What tells measurements of one part apart."""


def merge(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Bring results of several runs together, which may each have measured a part.

    Parameters
    ----------
    results : sequence of mapping
        What the files contain, oldest first. Of what was measured twice the last counts, as does the last machine.
    """
    merged: dict[str, Any] = {}
    for result in results:
        for name, found in result.items():
            if not isinstance(found, list):
                merged[name] = found
                continue
            rows = {tuple(one.get(key) for key in _KEYS): one for one in [*merged.get(name, []), *found]}
            merged[name] = list(rows.values())
    return merged


def draw(rows: Sequence[Row], path: Path, caption: str) -> None:
    """Draw one bar chart for each measure.

    Parameters
    ----------
    rows : sequence of Row, length >= 1
        Of :func:`benchmarks.flow_report.rows_of`.
    path : Path
        The file; its suffix says the format.
    caption : str
        On what it was measured.
    """
    matplotlib = _import("matplotlib")
    matplotlib.use("svg")
    # the same file for the same numbers
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": _LABEL_SIZE})
    measures = [
        measure
        for measure in dict.fromkeys(row.measure for row in rows)
        if not any(word in measure for word in _LEFT_OUT)
    ]
    lines = -(-len(measures) // _COLUMNS)
    figure, grid = _import("matplotlib.pyplot").subplots(
        lines, _COLUMNS, figsize=(12, 1.9 * lines), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(measures) :]:
        axes.set_visible(False)
    for measure, axes in zip(measures, grid.flat, strict=False):
        _draw_one([row for row in rows if row.measure == measure], axes)
    figure.suptitle("bokeh_widget beside other packages")
    figure.supxlabel(caption, size=_LABEL_SIZE, color="#57606a")
    figure.savefig(path, metadata={"Date": None})


def _draw_one(block: Sequence[Row], axes: Any) -> None:
    """Draw the bars of one measure, ours first, none for what was given up."""
    bars = axes.barh(
        [row.peer for row in block],
        [row.value or 0 for row in block],
        color=[_COLORS.get(row.peer, _PEER_COLOR) for row in block],
    )
    labels = [_label(row.value) for row in block]
    axes.bar_label(bars, labels, padding=2, size=_LABEL_SIZE)
    better = "more is better" if block[0].more_is_better else "less is better"
    axes.set_title(f"{block[0].measure}\n{better}", size=_LABEL_SIZE + 1, loc="left")
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _label(value: float | None) -> str:
    if value is None:
        return "gave up"
    return f"{value:,.0f}" if value >= _LARGE else f"{value:.3g}"


def _import(name: str) -> Any:
    """Import what is installed with the peers, and with no types."""
    if str(PEER_PACKAGES) not in sys.path:
        sys.path.append(str(PEER_PACKAGES))
    return importlib.import_module(name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="files of benchmarks/results, oldest first")
    parser.add_argument("--to", type=Path, default=PICTURE, help="where the picture goes (%(default)s)")
    options = parser.parse_args(arguments)
    content = merge([json.loads(path.read_text(encoding="utf-8")) for path in options.results])
    rows = rows_of(flow_parts(content))
    if not rows:
        parser.error(f"{', '.join(map(str, options.results))} holds no result of stream, replace, slider or size")
    machine = content["machine"]
    words = (
        "bokeh_widget",
        "bokeh",
        "jupyter_bokeh",
        "panel",
        "plotly",
        "ipympl",
        "jupyterlab",
        "chromium",
        "processor",
    )
    draw(rows, options.to, ", ".join(f"{word} {machine[word]}" for word in words if word in machine))
    numbers = options.to.with_suffix(".json")
    numbers.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.to} and {numbers}")


if __name__ == "__main__":
    main()
