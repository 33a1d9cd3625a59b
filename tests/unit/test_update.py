"""``update()`` beside other threads: pages end with what Python has, and each session is used under its own lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div

from bokeh_widget import BokehWidget
from bokeh_widget._session import session_of
from tests.unit.lossy import assert_followed, shown_page, talk
from tests.unit.waiting import in_thread, is_free, stands_in, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Page, Sent, Wire


def streamed() -> tuple[Div, ColumnDataSource]:
    """Make something to show, and a source in it."""
    source = ColumnDataSource({"n": [0]})
    return Div(tags=[source]), source


def test_a_page_has_what_a_thread_streams_during_an_update(wire: Wire) -> None:
    threads: list[threading.Thread] = []
    shown, source = streamed()
    Document().add_root(shown)
    shown.document.add_root(Div())
    with BokehWidget(Div()) as widget:
        page = shown_page(widget, wire)

        def stream_once(sent: Sent) -> None:
            # the roots are told of before the document is
            if sent.data.get("method") == "update" and "_root_ids" in sent.data["state"] and not threads:
                threads.append(in_thread(lambda: source.stream({"n": [1]}), 0.2))

        wire.watchers.append(stream_once)
        widget.update(shown)
        threads[0].join()
        assert source.data["n"] == [0, 1]
        talk(page)
        assert_followed(widget, page)


def test_a_page_has_what_is_streamed_while_the_old_document_is_in_use(wire: Wire) -> None:
    shown, source = streamed()
    with BokehWidget(old := Div()) as widget:
        page = shown_page(widget, wire)
        session = widget.session
        updating = threading.Thread(target=widget.update, args=(shown,))
        with session.batch():  # as a callback of the old document, in another thread
            updating.start()
            wait_until(lambda: stands_in(updating, "_hold_session"))
            source.stream({"n": [1]})
            old.text = "the last change"
        updating.join()
        of_new = [sent.content for sent in wire.customs(widget) if sent.content.get("session") == widget.session.id]
        assert [content["kind"] for content in of_new] == ["document"]
        talk(page)
        assert_followed(widget, page)
        source.stream({"n": [2]})
        talk(page)
        assert_followed(widget, page)


def test_a_message_that_waits_for_a_session_is_for_the_one_that_took_its_place(
    wire: Wire, page_of: Callable[..., Page]
) -> None:
    free: list[bool] = []
    new = Div()
    with BokehWidget(Div()) as widget:
        page = page_of(widget)
        handling = threading.Thread(target=page.attach)
        with widget.session.batch():  # a callback that updates the widget
            handling.start()
            wait_until(lambda: stands_in(handling, "_hold_session", "_handle_custom_msg"))
            threading.Event().wait(0.02)
            widget.update(new)
            session = session_of(widget.document)
            assert session is not None
            wire.watchers.append(lambda _sent: free.append(is_free(session.lock)))
        handling.join()
        answer = wire.customs(widget)[-1].content
        assert (answer["kind"], answer["session"]) == ("document", session.id) or answer["kind"] == "sync"
        assert free
        assert not any(free)


def test_a_malformed_message_is_refused_under_the_lock(wire: Wire, page_of: Callable[..., Page]) -> None:
    free: list[bool] = []
    with BokehWidget(Div()) as widget:
        page = page_of(widget)
        lock = widget.session.lock
        wire.watchers.append(lambda _sent: free.append(is_free(lock)))
        page.send({"kind": "patch", "client": page.client, "seq": 1})
        assert [sent.content["seq"] for sent in wire.customs(widget, "refused")] == [1]
        assert free
        assert not any(free)


def test_updates_at_the_same_time_end_with_one_of_them(wire: Wire) -> None:
    choices = [streamed() for _ in range(2)]
    with BokehWidget(Div()) as widget:
        page = shown_page(widget, wire)
        session = widget.session
        with session.lock:
            threads = [threading.Thread(target=widget.update, args=(shown,)) for shown, _ in choices]
            for thread in threads:
                thread.start()
                wait_until(lambda thread=thread: stands_in(thread, "_hold_session"))
        for thread in threads:
            thread.join()
        talk(page)
        assert widget.roots[0] in [shown for shown, _ in choices]
        assert_followed(widget, page)
        assert [session_of(shown.document) is None for shown, _ in choices if shown.document is not None] == [False]
