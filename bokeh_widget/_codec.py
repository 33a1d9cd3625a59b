"""Documents and their events, to and from (JSON content, raw buffers). Pure: no comm, no kernel.

The representation is Bokeh's own, that of its PATCH-DOC message; what differs is only how the
binary buffers travel: beside the JSON, by name, never as base64.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Buffer as BokehBuffer
from bokeh.core.serialization import (
    Deserializer,
    Serialized,
    Serializer,
    UnknownReferenceError,
)
from bokeh.core.types import ID
from bokeh.document.events import (
    ColumnDataChangedEvent,
    ColumnsPatchedEvent,
    ColumnsStreamedEvent,
    DocumentPatchedEvent,
    ModelChangedEvent,
)
from bokeh.model import Model
from bokeh.models.sources import ColumnarDataSource

from . import _coalescing as waiting
from ._protocol import short
from ._validation import PatchChecker, refusal
from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bokeh.document import Document
    from bokeh.document.models import DocumentModelManager

    from ._protocol import Buffer


_TRIES: Final = 3
"""How often a value is encoded once more that another thread changes at that moment."""


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
    for number, buffer in enumerate(serialized.buffers):
        # whoever puts updates of the state together by paths, as nbclient does, finds the same buffers again
        buffer.id = ID(f"buffer-{number}")
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


def change_of(event: DocumentPatchedEvent) -> waiting.Change:
    """Give an event the form in which it waits to be sent.

    Parameters
    ----------
    event : DocumentPatchedEvent
        What Bokeh told of.

    Returns
    -------
    Change
        Streamed rows and patches are copies; other values are read when they are sent.
    """
    match event:
        case ModelChangedEvent(attr="data", model=ColumnarDataSource()) | ColumnDataChangedEvent(cols=None):
            return waiting.Whole(event.model, event.model.id)
        case ModelChangedEvent():
            return waiting.Keyed((event.model.id, event.attr), event)
        case ColumnDataChangedEvent():
            return waiting.Columns(event.model, event.model.id, list(event.cols or ()))
        case ColumnsStreamedEvent():
            return waiting.Stream(event.model, event.model.id, event.data, event.rollover)
        case ColumnsPatchedEvent():
            return waiting.Patch(event.model, event.model.id, event.patches)
    return waiting.Discrete(event)


def event_of(document: Document, change: waiting.Change) -> DocumentPatchedEvent:
    """Give a change that has waited the form of an event of Bokeh again.

    Parameters
    ----------
    document : bokeh.document.Document
        The document that it is of.
    change : Change
        Of :func:`change_of`, perhaps joined with others.
    """
    match change:
        case waiting.Whole():
            return ColumnDataChangedEvent(document, change.source, "data")
        case waiting.Columns():
            return ColumnDataChangedEvent(document, change.source, "data", cols=change.columns)
        case waiting.Stream():
            return ColumnsStreamedEvent(document, change.source, "data", change.rows, change.rollover)
        case waiting.Patch():
            return ColumnsPatchedEvent(document, change.source, "data", change.patches)
    event: DocumentPatchedEvent = change.payload
    return event


def _is_contained(document: Document, change: waiting.Change) -> bool:
    """Tell whether a change is of a model that the other side does not know: its definition contains the change.

    Or of one that has left the document since: the other side may never have known it.
    """
    if isinstance(change, (waiting.Whole, waiting.Columns, waiting.Stream, waiting.Patch)):
        model = change.source
    elif isinstance(change, waiting.Keyed) and isinstance(change.payload, ModelChangedEvent):
        model = change.payload.model
    else:
        return False
    models = document.models
    return models.get_by_id(model.id) is not model or model in models._new_models  # noqa: SLF001  # no public name


def encode_changes(
    document: Document, changes: Sequence[waiting.Change]
) -> tuple[PatchFrame, list[tuple[waiting.Change, Exception]]]:
    """Encode what has waited into one frame.

    Parameters
    ----------
    document : bokeh.document.Document
        The document that all changes are of.
    changes : sequence of Change
        In the order in which they are to be applied.

    Returns
    -------
    frame : PatchFrame
        Of all changes that can be encoded.
    failed : list of (Change, Exception)
        The others, and why.
    """
    failed: list[tuple[waiting.Change, Exception]] = []
    left = [change for change in changes if not _is_contained(document, change)]
    tries = _TRIES
    while True:
        frame = PatchFrame(document)
        for change in left:
            try:
                frame.add(event_of(document, change))
            except Exception as error:  # noqa: BLE001  # values of the user may fail in any way
                if isinstance(error, RuntimeError) and tries > 0:
                    tries -= 1  # another thread may have changed a dict or set that was walked through
                    break
                failed.append((change, error))
                # what was encoded of it may be referred to later: begin again without it
                left = [other for other in left if other is not change]
                break
        else:
            return frame, failed


@dataclass(slots=True)
class PatchFrame:
    """Events of one document, encoded one by one.

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
    checker = PatchChecker(document)
    decoded: list[dict[str, Any]] = []
    stale = 0
    for rep in events:
        if not isinstance(rep, dict):
            raise refusal(f"an event must be an object, but got {short(rep)}")
        try:
            event = deserializer.deserialize(Serialized(content=rep, buffers=bokeh_buffers))
        except UnknownReferenceError as error:
            if not document.models.seen(error.id):
                raise refusal(f"unknown model {error.id!r}") from error
            stale += 1
            continue
        except Exception as error:  # bytes of a stranger: anything may come out of them
            raise refusal(f"{type(error).__name__}: {error}, in the event {short(rep)}") from error
        if not isinstance(event, dict):
            raise refusal(f"an event must be an object, but got {short(event)}")
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
