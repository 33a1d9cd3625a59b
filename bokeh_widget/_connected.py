"""A widget as what a session sends to: what pages get of it, what they say, and who shows it by now."""

from __future__ import annotations

import contextlib
import enum
import weakref
from typing import TYPE_CHECKING, Any

import traitlets
from ipywidgets import widget_serialization

from . import _kernel
from ._bokehjs import BokehJSModel
from ._cells import cells
from ._protocol import PROTOCOL_VERSION, Buffer, ClientGone, DocumentState, KernelMessage, parse_client_message
from ._version import __version__
from ._weak import CollectableDOMWidget
from .errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._flow import Patch
    from ._output import OutputChange
    from ._pages import Pages
    from ._session import Session


class State(enum.Enum):
    """Where a widget is in its life."""

    CREATED = "created"
    SHOWN = "shown"
    HIDDEN = "hidden"
    CLOSED = "closed"


class ConnectedWidget(CollectableDOMWidget):
    """The traits and messages of a widget: a :class:`bokeh_widget._flow.Connection` of its session.

    Whoever derives from it sets the session and the pages before the comm opens.
    """

    _model_name = traitlets.Unicode("BokehWidgetModel").tag(sync=True)
    _model_module = traitlets.Unicode("bokeh-widget").tag(sync=True)
    _model_module_version = traitlets.Unicode("*").tag(sync=True)
    _view_name = traitlets.Unicode("BokehWidgetView").tag(sync=True)
    _view_module = traitlets.Unicode("bokeh-widget").tag(sync=True)
    _view_module_version = traitlets.Unicode("*").tag(sync=True)

    # any version of the front end is taken, so that ours can say in the cell which one is wrong
    _package_version = traitlets.Unicode(__version__).tag(sync=True)
    _protocol_version = traitlets.Int(PROTOCOL_VERSION).tag(sync=True)
    _bokehjs = traitlets.Instance(BokehJSModel).tag(sync=True, **widget_serialization)
    _root_ids = traitlets.List(traitlets.Unicode(), default_value=None, allow_none=True).tag(sync=True)
    _fallback = traitlets.Unicode(default_value=None, allow_none=True).tag(sync=True)
    _dark_theme = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    aria_label = traitlets.Unicode(help="What screen readers say of the plot; empty for its titles.").tag(sync=True)
    # the value is made when it is asked for: always the current document, never a snapshot
    _document = traitlets.Any().tag(sync=True, to_json=lambda _, widget: widget._state_to_json())  # noqa: SLF001

    _session: Session
    _pages: Pages
    _state = State.CREATED
    _expected_in_run: int | None = None
    _displayed_in_run: int | None = None
    _is_displayed = False
    _is_embedded = False

    @property
    def state(self) -> State:
        """Created, shown in some page, hidden, or closed."""
        return State.CLOSED if self.comm is None else self._state

    @property
    def closed(self) -> bool:
        """Whether the widget, or the session that it shows, has been closed."""
        return self.comm is None or self._session.closed

    # --- towards the pages -----------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether a page shows the widget, or will within the cell that runs now.

        While a cell runs, no message of a page is read: what a cell made or displayed is taken
        to be on its way to a page until the cell ends.
        """
        if self.has_clients:
            return True
        return self._expected_in_run is not None and self._expected_in_run == cells.current_run

    @property
    def will_be_shown(self) -> bool:
        """Whether a page shows the widget, or will: this cell displayed it, or one whose page has not answered yet."""
        if self.has_clients or self._displayed_in_run is None:
            return self.has_clients
        is_expected = self._state is State.CREATED and _kernel.running_cell_id() is not None
        return self._displayed_in_run == cells.current_run or is_expected

    @property
    def has_clients(self) -> bool:
        """Whether a page shows the widget by now."""
        return len(self._pages.clients) > 0

    @property
    def has_views(self) -> bool:
        """Whether a page has views of the widget; one that does not answer any more, too: it may be asleep."""
        return self._pages.clients.has_views

    def has_clients_beside(self, client: str) -> bool:
        """Tell whether another client than ``client`` shows the widget."""
        return self._pages.clients.has_beside(client)

    def send_patch(self, patch: Patch) -> None:
        """Send one revision of the document to every client.

        Parameters
        ----------
        patch : Patch
            The revision, encoded.
        """
        if patch.session == self._session.id:  # else it is of a document that update() brings, or has replaced
            self._pages.send_patch(patch)

    def send_sync(self, revision: int) -> None:
        """Ask every client where it is.

        Parameters
        ----------
        revision : int
            Where the document is.
        """
        self._pages.wire.sync(self._session.id, revision)

    def beat(self, session_id: str) -> None:
        """Ask pages that are silent where they are, and give up those that do not answer.

        Parameters
        ----------
        session_id : str
            Whose beat it is.
        """
        if session_id == self._session.id:
            self._pages.beat(self._session)
            self._update_state()

    def send_output(self, change: OutputChange) -> None:
        """Show under the plot what callbacks printed, displayed and raised.

        Parameters
        ----------
        change : OutputChange
            What is new of it.
        """
        self._pages.wire.output(change, self._session.id, None)

    def _state_to_json(self) -> DocumentState | None:
        if self.comm is None:  # the widget is being made: the user gets the error
            return self._pages.initial_state(self._session)
        is_embedded = self._is_embedded or _kernel.is_running_cell()
        return self._pages.current_state(self._session, is_embedded=is_embedded)

    def _get_embed_state(self, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # ipywidgets'
        with self._embedded():
            return super()._get_embed_state(drop_defaults)

    @contextlib.contextmanager
    def _embedded(self) -> Iterator[None]:
        """Have the whole document in the state, however large: it is kept without a kernel that could send it."""
        self._is_embedded = True
        try:
            yield
        finally:
            self._is_embedded = False

    def send_saved_state(self) -> None:
        """Send the document as state, for who executes and saves a notebook and has no page that follows it."""
        if not self._is_displayed or self.closed or self.has_clients:
            return
        with self._hold_session() as session:
            if self._pages.has_stale_state(session):
                with self._embedded():
                    self.send_state("_document")

    def send_due(self) -> None:
        """Send the document that was too large to come with the comm, once something displays the widget."""
        if not self._pages.is_due:
            return
        with self._hold_session() as session:
            if self._pages.is_due and self._is_displayed and not self.closed:
                self._pages.send_document(session, None)

    # --- from the pages --------------------------------------------------------------------

    def _handle_custom_msg(self, content: object, buffers: Sequence[Buffer]) -> None:
        super()._handle_custom_msg(content, buffers)
        if self.closed:
            return
        with self._hold_session() as session:
            try:
                message = parse_client_message(content, buffers)
            except ProtocolError as error:
                session.report_error(error)
                self._pages.refuse_malformed(content, error)
                return
            had_views = self.has_views
            self._pages.take(session, message, buffers)
            self._update_state()
        self._views_changed(had_views=had_views, is_gone=isinstance(message, ClientGone))

    def _views_changed(self, *, had_views: bool, is_gone: bool) -> None:
        """Take note of what a page has said of its views.

        Parameters
        ----------
        had_views : bool
            Whether some page had views before.
        is_gone : bool
            Whether the page itself goes: it may come back.
        """

    @contextlib.contextmanager
    def _hold_session(self) -> Iterator[Session]:
        """Hold the lock of the session; ``update()`` may bring another one while it is awaited."""
        while True:
            session = self._session
            with session.lock:
                if session is self._session:
                    yield session
                    return

    @contextlib.contextmanager
    def hold_pages(self) -> Iterator[tuple[Session, Pages]]:
        """Hold the lock of the session, and give what talks to its pages."""
        with self._hold_session() as session:
            yield session, self._pages

    def _update_state(self) -> None:
        if self.has_clients:
            self._state = State.SHOWN
        elif self._state is State.SHOWN:
            self._state = State.HIDDEN


def weak_send(widget: ConnectedWidget) -> Callable[[KernelMessage, list[Buffer]], None]:
    # a widget that held itself would live until a garbage collection
    ref = weakref.ref(widget)

    def send(message: KernelMessage, buffers: list[Buffer]) -> None:
        found = ref()
        if found is not None:
            found.send(message, buffers)

    return send


def weak_call(widget: ConnectedWidget, method: Any) -> Any:
    ref = weakref.ref(widget)

    def call() -> None:
        found = ref()
        if found is not None:
            method(found)

    return call
