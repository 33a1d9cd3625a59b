"""Fixtures of the unit tests: recorded comms, and nothing left of one test for the next."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import comm
import hypothesis
import pytest

import bokeh_widget
from bokeh_widget import _weak
from tests.unit.wires import Page, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bokeh_widget import BokehWidget

# examples are slow on busy machines, and a failure is to be found again by everybody
hypothesis.settings.register_profile("unit", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("unit")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Record every comm that is opened from here on; ``comm.create_comm`` is where a kernel puts its own."""
    recorded = Wire()
    monkeypatch.setattr(comm, "create_comm", recorded.create_comm)
    return recorded


@pytest.fixture
def page_of(wire: Wire) -> Callable[..., Page]:
    """Make a page that shows a widget."""

    def make(widget: BokehWidget, client: str = "page") -> Page:
        page = Page(widget, wire, client)
        page.show()
        return page

    return make


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    if not bokeh_widget.widget._widgets:
        return  # collecting garbage is slow, and most tests make no widget
    bokeh_widget.close_all()
    gc.collect()
    _weak.close_dead()
