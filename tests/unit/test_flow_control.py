"""How much is sent to pages, and when; messages that are too large; several threads."""

from __future__ import annotations

import gc
import itertools
import json
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, Div, Slider

from bokeh_widget import BokehWidget, _flow
from bokeh_widget._flow import weight_of
from bokeh_widget._outbox import Outbox
from bokeh_widget._transfer import MIN_FRAME_LIMIT_BYTES, pieces
from bokeh_widget._waker import THREAD_NAME, Waker
from bokeh_widget.errors import InputTypeError, InputValueError
from tests.unit.comparing import assert_same_documents
from tests.unit.waiting import wait_until
from tests.unit.wires import Page, Sent, Wire, document_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def slider() -> Slider:
    made: Slider = Slider(start=0, end=10**6, value=0)
    return made


def values(wire: Wire, widget: BokehWidget) -> list[list[Any]]:
    """Give the new values of each patch that was sent."""
    return [[event["new"] for event in sent.content["events"]] for sent in wire.customs(widget, "patch")]


# --- the window ---------------------------------------------------------------------------------


def test_some_patches_are_on_their_way_and_the_rest_waits(
    wire: Wire, page_of: Callable[..., Page], slider: Slider
) -> None:
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        for value in range(1, 20):
            slider.value = value
        assert values(wire, widget) == [[i] for i in range(1, 13)]
        page.acknowledge(1)
        assert values(wire, widget)[12:] == [[19]]
        slider.value = 20
        assert values(wire, widget)[13:] == []
        page.acknowledge(3)
        assert values(wire, widget)[13:] == [[20]]
        assert widget.session.flow.changes.coalesced == 6


@pytest.mark.parametrize(("rows", "count"), [(1_000, 12), (20_000, 2), (100_000, 1)])
def test_the_larger_the_patches_the_fewer_are_on_their_way(
    wire: Wire, page_of: Callable[..., Page], rows: int, count: int
) -> None:
    source = ColumnDataSource({"x": np.zeros(1)})
    with BokehWidget(Div(tags=[source])) as widget:
        page_of(widget)
        for _ in range(20):
            source.data = {"x": np.zeros(rows)}
        assert len(wire.customs(widget, "patch")) == count


def test_the_slowest_page_that_keeps_up_decides(wire: Wire, page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        fast, slow = page_of(widget, "fast"), page_of(widget, "slow")
        for value in range(1, 14):
            slider.value = value
        fast.acknowledge(12)
        assert len(values(wire, widget)) == 12
        slow.hide()
        assert values(wire, widget)[12:] == [[13]]


def test_pages_of_a_widget_that_was_dropped_hold_up_nobody(wire: Wire, page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=10**6, value=0)
    with BokehWidget(slider) as stays:
        dropped = BokehWidget(slider)
        page_of(stays, "stays")
        page_of(dropped, "goes")
        del dropped
        gc.collect()
        slider.value = 1
        assert {peer[1] for peer in stays.session.flow.outbox.peers()} == {"stays"}
        assert values(wire, stays) == [[1]]


def test_a_page_that_goes_holds_up_nobody(page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page_of(widget, "stays")
        gone = page_of(widget, "goes")
        gone.leave()
        slider.value = 1
        assert {peer[1] for peer in widget.session.flow.outbox.peers()} == {"stays"}
    assert widget._pages.clients.present() == []


def test_each_row_of_a_stream_arrives_whatever_waits(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"n": np.zeros(0, dtype=np.int32)})
    with BokehWidget(Div(tags=[source])) as widget:
        page = page_of(widget)
        for i in range(500):
            source.stream({"n": np.arange(10 * i, 10 * i + 10, dtype=np.int32)})
            if i % 37 == 36:
                page.acknowledge()
        page.acknowledge()
        sent = wire.customs(widget, "patch")
        assert len(sent) < 200
        for message in sent:
            page.receive(message)
        rows = page.replica.models[source.id].data["n"]
        assert list(rows) == list(range(5000))


def test_what_waits_is_sent_by_time_while_a_cell_runs(wire: Wire, page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page_of(widget)
        with widget.session.lock:
            widget.session.flow.block()
        for value in (1, 2, 3, 4):
            slider.value = value
        wait_until(lambda: values(wire, widget)[2:] == [[4]])
        # the cell does nothing more, and nothing else moves the clock


def test_a_cell_that_begins_while_something_waits_does_not_wait_for_an_answer(
    wire: Wire, page_of: Callable[..., Page], slider: Slider
) -> None:
    with BokehWidget(slider) as widget:
        page_of(widget)
        for value in range(1, 20):
            slider.value = value
        with widget.session.lock:
            widget.session.flow.block()
        began = time.monotonic()
        slider.value = 20
        wait_until(lambda: values(wire, widget)[12:] == [[20]])
        assert time.monotonic() - began < 1.0  # an answer is waited for for two seconds


def test_a_stream_that_must_wait_asks_no_page_for_each_of_its_rows(
    wire: Wire, page_of: Callable[..., Page], slider: Slider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    is_ready = Outbox.is_ready

    def counting(outbox: Outbox[Any], now_ms: float) -> bool:
        asked.append(now_ms)
        return is_ready(outbox, now_ms)

    monkeypatch.setattr(Outbox, "is_ready", counting)
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        for value in range(1, 1000):
            slider.value = value
        assert len(asked) < 100
        page.acknowledge(12)
        assert values(wire, widget)[12:] == [[999]]


def test_a_page_that_comes_while_the_others_are_silent_is_sent_what_follows(
    wire: Wire, page_of: Callable[..., Page], slider: Slider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BokehWidget(slider) as widget:
        page_of(widget, "silent")
        for value in range(1, 20):
            slider.value = value
        monkeypatch.setattr(_flow, "now_ms", lambda: 1000 * time.monotonic() + 3000)
        page_of(widget, "new")
        before = len(values(wire, widget))
        slider.value = 20
        assert values(wire, widget)[before:] == [[20]]


def test_a_page_that_does_not_answer_is_asked_where_it_is(
    wire: Wire, page_of: Callable[..., Page], slider: Slider, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(_flow, "now_ms", lambda: now[0])
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        slider.value = 1
        now[0] = 2000.0
        slider.value = 2
        assert [sent.content["revision"] for sent in wire.customs(widget, "sync")] == [2]
        page.acknowledge()
        now[0] = 9000.0
        slider.value = 3
        assert len(wire.customs(widget, "sync")) == 1


def test_a_batch_waits_for_room_like_everything_else(wire: Wire, page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        for value in range(1, 16):
            with widget.session.batch():
                slider.value = value
                slider.title = str(value)
        assert values(wire, widget) == [[i, str(i)] for i in range(1, 13)]
        page.acknowledge()
        assert values(wire, widget)[12:] == [[15, "15"]]


def test_the_acknowledgement_comes_after_the_callbacks(
    wire: Wire, page_of: Callable[..., Page], slider: Slider
) -> None:
    seen: list[int] = []
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        slider.on_change("value", lambda _attr, _old, _new: seen.append(len(wire.customs(widget, "patch"))))
        page.patch({"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 7})
        assert seen == [0]
        assert [sent.content["seq"] for sent in wire.customs(widget, "patch")] == [1]


# --- models that are new --------------------------------------------------------------------------


def test_rows_streamed_to_a_new_source_are_sent_once(wire: Wire, page_of: Callable[..., Page]) -> None:
    div = Div()
    with BokehWidget(div) as widget:
        page = page_of(widget)
        source = ColumnDataSource({"n": np.zeros(0)})
        with widget.session.batch():
            div.tags = [source]
            source.stream({"n": np.arange(3.0)})
            source.patch({"n": [(0, 9.0)]})
        source.stream({"n": np.array([3.0])})
        for message in wire.customs(widget, "patch"):
            page.receive(message)
        assert list(page.replica.models[source.id].data["n"]) == [9, 1, 2, 3]
        assert_same_documents(page.replica, document_copy(widget, wire))


def test_a_new_model_is_defined_before_it_is_referred_to(wire: Wire, page_of: Callable[..., Page]) -> None:
    div = Div()
    with BokehWidget(div) as widget:
        page = page_of(widget)
        first, second, gone = Div(text="1"), Div(text="2"), Div(text="3")
        with widget.session.batch():
            div.tags = [first]
            first.text = "changed"
            div.tags = [first, gone]
            gone.text = "never seen"
            div.tags = [first, second]
        second.text = "changed, too"
        for message in wire.customs(widget, "patch"):
            page.receive(message)
        assert page.replica.models[first.id].text == "changed"
        assert page.replica.models[second.id].text == "changed, too"
        assert_same_documents(page.replica, document_copy(widget, wire))


# --- duplicates, and both sides at once -----------------------------------------------------------


def test_a_patch_that_comes_twice_is_applied_once(wire: Wire, page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        message = page.patch_message([{"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 7}])
        page.send(message)
        slider.value = 8
        page.send(message)
        assert slider.value == 8
        assert wire.customs(widget)[-1].content["kind"] == "sync"


def test_a_patch_that_overtakes_another_waits_to_be_sent_again(page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        first, second = (
            page.patch_message([{"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": new}])
            for new in (5, 6)
        )
        page.send(second)
        assert slider.value == 0
        for message in (first, second, first):
            page.send(message)
        assert slider.value == 6


def test_a_page_may_forget_what_it_sent_to_another_session(page_of: Callable[..., Page], slider: Slider) -> None:
    other = Slider(start=0, end=10, value=0)
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        page.patch({"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 5})
        widget.update(other)
        page.seq += 1  # a change of the old document, which was lost and is forgotten
        page.patch({"kind": "ModelChanged", "model": other.ref, "attr": "value", "new": 7})
        assert other.value == 7


def test_a_refusal_is_said_again(wire: Wire, page_of: Callable[..., Page], slider: Slider) -> None:
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        message = page.patch_message([{"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": "x"}])
        page.send(message)
        page.send(message)
        refusals = wire.customs(widget, "refused")
        assert [refused.content["seq"] for refused in refusals] == [1, 1]
        assert refusals[0].content == refusals[1].content


def test_rows_that_moved_under_a_page_are_sent_to_all(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"n": [1, 2, 3]})
    with BokehWidget(Div(tags=[source])) as widget:
        page = page_of(widget)
        message = page.patch_message(
            [
                {
                    "kind": "ColumnsPatched",
                    "model": source.ref,
                    "attr": "data",
                    "patches": {"type": "map", "entries": [["n", [[0, 9]]]]},
                }
            ]
        )
        source.stream({"n": [4]}, rollover=3)  # the page's row 0 is gone when its change arrives
        page.send(message)
        assert source.data["n"] == [9, 3, 4]
        last = wire.customs(widget, "patch")[-1].content["events"]
        assert [event["kind"] for event in last] == ["ColumnDataChanged"]
        page.replica.models[source.id].patch({"n": [(0, 9)]})
        for sent in wire.customs(widget, "patch"):
            if sent.content["origin"] is None:
                page.receive(sent)
        assert list(page.replica.models[source.id].data["n"]) == [9, 3, 4]


# --- what is too large for one frame ---------------------------------------------------------------


def test_pieces_are_views() -> None:
    data = np.arange(10, dtype=np.uint8)
    cut = list(pieces([data.data, b"abc", b""], 4))
    assert [b"".join(run) for run in cut] == [bytes(range(4)), bytes(range(4, 8)), bytes([8, 9]) + b"ab", b"c"]
    data[0] = 99
    assert bytes(cut[0][0])[0] == 99


def assembled(messages: list[Sent]) -> Sent:
    """Put the chunks before a message together."""
    *chunks, message = messages
    transfer = message.content["transfer"]
    assert [chunk.content["index"] for chunk in chunks] == list(range(transfer["count"]))
    parts = [b"".join(chunk.buffers) for chunk in chunks]
    assert [chunk.content["offset"] for chunk in chunks] == [0, *itertools.accumulate(map(len, parts[:-1]))]
    whole = b"".join(parts)
    sizes = chunks[0].content["sizes"]
    assert [chunk.content["sizes"] for chunk in chunks] == [sizes] * len(chunks)
    assert sum(sizes) == len(whole)
    ends = np.cumsum([0, *sizes])
    cut = [whole[a:b] for a, b in itertools.pairwise(ends)]
    return Sent(message.comm_id, message.msg_type, message.data, cut)


def test_a_large_patch_comes_in_chunks(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"x": np.zeros(1), "y": np.zeros(1)})
    with BokehWidget(Div(tags=[source]), frame_limit_bytes=MIN_FRAME_LIMIT_BYTES) as widget:
        page = page_of(widget)
        before = len(wire.customs(widget))
        source.data = {"x": np.arange(10_000.0), "y": -np.arange(10_000.0)}
        sent = wire.customs(widget)[before:]
        assert len(sent) == 4
        assert max(sum(map(len, message.buffers)) for message in sent) == MIN_FRAME_LIMIT_BYTES
        page.receive(assembled(sent))
        np.testing.assert_array_equal(page.replica.models[source.id].data["y"], source.data["y"])


def test_long_lists_are_packed(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"name": ["a"]})
    with BokehWidget(Div(tags=[source]), frame_limit_bytes=MIN_FRAME_LIMIT_BYTES) as widget:
        page_of(widget)
        before = len(wire.customs(widget))
        source.data = {"name": [f"name {i}" for i in range(20_000)]}
        sent = assembled(wire.customs(widget)[before:])
        assert sent.content["events"] == []
        [packed] = [
            raw
            for name, raw in zip(sent.content["buffers"], sent.buffers, strict=True)
            if name == sent.content["packed"]
        ]
        [event] = json.loads(packed)
        assert event["data"]["entries"][0][1][-1] == "name 19999"


def test_a_large_document_follows_its_comm_in_chunks(wire: Wire) -> None:
    source = ColumnDataSource({"x": np.arange(20_000.0)})
    widget = BokehWidget(Div(tags=[source]), frame_limit_bytes=MIN_FRAME_LIMIT_BYTES)
    [opened] = wire.of(widget)
    assert opened.data["state"]["_document"] is None
    assert opened.buffers == []
    widget._repr_mimebundle_()
    wait_until(lambda: bool(wire.customs(widget, "document")))
    sent = assembled(wire.customs(widget))
    assert sent.content["client"] is None
    from bokeh_widget._codec import EncodedDocument

    named = dict(zip(sent.content["buffers"], sent.buffers, strict=True))
    copy = document_of(EncodedDocument(sent.content["json"], named))
    np.testing.assert_array_equal(copy.models[source.id].data["x"], source.data["x"])
    widget.close()


def test_who_asks_while_the_document_is_on_its_way_gets_it_once(wire: Wire) -> None:
    source = ColumnDataSource({"x": np.arange(20_000.0)})
    widget = BokehWidget(Div(tags=[source]), frame_limit_bytes=MIN_FRAME_LIMIT_BYTES)
    widget._repr_mimebundle_()
    wait_until(lambda: bool(wire.customs(widget, "document")))
    page = Page(widget, wire, views=["view"])
    page.attach()
    assert [sent.content["kind"] for sent in wire.customs(widget)[-2:]] == ["document", "sync"]
    page.attach()  # it has not come after all
    assert [sent.content["client"] for sent in wire.customs(widget, "document")] == [None, "page"]
    assert widget.get_state()["_document"] is None  # as a page that reloads is told
    late = Page(widget, wire, "late", views=["view"])
    late.attach()
    assert wire.customs(widget, "document")[-1].content["client"] == "late"
    widget.close()


def test_a_large_document_that_something_else_displays_is_followed(wire: Wire) -> None:
    """A container shows the widget: nobody asks the widget itself for its output."""
    source = ColumnDataSource({"x": np.arange(20_000.0)})
    with BokehWidget(Div(tags=[source]), frame_limit_bytes=MIN_FRAME_LIMIT_BYTES) as widget:
        page = Page(widget, wire, views=["view"])
        page.attach()
        assert wire.customs(widget)[-1].content["kind"] == "document"
        source.stream({"x": np.array([1.0])})
        assert wire.customs(widget)[-1].content["kind"] == "patch"


@pytest.mark.parametrize(
    ("limit", "error", "text"),
    [
        ("8 MB", InputTypeError, "whole number of bytes, but got '8 MB'"),
        (True, InputTypeError, "but got True"),
        (10, InputValueError, "at least 64000, but got 10"),
    ],
)
def test_a_limit_that_is_none(limit: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        BokehWidget(Div(), frame_limit_bytes=limit)


# --- threads -------------------------------------------------------------------------------------


def test_threads_stream_to_one_source(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"thread": np.zeros(0), "n": np.zeros(0)})
    with BokehWidget(Div(tags=[source])) as widget:
        page = page_of(widget)
        stop = threading.Event()

        def stream(thread: int) -> None:
            for i in range(300):
                source.stream({"thread": np.full(3, float(thread)), "n": np.arange(3.0 * i, 3.0 * i + 3)})

        def acknowledge() -> None:
            while not stop.is_set():
                page.acknowledge()

        threads = [threading.Thread(target=stream, args=(i,)) for i in range(4)]
        acknowledging = threading.Thread(target=acknowledge)
        for thread in [*threads, acknowledging]:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        acknowledging.join()
        page.acknowledge()
        for message in wire.customs(widget, "patch"):
            page.receive(message)
        theirs = page.replica.models[source.id].data
        for data in (source.data, theirs):
            for thread in range(4):
                np.testing.assert_array_equal(data["n"][data["thread"] == thread], np.arange(900.0))
        np.testing.assert_array_equal(theirs["n"], source.data["n"])


# --- the clock --------------------------------------------------------------------------------------


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_the_clock_calls_in_order_and_ends() -> None:
    waker = Waker()
    called: list[str] = []
    late, early, never = (waker.alarm(lambda name=name: called.append(name)) for name in ("late", "early", "never"))
    late.within(40)
    early.within(10)
    early.within(10_000)  # it is due earlier already
    never.within(20)
    never.cancel()
    wait_until(lambda: called == ["early", "late"])
    wait_until(lambda: waker._thread is None)
    early.within(1)
    wait_until(lambda: called == ["early", "late", "early"])


def test_the_clock_does_not_wait_for_what_is_cancelled() -> None:
    waker = Waker()
    alarm = waker.alarm(lambda: None)
    alarm.within(3_600_000)
    wait_until(lambda: waker._thread is not None)
    alarm.cancel()
    wait_until(lambda: waker._thread is None)


def test_a_call_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    waker = Waker()
    called: list[int] = []
    failing, other = waker.alarm(lambda: 1 / 0), waker.alarm(lambda: called.append(1))
    failing.within(1)
    other.within(5)
    wait_until(lambda: called == [1])
    assert "a call that was due failed" in caplog.text


def test_a_session_that_is_busy_holds_up_no_other(wire: Wire, page_of: Callable[..., Page]) -> None:
    busy, other = Slider(start=0, end=10**6, value=0), Slider(start=0, end=10**6, value=0)
    with BokehWidget(busy) as first, BokehWidget(other) as second:
        for widget in (first, second):
            page_of(widget)
            with widget.session.lock:
                widget.session.flow.block()
        for value in (1, 2, 3):
            busy.value = value
        release = threading.Event()

        def hold() -> None:
            with first.session.batch():
                release.wait()

        holding = threading.Thread(target=hold)
        holding.start()
        try:
            for value in (1, 2, 3):
                other.value = value
            wait_until(lambda: values(wire, second)[2:] == [[3]])
            assert values(wire, first)[2:] == []
        finally:
            release.set()
            holding.join()
        wait_until(lambda: values(wire, first)[2:] == [[3]])


def test_what_waits_keeps_nothing_alive_and_no_thread(page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=10, value=0)
    widget = BokehWidget(slider)
    page = page_of(widget)
    for value in (1, 2, 3):
        slider.value = value
    session = weakref.ref(widget.session)
    widget.close()
    del widget, page
    gc.collect()
    assert session() is None
    wait_until(lambda: not threads())


def test_a_dropped_widget_is_freed_without_a_collection() -> None:
    gc.disable()
    try:
        widget = BokehWidget(Div())
        ref = weakref.ref(widget)
        del widget
        assert ref() is None
    finally:
        gc.enable()


def test_replicas_are_equal_after_all_kinds_of_changes(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource({"x": np.zeros(4), "label": ["a", "b", "c", "d"]})
    div = Div(tags=[source])
    with BokehWidget(div) as widget:
        page = page_of(widget)
        for i in range(20):
            source.stream({"x": np.array([float(i)]), "label": [str(i)]}, rollover=6)
            source.patch({"x": [(0, float(-i))], "label": [(slice(0, 2), ["p", "q"])]})
            div.text = f"text {i}"
            if i % 7 == 3:
                count = len(source.data["label"])
                source.data = {"x": np.arange(float(count)), "label": [f"new {j}" for j in range(count)]}
            if i % 5 == 4:
                page.acknowledge()
        page.acknowledge()
        for message in wire.customs(widget, "patch"):
            page.receive(message)
        assert_same_documents(page.replica, document_copy(widget, wire))


def document_copy(widget: BokehWidget, wire: Wire) -> Any:
    page = Page(widget, wire, "a copy")
    page.show()
    return page.replica


@pytest.mark.parametrize("make", [list, np.array])
@pytest.mark.parametrize(("rows", "weight"), [(10, 1 / 12), (100_000, 1.0)])
def test_a_patch_weighs_what_its_rows_do_in_whatever_form(
    page_of: Callable[..., Page], make: Callable[[list[float]], Any], rows: int, weight: float
) -> None:
    source = ColumnDataSource({"x": make([0.0]), "y": make([0.0])})
    widget = BokehWidget(Div(tags=[source]))
    page_of(widget)
    patches: list[Any] = []
    session = widget.session
    session.flow.send, send = (lambda patch: (patches.append(patch), send(patch))[1]), session.flow.send  # type: ignore[method-assign]
    values = [0.5] * rows
    source.stream({"x": make(values), "y": make(values)})
    assert [weight_of(patch) for patch in patches] == [weight]
    widget.close()
