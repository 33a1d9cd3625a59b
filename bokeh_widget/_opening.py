"""What a ``BokehSession`` has from its opening to the end of its close: a document, a widget, a periodic callback."""

from __future__ import annotations

import contextlib
import inspect
import logging
import math
import numbers
from typing import TYPE_CHECKING, Any

from bokeh.document.callbacks import invoke_with_curdoc

from . import _kernel
from ._cells import cells
from ._content import own_document
from ._hooks import FAILURES
from .errors import EmptyDocumentError, InputTypeError, InputValueError, SessionClosedError, SessionRefusedError
from .widget import BokehWidget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bokeh.server.callbacks import PeriodicCallback

    from ._reports import ErrorCallback
    from ._resolving import Showable
    from .session import BokehSession

log = logging.getLogger("bokeh_widget")


class Core:
    """What a session keeps from one opening to the next."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.options: dict[str, Any] = {}
        self.error_callbacks: list[ErrorCallback] = []
        self.is_paused = False
        self.opening: Opening | None = None


class _SessionWidget(BokehWidget):
    """Shows the document of a session: when it closes, so does the session, whoever else shows the document."""

    def close(self) -> None:
        self._session.close()
        super().close()

    def update(self, obj: Showable, *, argv: list[str] | None = None) -> None:
        document = self.document
        shown: Sequence[object] = obj if isinstance(obj, (list, tuple)) else [obj]
        if not all(one is document or getattr(one, "document", None) is document for one in shown):
            raise InputValueError(
                f"the widget of a BokehSession shows the document of its session, and was to show {obj!r:.80}; change "
                "the document: session.document.clear(), then session.document.add_root(model)"
            )
        super().update(obj, argv=argv)


class Opening:
    """What there is from open() to the end of close()."""

    def __init__(self, owner: BokehSession) -> None:
        self.owner = owner
        self.document = own_document()
        self.widget: BokehWidget | None = None
        self.is_ending = False
        self._run: int | None = None
        self._is_refused = False
        self._periodic: PeriodicCallback | None = None
        self.period_s: float | None = None
        """In force; None while nothing is called."""
        self._seen_period: object = None
        self._is_busy = False

    @property
    def shown(self) -> BokehWidget:
        """The widget."""
        if self.widget is None:
            raise SessionClosedError(f"{self.owner!r} is just being set up, and has no widget yet")
        return self.widget

    @property
    def is_of_this_run(self) -> bool:
        """Whether the cell that runs now opened it, and it is still open."""
        return self.widget is not None and not self.is_ending and None is not self._run == cells.current_run

    def set_up(self) -> None:
        """Let the user fill the document, and make the widget."""
        for hook in (self.owner.on_open, self.owner.on_close):
            if inspect.iscoroutinefunction(hook):
                raise InputTypeError(
                    f"{type(self.owner).__name__}.{hook.__name__} must not be async: nothing waits for it; "
                    "let an async callback do what takes time"
                )
        invoke_with_curdoc(self.document, self._fill)
        if self._is_refused:
            raise SessionRefusedError(
                f"the setup of {self.owner!r} closed it, so there is nothing to show; whoever opens a session can "
                "catch this error"
            )
        if not self.document.roots:
            raise EmptyDocumentError(
                f"the setup of {self.owner!r} made no root, so there is nothing to show; return a model from "
                "setup_model(), or call doc.add_root(model) in setup_document(doc)"
            )
        core = self.owner._core  # noqa: SLF001  # one class in two
        self.widget = _SessionWidget(self.document, **core.options)
        self._run = cells.current_run  # the first widget of a kernel begins to follow its cells
        session = self.widget.session
        session.name = str(self.owner.name)
        session.on_close(self.end)
        self.widget.on_error(*core.error_callbacks)
        cells.followers.add(self)

    def _fill(self) -> None:
        set_up: Any = self.owner.setup_document  # what it gives is not what its type says if the user made it async
        result = set_up(self.document)
        if inspect.isawaitable(result):
            give_up(result)
            kind = type(self.owner).__name__
            raise InputTypeError(f"{kind}.setup_document must not be async; let an async callback do what takes time")

    def refuse(self) -> None:
        """Take note that the session is closed before it is open."""
        self._is_refused = True

    def abandon(self) -> None:
        """Free what there is of a session that could not be opened."""
        self.is_ending = True
        self._leave_owner()
        if self.widget is not None:
            self.widget.close()
            return
        try:
            self.document.clear()
        except FAILURES:  # the user gets the error that kept it from being opened
            log.exception("could not clear the document of %r", self.owner)

    def _leave_owner(self) -> None:
        self.owner._core.opening = None  # noqa: SLF001
        _kernel.forget_displayed(self.owner)  # IPython keeps the value of a cell, and with it the user's models

    def end(self) -> None:
        """Tell the user that the session closes. Called once, by the session of the document."""
        if self.is_ending:
            return
        self.is_ending = True
        try:
            on_close: Any = self.owner.on_close
            result = on_close()
            if inspect.isawaitable(result):
                give_up(result)
                raise InputTypeError(f"{type(self.owner).__name__}.on_close must not be async: nothing waits for it")
        finally:
            self._leave_owner()

    # --- the periodic callback -------------------------------------------------------------

    def schedule(self) -> None:
        """Bring the periodic callback in step with the period; the first call is one period from now."""
        if self.widget is None or self.is_ending or self.widget.closed:
            return
        owner = self.owner
        is_wanted = not owner.is_paused and owner.has_periodic_callback
        self._seen_period = owner.callback_period
        period_s = checked_period(self._seen_period) if is_wanted else None
        if period_s == self.period_s:
            return
        with self.widget.session.lock:
            if period_s == self.period_s:
                return
            if self._periodic is not None:
                with contextlib.suppress(ValueError):  # the user has removed it himself
                    self.document.remove_periodic_callback(self._periodic)
            self.period_s, self._periodic = period_s, None
            if period_s is not None:
                callback = self._make_callback()
                self._periodic = self.document.add_periodic_callback(callback, 1000 * period_s)  # type: ignore[arg-type]

    def cell_ended(self) -> None:
        """Follow the class, whose period may have been set; one that is impossible is reported, and changes nothing."""
        widget = self.widget
        if self.is_ending or widget is None or widget.closed:
            return
        try:
            period: object = self.owner.callback_period
            if period is not self._seen_period and period != self._seen_period:
                self.schedule()
        except FAILURES as error:  # also of a property, which may compute the period
            widget.session.report_error(error)

    def _make_callback(self) -> Any:
        def callback() -> Awaitable[None] | None:
            self.cell_ended()  # other code than that of a cell may have set it as well
            if self._periodic is None:
                return None
            # after a change of the period the last call may not have ended yet
            result = None if self._is_busy else self.owner.periodic_callback()
            if not inspect.isawaitable(result):
                return None
            if self.is_ending:
                give_up(result)  # it has closed its session, and nobody waits for the rest
                return None
            return self._finish(result)

        # Bokeh's without_document_lock() marks it so
        callback.nolock = getattr(self.owner.periodic_callback, "nolock", False)  # type: ignore[attr-defined]
        return callback

    async def _finish(self, result: Awaitable[None]) -> None:
        self._is_busy = True
        try:
            await result
        finally:
            self._is_busy = False


def give_up(awaitable: Any) -> None:
    """Drop what nobody will await: a coroutine would warn."""
    close = getattr(awaitable, "close", None)  # other awaitables have nothing to close
    if close is not None:
        close()


def checked_period(period: object) -> float | None:
    """Check what is given as a period.

    Parameters
    ----------
    period : float or None
        In seconds.

    Raises
    ------
    InputTypeError
        If it is no number.
    InputValueError
        If it is not positive, or not finite.
    """
    if period is None:
        return None
    if isinstance(period, bool) or not isinstance(period, numbers.Real):
        raise InputTypeError(f"callback_period must be a number of seconds or None, but got {period!r:.80}")
    period_s = float(period)
    if not (math.isfinite(period_s) and period_s > 0):
        raise InputValueError(
            f"callback_period must be a positive, finite number of seconds, but got {period!r:.80}; "
            "None stops the calls"
        )
    return period_s
