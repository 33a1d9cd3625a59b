"""What pages change: applied to the document of their session, with its callbacks, and told to the other pages."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from bokeh.document.callbacks import invoke_with_curdoc

from . import _bundles
from ._codec import DecodedPatch, apply_event, decode_patch
from ._flow import Patch, source_of
from ._hooks import call_each
from ._output import captured_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from bokeh.document import Document

    from ._protocol import Buffer, ClientPatch
    from ._session import Session

log = logging.getLogger("bokeh_widget")


class _FromPage:
    """Setter that marks changes of a page, so that they are not sent back to it."""

    __slots__ = ("__weakref__",)


FROM_PAGE: Final = _FromPage()


def apply_patch(
    session: Session, patch: ClientPatch, raw_buffers: dict[str, Buffer], on_taken: Callable[[], object]
) -> None:
    """Apply what a client changed, run the callbacks, and tell all clients.

    Parameters
    ----------
    session : Session
        The session of the document.
    patch : ClientPatch
        Validated in form; it is validated against the document here.
    raw_buffers : dict of str to bytes
        Its buffers, to be passed on to the other clients.
    on_taken : callable
        Called when the patch counts as taken: nothing of it was applied before, and from there on each of its
        events is, and is acknowledged, whatever is raised.

    Raises
    ------
    ProtocolError
        If the patch does not fit the document; nothing of it was applied then.
    """
    with session.batch():
        document = session.document
        events = session.ranges.note(document, patch.events)
        decoded = decode_patch(document, events, patch.buffers, setter=FROM_PAGE)
        if decoded.stale:
            log.info("%d events of models that were removed meanwhile came too late", decoded.stale)
        sources = [source for event in decoded.events if (source := source_of(event)) is not None]
        bundles = _bundles.required_bundles(list(decoded.created)) if decoded.created else []
        session.flow.flush()  # what Python changed before goes first
        conflicts = []
        try:
            on_taken()
            conflicts = [s for s in sources if session.flow.note_page_change(s, patch.revision, patch.client)]
            session.flow.revision += 1
            session.flow.patches_received += 1
            revision = session.flow.revision
            # after the callbacks: the page then sends its next change when there is time for it
            session.flow.hold_back(lambda: _pass_on(session, patch, revision, raw_buffers, bundles))
            invoke_with_curdoc(document, lambda: _apply_all(session, document, decoded))
        except BaseException:  # an interrupt of the user
            # whether it came before or after a value was set nobody knows
            session.flow.hold_back(session.flow.leave_gap)
            raise
        finally:
            for source in conflicts:
                session.flow.put_whole(source)


def _pass_on(
    session: Session,
    patch: ClientPatch,
    revision: int,
    raw_buffers: dict[str, Buffer],
    bundles: list[_bundles.Bundle],
) -> None:
    # the events of one page are Python's business: other pages cannot even read them
    changes = [event for event in patch.events if event["kind"] != "MessageSent"]
    for connection in session.connections:
        if connection.is_shown:
            others = connection.has_clients_beside(patch.client)
            session.flow.send_to(
                connection,
                Patch(
                    session.id,
                    revision,
                    changes if others else [],
                    raw_buffers if others else {},
                    bundles if others else [],
                    origin=patch.client,
                    seq=patch.seq,
                ),
            )
    session.flow.sent_for(patch.client, Patch(session.id, revision, patch.events, raw_buffers))


def _apply_all(session: Session, document: Document, decoded: DecodedPatch) -> None:
    # Bokeh walks over all models at the end of a freeze: worth it only where models come or go
    changes_models = decoded.created or any(event["kind"].startswith("Root") for event in decoded.events)
    calls = (functools.partial(_apply_one, session, document, event) for event in decoded.events)
    try:
        with document.models.freeze() if changes_models else contextlib.nullcontext():
            call_each(calls, session.report_error)
    finally:
        document.models.flush_synced(lambda model: model not in decoded.created)


def _apply_one(session: Session, document: Document, event: dict[str, Any]) -> None:
    with captured_by(session.output):
        apply_event(document, event, setter=FROM_PAGE)
