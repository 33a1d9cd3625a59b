"""Decides whether the events of a page can be applied to a document, without applying any. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.events import Event
from bokeh.model import Model

from ._protocol import short
from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bokeh.core.property.descriptors import PropertyDescriptor
    from bokeh.document import Document

_FIELDS: Final = {
    "MessageSent": {"kind", "msg_type", "msg_data"},
    "ModelChanged": {"kind", "model", "attr", "new"},
    "ColumnDataChanged": {"kind", "model", "attr", "data", "cols"},
    "ColumnsStreamed": {"kind", "model", "attr", "data", "rollover"},
    "ColumnsPatched": {"kind", "model", "attr", "patches"},
    "TitleChanged": {"kind", "title"},
    "RootAdded": {"kind", "model"},
    "RootRemoved": {"kind", "model"},
}
"""What an event of each kind may carry; Bokeh takes them as keyword arguments."""


def refusal(message: str) -> ProtocolError:
    """Make the error for a patch that is not applied.

    Parameters
    ----------
    message : str
        What is wrong with it, and the offending value.
    """
    return ProtocolError(
        f"patch from the page refused: {message}. Nothing of it was applied, and the page gets the document again; "
        "reload the page if this goes on"
    )


def _check_model(event: Mapping[str, Any]) -> tuple[Model, str]:
    model, attr = event.get("model"), event.get("attr")
    if not isinstance(model, Model):
        raise refusal(f"{event['kind']} needs a model, but got {short(model)}")
    if not isinstance(attr, str) or attr not in model.properties():
        raise refusal(f"{model} has no property {short(attr)}")
    descriptor = model.lookup(attr)
    # what only a page sets (inner_width, value_throttled) is read-only in Python, and not serialized either
    if not descriptor.serialized and not descriptor.readonly:
        raise refusal(f"{model}.{attr} exists in Python only")
    return model, attr


def _check_columns(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise refusal(f"{event['kind']} needs columns by name, but got {short(data)}")
    for name, column in data.items():
        if isinstance(column, (str, bytes, dict)) or not hasattr(column, "__len__"):
            raise refusal(f"column {short(name)} of {event['kind']} is no sequence, but {short(column)}")
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) > 1:
        raise refusal(f"{event['kind']} has columns of different lengths {short(lengths)}")
    return data


class PatchChecker:
    """Decides whether events can be applied one after the other, without applying any.

    Parameters
    ----------
    document : bokeh.document.Document
        The document that they are for; it is read, never changed.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._lengths: dict[str, dict[str, int]] = {}
        self._roots = list(document.roots)

    def _columns(self, event: Mapping[str, Any]) -> tuple[Model, dict[str, int]]:
        model, attr = _check_model(event)
        if attr != "data":
            raise refusal(f"{event['kind']} is for the data of a source, but got {model}.{attr}")
        if model.id not in self._lengths:
            data = getattr(model, "data", None)
            if not isinstance(data, dict) or not hasattr(model, "_stream"):
                raise refusal(f"{model} is not a column data source")
            self._lengths[model.id] = {name: len(column) for name, column in data.items()}
        return model, self._lengths[model.id]

    def check(self, event: Mapping[str, Any]) -> None:
        """Check one event, in the order in which they are to be applied.

        Parameters
        ----------
        event : mapping
            The event, decoded.

        Raises
        ------
        ProtocolError
            If it cannot be applied.
        """
        kind = event.get("kind")
        if not isinstance(kind, str) or kind not in _FIELDS:
            raise refusal(f"unknown kind of event {short(kind)}")
        if unknown := set(event) - _FIELDS[kind]:
            raise refusal(f"{kind} has no field {short(sorted(map(str, unknown)))}")
        getattr(self, f"_check_{kind}")(event)

    def _check_value(self, model: Model, attr: str, value: Any) -> None:
        # properties that are read-only for users (inner_width, value_throttled) are set by the page
        descriptor: PropertyDescriptor[Any] = model.lookup(attr)
        try:
            descriptor.property.prepare_value(model, attr, value)
        except (ValueError, TypeError) as error:
            raise refusal(f"{error} ({short(value)})") from error

    def _check_ModelChanged(self, event: Mapping[str, Any]) -> None:  # noqa: N802  # named after Bokeh's kinds
        model, attr = _check_model(event)
        if "new" not in event:
            raise refusal(f"ModelChanged of {model}.{attr} has no new value")
        self._check_value(model, attr, event["new"])
        if attr == "data" and isinstance(event["new"], dict) and hasattr(model, "_stream"):
            self._lengths[model.id] = {name: len(col) for name, col in event["new"].items()}

    def _check_ColumnDataChanged(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model, attr = _check_model(event)
        data = _check_columns(event)
        self._check_value(model, attr, data)
        self._lengths[model.id] = {name: len(column) for name, column in data.items()}

    def _check_ColumnsStreamed(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model, columns = self._columns(event)
        data = _check_columns(event)
        rollover = event.get("rollover")
        if rollover is not None and (isinstance(rollover, bool) or not isinstance(rollover, int) or rollover < 0):
            raise refusal(f"rollover must be a number of rows or null, but got {short(rollover)}")
        if columns and set(data) != set(columns):  # the first rows of all bring the columns with them
            raise refusal(f"streamed columns {sorted(data)} are not the columns {sorted(columns)}")
        self._check_value(model, "data", data)
        for name, column in data.items():
            columns[name] = columns.get(name, 0) + len(column)
            if rollover is not None:
                columns[name] = min(columns[name], rollover)

    def _check_ColumnsPatched(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model, columns = self._columns(event)
        patches = event.get("patches")
        if not isinstance(patches, dict):
            raise refusal(f"patches must be by column, but got {short(patches)}")
        for name, column_patches in patches.items():
            if name not in columns:
                raise refusal(f"{model} has no column {short(name)}")
            if not isinstance(column_patches, list):
                raise refusal(f"patches of column {short(name)} must be a list, but got {short(column_patches)}")
            for entry in column_patches:
                if not isinstance(entry, (list, tuple)) or len(entry) != 2:  # noqa: PLR2004  # (where, what)
                    raise refusal(f"a patch of column {short(name)} must be a pair, but got {short(entry)}")
                self._check_index(name, entry[0], columns[name])
                self._check_patch(model, name, *entry)

    @staticmethod
    def _check_index(name: str, index: object, length: int) -> None:
        if isinstance(index, (list, tuple)) and index:
            index = index[0]
        if isinstance(index, slice):
            bounds = [bound for bound in (index.start, index.stop) if bound is not None]
            inside = all(isinstance(bound, int) and 0 <= bound <= length for bound in bounds)
        else:
            inside = isinstance(index, int) and 0 <= index < length
        if not inside:
            raise refusal(f"column {name!r} has {length} rows, index {short(index)} is outside")

    def _check_patch(self, model: Model, name: str, index: Any, value: Any) -> None:
        """Try a patch on a copy of what it replaces, so that it cannot fail half-way."""
        length = self._lengths[model.id][name]
        if isinstance(index, slice):
            rows = len(range(*index.indices(length)))
            if not hasattr(value, "__len__") or len(value) != rows:
                raise refusal(f"{index} of column {name!r} is {rows} rows, but got {short(value)}")
        column = model.data[name]  # type: ignore[attr-defined]  # a source, as _columns() has checked
        if len(column) != length:
            return  # earlier events of this patch replace or lengthen it
        try:
            if isinstance(index, (list, tuple)):
                region = column[index[0]][tuple(index[1:])]
                np.array(region)[...] = np.asarray(value).reshape(region.shape)
            elif isinstance(column, np.ndarray):
                at = index if isinstance(index, slice) else slice(index, index + 1)
                np.array(column[at])[...] = value
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise refusal(f"column {name!r} cannot take {short(value)} at {short(index)} ({error})") from error

    def _check_TitleChanged(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        if not isinstance(event.get("title"), str):
            raise refusal(f"a title must be a string, but got {short(event.get('title'))}")

    def _check_RootAdded(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model = event.get("model")
        if not isinstance(model, Model):
            raise refusal(f"a root must be a model, but got {short(model)}")
        self._roots.append(model)

    def _check_RootRemoved(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model = event.get("model")
        if not any(model is root for root in self._roots):
            raise refusal(f"{short(model)} is not a root of the document")
        self._roots = [root for root in self._roots if root is not model]

    def _check_MessageSent(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        msg_type = event.get("msg_type")
        if not isinstance(msg_type, str) or "msg_data" not in event:
            raise refusal(f"a message needs a type and data, but got {short(msg_type)}")
        if msg_type == "bokeh_event":
            carried = event["msg_data"]
            if not isinstance(carried, Event):
                raise refusal(f"a bokeh_event must carry an event, but got {short(carried)}")
            model = getattr(carried, "model", None)
            if model is not None and (not isinstance(model, Model) or model.document is not self._document):
                raise refusal(f"{carried.event_name} must be of a model of the document, but got {short(model)}")
