"""Pages that come and go, 100 times: each has the current document, and nothing of it is left."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Final

import pytest
from bokeh.models import ColumnDataSource, Slider

from bokeh_widget import BokehWidget, State
from bokeh_widget._clients import _MAX_ABSENT
from tests.unit.lossy import LossyPage, assert_followed, shown_page, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.wires import Wire

CYCLES: Final = 100


class World:
    """A document with a slider and a source, and its widget."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.slider = Slider(start=0, end=10**6, value=0)
        self.source = ColumnDataSource({"x": [0]})
        self.widget = BokehWidget(self.slider)
        self.widget.document.add_root(self.source)

    def change(self, value: int) -> None:
        """Change the document in two ways."""
        self.slider.value = value
        self.source.stream({"x": [value]}, rollover=10)

    @property
    def kept(self) -> tuple[int, int]:
        """What is kept of pages: those with views, and those that the outbox waits for."""
        return len(self.widget._pages.clients), len(self.widget.session.flow.outbox.peers())

    @staticmethod
    def leave(page: LossyPage, kind: str) -> None:
        """Let a page go: its output is cleared, or its tab is closed."""
        page.tick += 1
        said = {"view": "v", "views": []} if kind == "gone" else {}
        page.to_kernel.append({"kind": kind, "client": page.client, "tick": page.tick, **said})
        talk(page)


@pytest.fixture
def world(wire: Wire) -> Iterator[World]:
    made = World(wire)
    yield made
    made.widget.close()


@pytest.mark.parametrize("kind", ["gone", "bye"])
def test_pages_that_come_and_go_leave_nothing(world: World, kind: str) -> None:
    stays = shown_page(world.widget, world.wire, "stays")
    before = world.kept
    for n in range(1, CYCLES + 1):
        page = shown_page(world.widget, world.wire, f"page {n}")
        world.change(n)
        talk(stays, page)
        assert_followed(world.widget, stays, page)
        world.leave(page, kind)
        assert world.kept == before
    # names of pages that are gone are remembered for a while, and no more than so many
    assert len(world.widget._pages.clients._clients) <= _MAX_ABSENT + 2
    world.change(0)
    talk(stays)
    assert_followed(world.widget, stays)
    assert world.kept == before == (1, 1)


def test_pages_that_come_and_go_hold_neither_threads_nor_the_session(wire: Wire) -> None:
    world = World(wire)
    threads = threading.active_count()
    for n in range(CYCLES):
        page = shown_page(world.widget, wire, f"page {n}")
        world.leave(page, "bye")
    assert threading.active_count() <= threads + 1  # the waker, one for all sessions
    session = weakref.ref(world.widget.session)
    world.widget.close()
    del world, page
    gc.collect()
    assert session() is None


def test_many_pages_at_once_are_equal_and_all_go(world: World) -> None:
    pages = [shown_page(world.widget, world.wire, f"page {n}") for n in range(CYCLES)]
    world.change(1)
    pages[0].set(world.slider.id, "value", 7)
    talk(*pages)
    assert world.slider.value == 7
    assert_followed(world.widget, *pages)
    for page in pages:
        world.leave(page, "gone")
    assert world.kept == (0, 0)
    assert world.widget.state is State.HIDDEN


def test_events_of_one_page_are_not_sent_to_others(world: World) -> None:
    one, other = (shown_page(world.widget, world.wire, name) for name in ("one", "other"))
    event = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
    changed = {"kind": "ModelChanged", "model": {"id": world.slider.id}, "attr": "value", "new": 5}
    one.change({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}, changed)
    talk(one, other)
    [patch] = [sent.content for sent in world.wire.customs(world.widget, "patch") if sent.content["origin"] == "one"]
    assert [event["kind"] for event in patch["events"]] == ["ModelChanged"]  # BokehJS cannot read events
    assert_followed(world.widget, one, other)
