"""The golden cases of flow control in ``tests/flow``, which the front end is tested with, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bokeh_widget import _coalescing as c
from bokeh_widget._outbox import Outbox

FOLDER: Final = Path(__file__).parents[1] / "flow"


def cases(name: str) -> list[Any]:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in found]


def change_of(rep: dict[str, Any]) -> c.Change:  # noqa: PLR0911  # one for each kind
    match rep["kind"]:
        case "property":
            return c.Keyed(("property", rep["model"], rep["attr"]), rep["value"])
        case "continuous":
            return c.Keyed(("continuous", rep["model"], rep["name"]), rep["value"])
        case "discrete":
            return c.Discrete(rep["value"])
        case "whole":
            return c.Whole(rep["source"], rep["source"])
        case "columns":
            return c.Columns(rep["source"], rep["source"], list(rep["columns"]))
        case "patch":
            return c.Patch(rep["source"], rep["source"], rep["patches"])
        case _:
            kind = rep.get("type", "list")
            rows = {name: rows if kind == "list" else np.array(rows, kind) for name, rows in rep["rows"].items()}
            return c.Stream(rep["source"], rep["source"], rows, rep["rollover"])


def rep_of(change: c.Change) -> dict[str, Any]:  # noqa: PLR0911  # one for each kind
    match change:
        case c.Keyed(key=("property", model, attr)):
            return {"kind": "property", "model": model, "attr": attr, "value": change.payload}
        case c.Keyed(key=("continuous", model, name)):
            return {"kind": "continuous", "model": model, "name": name, "value": change.payload}
        case c.Discrete():
            return {"kind": "discrete", "value": change.payload}
        case c.Whole():
            return {"kind": "whole", "source": change.source}
        case c.Columns():
            return {"kind": "columns", "source": change.source, "columns": change.columns}
        case c.Patch():
            patches = {name: [list(pair) for pair in pairs] for name, pairs in change.patches.items()}
            return {"kind": "patch", "source": change.source, "patches": patches}
        case c.Stream():
            rows = {name: np.asarray(rows).tolist() for name, rows in change.rows.items()}
            return {"kind": "stream", "source": change.source, "rows": rows, "rollover": change.rollover}
    raise AssertionError(change)


@pytest.mark.parametrize("case", cases("coalescing"))
def test_coalescing(case: dict[str, Any]) -> None:
    coalescer = c.Coalescer()
    for step in case["steps"]:
        if "put" in step:
            coalescer.put(change_of(step["put"]))
        else:
            assert [rep_of(change) for change in coalescer.take()] == step["take"]
            assert len(coalescer) == 0


def test_many_streams_and_patches_make_the_data_whole() -> None:
    coalescer = c.Coalescer()
    for i in range(c.MAX_ITEMS_PER_SOURCE // 2):
        coalescer.put(c.Stream("s", "s", {"x": [i]}, None))
        coalescer.put(c.Patch("s", "s", {"x": [(0, i)]}))
    assert len(coalescer) == c.MAX_ITEMS_PER_SOURCE
    coalescer.put(c.Stream("s", "s", {"x": [0]}, None))
    assert [rep_of(change) for change in coalescer.take()] == [{"kind": "whole", "source": "s"}]


def test_streamed_arrays_may_be_used_again() -> None:
    coalescer = c.Coalescer()
    rows = np.array([1.0, 2.0])
    for _ in range(2):
        coalescer.put(c.Stream("s", "s", {"x": rows}, None))
        rows[:] = 9
        rows = np.array([3.0, 4.0])
    (stream,) = coalescer.take()
    assert rep_of(stream)["rows"] == {"x": [1, 2, 3, 4]}


def test_rows_that_the_rollover_drops_are_not_kept_while_they_wait() -> None:
    coalescer = c.Coalescer()
    for i in range(1000):
        coalescer.put(c.Stream("s", "s", {"x": np.full(10, float(i))}, 50))
    (stream,) = coalescer._items.values()
    assert isinstance(stream, c.Stream)
    assert sum(map(len, stream._pieces["x"])) <= 60
    assert rep_of(*coalescer.take())["rows"]["x"] == np.repeat(np.arange(995.0, 1000), 10).tolist()
    assert coalescer.coalesced == 999


def test_rows_that_come_alone_and_more_than_the_rollover_keeps() -> None:
    for rollover, expected in ((0, []), (1, [9]), (3, [7, 8, 9])):
        coalescer = c.Coalescer()
        for i in range(10):
            coalescer.put(c.Stream("s", "s", {"x": [i], "y": np.array([i])}, rollover))
        assert rep_of(*coalescer.take())["rows"] == {"x": expected, "y": expected}


@pytest.mark.parametrize("case", cases("outbox"))
def test_outbox(case: dict[str, Any]) -> None:
    outbox: Outbox[str] = Outbox(**case["options"])
    does = {
        "attach": lambda step: outbox.attach(step["attach"], step["number"]),
        "leave": lambda step: outbox.leave(step["leave"]),
        "acknowledge": lambda step: outbox.acknowledge(
            step["acknowledge"], step["number"], step["at_ms"], cost_ms=step.get("cost_ms", 0)
        ),
        "send": lambda step: outbox.sent(step["send"], step["at_ms"], weight=step.get("weight")),
        "block": lambda step: outbox.block(step["at_ms"]),
        "unblock": lambda _step: outbox.unblock(),
    }
    for step in case["steps"]:
        now = step["at_ms"]
        for name in step.keys() & does.keys():
            does[name](step)
        if "overdue" in step:
            assert outbox.overdue(now) == step["overdue"], step
        if "ready" in step:
            assert outbox.is_ready(now) is step["ready"], step
        if "wait_ms" in step:
            assert outbox.wait_ms(now) == step["wait_ms"], step


def test_what_is_on_its_way_to_a_silent_peer_does_not_grow() -> None:
    outbox: Outbox[str] = Outbox()
    outbox.attach("a", 0)
    for number in range(1, 1000):
        outbox.sent(number, float(number))
    assert outbox.in_flight("a") <= 64
    assert outbox.is_lagging("a", 2001.0)
    outbox.acknowledge("a", 999, 2002.0)
    assert outbox.in_flight("a") == 0
    assert outbox.is_ready(2002.0)
