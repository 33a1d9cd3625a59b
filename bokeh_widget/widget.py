"""The widget: traits and wiring. What it wires is in the private modules beside it."""

from __future__ import annotations

import enum
import logging
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

import traitlets
from bokeh.core.types import ID
from bokeh.themes import Theme
from IPython.display import display
from ipywidgets import Layout, widget_serialization

from . import _kernel
from ._bokehjs import BokehJSModel, runtime
from ._cells import cells
from ._content import Content, resolve_content
from ._protocol import (
    PROTOCOL_VERSION,
    Attach,
    Buffer,
    ClientError,
    ClientGone,
    ClientPatch,
    DocumentMessage,
    DocumentState,
    KernelMessage,
    NoticeMessage,
    PatchMessage,
    RefusedMessage,
    ViewGone,
    ViewShown,
    parse_client_message,
)
from ._session import ErrorCallback, Patch, Session, call_all, checked_error_callbacks, session_of
from ._version import __version__
from ._weak import CollectableDOMWidget
from .errors import BrowserError, InputTypeError, InputValueError, ProtocolError, SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from bokeh.document import Document
    from bokeh.model import Model
    from bokeh.models.ui import UIElement

log = logging.getLogger("bokeh_widget")

unused_session_lifetime_ms: float = 15_000
"""How long a widget whose last view was removed is still kept for its cell.

Name and default are those of Bokeh server's ``--unused-session-lifetime``.
"""

_widgets: Final[weakref.WeakSet[BokehWidget]] = weakref.WeakSet()


class State(enum.Enum):
    """Where a widget is in its life."""

    CREATED = "created"
    SHOWN = "shown"
    HIDDEN = "hidden"
    CLOSED = "closed"


class BokehWidget(CollectableDOMWidget):
    """A live Bokeh document as a Jupyter widget.

    Parameters
    ----------
    obj : UIElement, sequence of UIElement, or Document
        What to show: a figure, layout, widget or table, several of them as roots, or a whole
        document. A model that already is in a document shares the session of that document.
    theme : str or bokeh.themes.Theme, optional
        Theme for the document, by the name of a built-in one or as an object.
    layout : ipywidgets.Layout or dict, optional
        CSS of the widget's box, such as ``{"width": "50%"}``.
    pause_when_hidden : bool, default True
        Whether the document's periodic callbacks rest while no page shows it.

    Raises
    ------
    InputTypeError
        If ``obj`` or an option is of a type that is not accepted.
    InputValueError
        If models of different documents are mixed, or there is nothing to show.
    CustomModelError
        If Bokeh cannot compile a custom model.

    Examples
    --------
    >>> from bokeh.plotting import figure
    >>> from bokeh_widget import BokehWidget
    >>> plot = figure(height=300)
    >>> line = plot.line([1, 2, 3], [4, 6, 5])
    >>> widget = BokehWidget(plot)  # as the last line of a cell, this displays it
    >>> line.data_source.stream({"x": [4], "y": [7]})  # and this reaches the browser
    >>> widget.close()
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
    # the value is made when it is asked for: always the current document, never a snapshot
    _document = traitlets.Any().tag(sync=True, to_json=lambda _, widget: widget._state_to_json())  # noqa: SLF001

    def __init__(
        self,
        obj: UIElement | Sequence[UIElement] | Document,
        *,
        theme: str | Theme | None = None,
        layout: Layout | dict[str, str] | None = None,
        pause_when_hidden: bool = True,
    ) -> None:
        if layout is not None and not isinstance(layout, (Layout, dict)):
            raise InputTypeError(
                f"layout must be an ipywidgets.Layout or a dict of CSS properties, but got {layout!r:.80}"
            )
        if not isinstance(pause_when_hidden, bool):
            raise InputTypeError(f"pause_when_hidden must be True or False, but got {pause_when_hidden!r:.80}")
        checked_theme = _checked_theme(theme)
        cells.install()
        content = resolve_content(obj)
        if checked_theme is not None:
            content.document.theme = checked_theme
        self.pause_when_hidden = pause_when_hidden
        self._theme = checked_theme
        self._error_callbacks: list[ErrorCallback] = []
        self._clients: dict[str, set[str]] = {}
        self._expected_in_run = cells.current_run
        self._state = State.CREATED
        self._cancel_unpin: Any = None
        self._session = self._open_session(content)
        try:
            super().__init__(layout=layout, _bokehjs=runtime(), _root_ids=content.root_ids)
        except BaseException:
            self._session.disconnect(self)  # its timers stop, and the models are free again
            raise
        _widgets.add(self)
        self._leave_when_collected()

    def _open_session(self, content: Content) -> Session:
        session = session_of(content.document)
        if session is None:
            session = Session(content.document, owns_document=content.is_own, loop=_kernel.io_loop())
        session.connect(self)
        return session

    def _leave_when_collected(self) -> None:
        # a collected widget leaves its session at once; the session must not be held by it
        self._leave = weakref.finalize(self, _disconnect_dead, weakref.ref(self._session))
        self._leave.atexit = False

    # --- what users see --------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session of the document; several widgets of one document share it.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        """
        if self.closed:
            raise SessionClosedError(f"{self!r} is closed; make a new BokehWidget to show the plot again")
        return self._session

    @property
    def document(self) -> Document:
        """The Bokeh document.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        """
        return self.session.document

    @property
    def roots(self) -> list[Model]:
        """The models that this widget shows.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        """
        document = self.document
        if self._root_ids is None:
            return list(document.roots)
        found = (document.models.get_by_id(ID(root_id)) for root_id in self._root_ids)
        return [model for model in found if model is not None]

    @property
    def state(self) -> State:
        """Created, shown in some page, hidden, or closed."""
        return State.CLOSED if self.comm is None else self._state

    @property
    def closed(self) -> bool:
        """Whether the widget, or the session that it shows, has been closed."""
        return self.comm is None or self._session.closed

    def update(self, obj: UIElement | Sequence[UIElement] | Document) -> None:
        """Show something else in the same place; the old document is freed.

        The theme and the ``on_error`` callbacks of the widget stay.

        Parameters
        ----------
        obj : UIElement, sequence of UIElement, or Document
            As for the constructor.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        InputTypeError, InputValueError, CustomModelError
            As for the constructor; what is shown stays as it was.
        """
        old = self.session
        content = resolve_content(obj)
        if self._theme is not None:
            content.document.theme = self._theme
        new = self._open_session(content)
        try:
            state, bundles = new.encode_state()
        except BaseException:
            if new is not old:
                new.disconnect(self)
            raise
        self._session = new
        self.set_trait("_root_ids", content.root_ids)
        if new is not old:
            self._leave.detach()
            self._leave_when_collected()
            old.disconnect(self)
        if self.is_shown:
            self._bokehjs.provide(bundles)
            self._send_state(state, None)

    def on_error(self, *callbacks: ErrorCallback) -> None:
        """Call ``callback(exception)`` for each error of a callback or of a page.

        Parameters
        ----------
        *callbacks : callable
            Each takes the exception. They stay when :meth:`update` shows something else.

        Raises
        ------
        InputTypeError
            If one of them cannot be called; none is added then.
        SessionClosedError
            After :meth:`close`.
        """
        _ = self.session  # raises
        self._error_callbacks.extend(checked_error_callbacks(callbacks))

    def handle_error(self, error: BaseException) -> None:
        """Tell the ``on_error`` callbacks.

        Parameters
        ----------
        error : BaseException
            What a callback of the document raised, or what failed in a page.
        """
        call_all(self._error_callbacks, error)

    def close(self) -> None:
        """Free every resource of the widget, in Python and in the pages. Idempotent."""
        if self.comm is None:
            return
        if self._cancel_unpin is not None:
            self._cancel_unpin()
            self._cancel_unpin = None
        cells.unpin(self)
        self._clients.clear()
        self._leave.detach()
        _widgets.discard(self)
        try:
            self._session.disconnect(self)
        finally:
            super().close()
            self._error_callbacks.clear()

    def __enter__(self) -> Self:
        """Give the widget; it is closed when the block ends."""
        if self.closed:
            raise SessionClosedError(f"{self!r} is closed and cannot be used in a with block; make a new one")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the widget."""
        self.close()

    def __repr__(self) -> str:
        """Tell what is shown, and in which state."""
        if self.closed:
            return "<BokehWidget closed>"
        names = ", ".join(type(root).__name__ for root in self.roots)
        models = len(self.document.models)
        return f"<BokehWidget {names}: {models} models, {self.state.value}, revision {self._session.revision}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:  # IPython's protocol
        if self.closed:
            raise SessionClosedError("this BokehWidget is closed and cannot be displayed; make a new one")
        run = cells.current_run
        if run is not None and self._shown_in_run == run and _kernel.is_cell_result():
            return {}  # show() has displayed it, and is the last expression of its cell
        self._expected_in_run = run
        cells.pin(self, opened=False)
        if run is None and not self._clients:
            self._unpin_later()  # no cell lets it go, if no page ever shows it
        return super()._repr_mimebundle_(**kwargs)

    _shown_in_run: int | None = None

    # --- towards the pages -----------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether a page shows the widget, or will within the cell that runs now.

        While a cell runs, no message of a page is read: what a cell made or displayed is taken
        to be on its way to a page until the cell ends.
        """
        if self._clients:
            return True
        return self._expected_in_run is not None and self._expected_in_run == cells.current_run

    def has_clients_beside(self, client: str) -> bool:
        """Tell whether another client than ``client`` shows the widget."""
        return any(other != client for other in self._clients)

    def send_patch(self, patch: Patch) -> None:
        """Send one revision of the document to every client, as one comm message.

        Parameters
        ----------
        patch : Patch
            The revision, encoded.
        """
        requires = self._bokehjs.provide(patch.bundles)
        is_acknowledgement = patch.origin is not None and not patch.events
        message = PatchMessage(
            kind="patch",
            session=self._session.id,
            revision=patch.revision,
            origin=patch.origin,
            seq=patch.seq,
            events=None if is_acknowledgement else patch.events,
            buffers=list(patch.buffers),
            requires=requires,
        )
        self._send_message(message, list(patch.buffers.values()))

    def send_error(self, text: str) -> None:
        """Show an error under the plot.

        Parameters
        ----------
        text : str
            A line for the user.
        """
        self._send_message(NoticeMessage(kind="notice", level="error", text=text))

    def _send_message(self, message: KernelMessage, buffers: Sequence[Buffer] = ()) -> None:
        self.send(message, list(buffers))

    def _encode_state(self) -> DocumentState:
        state, bundles = self._session.encode_state()
        self._bokehjs.provide(bundles)
        return state

    def _state_to_json(self) -> DocumentState | None:
        """Give the state to ipywidgets; None if it cannot be had, since a reload asks all widgets in one loop."""
        if self.comm is None:  # the widget is being made: the user gets the error
            return self._encode_state()
        try:
            return self._encode_state()
        except Exception as error:  # noqa: BLE001  # values of the user may fail in any way
            self._session.report_error(error)
            return None

    def _send_document(self, client: str | None) -> None:
        try:
            state = self._encode_state()
        except Exception as error:  # noqa: BLE001
            self._session.report_error(error, show=False)
            self.send_error(f"the document cannot be shown: {type(error).__name__}: {error}")
            return
        self._send_state(state, client)

    def _send_state(self, state: DocumentState, client: str | None) -> None:
        message = DocumentMessage(
            kind="document",
            client=client,
            session=state["session"],
            revision=state["revision"],
            json=state["json"],
            buffers=list(state["buffers"]),
            requires=state["requires"],
        )
        self._send_message(message, list(state["buffers"].values()))

    # --- from the pages --------------------------------------------------------------------

    def _handle_custom_msg(self, content: object, buffers: Sequence[Buffer]) -> None:
        super()._handle_custom_msg(content, buffers)
        if self.closed:
            return
        try:
            message = parse_client_message(content, buffers)
        except ProtocolError as error:
            self._session.report_error(error)
            seq = content.get("seq") if isinstance(content, dict) else None
            client = content.get("client") if isinstance(content, dict) else None
            if isinstance(seq, int) and isinstance(client, str):
                self._refuse(client, seq, error)
            return
        with self._session.lock:
            match message:
                case Attach():
                    self._on_attach(message)
                case ViewShown():
                    self._on_view_shown(message)
                case ViewGone():
                    self._on_view_gone(message)
                case ClientGone():
                    self._clients.pop(message.client, None)
                    self._update_state()
                case ClientPatch():
                    self._on_patch(message, dict(zip(message.buffers, buffers, strict=True)))
                case ClientError():
                    self._session.report_error(
                        BrowserError(message.message, context=message.context, stack=message.stack), show=False
                    )

    def _on_attach(self, message: Attach) -> None:
        if message.protocol != PROTOCOL_VERSION:
            self.send_error(
                f"This page speaks protocol {message.protocol} of bokeh_widget, the kernel {PROTOCOL_VERSION}. "
                "Install the same version of bokeh_widget in the environment of JupyterLab and in that of "
                "the kernel, and reload the page."
            )
            return
        self._clients.setdefault(message.client, set())
        self._update_state()
        if (message.session, message.revision) != (self._session.id, self._session.revision):
            self._send_document(message.client)

    def _on_view_shown(self, message: ViewShown) -> None:
        if self._cancel_unpin is not None:
            self._cancel_unpin()
            self._cancel_unpin = None
        self._clients.setdefault(message.client, set()).add(message.view)
        self._update_state()

    def _on_view_gone(self, message: ViewGone) -> None:
        views = self._clients.get(message.client)
        if views is None:
            return
        views.discard(message.view)
        if not views:
            del self._clients[message.client]
        self._update_state()
        if not self._clients:
            self._unpin_later()

    def _unpin_later(self) -> None:
        if self._cancel_unpin is None:
            self._cancel_unpin = _kernel.call_later(
                unused_session_lifetime_ms, _weak_call(self, BokehWidget._unpin_unused)
            )

    def _unpin_unused(self) -> None:
        self._cancel_unpin = None
        if not self._clients:
            cells.unpin(self)

    def _update_state(self) -> None:
        if self._clients:
            self._state = State.SHOWN
        elif self._state is State.SHOWN:
            self._state = State.HIDDEN

    def _on_patch(self, patch: ClientPatch, raw_buffers: dict[str, Buffer]) -> None:
        if patch.session != self._session.id:
            self._send_document(patch.client)  # it was made for a document that update() replaced
            return
        try:
            self._session.apply(patch, raw_buffers)
        except ProtocolError as error:
            self._refuse(patch.client, patch.seq, error)
            self._session.report_error(error, show=False)

    def _refuse(self, client: str, seq: int, error: ProtocolError) -> None:
        self._send_message(RefusedMessage(kind="refused", client=client, seq=seq, message=str(error)))


def _weak_call(widget: BokehWidget, method: Any) -> Any:
    ref = weakref.ref(widget)

    def call() -> None:
        found = ref()
        if found is not None:
            method(found)

    return call


def _disconnect_dead(session_ref: weakref.ref[Session]) -> None:
    # runs inside garbage collection: leave the work to the loop where there is one
    session = session_ref()
    if session is not None and not _kernel.call_soon(session.close_if_unused):
        session.close_if_unused()


def _checked_theme(theme: object) -> str | Theme | None:
    if theme is None or isinstance(theme, Theme):
        return theme
    if not isinstance(theme, str):
        raise InputTypeError(
            f"theme must be the name of a built-in theme or a bokeh.themes.Theme, but got {theme!r:.80}"
        )
    from bokeh.themes import built_in_themes  # noqa: PLC0415  # builds every theme

    if theme not in built_in_themes:
        raise InputValueError(f"no theme is called {theme!r}; the built-in ones are {', '.join(built_in_themes)}")
    return theme


def show(obj: UIElement | Sequence[UIElement] | Document, **options: Any) -> BokehWidget:
    """Display a Bokeh object in this cell and give its widget.

    The widget is closed when the cell runs again.

    Parameters
    ----------
    obj : UIElement, sequence of UIElement, or Document
        What to show.
    **options
        As for :class:`BokehWidget`.

    Returns
    -------
    BokehWidget
        The widget that was displayed.
    """
    widget = BokehWidget(obj, **options)
    display(widget)
    cells.pin(widget, opened=True)
    widget._shown_in_run = cells.current_run  # noqa: SLF001  # our own class
    return widget


def close_all() -> None:
    """Close every widget of this package."""
    for widget in list(_widgets):
        try:
            widget.close()
        except Exception:
            log.exception("could not close %r", widget)
