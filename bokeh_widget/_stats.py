"""What a widget did so far, as numbers, and as a table for people. Pure: it knows neither widgets nor sessions."""

from __future__ import annotations

import html
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RATE_WINDOW_MS: Final = 5000.0
_MAX_COUNTED: Final = 5000


class RateMeter:
    """Counts how often something happens per second, over the last five seconds."""

    def __init__(self) -> None:
        self._times_ms: deque[float] = deque(maxlen=_MAX_COUNTED)

    def count(self, now_ms: float) -> None:
        """Take note that it happened."""
        self._times_ms.append(now_ms)

    def per_s(self, now_ms: float) -> float:
        """Give the rate."""
        times_ms = self._times_ms
        while times_ms and now_ms - times_ms[0] > RATE_WINDOW_MS:
            times_ms.popleft()
        return len(times_ms) * 1000 / RATE_WINDOW_MS


@dataclass(frozen=True, slots=True)
class ClientStats:
    """One page that shows a widget.

    Attributes
    ----------
    client : str
        Its id.
    views : int
        In how many places it shows the widget.
    revision : int
        The newest revision of the document that it has acknowledged.
    frames_in_flight : int
        Patches on their way to it.
    is_lagging : bool
        Whether it has not answered for some time; nobody waits for it then.
    documents_sent : int
        How often it was sent the whole document: once where that did not come with the widget, and at each resync.
    """

    client: str
    views: int
    revision: int
    frames_in_flight: int
    is_lagging: bool
    documents_sent: int


@dataclass(frozen=True, slots=True)
class WidgetStats:
    """One widget.

    Attributes
    ----------
    model_id : str
        Id of the widget.
    session : str
        Name of the session; empty if nobody gave it one.
    shows : str
        The types of the models that it shows.
    state : str
        Created, shown, hidden or closed.
    revision : int
        Of the document.
    clients : tuple of ClientStats
        The pages that show it.
    frames_sent : int
        Messages to pages.
    bytes_sent : int
        Of their buffers and of the text of whole documents; of the JSON of patches about so many.
    patches_received : int
        Changes that pages made.
    changes_waiting : int
        Changes of the document that are not sent yet.
    changes_coalesced : int
        Changes that others have taken in, so that they were not sent by themselves.
    resyncs : int
        How often a page that showed the document was sent the whole of it because it had missed something, and asked.
        ``resyncs`` of the page's own registry counts the same, but for what was lost on its way.
    reminders_sent : int
        How often a page that did not answer was asked where it is.
    callbacks_per_s : float
        Periodic, timeout and next-tick callbacks of the document, over the last five seconds.
    last_error : str
        The last error of a callback or a page; empty if there was none.
    """

    model_id: str
    session: str
    shows: str
    state: str
    revision: int
    clients: tuple[ClientStats, ...]
    frames_sent: int
    bytes_sent: int
    patches_received: int
    changes_waiting: int
    changes_coalesced: int
    resyncs: int
    reminders_sent: int
    callbacks_per_s: float
    last_error: str

    @property
    def views(self) -> int:
        """In how many places all pages show it."""
        return sum(client.views for client in self.clients)

    @property
    def frames_in_flight(self) -> int:
        """Patches on their way to the page that is farthest behind."""
        return max((client.frames_in_flight for client in self.clients), default=0)

    def __str__(self) -> str:
        """Write all of it as a table of text."""
        return text_table([self])

    def _repr_html_(self) -> str:
        return html_table([self])


_HEADER: Final = (
    "widget",
    "session",
    "state",
    "revision",
    "page",
    "views",
    "at revision",
    "in flight",
    "frames",
    "bytes",
    "waiting",
    "coalesced",
    "resyncs",
    "callbacks/s",
    "last error",
)
_ID_LENGTH: Final = 8
_ERROR_LENGTH: Final = 60


def readable_bytes(count: int) -> str:
    """Write a number of bytes with the unit that fits."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004  # SI
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _cut(error: str) -> str:
    return error if len(error) <= _ERROR_LENGTH else f"{error[:_ERROR_LENGTH]}…"


def _rows(stats: Iterable[WidgetStats]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for widget in stats:
        name = f"{widget.shows} {widget.model_id[:_ID_LENGTH]}"
        totals = (
            str(widget.frames_sent),
            readable_bytes(widget.bytes_sent),
            str(widget.changes_waiting),
            str(widget.changes_coalesced),
            str(widget.resyncs),
            f"{widget.callbacks_per_s:.1f}",
            _cut(widget.last_error),
        )
        pages = [
            (
                client.client[:_ID_LENGTH] + (" (lagging)" if client.is_lagging else ""),
                str(client.views),
                str(client.revision),
                str(client.frames_in_flight),
            )
            for client in widget.clients
        ] or [("", "0", "", "")]
        rows += [
            (name, widget.session, widget.state, str(widget.revision), *page, *totals)
            if index == 0
            else ("", "", "", "", *page, *[""] * len(totals))
            for index, page in enumerate(pages)
        ]
    return rows


def text_table(stats: Sequence[WidgetStats]) -> str:
    """Write statistics as lines of text.

    Parameters
    ----------
    stats : sequence of WidgetStats
        One for each widget.
    """
    return _text(_HEADER, _rows(stats)) if stats else "no widgets"


def html_table(stats: Sequence[WidgetStats]) -> str:
    """Write statistics as a table of HTML.

    Parameters
    ----------
    stats : sequence of WidgetStats
        One for each widget.
    """
    return _html(_HEADER, _rows(stats)) if stats else "<p>no widgets</p>"


def _text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(header, 'th')}</thead><tbody>{body}</tbody></table>"


# --- sessions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One open session.

    Attributes
    ----------
    name : str
        Its name; empty if nobody gave it one.
    id : str
        Its id.
    shows : str
        The types of the roots of its document.
    widgets : tuple of str
        The states of the widgets that show it: created, shown or hidden.
    pages : int
        How many pages show it.
    views : int
        In how many places they do.
    is_resting : bool
        Whether periodic callbacks rest, since no page shows it.
    revision : int
        Of its document.
    callbacks : int
        Periodic, timeout and next-tick callbacks that its document has.
    callbacks_per_s : float
        How many of them ran per second, over the last five seconds.
    last_error : str
        The last error of a callback or a page; empty if there was none.
    """

    name: str
    id: str
    shows: str
    widgets: tuple[str, ...]
    pages: int
    views: int
    is_resting: bool
    revision: int
    callbacks: int
    callbacks_per_s: float
    last_error: str


_SESSION_HEADER: Final = (
    "session",
    "id",
    "shows",
    "widgets",
    "pages",
    "views",
    "revision",
    "callbacks",
    "callbacks/s",
    "last error",
)


def _session_rows(stats: Iterable[SessionStats]) -> list[tuple[str, ...]]:
    return [
        (
            session.name,
            session.id[:_ID_LENGTH],
            session.shows,
            ", ".join(session.widgets),
            str(session.pages),
            str(session.views),
            str(session.revision),
            f"{session.callbacks}{' (resting)' if session.is_resting and session.callbacks else ''}",
            f"{session.callbacks_per_s:.1f}",
            _cut(session.last_error),
        )
        for session in stats
    ]


def session_text_table(stats: Sequence[SessionStats]) -> str:
    """Write sessions as lines of text.

    Parameters
    ----------
    stats : sequence of SessionStats
        One for each session.
    """
    return _text(_SESSION_HEADER, _session_rows(stats)) if stats else "no open sessions"


def session_html_table(stats: Sequence[SessionStats]) -> str:
    """Write sessions as a table of HTML.

    Parameters
    ----------
    stats : sequence of SessionStats
        One for each session.
    """
    return _html(_SESSION_HEADER, _session_rows(stats)) if stats else "<p>no open sessions</p>"
