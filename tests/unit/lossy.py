"""A page that follows docs/protocol.md, and a channel that loses, doubles and mixes up what it carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bokeh.core.types import ID

from bokeh_widget._codec import EncodedDocument, encode_document
from bokeh_widget._protocol import PROTOCOL_VERSION
from tests.unit.comparing import assert_same_documents
from tests.unit.wires import Sent, Wire, apply_by_ours, document_of

if TYPE_CHECKING:
    from bokeh.document import Document

    from bokeh_widget import BokehWidget


@dataclass
class LossyPage:
    """One client. What it sends and what it is sent waits until the test delivers it."""

    widget: BokehWidget
    wire: Wire
    client: str
    to_kernel: list[dict[str, Any]] = field(default_factory=list)
    to_page: list[Sent] = field(default_factory=list)
    replica: Document | None = None
    session: str | None = None
    revision: int = -1
    tick: int = 0
    seq: int = 0
    acknowledged: int = 0
    replaced: int = 0
    unsent: dict[tuple[str, str], Any] = field(default_factory=dict)
    unsent_events: list[dict[str, Any]] = field(default_factory=list)
    outstanding: list[dict[str, Any]] = field(default_factory=list)
    asked: bool = False
    heard: int = 0
    notices: list[str] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    # --- what the page does ----------------------------------------------------------------

    def show(self) -> None:
        """A view appears."""
        self.heard = len(self.wire.messages)
        self._speak("hi", view="v")
        self.ask()

    def ask(self) -> None:
        """Ask for the document."""
        self.asked = True
        self._speak("attach", session=None, revision=None, protocol=PROTOCOL_VERSION, seq=self.acknowledged)

    def set(self, model_id: str, attr: str, value: Any) -> None:
        """The user changes a property."""
        model = None if self.replica is None else self.replica.models.get_by_id(ID(model_id))
        if model is None:
            return
        setattr(model, attr, value)
        self.unsent[model_id, attr] = value
        self._send_changes()

    def change(self, *events: dict[str, Any]) -> None:
        """The user changes other things, as Bokeh writes it."""
        assert self.replica is not None
        apply_by_ours(self.replica, [event for event in events if event["kind"] != "MessageSent"], {})
        self.unsent_events += events
        self._send_changes()

    def remind(self) -> None:
        """Time has passed: what is not answered is sent again, and a page that has heard nothing says where it is."""
        if self.asked:
            self.ask()
        elif self.replica is not None:
            self._acknowledge()
        self.to_kernel += self.outstanding

    def _speak(self, kind: str, **fields: Any) -> None:
        self.tick += 1
        self.to_kernel.append({"kind": kind, "client": self.client, "views": ["v"], "tick": self.tick, **fields})

    def _send_changes(self) -> None:
        if self.outstanding or not (self.unsent or self.unsent_events):
            return
        self.seq += 1
        events = self.unsent_events + [
            {"kind": "ModelChanged", "model": {"id": model_id}, "attr": attr, "new": value}
            for (model_id, attr), value in self.unsent.items()
        ]
        self.unsent.clear()
        self.unsent_events = []
        fields = {"client": self.client, "session": self.session, "seq": self.seq, "revision": self.revision}
        self.outstanding.append({"kind": "patch", "events": events, "buffers": [], **fields})
        self.to_kernel += self.outstanding

    # --- the channel -----------------------------------------------------------------------

    def collect(self, start: int) -> None:
        """Let the messages that the kernel sent since ``start`` wait for their delivery."""
        self.to_page += [
            sent
            for sent in self.wire.messages[start:]
            if sent.comm_id == self.widget.model_id and sent.data.get("method") == "custom"
        ]

    def listen(self) -> None:
        """Let what the kernel has sent since the last time wait for its delivery."""
        self.collect(self.heard)
        self.heard = len(self.wire.messages)

    def deliver_to_kernel(self, index: int, *, keep: bool = False) -> None:
        """Bring one message to Python; with ``keep`` it will come again, later."""
        content = self.to_kernel.pop(index)
        if keep:
            self.to_kernel.append(content)
        self.widget.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def deliver_to_page(self, index: int, *, keep: bool = False) -> None:
        """Bring one message to the page; with ``keep`` it will come again, later."""
        sent = self.to_page.pop(index)
        if keep:
            self.to_page.append(sent)
        getattr(self, f"_on_{sent.content['kind']}")(sent)

    # --- what the page is told -------------------------------------------------------------

    def _on_document(self, sent: Sent) -> None:
        content = sent.content
        is_known = content["session"] == self.session and content["revision"] <= self.revision
        if content["client"] not in (None, self.client) or (content["client"] and is_known and not self.asked):
            return
        self.asked = False
        named = dict(zip(content["buffers"], sent.buffers, strict=True))
        self.replica = document_of(EncodedDocument(content["json"], named))
        self.session, self.revision = content["session"], content["revision"]
        self.outstanding = [p for p in self.outstanding if p["seq"] > (content["seq"] or 0)]
        self.replaced = self.seq
        self.unsent.clear()
        self.unsent_events = []
        self._acknowledge()

    def _on_patch(self, sent: Sent) -> None:
        content = sent.content
        if content["origin"] == self.client and content["revision"] <= self.revision:
            self._done(content["seq"])
            self._send_changes()
        if self.replica is None or content["session"] != self.session or content["revision"] <= self.revision:
            return
        is_own = content["origin"] == self.client
        missed = content["events"] is None and not is_own
        if content["revision"] > self.revision + 1 or missed or (is_own and content["seq"] <= self.replaced):
            self._done(content["seq"] if is_own else 0)
            self.ask()
            return
        self.revision = content["revision"]
        if is_own:
            self._done(content["seq"])
            self._send_changes()
            return
        own = {(e.get("model", {}).get("id"), e.get("attr")) for p in self.outstanding for e in p["events"]}
        own |= set(self.unsent)
        events = [e for e in content["events"] if (e.get("model", {}).get("id"), e.get("attr")) not in own]
        apply_by_ours(self.replica, events, dict(zip(content["buffers"], sent.buffers, strict=True)))
        self._acknowledge()

    def _on_sync(self, sent: Sent) -> None:
        is_known = self.replica is not None and self.session == sent.content["session"]
        if is_known and self.revision >= sent.content["revision"]:
            self._acknowledge()
        else:
            self.ask()

    def _on_refused(self, sent: Sent) -> None:
        if sent.content["client"] == self.client:
            self.refusals.append(sent.content["message"])
            self._done(sent.content["seq"])
            self.ask()

    def _on_output(self, sent: Sent) -> None:
        self.outputs.append(sent.content)

    def _on_notice(self, sent: Sent) -> None:
        self.notices.append(sent.content["text"])

    def _done(self, seq: int) -> None:
        self.acknowledged = max(self.acknowledged, seq)
        self.outstanding = [p for p in self.outstanding if p["seq"] > seq]

    def _acknowledge(self) -> None:
        self._speak("ack", session=self.session, revision=self.revision, cost_ms=0)


def shown_page(widget: BokehWidget, wire: Wire, client: str = "page") -> LossyPage:
    """Show a widget in a page, over a line that loses nothing."""
    page = LossyPage(widget, wire, client)
    page.show()
    talk(page)
    return page


def talk(*pages: LossyPage) -> None:
    """Deliver everything until nobody has anything to say."""
    while True:
        for page in pages:
            page.listen()
        if not any(page.to_page or page.to_kernel for page in pages):
            return
        for page in pages:
            while page.to_kernel:
                page.deliver_to_kernel(0)
            while page.to_page:
                page.deliver_to_page(0)


def assert_followed(widget: BokehWidget, *pages: LossyPage) -> None:
    """Fail unless the pages are where the document is, and have what it has."""
    copy = document_of(encode_document(widget.document))  # values are then of the types of a replica
    for page in pages:
        assert page.replica is not None
        assert (page.session, page.revision) == (widget.session.id, widget.session.revision)
        assert_same_documents(page.replica, copy)
