"""Results of several runs of the benchmarks, brought together."""

from __future__ import annotations

from typing import Any

from benchmarks.picture import merge


def _size(peer: str, models: int, kernel_ms: float) -> dict[str, Any]:
    return {"peer": peer, "models": models, "kernel_ms": kernel_ms}


def test_parts_of_several_runs_come_together_and_of_one_measured_twice_the_last_counts() -> None:
    first = {"machine": {"bokeh": "1"}, "size": [_size("a", 50, 1.0), _size("a", 5000, 2.0), _size("b", 50, 3.0)]}
    second = {"machine": {"bokeh": "2"}, "size": [_size("a", 50, 9.0)], "slider": [{"peer": "a", "times_ms": [1.0]}]}
    assert merge([first, second]) == {
        "machine": {"bokeh": "2"},
        "size": [_size("a", 50, 9.0), _size("a", 5000, 2.0), _size("b", 50, 3.0)],
        "slider": [{"peer": "a", "times_ms": [1.0]}],
    }
