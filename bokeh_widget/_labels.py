"""What screen readers say of a widget as long as the user says nothing else: the titles of what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ._content import label_of

if TYPE_CHECKING:
    from ._session import Session


FOLLOWS_WITHIN_MS: Final = 250.0
"""Titles may change with each frame of a stream, and nobody can hear that."""


class Labelled(Protocol):
    """What has a label."""

    aria_label: str


class TitleLabel:
    """Follows the titles of a document.

    Parameters
    ----------
    session : Session
        Of the document.
    root_ids : list of str or None
        What of the document is shown; None for all roots.
    """

    def __init__(self, session: Session, root_ids: list[str] | None) -> None:
        self._session = session
        self._root_ids = root_ids
        self._seen = session.title_changes
        self.text = label_of(session.document, root_ids)

    @property
    def is_behind(self) -> bool:
        """Whether a title has changed since."""
        return self._session.title_changes != self._seen

    def bring_to(self, labelled: Labelled) -> None:
        """Say what the titles are by now, unless the user has set a label since.

        Parameters
        ----------
        labelled : Labelled
            The widget; it is told only of what differs, since each change is a message.
        """
        if not self.is_behind or self._session.closed:
            return
        self._seen = self._session.title_changes
        if labelled.aria_label == self.text:
            self.text = label_of(self._session.document, self._root_ids)
            labelled.aria_label = self.text
