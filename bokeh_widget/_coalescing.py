"""What waits to be sent, joined by stated rules so that it stays small. Pure: it knows neither Bokeh nor comms.

``js/src/coalescing.ts`` keeps the same rules, and both are tested with the cases in ``tests/flow``:

* of the changes of one property the last stays, in the place of the last;
* streamed rows are joined; what their rollover would drop is dropped;
* patches of one source are joined in their order;
* replaced data supersede what waits for their source, and take in what follows, since they are read when they are sent;
* nothing of this moves across a discrete change (a message, a root, the title).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

MAX_ITEMS_PER_SOURCE: Final = 256
"""With more streams and patches than this waiting for one source, its data are sent as a whole."""


@dataclass(slots=True)
class Keyed:
    """A change of which the last of its key stays: a property, or a continuous event of the user interface."""

    key: Hashable
    payload: Any


@dataclass(slots=True)
class Discrete:
    """A change of which each counts."""

    payload: Any


@dataclass(slots=True)
class Whole:
    """The data of a source were replaced. ``source`` is what they are read from when they are sent."""

    source: Any
    key: Hashable


@dataclass(slots=True)
class Columns:
    """Some columns of a source were replaced."""

    source: Any
    key: Hashable
    columns: list[str]


@dataclass(slots=True)
class Stream:
    """Rows that were appended to a source.

    Parameters
    ----------
    source : object
        What the rows were appended to.
    key : hashable
        Tells sources apart.
    rows : mapping of str to sequence
        By column. The rows are copied: who streams may use his arrays again.
    rollover : int, optional
        The number of rows that the source keeps.
    """

    source: Any
    key: Hashable
    rows: Mapping[str, Sequence[Any] | np.ndarray]
    rollover: int | None
    _pieces: dict[str, deque[Any]] = field(init=False)
    _types: dict[str, object] = field(init=False)
    _lengths: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        copied = {
            name: np.array(column) if isinstance(column, np.ndarray) else list(column)
            for name, column in self.rows.items()
        }
        self._types = {name: _type_of(column) for name, column in copied.items()}
        self._set(copied)

    def takes_in(self, later: Stream) -> bool:
        """Join the rows of ``later`` if that changes nothing for who applies them; tell whether it was done."""
        if later.rollover != self.rollover or later._types != self._types:
            return False
        for name, pieces in later._pieces.items():
            kept, length = self._pieces[name], self._lengths[name] + later._lengths[name]
            kept += pieces
            # pieces of which the rollover drops everything, so that what waits does not grow
            while self.rollover is not None and len(kept) > 1 and length - len(kept[0]) >= self.rollover:
                length -= len(kept.popleft())
            self._lengths[name] = length
        return True

    def join(self) -> None:
        """Make ``rows`` one run per column, without what the rollover drops."""
        self._set({name: _cut(_joined(pieces), self.rollover) for name, pieces in self._pieces.items()})

    def _set(self, rows: dict[str, Any]) -> None:
        self.rows = rows
        self._pieces = {name: deque([column]) for name, column in rows.items()}
        self._lengths = {name: len(column) for name, column in rows.items()}


@dataclass(slots=True)
class Patch:
    """Elements of columns that were replaced: pairs of where and what, by column."""

    source: Any
    key: Hashable
    patches: Mapping[str, Sequence[Any]]
    _joined: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._joined = {name: [_copied_pair(pair) for pair in pairs] for name, pairs in self.patches.items()}
        self.patches = self._joined

    def take_in(self, later: Patch) -> None:
        """Append what ``later`` replaces."""
        for name, pairs in later._joined.items():
            self._joined.setdefault(name, []).extend(pairs)


Change: TypeAlias = Keyed | Discrete | Whole | Columns | Stream | Patch


def _type_of(column: Any) -> object:
    return (column.dtype.str, column.shape[1:]) if isinstance(column, np.ndarray) else list


def _joined(pieces: Sequence[Any]) -> Any:
    if len(pieces) == 1:
        return pieces[0]
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    return [row for piece in pieces for row in piece]


def _cut(column: Any, rollover: int | None) -> Any:
    return column if rollover is None or len(column) <= rollover else column[len(column) - rollover :]


def _copied_pair(pair: Any) -> tuple[Any, Any]:
    where, what = pair
    return where, np.array(what) if isinstance(what, np.ndarray) else what


class Coalescer:
    """Keeps what waits, in the order in which it is to be sent."""

    def __init__(self) -> None:
        self.coalesced = 0
        """How many changes others have taken in, since the beginning."""
        self._items: dict[int, Change] = {}
        self._serial = 0
        self._keyed: dict[Hashable, int] = {}
        self._whole: dict[Hashable, int] = {}
        # of each source: everything that waits, and the last if others may still be joined to it
        self._data: dict[Hashable, list[int]] = {}
        self._open: dict[Hashable, int] = {}

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._items)

    def put(self, change: Change) -> None:
        """Let a change wait."""
        match change:
            case Keyed():
                self._drop(self._keyed.get(change.key))
                self._keyed[change.key] = self._append(change)
            case Discrete():
                self._append(change)
                self._keyed.clear()
                self._open.clear()
            case Whole():
                self._put_whole(change)
            case Columns() | Stream() | Patch():
                self._put_data(change)

    def take(self) -> list[Change]:
        """Give what waits; nothing waits from then on."""
        taken = list(self._items.values())
        self.clear()
        for change in taken:
            if isinstance(change, Stream):
                change.join()
        return taken

    def clear(self) -> None:
        """Forget what waits: somebody gets the whole."""
        for table in (self._items, self._keyed, self._whole, self._data, self._open):
            table.clear()

    def _append(self, change: Change) -> int:
        self._serial += 1
        self._items[self._serial] = change
        return self._serial

    def _drop(self, serial: int | None) -> None:
        if serial is not None and self._items.pop(serial, None) is not None:
            self.coalesced += 1

    def _put_whole(self, change: Whole) -> None:
        self._drop(self._whole.get(change.key))
        for serial in self._data.pop(change.key, ()):
            self._drop(serial)
        self._open.pop(change.key, None)
        self._whole[change.key] = self._append(change)

    def _put_data(self, change: Columns | Stream | Patch) -> None:
        key = change.key
        if key in self._whole:
            self.coalesced += 1
            return
        waiting = self._data.setdefault(key, [])
        if not isinstance(change, Columns) and any(isinstance(self._items[serial], Columns) for serial in waiting):
            # columns are read when they are sent: with these rows in them, and the others without
            self.coalesced += 1
            self._put_whole(Whole(change.source, key))
            return
        if self._joins(self._items.get(self._open.get(key, -1)), change):
            self.coalesced += 1
            return
        serial = self._append(change)
        self._open[key] = serial
        waiting.append(serial)
        if len(waiting) > MAX_ITEMS_PER_SOURCE:
            self._put_whole(Whole(change.source, key))

    @staticmethod
    def _joins(last: Change | None, change: Columns | Stream | Patch) -> bool:
        match last, change:
            case Columns(), Columns():
                last.columns += [name for name in change.columns if name not in last.columns]
                return True
            case Stream(), Stream():
                return last.takes_in(change)
            case Patch(), Patch():
                last.take_in(change)
                return True
        return False
