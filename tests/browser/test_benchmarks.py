"""The benchmarks run: their quick mode, for our own row and the floor, without judging any time."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.flow_report import best_peer, flow_table, rows_of
from benchmarks.flow_verdicts import flow_verdicts
from benchmarks.peers import FLOOR, JUPYTER_BOKEH, OURS, TRANSFER
from benchmarks.picture import read_results
from benchmarks.replace import Replaced
from benchmarks.run import measure, parse_arguments
from benchmarks.size import PatchCost
from benchmarks.slider import Busy, Slid
from benchmarks.stream import Streamed

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer


def test_each_change_is_one_message_without_base64(
    jupyter: JupyterServer, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse_arguments(["--quick", "--only", "patch", "--peer", "bokeh_widget"])
    found = {traffic.change: traffic for traffic in measure(jupyter, browser, options)["patch"]}
    columns = 2 * 8 * 10_000
    assert found["data = 10000 points"].to_page.size > columns
    assert found["display of 10000 points"].to_page.size > columns
    assert [found[name].to_page.messages for name in ("one property", "stream of 10 rows", "data = 10000 points")] == [
        1,
        1,
        1,
    ]
    # an acknowledgement of what Python changed, and the page's own change
    assert [found[name].to_kernel.messages for name in ("one property", "slider event")] == [1, 2]
    assert report.verdicts([], [], list(found.values())) == [
        "[holds] one message per patch",
        "[holds] no base64 on the wire",
    ]
    assert "slider event" in capsys.readouterr().out


def test_flow_parts_measure_our_row_and_the_floor(
    jupyter: JupyterServer, browser: Browser, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    quick = ["--quick", "--mode", "60 Hz, 10 rows", "--what", "points", "--models", "50", "--peer", OURS.name]
    with_floor = ["--only", "stream", "--only", "replace", "--peer", FLOOR.name]
    found = measure(jupyter, browser, parse_arguments([*quick, *with_floor]))
    found |= {
        name: results
        for name, results in measure(
            jupyter, browser, parse_arguments([*quick, "--only", "slider", "--only", "size"])
        ).items()
        if results
    }

    fine = {"missing": 0, "duplicates": 0, "disordered": 0, "wrong": 0}
    ours, floor = found["stream"]
    assert (ours.peer, floor.peer) == (OURS.name, FLOOR.name)
    assert ours.browser == ours.python == floor.browser == {"rows": 300, **fine}
    assert floor.python is None
    assert ours.lag_ms > 0
    assert 0 < ours.states_per_second <= 2 * ours.updates_per_second
    assert ours.cpu_ms > 0

    assert [(one.what, one.peer, len(one.times_ms)) for one in found["replace"]] == [
        ("points", OURS.name, 1),
        ("points", FLOOR.name, 1),
    ]
    assert all(one.median_ms > 0 for one in found["replace"])

    (trips,) = found["slider"]
    assert all(time > 0 for time in trips.times_ms)
    assert trips.busy.is_right
    assert trips.busy.clicks == trips.busy.clicks_made == 5
    assert 0 < trips.busy.callbacks <= trips.busy.events

    assert [(one.peer, one.models) for one in found["size"]] == [(OURS.name, 50)]
    assert all(isfinite(one.page_ms) for one in found["size"])

    printed = capsys.readouterr().out
    rows = rows_of(found)
    assert all(row.measure in printed and row.peer in printed for row in rows)
    path = tmp_path / "results.json"
    report.write_json(path, {}, found)
    assert rows_of(read_results(path)) == rows


_RUN = Streamed("60 Hz, 10 rows", OURS.name, 10.0, 50.0, 60.0, 1.0, {"rows": 6, "missing": 0}, {"rows": 6}, 0, 0)


def test_table_compares_with_the_best_peer_and_the_floor() -> None:
    runs = [
        _RUN,
        replace(_RUN, peer="slow", lag_ms=40.0, states_per_second=25.0, python={"rows": 9, "duplicates": 3}),
        replace(_RUN, peer="lost", lag_ms=None, browser={"rows": 4, "missing": 2}),
        replace(_RUN, peer=FLOOR.name, lag_ms=5.0, states_per_second=100.0, python=None, cpu_ms=None),
    ]
    rows = rows_of({"stream": runs})
    lags = [row for row in rows if row.measure.endswith("lag ms")]
    assert [(row.peer, row.value, row.note) for row in lags] == [
        (OURS.name, 10.0, "every row"),
        ("slow", 40.0, "python: 3 duplicates"),
        ("lost", None, "browser: 2 missing"),
        (FLOOR.name, 5.0, "every row"),
    ]
    best = best_peer(lags)
    assert best is not None
    assert best.peer == "slow"
    painted = [row for row in rows if "states" in row.measure]
    assert best_peer(painted) == painted[2]  # the most, and not the floor
    lines = [line.split() for line in flow_table(rows).splitlines() if "lag ms" in line]
    assert lines[0][-5:] == ["10.00", "0.25", "2.00", "every", "row"]
    assert " ".join(lines[2]).startswith("60 Hz, 10 rows: lag ms lost gave up")


def test_a_round_that_was_given_up_counts_as_the_longest() -> None:
    def lag(*times: float | None) -> float | None:
        return rows_of({"stream": [replace(_RUN, lag_ms=time) for time in times]})[0].value

    assert lag(3.0, None, 1.0) == 3.0
    assert lag(None, None, 1.0) is None
    assert lag(4.0, 2.0) == 3.0


def test_a_peer_that_ends_with_another_value_never_settled() -> None:
    right = Busy(settled_ms=900.0, is_right=True, callbacks=9, late_callbacks=9, clicks=5, clicks_made=5, events=9)
    wrong = replace(right, settled_ms=100.0, is_right=False, callbacks=2)
    rows = rows_of({"slider": [Slid("right", [1.0], right), Slid("wrong", [1.0], wrong)]})
    busy = [row for row in rows if "busy" in row.measure]
    assert [(row.value, row.note) for row in busy] == [
        (900.0, "right; 9 callbacks of 9 events; 5 of 5 clicks"),
        (None, "WRONG; 2 callbacks of 9 events; 5 of 5 clicks"),
    ]
    assert best_peer(busy) == busy[0]


def test_the_cost_among_many_models_is_compared_with_that_among_few() -> None:
    costs = [PatchCost(OURS.name, 5000, 3.0, 1.5), PatchCost(OURS.name, 50, 2.0, 1.0)]
    notes = {row.measure: row.note for row in rows_of({"size": costs})}
    assert notes == {
        "patch among 5,000 models: kernel CPU ms": "1.50 times that of 50",
        "patch among 50 models: kernel CPU ms": "",
        "patch among 5,000 models: page CPU ms": "1.50 times that of 50",
        "patch among 50 models: page CPU ms": "",
    }


def test_flow_verdicts_say_what_holds() -> None:
    runs = [
        _RUN,
        replace(_RUN, mode="cell, 10 rows", lag_ms=301.0, python={"rows": 5, "missing": 1}),
        replace(_RUN, peer=JUPYTER_BOKEH.name, states_per_second=51.0),
        replace(_RUN, mode="cell, 10 rows", peer=JUPYTER_BOKEH.name, cpu_ms=4.0),
    ]
    busy = Busy(settled_ms=100.0, is_right=True, callbacks=2, late_callbacks=2, clicks=4, clicks_made=5, events=9)
    parts = {
        "stream": runs,
        "replace": [
            Replaced("points", peer, [time])
            for peer, time in ((OURS.name, 39.0), (FLOOR.name, 20.0), (TRANSFER.name, 10.0), (JUPYTER_BOKEH.name, 38.0))
        ],
        "slider": [Slid(OURS.name, [7.0], busy), Slid(JUPYTER_BOKEH.name, [10.0], None)],
        "size": [PatchCost(OURS.name, 50, 2.0, 1.0), PatchCost(OURS.name, 5000, 3.0, 2.0)],
    }
    assert flow_verdicts(parts) == [
        "[holds] 60 Hz, 10 rows: lag ms: every row",
        "[holds] 60 Hz, 10 rows: lag ms: 10.00, at most 100.00 (in all)",
        "[FAILS] 60 Hz, 10 rows: states painted per s: 50.0, jupyter_bokeh 51.0",
        "[FAILS] cell, 10 rows: lag ms: python: 1 missing",
        "[FAILS] cell, 10 rows: lag ms: 301.00, at most 300.00 (in all)",
        "[holds] cell, 10 rows: kernel CPU ms per update: 1.00, at most 1.00 (0.25 of jupyter_bokeh)",
        "[FAILS] replace points: ms to painted: 39.00, at most 38.00 (jupyter_bokeh)",
        "[holds] replace points: ms to painted: 39.00, at most 39.00 (1.3 of floor and transfer)",
        "[FAILS] slider: round trip ms: 7.00, at most 6.00 (0.6 of jupyter_bokeh)",
        "[holds] busy kernel: the last value is right",
        "[holds] busy kernel: settled with 2 callbacks after the last event, 100 ms, at most 2",
        "[FAILS] busy kernel: 4 of 5 clicks",
        "[holds] patch among 5000 models: kernel 1.50 times that of 50, at most 1.5",
        "[FAILS] patch among 5000 models: page 2.00 times that of 50, at most 1.5",
    ]
    assert flow_verdicts({"stream": [replace(_RUN, lag_ms=None)]})[0] == "[FAILS] 60 Hz, 10 rows: lag ms: gave up"
