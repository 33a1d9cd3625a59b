"""What a session sends to its pages: which changes wait, when they go out, and under which revision.

The rules are pure and elsewhere: :mod:`._coalescing` joins what waits, :mod:`._outbox` says when to send. This module
applies them to one document and to the connections of its session. Everything here is done under the session's lock.
"""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from bokeh.document.events import ModelChangedEvent

from . import _bundles
from ._coalescing import Change, Coalescer, Discrete, Keyed, Whole
from ._codec import change_of, encode_changes
from ._outbox import Outbox
from ._transfer import json_bytes, total_bytes
from ._waker import waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bokeh.document import Document
    from bokeh.document.events import DocumentPatchedEvent

    from ._output import OutputChange
    from ._protocol import Buffer

Peer: TypeAlias = tuple[str, str | None]
"""Model id of a connection, and one of its clients; None for a page that is expected and has not come yet."""

_WEIGHTS: Final = ((64_000, 1 / 12), (500_000, 1 / 2), (float("inf"), 1.0))
"""Largest size of a patch in bytes, and what part of the window it takes."""

_SHORTEST_WAIT_MS: Final = 4.0
_BUSY_WAIT_MS: Final = 20.0


@dataclass(slots=True)
class Patch:
    """One revision of the document of a session, ready to be sent."""

    session: str
    revision: int
    events: list[Any]
    buffers: dict[str, Buffer]
    bundles: list[_bundles.Bundle] = field(default_factory=list)
    origin: str | None = None
    seq: int | None = None
    json_bytes: int = field(init=False)
    """About how long the JSON text of the events is: counted once, for whoever sends it and whoever waits for it."""

    def __post_init__(self) -> None:
        self.json_bytes = json_bytes(self.events)


class Connection(Protocol):
    """What a session sends to: one widget, whatever the number of its clients."""

    pause_when_hidden: bool
    """Whether the document may rest while this connection shows nothing."""

    @property
    def model_id(self) -> str:
        """Tells the connection from others."""

    @property
    def is_shown(self) -> bool:
        """Whether some page shows, or is about to show, the document."""

    @property
    def has_clients(self) -> bool:
        """Whether a page shows the document by now."""

    @property
    def has_views(self) -> bool:
        """Whether a page has views of the document, even if it does not answer any more."""

    def has_clients_beside(self, client: str) -> bool:
        """Whether another client than this one shows the document."""

    def send_patch(self, patch: Patch) -> None:
        """Send one revision to all clients, unless the connection shows another session by now."""

    def send_sync(self, revision: int) -> None:
        """Ask all clients where they are."""

    def beat(self, session_id: str) -> None:
        """Take note that pages could have been heard since the last beat: ask the silent ones, give up the dead."""

    def send_output(self, change: OutputChange) -> None:
        """Show what callbacks printed, displayed and raised where the document is shown."""

    def handle_error(self, error: BaseException) -> None:
        """Tell the callbacks that were given to the connection."""

    def close(self) -> None:
        """Free everything, since the session is closed."""


def now_ms() -> float:
    """Give the time of the clock that all sessions use."""
    return time.monotonic() * 1000


class Flow:
    """Sends the changes of one document.

    Parameters
    ----------
    session_id : str
        Id of the session.
    document : bokeh.document.Document
        The document.
    connections : callable
        Gives the connections of the session.
    report : callable
        Told of what cannot be sent.
    pump : callable
        Calls :meth:`pump` under the lock of the session, from the thread of the clock; it must not hold the session.
    """

    def __init__(
        self,
        session_id: str,
        document: Document,
        connections: Callable[[], Iterable[Connection]],
        report: Callable[[Exception], None],
        pump: Callable[[], None],
    ) -> None:
        self.revision = 0
        self.reminders_sent = 0
        self.patches_received = 0
        self.changes: Coalescer = Coalescer()
        self.outbox: Outbox[Peer] = Outbox()
        self._session_id: Final = session_id
        self._document: Document | None = document
        self._connections = connections
        self._report = report
        self._alarm = waker.alarm(pump)
        self._depth = 0
        self._waits_for_alarm = False
        self._holder: int | None = None
        self._held_back: list[Callable[[], None]] = []
        # who changed the data of a source last, and with which revision
        self._data_changes: weakref.WeakKeyDictionary[Any, tuple[int, str | None]] = weakref.WeakKeyDictionary()

    def close(self) -> None:
        """Forget what waits, and everybody; nothing is sent from here on."""
        self._alarm.cancel()
        self.changes.clear()
        self.outbox = Outbox()
        self._held_back.clear()
        self._data_changes.clear()
        self._document = None
        self._connections = tuple
        self._report = _ignore

    # --- what waits ------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Whether a batch is open."""
        return self._depth > 0

    @property
    def is_held_here(self) -> bool:
        """Whether a batch of this thread is open, and with it the lock of the session held."""
        return self._depth > 0 and self._holder == threading.get_ident()

    def hold(self) -> None:
        """Let everything wait until :meth:`release`; under the lock of the session."""
        self._depth += 1
        self._holder = threading.get_ident()

    def release(self) -> None:
        """Send what waits, if this was the outermost :meth:`hold`."""
        self._depth -= 1
        if self._depth == 0:
            self._send_held_back()
            self.pump()

    def put(self, event: DocumentPatchedEvent) -> None:
        """Take in one change that was made in Python.

        Raises
        ------
        Exception
            If just this change is sent, and cannot be encoded.
        """
        is_resting = self._is_resting()
        if not is_resting and not any(connection.is_shown for connection in self._connections()):
            # whoever comes gets the whole document
            self.changes.clear()
            self.revision += 1
            return
        change = change_of(event)
        if not isinstance(change, (Keyed, Discrete)):
            self._data_changes[change.source] = (self.revision + 1, None)
        self.changes.put(change)
        if self._depth == 0 and not is_resting:
            self.pump(event)

    def _is_resting(self) -> bool:
        """Whether no page can take more before the clock calls :meth:`pump`: in a fast stream that is asked each time.

        Whatever may end this sooner, calls :meth:`pump` or clears the flag.
        """
        due_s = self._alarm.due_s
        return self._waits_for_alarm and due_s is not None and time.monotonic() < due_s

    def note_page_change(self, model: Any, revision: int, client: str) -> bool:
        """Take note that a page changes the data of a source.

        Parameters
        ----------
        model : Model
            The source.
        revision : int
            Of the replica in which the change was made.
        client : str
            Whose replica it is.

        Returns
        -------
        bool
            Whether somebody else changed these data since: the page's rows may then not be those that it meant.
        """
        last, origin = self._data_changes.get(model, (0, None))
        self._data_changes[model] = (self.revision + 1, client)
        return last > revision and origin != client

    def put_whole(self, model: Any) -> None:
        """Send the data of a source to everybody, whatever they have."""
        self.changes.put(Whole(model, model.id))
        self._data_changes[model] = (self.revision + 1, None)

    def hold_back(self, send: Callable[[], None]) -> None:
        """Call ``send`` before anything else is sent, at the latest when the batch ends."""
        self._held_back.append(send)

    def _send_held_back(self) -> None:
        while self._held_back:
            self._held_back.pop(0)()

    # --- sending ---------------------------------------------------------------------------

    def pump(self, event: DocumentPatchedEvent | None = None) -> None:
        """Send what waits if it may be sent now; see to it that this is asked again when it may."""
        if self._depth > 0:
            return
        now = now_ms()
        if len(self.changes) and self.outbox.is_ready(now):
            self.flush(event)
        self._remind(now)
        self._set_alarm(now)
        self._waits_for_alarm = len(self.changes) > 0

    def flush(self, event: DocumentPatchedEvent | None = None) -> None:
        """Send what waits, whether the pages are ready or not."""
        self._send_held_back()
        changes = self.changes.take()
        document = self._document
        if not changes or document is None:
            return
        try:
            failed = self._send_changes(document, changes)
        except BaseException:
            self.leave_gap()  # nobody knows what of it has gone out, and what is known to the pages
            raise
        for change, error in failed:
            if event is not None and getattr(change, "payload", None) is event:
                raise error
            self._report(error)

    def _send_changes(self, document: Document, changes: Sequence[Change]) -> list[tuple[Change, Exception]]:
        """Send changes as one revision, and give those that cannot be encoded."""
        frame, failed = encode_changes(document, changes)
        if frame.events:
            self.revision += 1
            frame.seal()
            bundles = _bundles.required_bundles(frame.created) if frame.created else []
            for change in changes:
                if isinstance(change, Keyed) and isinstance(change.payload, ModelChangedEvent):
                    found = _bundles.bundles_for_value(change.payload.attr, change.payload.new)
                    bundles += map(_bundles.component, found)
            self.send(Patch(self._session_id, self.revision, frame.events, frame.buffers, bundles))
        return failed

    def leave_gap(self) -> None:
        """Count a revision that nobody gets, and ask the pages where they are: they notice, and get the document."""
        self.revision += 1
        for connection in self._connections():
            if connection.is_shown:
                self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        try:
            connection.send_sync(self.revision)
        except Exception as error:  # noqa: BLE001  # the others are asked all the same
            self._report(error)

    def send(self, patch: Patch) -> None:
        """Send one revision to every connection that is shown."""
        for connection in self._connections():
            if connection.is_shown:
                self._expect(connection)
                self.send_to(connection, patch)
        self.outbox.sent(patch.revision, now_ms(), weight=weight_of(patch))

    def sent_for(self, client: str, patch: Patch) -> None:
        """Take note that a change of one client was sent to the others."""
        besides = next((peer for peer in self.outbox.peers() if peer[1] == client), None)
        self.outbox.sent(patch.revision, now_ms(), weight=weight_of(patch), besides=besides)

    def send_to(self, connection: Connection, patch: Patch) -> None:
        """Send one revision to one connection; what it raises is reported."""
        try:
            connection.send_patch(patch)
        except Exception as error:  # noqa: BLE001  # the others get it all the same
            self._report(error)

    def _remind(self, now: float) -> None:
        overdue = self.outbox.overdue(now)
        late = {model_id for model_id, client in overdue if client is not None}
        for connection in self._connections():
            if connection.model_id in late:
                self.reminders_sent += 1
                self._ask(connection)

    def look_again(self) -> None:
        """Ask soon whether what waits may be sent."""
        self._alarm.within(_BUSY_WAIT_MS)

    def _set_alarm(self, now: float) -> None:
        waits = [self.outbox.reminder_wait_ms(now)]
        if len(self.changes):
            waits.append(self.outbox.wait_ms(now))
        known = [wait for wait in waits if wait is not None]
        if known:
            self._alarm.within(max(_SHORTEST_WAIT_MS, min(known)))

    # --- pages -----------------------------------------------------------------------------

    def _expect(self, connection: Connection) -> None:
        peer = (connection.model_id, None)
        if not connection.has_clients and peer not in self.outbox:
            self.outbox.attach(peer, self.revision)

    def attach(self, peer: Peer, revision: int) -> None:
        """Wait for a page from now on, which has everything up to ``revision``."""
        self._waits_for_alarm = False
        self.outbox.leave((peer[0], None))
        self.outbox.attach(peer, revision)

    def leave(self, peer: Peer) -> None:
        """Do not wait for a page any more."""
        self.outbox.leave(peer)
        self.pump()

    def keep_only(self, model_ids: set[str]) -> None:
        """Wait for pages of these connections only: the others are no more."""
        for peer in self.outbox.peers():
            if peer[0] not in model_ids:
                self.outbox.leave(peer)
        self.pump()

    def acknowledge(self, peer: Peer, revision: int, cost_ms: float) -> None:
        """Take note that a page has everything up to ``revision``, and how long the latest kept it busy."""
        self.outbox.acknowledge(peer, revision, now_ms(), cost_ms=cost_ms)
        self.pump()

    @property
    def is_blocked(self) -> bool:
        """Whether a cell runs."""
        return self.outbox.is_blocked

    def block(self) -> None:
        """Take note that a cell runs."""
        self._waits_for_alarm = False
        self.outbox.block(now_ms())

    def unblock_later(self) -> None:
        """Do the same without the lock: what waits is sent when the lock is free."""
        self.outbox.unblock()
        self.look_again()

    def unblock(self) -> None:
        """Take note that no cell runs any more, and send what waits."""
        self.outbox.unblock()
        for connection in self._connections():
            self.outbox.leave((connection.model_id, None))
        self.pump()


def weight_of(patch: Patch) -> float:
    """Tell what part of the window of a page a patch takes.

    Small ones are applied several between two paintings, and 12 on their way are 60 a second where an acknowledgement
    takes 200 ms: a page says one for several of them. A large one keeps a page busy for so long that a second one
    would only be late.
    """
    size = total_bytes(list(patch.buffers.values())) + patch.json_bytes
    return next(weight for limit_bytes, weight in _WEIGHTS if size <= limit_bytes)


def _ignore(_error: Exception) -> None:
    """Do nothing: the session is closed."""


def source_of(event: dict[str, Any]) -> Any:
    """Give the source whose data an event of a page changes, or None."""
    if event["kind"] in ("ColumnsStreamed", "ColumnsPatched", "ColumnDataChanged"):
        return event["model"]
    if event["kind"] == "ModelChanged" and event["attr"] == "data" and hasattr(event["model"], "_stream"):
        return event["model"]
    return None
