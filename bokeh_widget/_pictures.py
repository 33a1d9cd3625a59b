"""Pictures that a page is asked for: who is asked, and what becomes of it. The methods that await them."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from ._protocol import Exported, ExportMessage, PictureType
from .errors import ExportError, InputTypeError, InputValueError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ._clients import Clients
    from ._session import Session

log = logging.getLogger("bokeh_widget")

DEFAULT_TIMEOUT_S: Final = 30.0


@dataclass(slots=True)
class Asked:
    """A picture that is awaited.

    Attributes
    ----------
    client : str or None
        The page that was asked; None as long as none shows the widget.
    answer : concurrent.futures.Future
        The event loop of who waits, and the thread that hears the page, may be two.
    """

    type: PictureType
    session: str
    revision: int
    timeout_ms: int
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    client: str | None = None
    answer: Future[Exported] = field(default_factory=Future)

    def __post_init__(self) -> None:
        # whoever waits may be cancelled; the answer can be set all the same
        self.answer.set_running_or_notify_cancel()

    def to_message(self, client: str) -> ExportMessage:
        """Give the question to a page."""
        return ExportMessage(
            kind="export",
            client=client,
            request=self.request,
            session=self.session,
            revision=self.revision,
            type=self.type,
            timeout_ms=self.timeout_ms,
        )


class Pictures:
    """The pictures that are awaited of the pages of one widget. The lock of the session is held at each call.

    Parameters
    ----------
    send : callable
        Sends a question.
    """

    def __init__(self, send: Callable[[ExportMessage], None]) -> None:
        self._send = send
        self._asked: dict[str, Asked] = {}

    def ask(self, asked: Asked, clients: Clients) -> None:
        """Ask a page that shows the widget, or the first one that will."""
        self._asked[asked.request] = asked
        self.look(clients)

    def look(self, clients: Clients) -> None:
        """Ask another page where the one that was asked is gone; without any, there will be no picture."""
        if not self._asked:
            return
        # one that has the document answers sooner
        present = [client.id for client in sorted(clients.present(), key=lambda client: not client.has_replica)]
        for asked in list(self._asked.values()):
            if asked.client in present:
                continue
            if present:
                asked.client = present[0]
                self._send(asked.to_message(present[0]))
            elif asked.client is not None:
                self._fail(asked, "the page that was asked for it went away; await it again where the plot is shown")

    def take(self, message: Exported) -> None:
        """Give a picture to who waits for it; nobody may, by now."""
        asked = self._asked.get(message.request)
        if asked is None or asked.client != message.client:
            return
        if message.error is None and len(message.buffers) == 1:
            self.forget(asked)
            asked.answer.set_result(message)
        else:
            self._fail(asked, message.error or f"{len(message.buffers)} buffers came instead of one")

    def forget(self, asked: Asked) -> None:
        """Wait no more."""
        self._asked.pop(asked.request, None)

    def fail_all(self, reason: str) -> None:
        """Tell all who wait that there will be no picture."""
        for asked in list(self._asked.values()):
            self._fail(asked, reason)

    def _fail(self, asked: Asked, reason: str) -> None:
        self.forget(asked)
        asked.answer.set_exception(ExportError(f"no {asked.type.upper()} of the plot: {reason}"))


class Pictured(Protocol):
    """What pages show, and can be asked for pictures of."""

    @property
    def session(self) -> Session:
        """The session of the document; raises after the end."""

    @property
    def will_be_shown(self) -> bool:
        """Whether a page shows it, or will within the cell that runs now."""

    def hold_pages(self) -> AbstractContextManager[tuple[Session, Asking]]:
        """Hold the lock of the session, and give what asks its pages."""


class Asking(Protocol):
    """The pages of a widget."""

    pictures: Pictures
    clients: Clients


class PictureExports:
    """The methods of a widget that give pictures of what a page shows."""

    async def to_png(self: Pictured, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> bytes:
        """Give a picture of the widget as a page shows it now, zoomed as it is.

        The page draws it, by BokehJS's own export, with as many pixels as its screen has. BokehJS draws plots: the
        places of widgets and tables are empty, and a warning is logged.

        Parameters
        ----------
        timeout_s : float, default 30
            How long the answer of the page is awaited, in seconds.

        Returns
        -------
        bytes
            A PNG.

        Raises
        ------
        ExportError
            If no page shows the widget, the page goes away, cannot draw it, or does not answer in time.
        InputTypeError, InputValueError
            If ``timeout_s`` is no number, or not above 0.
        SessionClosedError
            After ``close()``.

        Examples
        --------
        >>> png = await widget.to_png()  # doctest: +SKIP
        >>> Path("plot.png").write_bytes(png)  # doctest: +SKIP
        """
        return await picture_of(self, "png", timeout_s)

    async def to_svg(self: Pictured, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """Give a drawing of the widget as a page shows it now, in the manner of :meth:`to_png`.

        Parameters
        ----------
        timeout_s : float, default 30
            How long the answer of the page is awaited, in seconds.

        Returns
        -------
        str
            An SVG.

        Raises
        ------
        ExportError, InputTypeError, InputValueError, SessionClosedError
            As for :meth:`to_png`.
        """
        return (await picture_of(self, "svg", timeout_s)).decode()


async def picture_of(shown: Pictured, kind: PictureType, timeout_s: float) -> bytes:
    """Ask a page for a picture, and wait for it."""
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
        raise InputTypeError(f"timeout_s must be a number of seconds, but got {timeout_s!r:.80}")
    if not 0 < timeout_s < math.inf:
        raise InputValueError(f"timeout_s must be above 0 and finite, but got {timeout_s!r}")
    name = f"no {kind.upper()} of {shown!r:.80}"
    with shown.hold_pages() as (session, pages):
        _ = shown.session  # raises
        session.flush()  # what waits until pages are ready is to be seen
        if not shown.will_be_shown:
            raise ExportError(f"{name}: no page shows it. Display it, and await the picture in the next cell")
        asked = Asked(kind, session.id, session.revision, timeout_ms=math.ceil(timeout_s * 1000))
        pages.pictures.ask(asked, pages.clients)
    try:
        found = await asyncio.wait_for(asyncio.wrap_future(asked.answer), timeout_s)
    except TimeoutError:
        what = "no page has shown it" if asked.client is None else "the page did not answer"
        raise ExportError(
            # what ipykernel#1565 brought, with 7.4; before, it depends on the front end and on what else awaits
            f"{name}: {what} within {timeout_s:g} s. With ipykernel before 7.4 a kernel may hear nothing of pages "
            "while a cell awaits: make an asyncio task of it there, whose result the next cell has, or use an async "
            "callback. Otherwise give timeout_s more seconds"
        ) from None
    finally:
        pages.pictures.forget(asked)
    if found.omitted:  # said here, where it belongs to the cell that awaits
        log.warning("a picture shows plots alone; it has an empty place for %s", ", ".join(found.omitted))
    (data,) = found.buffers.values()
    return data
