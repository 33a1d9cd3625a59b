"""The session of a document: its lock, its revision, its callbacks, and who is connected.

A session knows neither comms nor widgets: it hands frames to :class:`Connection` objects.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from bokeh.document.events import DocumentPatchedEvent, ModelChangedEvent

from . import _bundles
from ._callbacks import SessionCallbacks
from ._codec import encode_document
from ._contexts import ServerContext, SessionContext
from ._flow import Connection, Flow
from ._heartbeat import Heartbeat
from ._hooks import FAILURES, call_each
from ._output import Output
from ._page_changes import FROM_PAGE, apply_patch
from ._protocol import Buffer, ClientPatch, DocumentState
from ._ranges import FollowingRanges
from ._reports import ErrorCallback, Reports, checked_error_callbacks
from ._stats import RateMeter
from ._upstream import lock_column_data, lock_models, take_changes_first
from .errors import SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from bokeh.document import Document
    from bokeh.document.events import DocumentChangedEvent, SessionCallbackAdded, SessionCallbackRemoved
    from tornado.ioloop import IOLoop

_sessions: Final[weakref.WeakValueDictionary[int, Session]] = weakref.WeakValueDictionary()


class Session:
    """Keeps one Bokeh document and its replicas in step.

    Parameters
    ----------
    document : bokeh.document.Document
        The document. Use :func:`session_of` to find the session that it may already have.
    owns_document : bool, default False
        Whether closing the session empties the document, since nobody else asked for it.
    loop : tornado.ioloop.IOLoop, optional
        Where the document's callbacks run; without it they never do.
    context : SessionContext, optional
        What the code of an application knows of the session already; a session without one makes its own.

    Notes
    -----
    The session holds its connections weakly and is held by them; when the last one leaves, the
    session closes itself.
    """

    def __init__(
        self,
        document: Document,
        *,
        owns_document: bool = False,
        loop: IOLoop | None = None,
        context: SessionContext | None = None,
    ) -> None:
        self.context: Final = context or SessionContext(ServerContext(None, loop), document)
        self.id: Final[str] = self.context.id
        self.name = ""
        """For people; empty if nobody gave it one."""
        self.lock: Final = threading.RLock()
        self.callback_rate: Final = RateMeter()
        self._document: Document | None = document
        self._owns_document = owns_document
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._closers: list[Callable[[], object]] = []
        self._is_closing = False
        self._taken: Final[weakref.WeakSet[DocumentPatchedEvent]] = weakref.WeakSet()
        self.output: Final = Output(functools.partial(list, self._connections))
        self._reports: Final = Reports(self.output, functools.partial(list, self._connections))
        self.flow: Final = Flow(self.id, document, lambda: list(self._connections), self.report_error, _weak_pump(self))
        self.ranges: Final = FollowingRanges()
        self.heartbeat: Final = Heartbeat(self, loop)
        lock_column_data(session_of)
        lock_models(session_of)
        take_changes_first(session_of)
        document.callbacks.on_change_dispatch_to(self)
        _sessions[id(document)] = self
        self._callbacks = SessionCallbacks(self, loop)
        self.context.enter(self)

    def __del__(self) -> None:
        """Call the hooks of a session that was collected together with its widget: everything is still there."""
        context: SessionContext | None = self.__dict__.get("context")
        if context is None or not context.owes_hooks:
            return
        if context.loop is None:
            self.close()
        else:
            context.loop.add_callback(self.close)

    def __repr__(self) -> str:
        """Show the state at a glance."""
        state = "closed" if self.closed else f"revision {self.revision}"
        return f"<Session {self.id[:8]} {state}>"

    # --- state -----------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the session has been closed."""
        return self._document is None

    @property
    def document(self) -> Document:
        """The document.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        """
        if self._document is None:
            raise SessionClosedError("this session is closed; make a new BokehWidget to show the plot again")
        return self._document

    @property
    def revision(self) -> int:
        """How many steps the document has taken since the session began."""
        return self.flow.revision

    @property
    def owes_hooks(self) -> bool:
        """Whether something is to be called when the session ends."""
        return bool(self._closers) or self.context.owes_hooks

    def _require_open(self) -> None:
        _ = self.document  # raises

    def encode_state(self) -> tuple[DocumentState, list[_bundles.Bundle]]:
        """Encode the whole document as it is now, with the bundles that it needs."""
        with self.lock:
            self.flush()
            encoded = encode_document(self.document)
            bundles = _bundles.required_bundles([self.document])
            state = DocumentState(
                session=self.id,
                revision=self.revision,
                json=self.ranges.add_to(encoded.json),
                buffers=encoded.buffers,
                requires=[bundle.name for bundle in bundles],
            )
            return state, bundles

    # --- connections -----------------------------------------------------------------------

    def connect(self, connection: Connection) -> None:
        """Send to ``connection`` from now on."""
        with self.lock:
            self._require_open()
            self._connections.add(connection)

    def disconnect(self, connection: Connection) -> None:
        """Stop sending to ``connection``, which the user closed; close the session after the last."""
        with self.lock:
            self._connections.discard(connection)
            self.close_if_unused(empty_document=True)

    @property
    def connections(self) -> list[Connection]:
        """Who is sent what changes."""
        return list(self._connections)

    @property
    def has_clients(self) -> bool:
        """Whether a page shows the document by now."""
        return any(connection.has_clients for connection in list(self._connections))

    @property
    def has_views(self) -> bool:
        """Whether a page has views of the document, even if it does not answer any more: it may be asleep."""
        return any(connection.has_views for connection in list(self._connections))

    @property
    def depends_on_pages(self) -> bool:
        """Whether something goes on only as long as a page shows the document."""
        return bool(self.document.session_callbacks) and any(c.pause_when_hidden for c in list(self._connections))

    def beat(self) -> None:
        """Ask pages that are silent where they are, and give up those that do not answer."""
        for connection in list(self._connections):
            try:
                connection.beat(self.id)
            except Exception as error:  # noqa: BLE001  # the others are asked all the same
                self.report_error(error)

    def close_if_unused(self, *, empty_document: bool = False) -> None:
        """Close the session if nothing is connected any more.

        Parameters
        ----------
        empty_document : bool, default False
            As for :meth:`close`. A connection that was collected empties nothing: a variable
            of the user may still hold the document.
        """
        with self.lock:
            connections = list(self._connections)  # its length may still count one that is just dying
            if connections:
                self.flow.keep_only({connection.model_id for connection in connections})
            else:
                self.close(empty_document=empty_document)

    def close(self, *, empty_document: bool = True, tell_connections: bool = True) -> None:
        """Stop everything that the session does, and close what shows it. Idempotent.

        Parameters
        ----------
        empty_document : bool, default True
            Take the roots out of a document that was made for this session, which sets its
            models free to be shown elsewhere. That of an application is emptied in any case.
        tell_connections : bool, default True
            Whether to close what shows the session; what ends with the kernel says so itself.
        """
        # all of it is done, the last one first and without the lock, even if an interrupt comes in between
        with contextlib.ExitStack() as ending, self.lock:
            if self._document is None or self._is_closing:
                return
            self._is_closing = True
            ending.enter_context(self.output.cell.here())  # what shows the session is about to go
            try:
                self._tell_closers()
            finally:
                connections = self._shut(self._document, empty_document=empty_document)
                if tell_connections:
                    for connection in reversed(connections):
                        ending.callback(connection.close)
                ending.callback(self._reports.callbacks.clear)
                ending.callback(self.context.end, functools.partial(self.report_error, what="on_session_destroyed"))

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once when the session is about to close, while its document is still as it was.

        What it raises is logged and told to the ``on_error`` callbacks; the session closes all the same.
        """
        self._require_open()
        self._closers.append(callback)

    def _tell_closers(self) -> None:
        closers, self._closers = self._closers, []
        call_each(closers, lambda error: self.report_error(error, show=False, what="on_close"))

    def _shut(self, document: Document, *, empty_document: bool) -> list[Connection]:
        self._document = None
        self.flow.close()
        self.heartbeat.close()
        self.output.close()
        self._callbacks.close()
        connections = list(self._connections)
        self._connections.clear()
        if _sessions.get(id(document)) is self:
            del _sessions[id(document)]
        with contextlib.suppress(KeyError):
            document.callbacks.remove_on_change(self)
        if self._owns_document and (empty_document or self.context.application is not None):
            try:
                document.clear()
            except FAILURES as error:
                self.report_error(error)
        return connections

    # --- as a session of Bokeh's server ------------------------------------------------------

    @property
    def destroyed(self) -> bool:
        """The same as :attr:`closed`."""
        return self.closed

    def destroy(self) -> None:
        """Close the session, and what shows it: the same as :meth:`close`."""
        self.close()

    def with_document_locked(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Call a function while the lock is held, and send what it changes as one patch.

        Parameters
        ----------
        func : callable
            A plain function has been called when this method returns. Of a coroutine function each step, from one
            await to the next, holds the lock.
        *args
            Arguments of the function.
        **kwargs
            Arguments of the function, by name.

        Returns
        -------
        coroutine
            Gives what the function returns; None if the session is closed, and nothing is called then.
        """
        return self.context.with_document_locked(func, *args, **kwargs)

    # --- callbacks of the document ---------------------------------------------------------

    @property
    def is_resting(self) -> bool:
        """Whether periodic callbacks are skipped, since no page shows the document."""
        return all(c.pause_when_hidden and not c.is_shown for c in list(self._connections))

    def _session_callback_added(self, event: SessionCallbackAdded) -> None:
        # Bokeh's dispatch calls this name
        self._callbacks.add(event.callback)

    def _session_callback_removed(self, event: SessionCallbackRemoved) -> None:
        self._callbacks.remove(event.callback)

    # --- changes made in Python ------------------------------------------------------------

    def take_first(self, event: DocumentChangedEvent) -> None:
        """Take in a change before the callbacks of the user are called.

        Parameters
        ----------
        event : DocumentChangedEvent
            The document tells of it once more, later.
        """
        if isinstance(event, DocumentPatchedEvent):
            try:
                self._document_patched(event)
            finally:
                self._taken.add(event)

    def _document_patched(self, event: DocumentPatchedEvent) -> None:
        # Bokeh's dispatch calls this name
        if event in self._taken:
            return
        setter: object = event.setter  # Bokeh's type names its own two classes
        if setter is FROM_PAGE:
            return
        if isinstance(event, ModelChangedEvent) and event.attr == "subscribed_events":
            # Bokeh subscribes a model when it enters a document, and forgets an on_event() that comes later
            event.model._update_event_callbacks()  # noqa: SLF001  # no public name
        with self.lock:
            if self._document is None:
                return
            self.flow.put(event)

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Send all changes that are made inside as one patch."""
        with self.lock:
            self._require_open()
            with self.holding():
                yield

    @contextlib.contextmanager
    def step(self) -> Iterator[bool]:
        """Do the same for one step of a callback; give False, and hold nothing, if the session was closed by then."""
        with self.lock:
            if self.closed:
                yield False
                return
            with self.batch():
                yield True

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Send no changes before the end of the block, as :meth:`batch`; of a closed session, too, which sends none."""
        with self.lock:
            self.flow.hold()
            try:
                yield
            finally:
                self.flow.release()

    def flush(self) -> None:
        """Send what waits, whether the pages are ready or not."""
        with self.lock:
            self.flow.flush()

    def leave_gap(self) -> None:
        """Have the pages ask for the document: it may have changed without telling."""
        with self.lock:
            if not self.closed:
                self.flow.leave_gap()

    # --- changes made in a page ------------------------------------------------------------

    def apply(
        self, patch: ClientPatch, raw_buffers: dict[str, Buffer], on_taken: Callable[[], object] = lambda: None
    ) -> None:
        """Apply what a client changed, run the callbacks, and tell all clients: see :func:`apply_patch`.

        Parameters
        ----------
        patch : ClientPatch
            Validated in form.
        raw_buffers : dict of str to bytes
            Its buffers.
        on_taken : callable, optional
            Called when the patch counts as taken.
        """
        apply_patch(self, patch, raw_buffers, on_taken)

    # --- errors ----------------------------------------------------------------------------

    def on_error(self, *callbacks: ErrorCallback) -> None:
        """Call ``callback(exception)`` for each error of a callback or of a page.

        Parameters
        ----------
        *callbacks : callable
            Each takes the exception.

        Raises
        ------
        InputTypeError
            If one of them cannot be called; none is added then.
        SessionClosedError
            After :meth:`close`.
        """
        self._require_open()
        self._reports.callbacks.extend(checked_error_callbacks(callbacks))

    @property
    def last_error(self) -> BaseException | None:
        """What was reported last."""
        return self._reports.last

    def report_error(self, error: BaseException, *, show: bool = True, what: str = "") -> None:
        """Show an error where the document is shown, log it, and tell ``on_error`` callbacks.

        Parameters
        ----------
        error : BaseException
            What happened.
        show : bool, default True
            False for what the page has shown by itself.
        what : str, optional
            Which hook failed, for the log; a callback is in the traceback.
        """
        named = f"session {self.name or self.id[:8]}"
        self._reports.report(error, show=show, what=f"{what} of {named}" if what else named)


def _weak_pump(session: Session) -> Callable[[], None]:
    ref = weakref.ref(session)

    def pump() -> None:
        found = ref()
        if found is None:
            return
        if not found.lock.acquire(blocking=False):
            found.flow.look_again()  # a callback may hold it for long, and other sessions wait for this thread
            return
        try:
            found.flow.pump()
        except Exception as error:  # noqa: BLE001  # the revision that was not sent is a gap, which pages notice
            found.report_error(error)
        finally:
            found.lock.release()

    return pump


def session_of(document: Document) -> Session | None:
    """Give the open session of a document, or None."""
    return _sessions.get(id(document))


def all_sessions() -> list[Session]:
    """Give every open session of this process."""
    return list(_sessions.values())


def cell_begins() -> None:
    """Tell every session that a cell runs, and perhaps nothing of what pages say is read."""
    for session in all_sessions():
        session.flow.block()  # without the lock: a callback may hold it for long
        session.heartbeat.disturb()


def cell_ends() -> None:
    """Tell every session that no cell runs any more: what waits is sent."""
    for session in all_sessions():
        if not session.lock.acquire(blocking=False):
            session.flow.unblock_later()
            continue
        try:
            session.flow.unblock()
        except Exception as error:  # noqa: BLE001  # the others are told all the same
            session.report_error(error)
        finally:
            session.lock.release()
