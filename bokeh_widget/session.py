"""``BokehSession``, the class that users derive from: a document, what it does periodically, and its life."""

from __future__ import annotations

import inspect
import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Self

from IPython.display import display

from . import _kernel
from ._content import add_roots
from ._opening import Core, Opening, checked_period, give_up
from ._reports import ErrorCallback, checked_error_callbacks
from ._tracebacks import from_users_code
from ._transfer import DEFAULT_FRAME_LIMIT_BYTES
from .errors import InputTypeError, SessionClosedError, SessionOpenError
from .widget import display_opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from types import TracebackType

    from bokeh.document import Document
    from bokeh.models.ui import UIElement
    from ipywidgets import Layout

    from ._fallback import Fallback
    from ._themes import ThemeLike
    from .widget import BokehWidget

_PERIOD: Final = "callback_period"

_numbers: Final[defaultdict[str, itertools.count[int]]] = defaultdict(lambda: itertools.count(1))


class BokehSession:
    """A live document with a life of its own. Derive from it, and :meth:`open` an instance in a cell.

    Override :meth:`setup_model` or :meth:`setup_document`, and :meth:`periodic_callback`, :meth:`on_open` and
    :meth:`on_close` as you need them. Each :meth:`open` makes a fresh document.

    Parameters
    ----------
    name : str, optional
        For people, in :func:`sessions` and :func:`info`; by default the name of the class and a number.
    theme : str, Path, dict or bokeh.themes.Theme, optional
        As for :class:`BokehWidget`, as are the other options.
    aria_label : str, optional
        What screen readers say of the plot.
    layout : ipywidgets.Layout or dict, optional
        CSS of the widget's box.
    pause_when_hidden : bool, default True
        Whether periodic callbacks rest while no page shows the document.
    frame_limit_bytes : int, default 8 000 000
        Largest binary part of one message, in bytes.
    fallback : {"png", "html", None}, default "png"
        What a saved notebook has beside the widget.

    Attributes
    ----------
    callback_period : float or None
        Seconds from one call of :meth:`periodic_callback` to the next. Set it for the class or for an instance, also
        while the session is open; None, the default, stops the calls. A positive, finite number; anything else raises
        `InputTypeError` or `InputValueError`. Sessions that are open follow their class at the next call, or when the
        cell ends; what is impossible then is shown under the plot, and changes nothing.

    Raises
    ------
    InputTypeError
        If ``name`` is no string.

    Examples
    --------
    >>> from bokeh.plotting import figure
    >>> from bokeh_widget import BokehSession
    >>> class Clock(BokehSession):
    ...     callback_period = 1.0
    ...
    ...     def setup_model(self):
    ...         plot = figure(height=200)
    ...         self.source = plot.line([0], [0]).data_source
    ...         return plot
    ...
    ...     def periodic_callback(self):
    ...         self.source.stream({"x": [1], "y": [1]}, rollover=100)
    >>> clock = Clock()
    >>> clock.open()  # in a cell; clock.close() ends it, as does running the cell again
    """

    callback_period: float | None = None

    _core: Core

    def __new__(cls, *_args: object, **_options: object) -> Self:
        """Prepare an instance, whether or not its class calls ``super().__init__()``."""
        self = super().__new__(cls)
        object.__setattr__(self, "_core", Core(f"{cls.__name__} {next(_numbers[cls.__name__])}"))
        return self

    def __init__(
        self,
        *,
        name: str | None = None,
        theme: ThemeLike | None = None,
        aria_label: str | None = None,
        layout: Layout | dict[str, str] | None = None,
        pause_when_hidden: bool = True,
        frame_limit_bytes: int = DEFAULT_FRAME_LIMIT_BYTES,
        fallback: Fallback | None = "png",
    ) -> None:
        if name is not None:
            self.name = name
        self._core.options.update(
            theme=theme,
            layout=layout,
            pause_when_hidden=pause_when_hidden,
            frame_limit_bytes=frame_limit_bytes,
            aria_label=aria_label,
            fallback=fallback,
        )

    def __init_subclass__(cls, **options: Any) -> None:
        """Check the period of a class when it is made."""
        super().__init_subclass__(**options)
        period = inspect.getattr_static(cls, _PERIOD)
        if not hasattr(period, "__get__"):  # a property computes it later
            checked_period(period)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute; a period counts from now on."""
        if name != _PERIOD:
            super().__setattr__(name, value)
            return
        checked_period(value)
        super().__setattr__(name, value)
        if self._core.opening is not None:
            self._core.opening.schedule()

    # --- to be overridden ------------------------------------------------------------------

    def setup_model(self) -> UIElement | Sequence[UIElement]:
        """Make what the session shows: one root or several.

        Returns
        -------
        UIElement or sequence of UIElement
            New models, or those of an earlier opening that was closed.
        """
        kind = type(self).__name__
        raise InputTypeError(
            f"{kind} defines neither setup_model() nor setup_document(doc), so there is nothing to open; "
            "define setup_model() and return a figure, layout or widget"
        )

    def setup_document(self, doc: Document) -> None:
        """Fill the document; this adds what :meth:`setup_model` returns.

        A class that overrides it is in charge: where it wants the roots of :meth:`setup_model`, too, it calls
        ``super().setup_document(doc)``. It is ``curdoc()`` meanwhile.

        Parameters
        ----------
        doc : bokeh.document.Document
            A new one.
        """
        found: Any = self.setup_model()
        if inspect.isawaitable(found):
            give_up(found)
            raise InputTypeError(f"{type(self).__name__}.setup_model must not be async; return the models themselves")
        add_roots(doc, found, f"{type(self).__name__}.setup_model")

    def periodic_callback(self) -> Awaitable[None] | None:
        """Do what is to be done every :attr:`callback_period` seconds; it may be ``async``.

        The next call waits for the end of this one. What it raises is shown under the plot, and later calls go on.
        """
        return None

    def on_open(self) -> None:
        """Do something when the session has been opened; what it raises closes the session and is raised by open."""

    def on_close(self) -> None:
        """Do something when the session closes, however that comes about; the document is still as it was.

        What it raises is logged and told to the ``on_error`` callbacks, and the session closes all the same.
        """

    # --- life ------------------------------------------------------------------------------

    def open(self) -> Self:
        """Make the document, and display it in this cell.

        The session is closed by :meth:`close`; when the cell runs again; or when its output has been cleared or the
        cell deleted, after ``bokeh_widget.widget.unused_session_lifetime_ms``. It can then be opened again.

        Returns
        -------
        BokehSession
            This session.

        Raises
        ------
        SessionOpenError
            If it is open, unless this very run of the cell opened it.
        SessionRefusedError
            If the setup closes the session.
        InputTypeError, InputValueError
            If the setup makes nothing that can be shown, or an option of the constructor is not accepted.
        Exception
            What the setup or :meth:`on_open` raise; the session is then not open, and nothing is left of it.
        """
        __tracebackhide__ = True  # IPython then shows the frames of the user
        core = self._core
        if core.opening is None:
            self._begin()
        elif not core.opening.is_of_this_run:
            state = "is being closed" if core.opening.is_ending else "is open"
            raise SessionOpenError(
                f"{self!r} {state}, and was to be opened once more; close() it first, or display it to have a second "
                "view of it"
            )
        return self

    def _begin(self) -> None:
        __tracebackhide__ = True
        opening = self._core.opening = Opening(self)
        try:
            opening.set_up()
            opening.schedule()
            display_opened(opening.shown)
            self.on_open()
        except BaseException as error:
            opening.abandon()
            error.__traceback__ = from_users_code(error)
            raise

    def close(self) -> None:
        """Close the session, and free everything. Idempotent, from wherever it is called.

        An ``async`` callback that closes its own session is cancelled at its next ``await``. If the setup does so,
        :meth:`open` raises `SessionRefusedError`.
        """
        opening = self._core.opening
        if opening is None or opening.is_ending:
            return
        if opening.widget is None:
            opening.refuse()
        else:
            opening.widget.close()

    @property
    def is_open(self) -> bool:
        """Whether the session is open."""
        opening = self._core.opening
        return opening is not None and opening.widget is not None and not opening.is_ending

    def pause(self) -> None:
        """Call :meth:`periodic_callback` no more until :meth:`resume`. Other callbacks of the document go on."""
        self._core.is_paused = True
        if self._core.opening is not None:
            self._core.opening.schedule()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._core.is_paused = False
        if self._core.opening is not None:
            self._core.opening.schedule()

    @property
    def has_periodic_callback(self) -> bool:
        """Whether the class, or the instance, has a :meth:`periodic_callback` of its own."""
        callback = self.periodic_callback
        return getattr(callback, "__func__", callback) is not BokehSession.periodic_callback

    @property
    def is_paused(self) -> bool:
        """Whether :meth:`pause` was called last."""
        return self._core.is_paused

    def on_error(self, *callbacks: ErrorCallback) -> None:
        """Call ``callback(exception)`` for each error of a callback, of a hook or of a page.

        Parameters
        ----------
        *callbacks : callable
            Each takes the exception. They stay when the session is closed and opened again.

        Raises
        ------
        InputTypeError
            If one of them cannot be called; none is added then.
        """
        checked = checked_error_callbacks(callbacks)
        self._core.error_callbacks += checked
        opening = self._core.opening
        if opening is not None and opening.widget is not None:
            opening.widget.on_error(*checked)

    # --- what it has -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people. It can be set."""
        return self._core.name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise InputTypeError(f"the name of a session must be a string, but got {name!r:.80}")
        self._core.name = name
        opening = self._core.opening
        if opening is not None and opening.widget is not None:
            opening.widget.session.name = name

    @property
    def widget(self) -> BokehWidget:
        """The widget that shows the document: an ipywidget, to be displayed or put into containers.

        Raises
        ------
        SessionClosedError
            If the session is not open.
        """
        return self._require_opening().shown

    @property
    def document(self) -> Document:
        """The document, from the begin of the setup to the end of :meth:`on_close`.

        Raises
        ------
        SessionClosedError
            If the session is not open.
        """
        return self._require_opening().document

    @property
    def id(self) -> str:
        """Id of the open session; another one after each :meth:`open`.

        Raises
        ------
        SessionClosedError
            If the session is not open.
        """
        return self._require_opening().shown.session.id

    def _require_opening(self) -> Opening:
        opening = self._core.opening
        if opening is None:
            raise SessionClosedError(f"{self!r} is not open; call its open() in a cell")
        return opening

    def __enter__(self) -> Self:
        """Open the session if it is not open; it is closed when the block ends."""
        if not self.is_open:
            self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def __repr__(self) -> str:
        """Tell the name and the state."""
        period_s = None if self._core.opening is None else self._core.opening.period_s
        period = "" if period_s is None else f", every {period_s:g} s"
        paused = ", paused" if self._core.is_paused else ""
        state = f"open, id {self.id[:8]}{period}{paused}" if self.is_open else "not open"
        return f"<{type(self).__name__} {self.name!r}: {state}>"

    def _ipython_display_(self) -> None:  # IPython's protocol
        opening = self._core.opening
        if opening is None:
            self._begin()
        elif opening.is_ending or opening.widget is None:
            print(repr(self))  # noqa: T201  # that is what is to be displayed
        elif not (opening.is_of_this_run and _kernel.is_cell_result()):
            display(opening.widget)  # type: ignore[no-untyped-call]
        # else open() has displayed it, and is the last expression of its cell
