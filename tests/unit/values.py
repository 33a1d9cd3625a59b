"""Values that are hard to bring over a wire, each made anew when it is asked for."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY: Final = dt.date(2024, 2, 29)
_MOMENT: Final = dt.datetime(2024, 2, 29, 12, 30, 15, 250, tzinfo=dt.UTC)
NAN: Final = float("nan")

# each makes a column of four rows
COLUMNS: Final[dict[str, Callable[[], Any]]] = {
    "nan list": lambda: [1.5, NAN, -0.0, 4.0],
    "infinite list": lambda: [float("inf"), -float("inf"), 0.0, 1e308],
    "nan array": lambda: np.array([np.nan, -np.inf, np.inf, -0.0]),
    "float32": lambda: np.array([0.1, 1e30, np.nan, -1], dtype="float32"),
    "float16": lambda: np.array([0.5, 1, 2, np.nan], dtype="float16"),
    "big-endian": lambda: np.array([1.5, 2.5, np.nan, 4.5], dtype=">f8"),
    "uint8": lambda: np.array([0, 1, 254, 255], dtype="uint8"),
    "int8": lambda: np.array([-128, 0, 1, 127], dtype="int8"),
    "int32": lambda: np.array([-(2**31), 0, 1, 2**31 - 1], dtype="int32"),
    "uint32": lambda: np.array([0, 1, 2, 2**32 - 1], dtype="uint32"),
    "int64 small": lambda: np.array([-1, 0, 1, 2], dtype="int64"),
    "int64 large": lambda: np.array([2**40, -(2**40), 2**53 - 1, 0], dtype="int64"),
    "bool": lambda: np.array([True, False, True, True]),
    "strided": lambda: np.arange(8.0)[::2],
    "reversed": lambda: np.arange(4)[::-1],
    "read-only": lambda: _read_only(np.arange(4.0)),
    "datetime list": lambda: [_MOMENT + dt.timedelta(hours=i) for i in range(4)],
    "date list": lambda: [_DAY + dt.timedelta(days=i) for i in range(4)],
    "time list": lambda: [dt.time(hour) for hour in range(4)],
    "timedelta list": lambda: [dt.timedelta(milliseconds=i) for i in range(4)],
    "datetime64 ns": lambda: np.array(["2024-02-29", "NaT", "1969-12-31", "2100-01-01"], dtype="datetime64[ns]"),
    "datetime64 days": lambda: np.array(["2024-02-29", "NaT", "1969-12-31", "2100-01-01"], dtype="datetime64[D]"),
    "timedelta64": lambda: np.array([1, 2, 3, 4], dtype="timedelta64[ms]"),
    "date objects": lambda: np.array([_DAY] * 4, dtype=object),
    "series": lambda: pd.Series([1.0, np.nan, 3.0, 4.0]),
    "series of dates": lambda: pd.Series(pd.date_range("2024-02-29", periods=4)),
    "series with missing": lambda: pd.Series([1, None, 3, 4], dtype="Int64"),
    "series of strings": lambda: pd.Series(["a", "b", "", "ü"]),
    "categorical": lambda: pd.Series(["a", "b", "a", "b"], dtype="category"),
    "datetime index": lambda: pd.date_range("2024-02-29", periods=4, tz="UTC"),
    "masked floats": lambda: np.ma.masked_array([1.0, 2.0, 3.0, 4.0], mask=[False, True, False, False]),
    "strings": lambda: ["a", "", "ü☃", 'quote"'],
    "string array": lambda: np.array(["a", "bb", "", "ü☃"]),
    "object array": lambda: np.array(["a", 1, None, 2.5], dtype=object),
    "object array of lists": lambda: _objects([[1], [2, 3], [], [None]]),
    "factors": lambda: ["a", "b", "a", "c"],
    "nested factors": lambda: [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")],
    "images": lambda: [np.arange(12, dtype=kind).reshape(3, 4) for kind in ("float64", "float32", "uint8", "uint32")],
    "image in Fortran order": lambda: [np.asfortranarray(np.arange(12.0).reshape(3, 4)).T for _ in range(4)],
    "3-D array": lambda: np.arange(4 * 2 * 3, dtype="float32").reshape(4, 2, 3),
    "arrays of unequal length": lambda: [np.arange(float(i)) for i in range(4)],
    "nested lists": lambda: [[[1, 2], [3]], [[]], [], [[None, "x"]]],
    "none": lambda: [None, 1, None, "x"],
    "bytes": lambda: [b"", b"\x00\xff", b"raw", b"\n"],
}


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# Bokeh itself flattens what it appends to arrays of several dimensions, and cannot append to an index with a time zone
STREAMED: Final = sorted(set(COLUMNS) - {"3-D array", "datetime index"})

VALUES: Final[dict[str, Callable[[], Any]]] = {
    **COLUMNS,
    "empty list": list,
    "empty array": lambda: np.array([]),
    "empty uint8 image": lambda: np.empty((0, 4), dtype="uint8"),
    "empty series": lambda: pd.Series([], dtype="float64"),
    "scalar none": lambda: None,
    "scalar nan": lambda: NAN,
    "scalar datetime": lambda: _MOMENT,
    "scalar date": lambda: _DAY,
    "numpy scalar": lambda: np.float32(0.1),
    "numpy integer": lambda: np.int64(2**40),
    "large integer": lambda: 2**53 - 1,
    "one string": lambda: "ü☃\u2028",
    "raw": lambda: bytes(range(256)),
    "mapping": lambda: {"a": [1, {"b": NAN}], "": None, 3: b"3"},
    "looks like a reference": lambda: [{"id": "p1"}, {"type": "map"}],
    "slice": lambda: slice(1, None, 2),
}
