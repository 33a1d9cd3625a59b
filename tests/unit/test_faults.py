"""Messages are lost, doubled and mixed up; in the end the document and its replicas are equal, model by model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
from bokeh.models import ColumnDataSource, Div, Slider
from hypothesis import strategies as st

from bokeh_widget import BokehWidget, _flow
from bokeh_widget._codec import encode_document
from tests.unit.comparing import assert_same_documents
from tests.unit.lossy import LossyPage
from tests.unit.wires import Wire, document_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class World:
    """A widget, its pages, and a clock that moves when it is told to."""

    def __init__(self, patched: pytest.MonkeyPatch, page_count: int) -> None:
        import comm

        self.now_ms = 0.0
        patched.setattr(_flow, "now_ms", lambda: self.now_ms)
        patched.setattr(_flow.waker, "set", lambda _alarm, _due_s: None)  # time passes in settle()
        self.wire = Wire()
        patched.setattr(comm, "create_comm", self.wire.create_comm)
        self.slider = Slider(start=0, end=10**6, value=0)
        self.source = ColumnDataSource({"n": np.zeros(0, dtype=np.int32), "y": np.zeros(0)})
        self.div = Div(tags=[self.source])
        self.widget = BokehWidget([self.slider, self.div])
        self.pages = [LossyPage(self.widget, self.wire, f"page {i}") for i in range(page_count)]
        self.sent = len(self.wire.messages)
        self.count = itertools.count(1)
        self.row = 0
        for page in self.pages:
            page.show()
            while page.to_kernel:
                page.deliver_to_kernel(0)
            self.collect()

    def collect(self) -> None:
        for page in self.pages:
            page.collect(self.sent)
        self.sent = len(self.wire.messages)

    # --- what happens ----------------------------------------------------------------------

    def python_property(self, _: int) -> None:
        self.slider.value = next(self.count)

    def python_stream(self, size: int) -> None:
        n = np.arange(self.row, self.row + size, dtype=np.int32)
        self.row += size
        self.source.stream({"n": n, "y": n * 0.5}, rollover=50)

    def python_patch(self, size: int) -> None:
        if len(self.source.data["n"]):
            self.source.patch({"y": [(size % len(self.source.data["n"]), float(next(self.count)))]})

    def python_data(self, size: int) -> None:
        n = np.arange(self.row, self.row + size, dtype=np.int32)
        self.row += size
        self.source.data = {"n": n, "y": n * 0.5}

    def python_title(self, _: int) -> None:
        self.widget.document.title = f"title {next(self.count)}"

    def page_property(self, index: int) -> None:
        self.pages[index % len(self.pages)].set(self.slider.id, "value", next(self.count))

    def page_other_property(self, index: int) -> None:
        self.pages[index % len(self.pages)].set(self.div.id, "width", next(self.count))

    def time_passes(self, size: int) -> None:
        self.now_ms += size * 100

    def beats(self, count: int) -> None:
        """The kernel could have heard its pages: after some of these, silent ones count as gone."""
        for _ in range(count % 4):
            self.widget.session.beat()

    def _queue(self, index: int) -> tuple[list[Any], Callable[..., None]] | None:
        queues = [(page.to_page, page.deliver_to_page) for page in self.pages]
        queues += [(page.to_kernel, page.deliver_to_kernel) for page in self.pages]  # type: ignore[misc]
        waiting = [queue for queue in queues if queue[0]]
        return waiting[index % len(waiting)] if waiting else None

    def deliver(self, index: int) -> None:
        if (queue := self._queue(index)) is not None:
            queue[1](0)

    def deliver_late(self, index: int) -> None:
        if (queue := self._queue(index)) is not None:
            queue[1](min(index % 4, len(queue[0]) - 1))

    def deliver_twice(self, index: int) -> None:
        if (queue := self._queue(index)) is not None:
            queue[1](min(index % 4, len(queue[0]) - 1), keep=True)

    def lose(self, index: int) -> None:
        if (queue := self._queue(index)) is not None:
            del queue[0][min(index % 4, len(queue[0]) - 1)]

    def reconnect(self, index: int) -> None:
        """A socket lost what was on its way, in both directions."""
        page = self.pages[index % len(self.pages)]
        page.to_page.clear()
        page.to_kernel.clear()

    # --- the end ---------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything arrives from now on; time passes until nobody has anything to say."""
        for _ in range(30):
            self.now_ms += 40_000
            with self.widget.session.lock:
                self.widget.session.flow.pump()
            for page in self.pages:
                page.remind()
            self.collect()
            while any(page.to_page or page.to_kernel for page in self.pages):
                for page in self.pages:
                    for queue, deliver in (
                        (page.to_kernel, page.deliver_to_kernel),
                        (page.to_page, page.deliver_to_page),
                    ):
                        while queue:
                            deliver(0)
                            self.collect()
            revision = self.widget.session.revision
            quiet = [not page.asked and not page.outstanding and page.revision == revision for page in self.pages]
            if all(quiet) and not len(self.widget.session.flow.changes):
                return


STEPS = [
    *["python_stream", "python_stream", "python_patch", "python_data", "python_title", "page_other_property"],
    *["python_property", "page_property", "time_passes"] * 3,
    *["deliver"] * 12,
    *["deliver_late", "deliver_twice", "lose"] * 3,
    *["reconnect", "beats", "beats"],
]


@hypothesis.settings(max_examples=80)
@hypothesis.given(
    page_count=st.integers(1, 3),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), min_size=60, max_size=120),
)
def test_document_and_replicas_are_equal_in_the_end(page_count: int, steps: list[tuple[str, int]]) -> None:
    import pytest

    with pytest.MonkeyPatch.context() as patched:
        world = World(patched, page_count)
        try:
            for name, size in steps:
                getattr(world, name)(size)
                world.collect()
            world.settle()
            copy = document_of(encode_document(world.widget.document))  # values are then of the types of a replica
            for page in world.pages:
                assert page.replica is not None
                assert page.refusals == []
                for model_id in (world.slider.id, world.source.id, world.div.id):
                    assert page.replica.models.get_by_id(model_id) is not None
                assert_same_documents(page.replica, copy)
            if len(world.source.data["n"]):
                np.testing.assert_array_equal(np.diff(world.source.data["n"]), 1)
        finally:
            world.widget.close()
