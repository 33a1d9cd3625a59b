"""What one widget and its pages say to each other: who has the document, who is sent it, and whose changes are taken.

It knows the comm only as a function, and the session is given to each call: a widget may show another one later.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ._clients import Client, Clients
from ._flow import Patch
from ._heartbeat import BEATS_UNTIL_ASKED, BEATS_UNTIL_LOST, BEATS_WHILE_LOADING
from ._pictures import Pictures
from ._protocol import (
    PROTOCOL_VERSION,
    Acknowledgement,
    Attach,
    Buffer,
    ClearOutput,
    ClientError,
    ClientGone,
    ClientMessage,
    ClientPatch,
    DocumentState,
    Exported,
    ViewGone,
    ViewShown,
)
from ._reports import error_line
from ._stats import ClientStats
from ._themes import follow_scheme, note_scheme
from .errors import BrowserError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._bundles import Bundle
    from ._flow import Peer
    from ._session import Session
    from ._wire import Wire

log = logging.getLogger("bokeh_widget")


class Pages:
    """The pages of one widget.

    Parameters
    ----------
    wire : Wire
        Sends the messages.
    provide : callable
        Sees to it that pages have some bundles, and gives their names.
    """

    def __init__(self, wire: Wire, provide: Callable[[Iterable[Bundle]], list[str]]) -> None:
        self.model_id = ""
        self.wire: Final = wire
        self.clients: Final = Clients()
        self.pictures: Final = Pictures(wire.export)
        self.is_due = False
        """Whether the document is too large to come with the comm, and was not sent since."""
        self.resyncs = 0
        self.follows_scheme = False
        """Whether the theme of the document is that of the page that turned light or dark last."""
        self._provide = provide
        # the revision from which on every page whose comm was open then can follow, and the last one that was sent
        self._followed_from: int | None = None
        self._last_revision = 0
        self._was_broadcast = False
        # what the synced state said last: the session and its revision, None if there was no document in it
        self._state_is_of: tuple[str, int] | None = None

    def peer(self, client: Client) -> Peer:
        """Give the name of a client beyond this widget."""
        return (self.model_id, client.id)

    # --- towards the pages -----------------------------------------------------------------

    def initial_state(self, session: Session) -> DocumentState | None:
        """Encode the document for the opening of the comm; None if it is too large and has to follow."""
        state = self._encode(session)
        self.is_due = not self.wire.fits(state)
        self._followed_from = self._last_revision = state["revision"]
        return None if self.is_due else self._as_state(state)

    def has_stale_state(self, session: Session) -> bool:
        """Tell whether the document has changed since the state was sent with it."""
        return self._state_is_of != (session.id, session.revision)

    def _as_state(self, state: DocumentState) -> DocumentState:
        self._state_is_of = (state["session"], state["revision"])
        return state

    def current_state(self, session: Session, *, is_embedded: bool) -> DocumentState | None:
        """Encode the document for a page that reloads or is saved.

        Parameters
        ----------
        session : Session
            Of the document.
        is_embedded : bool
            Whether the state is saved: it is then whole, however large.

        Returns
        -------
        DocumentState or None
            None if it is too large for one frame; the page is sent it when it attaches. Or if it cannot be encoded:
            a reload asks all widgets in one loop.
        """
        try:
            state = self._encode(session)
        except Exception as error:  # noqa: BLE001  # values of the user may fail in any way
            session.report_error(error)
            return None
        if is_embedded or self.wire.fits(state):
            return self._as_state(state)
        self._was_broadcast = False  # a page begins that has not got it
        return None

    def _encode(self, session: Session) -> DocumentState:
        state, bundles = session.encode_state()
        self._provide(bundles)
        return state

    def send_patch(self, patch: Patch) -> None:
        """Send one revision to every client."""
        requires = self._provide(patch.bundles)
        if self.is_due:
            return  # nobody has the document yet, and it will contain this
        if patch.revision != self._last_revision + 1:
            self._followed_from = patch.revision - 1
        self._last_revision = patch.revision
        self.wire.patch(patch, requires)

    def send_document(self, session: Session, client: Client | None, *, is_resync: bool = False) -> None:
        """Send the whole document to one client, or to all of them."""
        try:
            state = self._encode(session)
        except Exception as error:  # noqa: BLE001
            session.report_error(error, show=False)
            self.wire.notice(f"the document cannot be shown: {type(error).__name__}: {error}")
            return
        if client is None:
            self.broadcast(state)
        else:
            if self.is_due:  # something else than the widget itself displays it
                self.is_due = False
                self._last_revision = state["revision"]
            client.documents_sent += 1
            self.resyncs += is_resync
            client.is_loading = True
            self.wire.document(state, client.id, max(0, client.seq))

    def broadcast(self, state: DocumentState) -> None:
        """Send a document to all clients, and to those that are just coming."""
        self.is_due = False
        self._was_broadcast = True
        self._followed_from = self._last_revision = state["revision"]
        for client in self.clients.present():
            client.is_loading = True
        self.wire.document(state, None, None)

    # --- from the pages --------------------------------------------------------------------

    def take(  # noqa: C901  # one for each kind
        self, session: Session, message: ClientMessage, buffers: Sequence[Buffer]
    ) -> None:
        """Do what a page says. The lock of the session is held.

        Parameters
        ----------
        session : Session
            Of the document that is shown.
        message : ClientMessage
            Validated in form.
        buffers : sequence of bytes or memoryview
            That came with it, to be passed on.
        """
        client = self._hear(session, message)
        match message:
            case Attach():
                self._on_attach(session, message)
            case ViewShown() | ViewGone():
                self._see(session, message.client, message.tick, message.views)
                client.has_replica &= client.is_present  # the last view takes it along
            case Acknowledgement():
                self._see(session, message.client, message.tick, message.views)
                if client.is_present and message.session == session.id:
                    session.flow.acknowledge(self.peer(client), message.revision, message.cost_ms)
            case ClientGone():
                self._see(session, message.client, message.tick, [])
            case ClientPatch():
                self._on_patch(session, message, dict(zip(message.buffers, buffers, strict=True)))
            case ClearOutput():
                session.output.clear()
            case Exported():
                self.pictures.take(message)
            case ClientError():
                error = BrowserError(message.message, context=message.context, stack=message.stack)
                session.report_error(error, show=False)
        if client.is_present:
            session.heartbeat.start()
        self._note_scheme(session, client, message)
        self.pictures.look(self.clients)

    def _note_scheme(self, session: Session, client: Client, message: ClientMessage) -> None:
        if not isinstance(message, ViewShown) or message.scheme is None:
            return
        if message.scheme == client.scheme or message.tick < client.tick:
            return
        client.scheme = message.scheme
        note_scheme(message.scheme)
        if self.follows_scheme:
            follow_scheme(session, message.scheme)

    def beat(self, session: Session) -> None:
        """Ask pages that are silent where they are, and wait no more for those that do not answer.

        Parameters
        ----------
        session : Session
            Of the document that is shown. Its lock is held, and all that pages have said was read.
        """
        is_asked = False
        for client in self.clients.present():
            if not (session.depends_on_pages or session.flow.outbox.in_flight(self.peer(client))):
                continue  # nothing would change: a kernel whose pages only show something is idle, and may be culled
            client.silent_beats += 1
            if client.silent_beats >= (BEATS_WHILE_LOADING if client.is_loading else BEATS_UNTIL_LOST):
                log.info("page %s does not answer: the document is not shown there until it does", client.id)
                client.is_lost = True
                session.flow.leave(self.peer(client))
            elif client.silent_beats % BEATS_UNTIL_ASKED == 0:
                is_asked = True
        if is_asked:
            self.wire.sync(session.id, session.revision)
        self.pictures.look(self.clients)

    def _hear(self, session: Session, message: ClientMessage) -> Client:
        """Take note that a page is there, even if it was taken for gone."""
        client = self.clients.get(message.client)
        client.silent_beats = 0
        if isinstance(message, (Acknowledgement, ClientPatch)):
            client.has_replica, client.is_loading = True, False
        was_lost, client.is_lost = client.is_lost, False
        if was_lost and client.is_present and not isinstance(message, (Attach, ClientGone)):
            # what was sent meanwhile it may lack: it asks for the document then
            session.flow.attach(self.peer(client), session.revision)
            self.wire.sync(session.id, session.revision)
            session.output.tell(lambda change: self.wire.output(change, session.id, client.id))
        return client

    def leave(self, session: Session) -> None:
        """Wait for no page any more in this session. Its lock is held."""
        self.pictures.fail_all("the widget was closed, or shows something else now")
        for client in self.clients.present():
            session.flow.leave(self.peer(client))

    def enter(self, session: Session, revision: int) -> None:
        """Wait for the pages in this session from now on, which sends them ``revision``. Its lock is held."""
        for client in self.clients.present():
            session.flow.attach(self.peer(client), revision)
            session.heartbeat.start()

    def _see(self, session: Session, client_id: str, tick: int, views: list[str]) -> Client:
        client = self.clients.get(client_id)
        if self.clients.see(client, tick, views) and not client.is_present:
            session.flow.leave(self.peer(client))
        return client

    def _on_attach(self, session: Session, message: Attach) -> None:
        if message.protocol != PROTOCOL_VERSION:
            self.wire.notice(
                f"This page speaks protocol {message.protocol} of bokeh_widget, the kernel {PROTOCOL_VERSION}. "
                "Install the same version of bokeh_widget in the environment of JupyterLab and in that of "
                "the kernel, and reload the page."
            )
            return
        client = self._see(session, message.client, message.tick, message.views)
        if not client.is_present:
            return  # it has said since that it shows nothing
        client.seq = max(client.seq, message.seq)
        client.session = session.id
        asked_before, client.has_asked = client.has_asked, True
        current = session.revision
        known = message.revision if message.session == session.id else None
        if known == current:
            session.flow.attach(self.peer(client), current)
        elif self._is_on_its_way(known, current, asked_before=asked_before):
            session.flow.attach(self.peer(client), current if known is None else known)
            self.wire.sync(session.id, current)
        else:
            self.send_document(session, client, is_resync=client.has_replica and message.session is None)
            session.flow.attach(self.peer(client), session.revision)
        session.output.tell(lambda change: self.wire.output(change, session.id, client.id))

    def _is_on_its_way(self, known: int | None, current: int, *, asked_before: bool) -> bool:
        """Tell whether a page at revision ``known`` gets the rest by what was sent to its comm already."""
        if self._followed_from is None or self._last_revision != current:
            return False
        if known is None:
            return self._was_broadcast and not asked_before
        return self._followed_from <= known <= current

    def _on_patch(self, session: Session, patch: ClientPatch, raw_buffers: dict[str, Buffer]) -> None:
        client = self.clients.get(patch.client)
        if client.seq < 0:
            client.seq = patch.seq - 1  # a page that is not known yet
        if patch.seq <= client.seq:  # it has come before, and the page does not know
            if client.refusal is not None and client.refusal[0] == patch.seq:
                self.wire.refused(client.id, *client.refusal)
            else:
                # of no revision: it acknowledges the change, and the page asks for what it has missed
                self.wire.patch(Patch(session.id, 0, [], {}, origin=client.id, seq=client.seq), [])
                self.wire.sync(session.id, session.revision)
            return
        if patch.seq > client.seq + 1 and client.session == session.id:
            log.debug("patch %d of a page came before patch %d, which it sends again", patch.seq, client.seq + 1)
            return

        def taken() -> None:
            client.seq = patch.seq
            client.session = patch.session

        if patch.session != session.id:
            taken()
            self.send_document(session, client)  # it was made for a document that update() replaced
            return
        try:
            session.apply(patch, raw_buffers, taken)
        except Exception as error:
            if client.seq == patch.seq:
                raise  # it is applied, and something else has failed
            reason = str(error) if isinstance(error, ProtocolError) else error_line(error)
            client.refusal = (patch.seq, reason)
            taken()
            self.wire.refused(client.id, patch.seq, reason)
            session.report_error(error, show=False)

    def refuse_malformed(self, content: object, error: ProtocolError) -> None:
        """Tell a page that its message could not be read, if it can be told which one."""
        seq = content.get("seq") if isinstance(content, dict) else None
        client_id = content.get("client") if isinstance(content, dict) else None
        if not isinstance(seq, int) or not isinstance(client_id, str):
            return
        client = self.clients.get(client_id)
        if client.seq in (-1, seq - 1):
            client.seq = seq
            client.refusal = (seq, str(error))
        self.wire.refused(client_id, seq, str(error))

    # --- numbers ---------------------------------------------------------------------------

    def stats(self, session: Session, now_ms: float) -> tuple[ClientStats, ...]:
        """Give the numbers of the pages that show the widget."""
        outbox = session.flow.outbox
        return tuple(
            ClientStats(
                client=client.id,
                views=len(client.views),
                revision=outbox.acknowledged(self.peer(client)) or 0,
                frames_in_flight=outbox.in_flight(self.peer(client)),
                is_lagging=outbox.is_lagging(self.peer(client), now_ms),
                documents_sent=client.documents_sent,
            )
            for client in self.clients.present()
        )
