"""Columns that grow in place: what is in them is what Bokeh itself would have."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from bokeh.core.property.bases import Property
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.util.warnings import BokehUserWarning
from hypothesis import given, settings
from hypothesis import strategies as st

from bokeh_widget._columns import _made, stream_in_place
from bokeh_widget._session import Session


def _source(data: dict[str, Any], *, with_session: bool = True) -> tuple[ColumnDataSource, Session | None]:
    source = ColumnDataSource(data=data)
    document = Document()
    document.add_root(source)
    return source, Session(document) if with_session else None


_DTYPES = ["f8", "f4", "i8", "i4", "u1", "?", "c16", "M8[ms]", "U3", "O"]


@st.composite
def _rows(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(_DTYPES))
    numbers = np.array(draw(st.lists(st.integers(0, 100), max_size=6)), dtype="i8")
    return numbers.tolist() if draw(st.integers(0, 4)) == 0 else numbers.astype(dtype)


@settings(max_examples=200)
@given(st.lists(st.tuples(_rows(), st.none() | st.integers(-1, 9)), min_size=1, max_size=12))
def test_columns_are_those_of_bokeh(steps: list[tuple[Any, int | None]]) -> None:
    (ours, session), (theirs, _) = (_source({"a": steps[0][0]}, with_session=flag) for flag in (True, False))
    assert session is not None
    held = []
    for rows, rollover in steps[1:]:
        results = []
        for source in (ours, theirs):
            try:
                source.stream({"a": rows}, rollover)
                results.append(None)
            except Exception as error:  # noqa: BLE001  # whatever Bokeh raises
                results.append(type(error))
        assert results[0] == results[1]
        column = ours.data["a"]
        assert type(column) is type(theirs.data["a"])
        assert list(column) == list(theirs.data["a"])
        if isinstance(column, np.ndarray):
            assert column.dtype == theirs.data["a"].dtype
            held.append((column, column.copy()))
    for column, copy in held:  # what was given out before is what it was
        assert list(column) == list(copy)
    session.close()


def test_rows_are_appended_without_a_copy_of_the_column() -> None:
    source, session = _source({"x": np.zeros(10_000)})
    assert session is not None
    source.stream({"x": np.ones(1)}, 10_000)
    moved = 0
    for _ in range(9_000):
        before = source.data["x"]
        source.stream({"x": [2.0]}, 10_000)
        moved += not np.shares_memory(before, source.data["x"])
    assert moved == 0
    assert source.data["x"].base.nbytes <= 2 * 8 * 10_000
    session.close()


def test_bokeh_itself_copies_the_column() -> None:
    # bokeh#11424: when this fails, columns need not grow in place any more
    source, _ = _source({"x": np.zeros(100)}, with_session=False)
    source.stream({"x": np.ones(1)})
    before = source.data["x"]
    source.stream({"x": np.ones(1)})
    assert not np.shares_memory(before, source.data["x"])


@pytest.mark.parametrize("with_session", [True, False])
def test_the_whole_column_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch, *, with_session: bool) -> None:
    source, session = _source({"x": np.zeros(100)}, with_session=with_session)
    source.stream({"x": np.ones(1)}, 100)
    looked = []
    for name in ("matches", "prepare_value"):
        method = getattr(Property, name)
        monkeypatch.setattr(
            Property, name, lambda *args, method=method, **kwargs: looked.append(args) or method(*args, **kwargs)
        )
    source.stream({"x": np.ones(1)}, 100)
    # without a session, Bokeh itself does: when it does not, neither need we go another way
    assert bool(looked) is not with_session
    if session is not None:
        session.close()


def test_columns_of_different_lengths_are_warned_of_as_by_bokeh() -> None:
    warned = []
    for with_session in (True, False):
        with pytest.warns(BokehUserWarning, match="of different lengths|same length"):
            source, session = _source({"x": np.zeros(3), "y": np.zeros(2)}, with_session=with_session)
        with pytest.warns(BokehUserWarning) as found:
            source.stream({"x": np.ones(1), "y": np.ones(1)})
        warned.append([str(warning.message) for warning in found])
        if session is not None:
            session.close()
    assert warned[0] == warned[1]


def test_the_streamed_array_stays_the_users() -> None:
    source, session = _source({"x": np.empty(0)})
    assert session is not None
    rows = np.array([1.0, 2.0])
    source.stream({"x": rows})
    rows[:] = 9
    assert list(source.data["x"]) == [1, 2]
    session.close()


def test_callbacks_see_what_was_there_before() -> None:
    source, session = _source({"x": np.array([1.0])})
    assert session is not None
    seen = []
    source.on_change("data", lambda _, old, new: seen.append((list(old["x"]), list(new["x"]))))
    source.stream({"x": np.array([2.0])})
    source.stream({"x": np.array([3.0])}, 2)
    assert seen == [([1], [1, 2]), ([1, 2], [2, 3])]
    session.close()


def test_patches_leave_what_was_given_out_as_it_was() -> None:
    source, session = _source({"x": np.zeros(3)})
    assert session is not None
    source.stream({"x": np.ones(1)})
    held = source.data["x"]
    other = ColumnDataSource(dict(source.data))
    source.stream({"x": np.ones(1)})
    source.patch({"x": [(0, 42.0)]})
    assert list(source.data["x"]) == [42, 0, 0, 1, 1]
    assert list(held) == list(other.data["x"]) == [0, 0, 0, 1]
    patched = source.data["x"]
    source.stream({"x": np.ones(1)})
    source.patch({"x": [(1, 43.0)]})
    assert list(patched) == [42, 0, 0, 1, 1]
    assert list(source.data["x"]) == [42, 43, 0, 1, 1, 1]
    session.close()


def test_data_that_was_replaced_begins_anew() -> None:
    source, session = _source({"x": np.array([1.0])})
    assert session is not None
    source.stream({"x": np.array([2.0])})
    replacement = np.array([7.0, 8.0])
    source.data = {"x": replacement}
    source.stream({"x": np.array([9.0])})
    assert list(source.data["x"]) == [7, 8, 9]
    assert list(replacement) == [7, 8]
    session.close()


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        (np.zeros(1, dtype=object), np.zeros(1)),
        (np.zeros(1, dtype="i4"), np.zeros(1, dtype="f8")),
        (np.ma.masked_array([1.0], mask=[True]), np.zeros(1)),
        ([1.0], [2.0]),
        (["a"], np.zeros(1)),
        (np.zeros(1), np.zeros(1, dtype="M8[s]")),
    ],
)
def test_what_is_not_of_plain_numbers_is_left_to_bokeh(column: Any, rows: Any) -> None:
    source, session = _source({"x": column})
    assert session is not None
    assert not stream_in_place(source.data, session.document, source, {"x": rows})
    assert source.data["x"] is column or list(source.data["x"]) == list(column)
    session.close()


def test_nothing_is_kept_of_a_source_that_is_gone() -> None:
    source, session = _source({"x": np.zeros(3)})
    assert session is not None
    source.stream({"x": np.zeros(3)})
    memory = weakref.ref(source.data["x"].base)
    assert source in _made
    session.close()
    del source, session
    gc.collect()
    assert memory() is None
