"""Fixtures of the unit tests: recorded comms, and nothing left of one test for the next."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import comm
import hypothesis
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import bokeh_widget
from bokeh_widget import _weak
from bokeh_widget._cells import cells
from bokeh_widget._hosting import shut_down
from tests.unit.wires import Page, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A real IPython shell without a kernel, which has listened to its cells once."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    excepthook = sys.excepthook
    running = InteractiveShell.instance(config=config, colors="nocolor")
    running.run_cell("from bokeh.models import Div\nfrom bokeh_widget import BokehWidget, show\nimport weakref, gc")
    # only a kernel can tell the id of the cell that makes the first widget
    running.run_cell("BokehWidget(Div()).close()")
    yield running
    running.reset(new_session=False)
    InteractiveShell.clear_instance()
    sys.excepthook = excepthook
    cells._pins.clear()
    cells._running.clear()


@pytest.fixture
def applications_end() -> Iterator[None]:
    """Close what a test has opened, and end its applications as the end of a kernel does."""
    yield
    bokeh_widget.close_all()
    shut_down()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    if not bokeh_widget.widget._widgets:
        return  # collecting garbage is slow, and most tests make no widget
    bokeh_widget.close_all()
    gc.collect()
    _weak.close_dead()
