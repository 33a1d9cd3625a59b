"""Both ends of a wire, without a kernel: recorded comms, a page's replica, and Bokeh's own protocol.

A page is played by a second Bokeh document in Python and by Bokeh's own serializer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Buffer, Serialized, Serializer
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.protocol import Protocol
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.protocol.messages.pull_doc_reply import pull_doc_reply
from comm.base_comm import BaseComm

from bokeh_widget._codec import EncodedDocument, PatchFrame, apply_event, decode_patch
from bokeh_widget._protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bokeh.document.events import DocumentPatchedEvent
    from bokeh.protocol.message import Message

    from bokeh_widget import BokehWidget

SETTER = object()


# --- comms that are recorded ------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """One message that Python published on a comm."""

    comm_id: str
    msg_type: str
    data: dict[str, Any]
    buffers: list[Any]

    @property
    def content(self) -> dict[str, Any]:
        """The content of a custom message."""
        assert self.data.get("method") == "custom", self.data
        content: dict[str, Any] = self.data["content"]
        return content


@dataclass
class Wire:
    """Everything that was published, oldest first."""

    messages: list[Sent] = field(default_factory=list)
    watchers: list[Callable[[Sent], object]] = field(default_factory=list)
    """Called with each message at the moment in which it is published."""

    def create_comm(self, **kwargs: Any) -> BaseComm:
        wire = self

        class RecordedComm(BaseComm):
            def publish_msg(
                self,
                msg_type: str,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,  # noqa: ARG002  # the base class's signature
                buffers: Sequence[Any] | None = None,
                **_keys: Any,
            ) -> None:
                # as a kernel does it: what is no JSON fails here, and later changes are not seen
                plain = json.loads(json.dumps(data or {}, allow_nan=False))
                raw = [bytes(memoryview(buffer)) for buffer in buffers or ()]
                sent = Sent(self.comm_id, msg_type, plain, raw)
                wire.messages.append(sent)
                for watch in wire.watchers:
                    watch(sent)

        return RecordedComm(**kwargs)

    def of(self, widget: BokehWidget) -> list[Sent]:
        """Messages of one widget."""
        return [message for message in self.messages if message.comm_id == widget.model_id]

    def customs(self, widget: BokehWidget, kind: str | None = None) -> list[Sent]:
        """Custom messages of one widget, of one kind if it is given."""
        found = [message for message in self.of(widget) if message.data.get("method") == "custom"]
        return [message for message in found if kind in (None, message.content["kind"])]


@dataclass
class Page:
    """A client of a widget: sends what the front end sends."""

    widget: BokehWidget
    wire: Wire
    client: str = "page"
    seq: int = 0
    tick: int = 0
    views: list[str] = field(default_factory=list)

    def send(self, content: object, buffers: Sequence[bytes] = ()) -> None:
        """Bring one custom message to the widget as ipywidgets does."""
        self.widget.comm.handle_msg(
            {"content": {"data": {"method": "custom", "content": content}}, "buffers": list(buffers)}
        )

    def show(self, view: str = "view") -> None:
        """Display the widget: a view, and a replica of the document."""
        self.views.append(view)
        self.presence("hi", view=view)
        self.attach()
        self.first = next(m for m in reversed(self.documents) if m.content["client"] == self.client)

    @property
    def documents(self) -> list[Sent]:
        """Every whole document that was sent."""
        return self.wire.customs(self.widget, "document")

    @cached_property
    def replica(self) -> Document:
        """The document as it was when the page was shown; made when it is asked for."""
        named = dict(zip(self.first.content["buffers"], self.first.buffers, strict=True))
        return document_of(EncodedDocument(self.first.content["json"], named))

    def presence(self, kind: str, **fields: Any) -> None:
        """Send a message that says which views there are."""
        self.tick += 1
        self.send({"kind": kind, "client": self.client, "views": list(self.views), "tick": self.tick, **fields})

    def attach(self, session: str | None = None, revision: int | None = None) -> None:
        """Ask for the document, or say which one is there."""
        asked = {"session": session, "revision": revision, "protocol": PROTOCOL_VERSION, "seq": 0}
        self.presence("attach", **asked)

    def acknowledge(self, revision: int | None = None, *, cost_ms: float = 0) -> None:
        """Say that everything up to a revision is painted; by default up to the last that was sent."""
        if revision is None:
            revision = max(m.content["revision"] for m in self.wire.customs(self.widget) if "revision" in m.content)
        self.presence("ack", session=self.widget.session.id, revision=revision, cost_ms=cost_ms)

    def leave(self) -> None:
        """Unload the page."""
        self.tick += 1
        self.send({"kind": "bye", "client": self.client, "tick": self.tick})

    def hide(self, view: str = "view") -> None:
        """Remove a view."""
        self.views = [other for other in self.views if other != view]
        self.presence("gone", view=view)

    def patch_message(self, events: object, buffers: Sequence[str] = ()) -> dict[str, Any]:
        """Make a patch message of some event representations."""
        self.seq += 1
        session = self.widget.session
        return {
            "kind": "patch",
            "client": self.client,
            "session": session.id,
            "seq": self.seq,
            "revision": session.revision,
            "events": events,
            "buffers": list(buffers),
        }

    def patch(self, *events: object, **buffers: bytes) -> None:
        """Send event representations as one patch."""
        self.send(self.patch_message(list(events), list(buffers)), list(buffers.values()))

    def send_events(self, events: Sequence[DocumentPatchedEvent]) -> None:
        """Send events of the replica, serialized by Bokeh as BokehJS does it."""
        reps, buffers = serialized(events)
        self.send(self.patch_message(reps, list(buffers)), list(buffers.values()))

    def receive(self, sent: Sent) -> None:
        """Apply a patch that Python sent to the replica."""
        content = sent.content
        assert content["events"] is not None
        apply_by_ours(self.replica, content["events"], dict(zip(content["buffers"], sent.buffers, strict=True)))


# --- our way ---------------------------------------------------------------------------------


def document_of(encoded: EncodedDocument) -> Document:
    """Build the second document from what travels."""
    buffers = [Buffer(ID(name), bytes(data)) for name, data in encoded.buffers.items()]
    document = Document()
    document.replace_with_json(Serialized(content=json.loads(encoded.json), buffers=buffers))
    return document


def frame_of(events: Sequence[DocumentPatchedEvent]) -> PatchFrame:
    """Encode events as one frame."""
    frame = PatchFrame(events[0].document)
    for event in events:
        frame.add(event)
    return frame


def apply_by_ours(document: Document, events: list[Any], buffers: dict[str, bytes]) -> None:
    """Apply what came over the wire with our decoder."""
    decoded = decode_patch(document, events, buffers, setter=SETTER)
    with document.models.freeze():
        for event in decoded.events:
            apply_event(document, event, setter=SETTER)


def transfer_by_ours(frame: PatchFrame, document: Document) -> None:
    """Bring a frame to a second document, as JSON text and bytes."""
    events = json.loads(json.dumps(frame.events, allow_nan=False))
    apply_by_ours(document, events, {name: bytes(data) for name, data in frame.buffers.items()})


# --- Bokeh's own way -------------------------------------------------------------------------


def through_bokeh(message: Message[Any]) -> Message[Any]:
    """Send a message of Bokeh's protocol through its assembler, as its server and client do."""
    arrived = Protocol().assemble(message.header_json, message.metadata_json, message.content_json)
    for buffer in message.buffers:
        arrived.assemble_buffer(json.loads(json.dumps(buffer.ref)), buffer.to_bytes())
    assert arrived.complete
    return arrived


def pulled_by_bokeh(document: Document) -> Document:
    """Copy a document with PULL-DOC-REPLY."""
    arrived = through_bokeh(pull_doc_reply.create(ID("1"), document))
    assert isinstance(arrived, pull_doc_reply)
    second = Document()
    arrived.push_to_document(second)
    return second


def transfer_by_bokeh(events: Sequence[DocumentPatchedEvent], document: Document) -> None:
    """Bring events to a second document with PATCH-DOC."""
    arrived = through_bokeh(patch_doc.create(list(events)))
    assert isinstance(arrived, patch_doc)
    arrived.apply_to_document(document)


def serialized(events: Sequence[DocumentPatchedEvent]) -> tuple[list[Any], dict[str, bytes]]:
    """Serialize events as a page does: Bokeh's representation, raw buffers by name."""
    models = events[0].document.models
    serializer = Serializer(references=models.synced_references)
    reps = serializer.serialize(list(events))
    models.flush_synced(lambda model: not serializer.has_ref(model))
    return json.loads(serialize_json(reps)), {buffer.id: buffer.to_bytes() for buffer in reps.buffers or ()}


class Recorder:
    """Collects the events of a document, each handed to a function as it happens."""

    def __init__(self, document: Document, handle: Any = None) -> None:
        self.events: list[DocumentPatchedEvent] = []
        self._handle = handle
        document.callbacks.on_change_dispatch_to(self)

    def _document_patched(self, event: DocumentPatchedEvent) -> None:
        # Bokeh's dispatch calls this name
        self.events.append(event)
        if self._handle is not None:
            self._handle(event)
