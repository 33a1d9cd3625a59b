"""What all widgets of this process are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._stats import html_table, text_table
from .widget import open_widgets

if TYPE_CHECKING:
    from ._stats import WidgetStats


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
