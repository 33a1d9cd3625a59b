"""What all widgets and sessions of this process are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._flow import now_ms
from ._reports import error_line
from ._session import all_sessions
from ._stats import SessionStats, html_table, session_html_table, session_text_table, text_table
from .widget import open_widgets

if TYPE_CHECKING:
    from ._session import Session
    from ._stats import WidgetStats
    from .widget import BokehWidget


class Info(list["WidgetStats"]):
    """Statistics of several widgets: a list that a notebook shows as a table."""

    def __str__(self) -> str:
        """Write them as a table of text."""
        return text_table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self)


def info() -> Info:
    """Tell what every open widget is doing.

    Returns
    -------
    Info
        A list of :class:`WidgetStats`, oldest widget first; a table where a notebook displays it, and where it is
        printed.
    """
    return Info(widget.stats for widget in open_widgets())


class Sessions(list["SessionStats"]):
    """Open sessions: a list that a notebook shows as a table."""

    def __str__(self) -> str:
        """Write them as a table of text."""
        return session_text_table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return session_html_table(self)


def sessions() -> Sessions:
    """Tell which sessions are open, and what shows them.

    Returns
    -------
    Sessions
        A list of :class:`SessionStats`, oldest session first; a table where a notebook displays it, and where it is
        printed. ``len(sessions())`` counts them.
    """
    widgets = open_widgets()
    return Sessions(_stats(session, widgets) for session in all_sessions() if not session.closed)


def _stats(session: Session, widgets: list[BokehWidget]) -> SessionStats:
    with session.lock:
        shown_by = [widget.stats for widget in widgets if widget.session is session]
        return SessionStats(
            name=session.name,
            id=session.id,
            shows=", ".join(type(root).__name__ for root in session.document.roots),
            widgets=tuple(stats.state for stats in shown_by),
            pages=sum(len(stats.clients) for stats in shown_by),
            views=sum(stats.views for stats in shown_by),
            is_resting=session.is_resting,
            revision=session.revision,
            callbacks=len(session.document.session_callbacks),
            callbacks_per_s=session.callback_rate.per_s(now_ms()),
            last_error="" if session.last_error is None else error_line(session.last_error),
        )
