"""What a widget knows of the pages that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from ._protocol import Scheme

_MAX_ABSENT: Final = 64
"""Clients without views, or lost, that are remembered: a page that comes back goes on counting where it was."""


@dataclass(slots=True)
class Client:
    """One page.

    Attributes
    ----------
    views : set of str
        Its views, by id.
    has_replica : bool
        Whether it has said something that a page without the document does not say.
    silent_beats : int
        For how many beats it could have been heard, and was not.
    is_loading : bool
        Whether a document is on its way to it, behind which it hears nothing.
    is_lost : bool
        Whether it was silent for so long that it counts as gone. It is back with its next message, as it was.
    tick : int
        Number of the newest message in which it spoke of its views.
    seq : int
        Its last patch that was applied or refused; those up to it are duplicates. -1 as long as it is not known.
    session : str
        The session of which it was last heard. With another one it forgets what it has sent and was not acknowledged.
    refusal : tuple of (int, str) or None
        The last patch that was refused, and why: said again if the page asks again.
    has_asked : bool
        Whether it has attached before.
    scheme : "light" or "dark", or None
        What the page has said to be.
    documents_sent : int
        How often it was sent the whole document.
    """

    id: str
    views: set[str] = field(default_factory=set)
    has_replica: bool = False
    silent_beats: int = 0
    is_loading: bool = False
    is_lost: bool = False
    tick: int = 0
    seq: int = -1
    session: str = ""
    refusal: tuple[int, str] | None = None
    has_asked: bool = False
    scheme: Scheme | None = None
    documents_sent: int = 0

    @property
    def is_present(self) -> bool:
        """Whether the page shows the widget."""
        return bool(self.views) and not self.is_lost


class Clients:
    """The clients of one widget. Messages of one of them may come twice, late, or never."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}

    def __len__(self) -> int:
        """Count the pages that show the widget."""
        return sum(client.is_present for client in self._clients.values())

    def present(self) -> list[Client]:
        """Give the pages that show the widget."""
        return [client for client in self._clients.values() if client.is_present]

    @property
    def has_views(self) -> bool:
        """Whether a page has views of the widget, as far as it has said: one that is lost may come back with them."""
        return any(client.views for client in self._clients.values())

    def get(self, client_id: str) -> Client:
        """Give a client, remembered from now on."""
        client = self._clients.get(client_id)
        if client is None:
            absent = [known.id for known in self._clients.values() if not known.is_present]
            for forgotten in absent[: max(0, len(absent) - _MAX_ABSENT)]:
                del self._clients[forgotten]
            client = self._clients[client_id] = Client(client_id)
        return client

    def has_beside(self, client_id: str) -> bool:
        """Tell whether another page shows the widget."""
        return any(client.is_present and client.id != client_id for client in self._clients.values())

    @staticmethod
    def see(client: Client, tick: int, views: Collection[str]) -> bool:
        """Take note of all the views that a page has.

        Returns
        -------
        bool
            False if the page has said something newer before.
        """
        if tick <= client.tick:
            return False
        client.tick = tick
        client.views = set(views)
        return True

    def clear(self) -> None:
        """Forget all."""
        self._clients.clear()
