"""The widget: what users see, and wiring. What it wires is in the private modules beside it."""

from __future__ import annotations

import itertools
import logging
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

from bokeh.core.types import ID
from IPython.display import display

from . import _capture, _kernel
from ._bokehjs import runtime
from ._cells import cells
from ._connected import ConnectedWidget, weak_call, weak_send
from ._export import FileExports
from ._fallback import with_fallback
from ._flow import now_ms
from ._hosting import keep_unused_for, unload_unused
from ._options import Options
from ._pages import Pages
from ._pictures import PictureExports
from ._reports import ErrorCallback, call_all, checked_error_callbacks, error_line
from ._resolving import open_content
from ._session import Session, cell_begins, cell_ends, session_of
from ._stats import WidgetStats
from ._themes import AUTO, dark_attrs
from ._transfer import DEFAULT_FRAME_LIMIT_BYTES
from ._waker import waker
from ._wire import Wire
from .errors import SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bokeh.application import Application
    from bokeh.document import Document
    from bokeh.model import Model
    from ipywidgets import Layout

    from ._content import Content
    from ._fallback import Fallback
    from ._resolving import Showable
    from ._themes import ThemeLike

log = logging.getLogger("bokeh_widget")

unused_session_lifetime_ms: float = 15_000
"""How long a widget whose last view was removed is still kept for its cell.

Name and default are those of Bokeh server's ``--unused-session-lifetime``.
"""

_numbers: Final = itertools.count()
_widgets: Final[weakref.WeakSet[BokehWidget]] = weakref.WeakSet()


class BokehWidget(FileExports, PictureExports, ConnectedWidget):
    """A live Bokeh document as a Jupyter widget.

    Parameters
    ----------
    obj : UIElement, sequence of UIElement, Document, or an application
        What to show: a figure, layout, widget or table, several of them as roots, or a whole
        document. A model that already is in a document shares the session of that document.
        An application is a function that fills the document it is given, the path of a script,
        a directory or a notebook, or a ``bokeh.application.Application``: the widget opens a
        session of it, and each further cell that displays the widget another one.
    argv : list of str, optional
        Arguments of a script, directory or notebook.
    theme : str, Path, dict or bokeh.themes.Theme, optional
        Theme for the document: the name of a built-in one, the path of a ``.yaml`` file, the JSON of a theme, or an
        object. ``"auto"`` follows the light and dark themes of the page; where pages differ, the one that was opened
        or has changed last. A theme gives defaults: what is set on a model stays.
    aria_label : str, optional
        What screen readers say of the plot; by default the titles of what is shown, as they are now.
    layout : ipywidgets.Layout or dict, optional
        CSS of the widget's box, such as ``{"width": "50%"}``.
    pause_when_hidden : bool, default True
        Whether the document's periodic callbacks rest while no page shows it.
    frame_limit_bytes : int, default 8 000 000
        Largest binary part of one message, in bytes. What is larger is sent in several, which
        pass proxies that limit the messages of a websocket.
    fallback : {"png", "html", None}, default "png"
        What JupyterLab and Notebook save beside the widget, for where there is no kernel: a picture of
        the plot as it is when the notebook is saved (at most about 180 kB); a page with its whole document,
        which has BokehJS from Bokeh's CDN; or only a line that says what to do.

    Raises
    ------
    InputTypeError
        If ``obj`` or an option is of a type that is not accepted.
    InputValueError
        If models of different documents are mixed, there is nothing to show, nothing is at the
        path, or there is no such theme, or the limit is too small.
    CustomModelError
        If Bokeh cannot compile a custom model.
    ApplicationError
        If the code of an application fails; the message has its own traceback.

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

    def __init__(
        self,
        obj: Showable,
        *,
        argv: list[str] | None = None,
        theme: ThemeLike | None = None,
        aria_label: str | None = None,
        layout: Layout | dict[str, str] | None = None,
        pause_when_hidden: bool = True,
        frame_limit_bytes: int = DEFAULT_FRAME_LIMIT_BYTES,
        fallback: Fallback | None = "png",
    ) -> None:
        self._options = Options(
            theme=theme,
            layout=layout,
            pause_when_hidden=pause_when_hidden,
            frame_limit_bytes=frame_limit_bytes,
            aria_label=aria_label,
            fallback=fallback,
        )
        wire = Wire(weak_send(self), frame_limit_bytes)
        _follow_kernel()
        content = open_content(obj, argv=argv, theme=self._options.theme)
        self.pause_when_hidden = pause_when_hidden
        self._error_callbacks: list[ErrorCallback] = []
        self._others: weakref.WeakValueDictionary[int | None, BokehWidget] = weakref.WeakValueDictionary()
        self._pages = Pages(wire, runtime().provide)
        self._pages.follows_scheme = self._options.theme == AUTO
        self._due = waker.alarm(weak_call(self, BokehWidget.send_due))
        self._expected_in_run = cells.current_run
        self._cancel_unpin: Any = None
        self._session = self._open_session(content)
        try:
            super().__init__(
                layout=layout,
                _bokehjs=runtime(),
                _root_ids=content.root_ids,
                _fallback=fallback,
                _dark_theme=dark_attrs() if self._pages.follows_scheme else None,
                aria_label=aria_label or "",
            )
        except BaseException:
            self._session.disconnect(self)  # its timers stop, and the models are free again
            raise
        self._pages.model_id = self.model_id
        self._number = next(_numbers)
        _widgets.add(self)
        self._leave_when_collected()

    def _open_session(self, content: Content) -> Session:
        session = session_of(content.document)
        if session is None:
            session = Session(
                content.document, owns_document=content.is_own, loop=_kernel.io_loop(), context=content.context
            )
        session.connect(self)
        if cells.current_run is not None:
            with session.lock:
                session.flow.block()
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
    def stats(self) -> WidgetStats:
        """What the widget did so far, and which pages show it; a notebook displays it as a table."""
        session, flow = self._session, self._session.flow
        with session.lock:
            now = now_ms()
            return WidgetStats(
                model_id=self.model_id,
                session=session.name,
                shows="" if self.closed else ", ".join(type(root).__name__ for root in self.roots),
                state=self.state.value,
                revision=session.revision,
                clients=self._pages.stats(session, now),
                frames_sent=self._pages.wire.frames_sent,
                bytes_sent=self._pages.wire.bytes_sent,
                patches_received=flow.patches_received,
                changes_waiting=len(flow.changes),
                changes_coalesced=flow.changes.coalesced,
                resyncs=self._pages.resyncs,
                reminders_sent=flow.reminders_sent,
                callbacks_per_s=session.callback_rate.per_s(now),
                last_error="" if session.last_error is None else error_line(session.last_error),
            )

    def update(self, obj: Showable, *, argv: list[str] | None = None) -> None:
        """Show something else in the same place; the old document is freed.

        The theme and the ``on_error`` callbacks of the widget stay.

        Parameters
        ----------
        obj : UIElement, sequence of UIElement, Document, or an application
            As for the constructor.
        argv : list of str, optional
            Arguments of a script, directory or notebook.

        Raises
        ------
        SessionClosedError
            After :meth:`close`.
        InputTypeError, InputValueError, CustomModelError, ApplicationError
            As for the constructor; what is shown stays as it was.
        """
        _ = self.session  # raises
        content = open_content(obj, argv=argv, theme=self._options.theme)
        # other threads go on meanwhile; one lock at a time, since a callback of one document may change the other
        new = self._open_session(content)
        try:
            state, bundles = new.encode_state()
            with self._hold_session() as old:
                _ = self.session  # raises
                self._session = new
                if new is not old:
                    self._pages.leave(old)
                    self._leave.detach()
                    self._leave_when_collected()
                    old.disconnect(self)
        except BaseException:
            if self._session is not new:
                new.disconnect(self)
            raise
        with new.lock:
            if self._session is not new:
                return  # updated once more
            if new.revision != state["revision"]:
                state, bundles = new.encode_state()
            self.set_trait("_root_ids", content.root_ids)
            self._pages.enter(new, state["revision"])
            if self.is_shown:
                self._bokehjs.provide(bundles)
                self._pages.broadcast(state)

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
        self._due.cancel()
        with self._hold_session() as session:
            self._pages.leave(session)
            self._pages.clients.clear()
        self._leave.detach()
        _widgets.discard(self)
        try:
            self._session.disconnect(self)
        finally:
            super().close()
            self._error_callbacks.clear()
            _capture.leave_soon()

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

    def _ipython_display_(self) -> None:  # IPython's protocol: what raises this is displayed as usual
        run = cells.current_run
        if run is None or self._shown_in_run != run or not _kernel.is_cell_result():
            raise NotImplementedError
        # show() has displayed it, and is the last expression of its cell

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:  # IPython's protocol
        if self.closed:
            raise SessionClosedError("this BokehWidget is closed and cannot be displayed; make a new one")
        run = cells.current_run
        application = self._session.context.application
        if application is not None and self._is_displayed and run not in (None, self._displayed_in_run):
            return self._other_for(run, application)._repr_mimebundle_(**kwargs)
        self._expected_in_run = self._displayed_in_run = run
        cells.pin(self, opened=False)
        self._session.output.cell.note()
        if run is None and not self.has_clients:
            self._unpin_later()  # no cell lets it go, if no page ever shows it
        self._is_displayed = True
        if self._pages.is_due:
            self._due.within(_DUE_MS)
        return with_fallback(self, super()._repr_mimebundle_(**kwargs), self._options.fallback)

    def _other_for(self, run: int | None, application: Application) -> BokehWidget:
        """Give the widget of the session that this run of a cell opens; it is closed when the cell runs again."""
        other = self._others.get(run)
        if other is None or other.closed:
            other = self._others[run] = BokehWidget(application, **self._options.given)
            other._error_callbacks.extend(self._error_callbacks)
            if self._siblings is not None:
                other.note_siblings(self._siblings)
            cells.pin(other, opened=True)
        return other

    _shown_in_run: int | None = None
    _unused_callbacks: tuple[Callable[[], object], ...] = ()
    _siblings: weakref.WeakSet[BokehWidget] | None = None

    def _views_changed(self, *, had_views: bool, is_gone: bool) -> None:
        if self.has_views:
            if self._cancel_unpin is not None:
                self._cancel_unpin()
                self._cancel_unpin = None
        elif had_views and not is_gone:
            self._unpin_later()  # the page lives, and shows it no more

    def when_unused(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when a page that showed the widget has not shown it for the grace period."""
        self._unused_callbacks += (callback,)

    def note_siblings(self, siblings: weakref.WeakSet[BokehWidget]) -> None:
        """Join ``siblings``, which are closed together, as do the widgets of other cells that this one opens."""
        self._siblings = siblings
        siblings.add(self)

    def _unpin_later(self) -> None:
        if self._cancel_unpin is None:
            self._cancel_unpin = _kernel.call_later(
                unused_session_lifetime_ms, weak_call(self, BokehWidget._unpin_unused)
            )

    def _unpin_unused(self) -> None:
        self._cancel_unpin = None
        if self.has_views:
            return
        if cells.is_opened(self) and not self._session.has_views:
            self.close()
        else:
            cells.unpin(self)
            for callback in self._unused_callbacks:
                callback()


_DUE_MS: Final = 30.0
"""A document that follows its comm waits for the message that displays it: so long in a cell that goes on running."""


def _follow_kernel() -> None:
    cells.install()
    cells.watch(cell_begins, _cell_ends)
    _capture.install()
    keep_unused_for(lambda: unused_session_lifetime_ms)


def _cell_ends() -> None:
    for widget in list(_widgets):
        widget.send_due()
    cell_ends()
    if _kernel.running_cell_id() is None:  # no notebook page: nbclient executes it, and keeps states but no messages
        for widget in list(_widgets):
            widget.send_saved_state()


def _disconnect_dead(session_ref: weakref.ref[Session]) -> None:
    # runs inside garbage collection: leave the work to the loop where there is one
    session = session_ref()
    if session is not None and not _kernel.call_soon(session.close_if_unused):
        session.close_if_unused()
    _capture.leave_soon()


def show(obj: Showable, **options: Any) -> BokehWidget:
    """Display a Bokeh object in this cell and give its widget.

    The widget is closed when the cell runs again, or 15 s after its output was cleared.

    Parameters
    ----------
    obj : UIElement, sequence of UIElement, Document, or an application
        What to show.
    **options
        As for :class:`BokehWidget`.

    Returns
    -------
    BokehWidget
        The widget that was displayed.
    """
    widget = BokehWidget(obj, **options)
    display_opened(widget)
    return widget


def display_opened(widget: BokehWidget) -> None:
    """Display a widget in this cell, which is to close it when it runs again.

    Parameters
    ----------
    widget : BokehWidget
        If it is the value of the cell's last expression, too, that displays nothing more.
    """
    display(widget)
    cells.pin(widget, opened=True)
    widget._shown_in_run = cells.current_run  # noqa: SLF001  # our own class


def open_widgets() -> list[BokehWidget]:
    """Give every widget of this package that is not closed, oldest first."""
    return sorted((widget for widget in list(_widgets) if not widget.closed), key=lambda widget: widget._number)  # noqa: SLF001


def close_all() -> None:
    """Close every widget of this package, and the tabs that :func:`serve` made; unload all applications."""
    cells.close_opened()
    for widget in list(_widgets):
        try:
            widget.close()
        except Exception:
            log.exception("could not close %r", widget)
    unload_unused()
