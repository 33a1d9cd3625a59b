"""Ranges that follow their data in pages: what Python's document does not say of them, and a new page needs to know.

BokehJS takes the ends that a ``DataRange1d`` has when its document is built for chosen ones, which it never leaves. In
a page that comes later they are those that an earlier page had found. So pages say with each end whether it follows
the data or was moved by the user.
"""

from __future__ import annotations

import json
import math
import weakref
from typing import TYPE_CHECKING, Any, Final

from bokeh.core.types import ID
from bokeh.models import DataRange1d

from ._validation import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bokeh.document import Document

FOLLOWS: Final = "follows"
"""Field of an event of a page: whether the end of a range follows the data. Bokeh's events have none of this name."""

RANGES: Final = "bokeh_widget_ranges"
"""Key in the JSON of a document."""

_ENDS: Final = ("start", "end")


class FollowingRanges:
    """The ranges of one document whose ends pages have found."""

    def __init__(self) -> None:
        self._ends: weakref.WeakKeyDictionary[DataRange1d, set[str]] = weakref.WeakKeyDictionary()
        self._follows: weakref.WeakKeyDictionary[DataRange1d, bool] = weakref.WeakKeyDictionary()

    def note(self, document: Document, events: Iterable[Any]) -> list[Any]:
        """Take note of what a page says of ranges, before its events are applied.

        Parameters
        ----------
        document : Document
            Whose ranges they are.
        events : iterable of JSON values
            As they came.

        Returns
        -------
        list
            The events as Bokeh takes them.

        Raises
        ------
        ProtocolError
            If what is said is no truth value.
        """
        plain = []
        for event in events:
            if not isinstance(event, dict) or FOLLOWS not in event:
                plain.append(event)
                continue
            rest = {key: value for key, value in event.items() if key != FOLLOWS}
            self._note(document, rest, event[FOLLOWS])
            plain.append(rest)
        return plain

    def _note(self, document: Document, event: dict[str, Any], follows: object) -> None:
        if not isinstance(follows, bool):
            raise refusal(f"{FOLLOWS!r} must be true or false, but got {follows!r:.80}")
        reference, end = event.get("model"), event.get("attr")
        name = reference.get("id") if isinstance(reference, dict) else None
        model = document.models.get_by_id(ID(name)) if isinstance(name, str) else None
        if not isinstance(model, DataRange1d) or end not in _ENDS:
            return
        value = getattr(model, end)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            self._ends.setdefault(model, set()).add(end)  # else somebody has chosen it
        self._follows[model] = follows

    def add_to(self, document_json: str) -> str:
        """Give the JSON text of a document with what a page needs to know of its ranges."""
        found = {
            model.id: {"ends": sorted(ends), FOLLOWS: self._follows[model]}
            for model, ends in self._ends.items()
            if model.document is not None
        }
        return f"{document_json[:-1]},{json.dumps(RANGES)}:{json.dumps(found)}}}" if found else document_json
