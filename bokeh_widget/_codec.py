"""Documents and their events, to and from (JSON content, raw buffers). Pure: no comm, no kernel.

The representation is Bokeh's own, that of its PATCH-DOC message; what differs is only how the
binary buffers travel: beside the JSON, by name, never as base64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Buffer as BokehBuffer
from bokeh.core.serialization import (
    Deserializer,
    Serialized,
    Serializer,
    UnknownReferenceError,
)
from bokeh.core.types import ID
from bokeh.document.events import DocumentPatchedEvent
from bokeh.events import Event
from bokeh.model import Model

from ._protocol import short
from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bokeh.core.property.descriptors import PropertyDescriptor
    from bokeh.document import Document
    from bokeh.document.models import DocumentModelManager

    from ._protocol import Buffer

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


def _raw(data: bytes | memoryview) -> Buffer:
    """Give ``data`` as one flat run of bytes, copied only where memory is not contiguous."""
    if isinstance(data, bytes):
        return data
    if data.c_contiguous and data.nbytes > 0:
        return data.cast("B")
    return data.tobytes()


@dataclass(frozen=True, slots=True)
class EncodedDocument:
    """A document as JSON text and its named raw buffers."""

    json: str
    buffers: dict[str, Buffer]


def encode_document(document: Document) -> EncodedDocument:
    """Encode a whole document.

    Parameters
    ----------
    document : bokeh.document.Document
        Its models count as known to the other side from here on (Bokeh's ``flush_synced``).

    Returns
    -------
    EncodedDocument
        ``json`` is what BokehJS's ``Document.from_json`` reads, with ``{"id": …}`` in the
        place of each binary; ``buffers`` maps those ids to raw bytes, C order.
    """
    serialized = document.to_json()
    return EncodedDocument(
        json=serialize_json(serialized),
        buffers={buffer.id: _raw(buffer.data) for buffer in serialized.buffers},
    )


class _PatchSerializer(Serializer):
    """Bokeh's serializer with an incremental set of references.

    Bokeh builds the set of all models that the other side knows for each message; asking for
    one model at a time keeps the cost of a patch independent of the size of the document.
    """

    def __init__(self, models: DocumentModelManager) -> None:
        super().__init__()
        self._models = models
        self.created: list[Model] = []

    def add_ref(self, obj: Any, ref: Any) -> None:
        super().add_ref(obj, ref)
        if isinstance(obj, Model):
            self.created.append(obj)

    def get_ref(self, obj: Any) -> Any:  # Bokeh's own signature
        ref = super().get_ref(obj)
        if ref is None and isinstance(obj, Model):
            models = self._models
            if models.get_by_id(obj.id) is obj and obj not in models._new_models:  # noqa: SLF001  # no public name
                return obj.ref
        return ref

    def _encode_bytes(self, obj: bytes | memoryview) -> Any:
        # the reference instead of the Buffer object: the frame is then plain JSON as it is
        super()._encode_bytes(obj)
        return {"type": "bytes", "data": self._buffers[-1].ref}


@dataclass(slots=True)
class PatchFrame:
    """Events of one document, encoded one by one as they happen.

    Each event is encoded at once since many refer to live data: a column that is replaced and
    then streamed to would otherwise be sent with the streamed rows in it, twice.

    Parameters
    ----------
    document : bokeh.document.Document
        The document that all events are of.
    """

    document: Document
    events: list[Any] = field(default_factory=list)
    _serializer: _PatchSerializer = field(init=False)

    def __post_init__(self) -> None:
        self._serializer = _PatchSerializer(self.document.models)

    def add(self, event: DocumentPatchedEvent) -> None:
        """Encode one event into the frame.

        Raises
        ------
        ProtocolError
            If the event is of another document.
        bokeh.core.serialization.SerializationError
            If a value has no representation.
        """
        if event.document is not self.document:
            raise ProtocolError(f"the event {event!r} is of another document than its frame")
        self.events.append(self._serializer.encode(event))

    @property
    def buffers(self) -> dict[str, Buffer]:
        """The raw buffers of the events, by id."""
        return {buffer.id: _raw(buffer.data) for buffer in self._serializer.buffers}

    @property
    def created(self) -> list[Model]:
        """Models that the frame defines, since the other side does not know them."""
        return self._serializer.created

    def seal(self) -> None:
        """Count the models that were encoded in full as known to the other side."""
        self.document.models.flush_synced(lambda model: not self._serializer.has_ref(model))


@dataclass(frozen=True, slots=True)
class DecodedPatch:
    """Events that were decoded and found applicable, and how many came too late."""

    events: list[dict[str, Any]]
    stale: int
    created: frozenset[Model]


class _PatchDeserializer(Deserializer):
    """Bokeh's deserializer, looking models up in the document instead of in a copied table."""

    def __init__(self, document: Document, setter: object) -> None:
        super().__init__(setter=setter)  # type: ignore[arg-type]  # Bokeh names its own two classes
        self._document = document

    def _decode_ref(self, obj: Any) -> Model:
        model = self._document.models.get_by_id(obj["id"])
        return model if model is not None else super()._decode_ref(obj)

    def _decode_bytes(self, obj: Any) -> bytes | memoryview[int]:
        # our pages send raw buffers only; packed text could unpack to any size
        if isinstance(obj["data"], str):
            self.error(f"binary data came as text {short(obj['data'])} instead of a buffer")
        return super()._decode_bytes(obj)

    def _decode_object_ref(self, obj: Any) -> Model:
        # a page may define a model again that Python already has
        model = self._document.models.get_by_id(obj["id"])
        return model if model is not None else super()._decode_object_ref(obj)

    @property
    def created(self) -> frozenset[Model]:
        return frozenset(self._references.values())


def _refuse(message: str) -> ProtocolError:
    return ProtocolError(
        f"patch from the page refused: {message}. Nothing of it was applied, and the page gets the document again; "
        "reload the page if this goes on"
    )


def _check_model(event: Mapping[str, Any]) -> tuple[Model, str]:
    model, attr = event.get("model"), event.get("attr")
    if not isinstance(model, Model):
        raise _refuse(f"{event['kind']} needs a model, but got {short(model)}")
    if not isinstance(attr, str) or attr not in model.properties():
        raise _refuse(f"{model} has no property {short(attr)}")
    descriptor = model.lookup(attr)
    if not descriptor.serialized and not descriptor.readonly:  # what only the page sets is not sent to it either
        raise _refuse(f"{model}.{attr} exists in Python only")
    return model, attr


def _check_columns(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise _refuse(f"{event['kind']} needs columns by name, but got {short(data)}")
    for name, column in data.items():
        if isinstance(column, (str, bytes, dict)) or not hasattr(column, "__len__"):
            raise _refuse(f"column {short(name)} of {event['kind']} is no sequence, but {short(column)}")
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) > 1:
        raise _refuse(f"{event['kind']} has columns of different lengths {short(lengths)}")
    return data


class _Checker:
    """Decides whether events can be applied one after the other, without applying any."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._lengths: dict[str, dict[str, int]] = {}
        self._roots = list(document.roots)

    def _columns(self, event: Mapping[str, Any]) -> tuple[Model, dict[str, int]]:
        model, attr = _check_model(event)
        if attr != "data":
            raise _refuse(f"{event['kind']} is for the data of a source, but got {model}.{attr}")
        if model.id not in self._lengths:
            data = getattr(model, "data", None)
            if not isinstance(data, dict) or not hasattr(model, "_stream"):
                raise _refuse(f"{model} is not a column data source")
            self._lengths[model.id] = {name: len(column) for name, column in data.items()}
        return model, self._lengths[model.id]

    def check(self, event: Mapping[str, Any]) -> None:
        kind = event.get("kind")
        if not isinstance(kind, str) or kind not in _FIELDS:
            raise _refuse(f"unknown kind of event {short(kind)}")
        if unknown := set(event) - _FIELDS[kind]:
            raise _refuse(f"{kind} has no field {short(sorted(map(str, unknown)))}")
        getattr(self, f"_check_{kind}")(event)

    def _check_value(self, model: Model, attr: str, value: Any) -> None:
        # properties that are read-only for users (inner_width, value_throttled) are set by the page
        descriptor: PropertyDescriptor[Any] = model.lookup(attr)
        try:
            descriptor.property.prepare_value(model, attr, value)
        except (ValueError, TypeError) as error:
            raise _refuse(f"{error} ({short(value)})") from error

    def _check_ModelChanged(self, event: Mapping[str, Any]) -> None:  # noqa: N802  # named after Bokeh's kinds
        model, attr = _check_model(event)
        if "new" not in event:
            raise _refuse(f"ModelChanged of {model}.{attr} has no new value")
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
            raise _refuse(f"rollover must be a number of rows or null, but got {short(rollover)}")
        if columns and set(data) != set(columns):  # the first rows of all bring the columns with them
            raise _refuse(f"streamed columns {sorted(data)} are not the columns {sorted(columns)}")
        self._check_value(model, "data", data)
        for name, column in data.items():
            columns[name] = columns.get(name, 0) + len(column)
            if rollover is not None:
                columns[name] = min(columns[name], rollover)

    def _check_ColumnsPatched(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model, columns = self._columns(event)
        patches = event.get("patches")
        if not isinstance(patches, dict):
            raise _refuse(f"patches must be by column, but got {short(patches)}")
        for name, column_patches in patches.items():
            if name not in columns:
                raise _refuse(f"{model} has no column {short(name)}")
            if not isinstance(column_patches, list):
                raise _refuse(f"patches of column {short(name)} must be a list, but got {short(column_patches)}")
            for entry in column_patches:
                if not isinstance(entry, (list, tuple)) or len(entry) != 2:  # noqa: PLR2004  # (where, what)
                    raise _refuse(f"a patch of column {short(name)} must be a pair, but got {short(entry)}")
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
            raise _refuse(f"column {name!r} has {length} rows, index {short(index)} is outside")

    def _check_patch(self, model: Model, name: str, index: Any, value: Any) -> None:
        """Try a patch on a copy of what it replaces, so that it cannot fail half-way."""
        length = self._lengths[model.id][name]
        if isinstance(index, slice):
            rows = len(range(*index.indices(length)))
            if not hasattr(value, "__len__") or len(value) != rows:
                raise _refuse(f"{index} of column {name!r} is {rows} rows, but got {short(value)}")
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
            raise _refuse(f"column {name!r} cannot take {short(value)} at {short(index)} ({error})") from error

    def _check_TitleChanged(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        if not isinstance(event.get("title"), str):
            raise _refuse(f"a title must be a string, but got {short(event.get('title'))}")

    def _check_RootAdded(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model = event.get("model")
        if not isinstance(model, Model):
            raise _refuse(f"a root must be a model, but got {short(model)}")
        self._roots.append(model)

    def _check_RootRemoved(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        model = event.get("model")
        if not any(model is root for root in self._roots):
            raise _refuse(f"{short(model)} is not a root of the document")
        self._roots = [root for root in self._roots if root is not model]

    def _check_MessageSent(self, event: Mapping[str, Any]) -> None:  # noqa: N802
        msg_type = event.get("msg_type")
        if not isinstance(msg_type, str) or "msg_data" not in event:
            raise _refuse(f"a message needs a type and data, but got {short(msg_type)}")
        if msg_type == "bokeh_event":
            carried = event["msg_data"]
            if not isinstance(carried, Event):
                raise _refuse(f"a bokeh_event must carry an event, but got {short(carried)}")
            model = getattr(carried, "model", None)
            if model is not None and (not isinstance(model, Model) or model.document is not self._document):
                raise _refuse(f"{carried.event_name} must be of a model of the document, but got {short(model)}")


def decode_patch(
    document: Document,
    events: Iterable[object],
    buffers: Mapping[str, bytes],
    *,
    setter: object,
) -> DecodedPatch:
    """Decode what a page sent and check that all of it can be applied.

    Parameters
    ----------
    document : bokeh.document.Document
        The document to which the events belong. It is read, never changed.
    events : iterable of JSON values
        Event representations of Bokeh's PATCH-DOC message.
    buffers : mapping of str to bytes
        Raw buffers that the events refer to.
    setter : object
        Marks the changes, so that their origin can be told from other changes.

    Returns
    -------
    DecodedPatch
        Events for :func:`apply_event`, oldest first. Events of a model that the document had
        and has no longer are left out and counted: the page could not know yet.

    Raises
    ------
    ProtocolError
        If an event is malformed, of an unknown model or property, or its value is refused by
        the property. Nothing of the patch is to be applied then.
    """
    deserializer = _PatchDeserializer(document, setter)
    bokeh_buffers = [BokehBuffer(ID(name), data) for name, data in buffers.items()]
    checker = _Checker(document)
    decoded: list[dict[str, Any]] = []
    stale = 0
    for rep in events:
        if not isinstance(rep, dict):
            raise _refuse(f"an event must be an object, but got {short(rep)}")
        try:
            event = deserializer.deserialize(Serialized(content=rep, buffers=bokeh_buffers))
        except UnknownReferenceError as error:
            if not document.models.seen(error.id):
                raise _refuse(f"unknown model {error.id!r}") from error
            stale += 1
            continue
        except Exception as error:  # bytes of a stranger: anything may come out of them
            raise _refuse(f"{type(error).__name__}: {error}, in the event {short(rep)}") from error
        if not isinstance(event, dict):
            raise _refuse(f"an event must be an object, but got {short(event)}")
        checker.check(event)
        decoded.append(event)
    return DecodedPatch(events=decoded, stale=stale, created=deserializer.created)


def apply_event(document: Document, event: dict[str, Any], *, setter: object) -> None:
    """Apply one event of :func:`decode_patch` to its document.

    Parameters
    ----------
    document : bokeh.document.Document
        The document that the event was decoded for.
    event : dict
        A decoded event. Bokeh's handler consumes it.
    setter : object
        Given to every notification that the change causes.

    Raises
    ------
    Exception
        Whatever a callback of the user raises.
    """
    DocumentPatchedEvent.handle_event(document, event, setter)  # type: ignore[arg-type]
