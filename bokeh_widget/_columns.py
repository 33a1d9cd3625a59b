"""Columns of numbers that grow in place: to stream rows costs what the rows cost, however long the column is.

Bokeh copies the whole column for each stream (``numpy.append``; bokeh#11424). Here a column is the used part of memory
with room behind it. What was given out earlier stays as it was: rows are written behind it, never over it.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from bokeh.document.events import ColumnsStreamedEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from bokeh.core.property.wrappers import PropertyValueColumnData
    from bokeh.document import Document
    from bokeh.models.sources import ColumnarDataSource

    Column = npt.NDArray[Any]

_KINDS: Final = frozenset("biufcmMSU")
"""Kinds of dtype whose elements are plain bytes."""

_LEAST_ROWS: Final = 1024

# by source, of each column: what was made of its memory last, and where that begins
_NOTHING: Final[weakref.ref[Any]] = weakref.ref(set())

_made: Final[weakref.WeakKeyDictionary[Any, dict[str, tuple[weakref.ref[Column], int]]]] = weakref.WeakKeyDictionary()


def stream_in_place(  # noqa: PLR0917  # Bokeh's own order
    data: PropertyValueColumnData,
    document: Document,
    source: ColumnarDataSource,
    new_data: Mapping[str, Any],
    rollover: int | None = None,
    setter: Any = None,
) -> bool:
    """Append rows to the columns of a source and tell of it, as Bokeh's ``PropertyValueColumnData._stream`` does.

    Parameters
    ----------
    data : PropertyValueColumnData
        The columns.
    document, source
        Whose they are.
    new_data : mapping of str to sequence
        The rows, checked already: one sequence for each column, all of one length.
    rollover : int, optional
        How many rows are kept.
    setter : object, optional
        Who made the change.

    Returns
    -------
    bool
        False if nothing was done, since a column is not one of plain numbers or the rows are of another type: that is
        left to Bokeh.
    """
    rows: dict[str, Column] = {}
    for name, values in new_data.items():
        checked = _checked(data[name], values)
        if checked is None:
            return False
        rows[name] = checked
    old = dict(data)
    made = _made.setdefault(source, {})
    grown: dict[str, Any] = {}
    for name, values in rows.items():
        grown[name], start = _appended(data[name], values, rollover, made.get(name))
        made[name] = (weakref.ref(grown[name]), start)
    dict.update(data, grown)  # of dict, since Bokeh's own sends the whole data; all at once, should that be interrupted
    hint = ColumnsStreamedEvent(document, source, "data", dict(new_data), rollover, setter)
    _tell_owners(data, old, hint)
    return True


def _tell_owners(data: PropertyValueColumnData, old: dict[str, Any], hint: ColumnsStreamedEvent) -> None:
    """Tell of the rows without looking at all others again: Bokeh validates and compares the whole columns.

    That finds nothing here, since a hinted change is told of even if nothing differs, and rows of plain numbers are
    valid where the column is. Where a condition of the property does not hold, as that of equal lengths, Bokeh says so.
    """
    for owner, descriptor in data._owners:  # noqa: SLF001  # as Bokeh's own method does
        is_held = descriptor.__get__(owner, type(owner)) is data
        if is_held and all(holds(owner, data) for holds, _ in descriptor.property.assertions):
            descriptor._trigger(owner, old, data, hint=hint)  # noqa: SLF001
        else:
            descriptor._notify_mutated(owner, old, hint=hint)  # noqa: SLF001


def part_columns(
    data: PropertyValueColumnData, _document: Document, source: ColumnarDataSource, patches: Mapping[str, Any], *_: Any
) -> bool:
    """Give columns that are about to be patched memory of their own: what was given out earlier shares it.

    Parameters
    ----------
    data : PropertyValueColumnData
        The columns.
    source : ColumnarDataSource
        Whose they are.
    patches : mapping of str to patches
        Those that are patched.

    Returns
    -------
    bool
        False: patching is left to Bokeh, which does it in place.
    """
    made, columns = _made.get(source, {}), cast("dict[str, Any]", data)
    for name in patches:
        column, (last, _) = columns.get(name), made.pop(name, (_NOTHING, 0))
        if column is not None and last() is column:
            dict.__setitem__(columns, name, column.copy())
    return False


def _checked(column: Any, values: Any) -> Column | None:
    """Give the rows as an array that can be written behind the column; None if they cannot."""
    if type(values) is not np.ndarray:
        if type(column) is not np.ndarray or not isinstance(values, (list, tuple)) or 0 in {len(column), len(values)}:
            return None
        values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in _KINDS:
        return None
    if len(column) == 0:
        return cast("Column", values)
    if type(column) is not np.ndarray or column.ndim != 1 or column.dtype.kind not in _KINDS:
        return None
    try:
        # result_type alone would say the same, and takes a microsecond
        is_same = column.dtype == values.dtype or np.result_type(column.dtype, values.dtype) == column.dtype
    except TypeError:  # a date and a number
        return None
    return cast("Column", values) if is_same else None


def _appended(
    column: Any, rows: Column, rollover: int | None, made: tuple[weakref.ref[Column], int] | None
) -> tuple[Column, int]:
    """Give the column with the rows behind it, and where it begins in its memory."""
    length = len(column) + len(rows)
    kept = length if rollover is None else max(0, min(length, rollover))
    rows = rows[max(0, len(rows) - kept) :]
    stays = kept - len(rows)
    memory: Column
    before = None if made is None else made[0]()
    if made is not None and before is not None and before is column and len(column) > 0 and before.base is not None:
        memory, end = before.base, made[1] + len(before)
        if end + len(rows) <= len(memory):
            memory[end : end + len(rows)] = rows
            start = end - stays
            return memory[start : start + kept], start
    memory = np.empty(max(2 * kept, _LEAST_ROWS), dtype=column.dtype if len(column) else rows.dtype)
    if stays:
        memory[:stays] = column[len(column) - stays :]
    memory[stays:kept] = rows
    return memory[:kept], 0
