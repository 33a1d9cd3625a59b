"""``w.stats`` and ``info()``: the numbers are those of what happened, and a notebook shows them as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.models import Div, Slider

import bokeh_widget
from bokeh_widget import BokehWidget
from bokeh_widget._stats import RateMeter, readable_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Page, Wire


def test_numbers_of_a_widget_that_two_pages_show(page_of: Callable[..., Page], wire: Wire) -> None:
    slider = Slider(start=0, end=10, value=0)
    with BokehWidget(slider) as widget:
        one, two = page_of(widget, "one"), page_of(widget, "two")
        two.show("second view")
        for value in range(1, 15):
            slider.value = value
        one.acknowledge(1)
        one.patch({"kind": "ModelChanged", "model": slider.ref, "attr": "title", "new": "t"})
        stats = widget.stats
        assert (stats.state, stats.shows, stats.revision, stats.views) == ("shown", "Slider", 14, 3)
        assert [(client.client, client.views) for client in stats.clients] == [("one", 1), ("two", 2)]
        assert [(client.revision, client.frames_in_flight) for client in stats.clients] == [(1, 12), (0, 14)]
        assert stats.frames_in_flight == 14
        assert (stats.patches_received, stats.changes_waiting, stats.changes_coalesced) == (1, 0, 1)
        assert stats.frames_sent == len(wire.customs(widget))
        texts = sum(len(json.dumps(m.content["json"])) for m in wire.customs(widget, "document"))
        assert texts * 0.5 < stats.bytes_sent <= texts + 100 * len(wire.customs(widget, "patch"))
        assert stats.last_error == ""


def test_a_page_is_at_the_revision_that_its_own_change_made(page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=10, value=0)
    with BokehWidget(slider) as widget:
        page = page_of(widget)
        change = {"kind": "ModelChanged", "model": slider.ref, "attr": "title", "new": "t"}
        page.patch(change)
        assert (widget.stats.revision, widget.stats.clients[0].revision) == (1, 1)
        slider.value = 3
        page.patch({**change, "new": "u"})
        assert (widget.stats.revision, widget.stats.clients[0].revision) == (3, 1)
        page.acknowledge(2)
        assert (widget.stats.revision, widget.stats.clients[0].revision) == (3, 3)
        assert widget.stats.bytes_sent > 0


def test_a_resync_is_a_document_that_a_page_asked_for_while_it_showed_one(page_of: Callable[..., Page]) -> None:
    with BokehWidget(Div()) as widget:

        def numbers() -> tuple[int, int]:
            return widget.stats.resyncs, widget.stats.clients[0].documents_sent

        page = page_of(widget)
        page.attach()  # the first one was lost
        assert numbers() == (0, 2)
        page.acknowledge()
        page.hide()
        page.show()  # it has freed the document, and has missed nothing
        assert numbers() == (0, 3)
        page.acknowledge()
        page.attach()
        assert numbers() == (1, 4)
        page.leave()
        page.attach()  # out of the browser's cache, with the document as it was
        assert numbers() == (2, 5)
        widget.update(Div())
        assert numbers() == (2, 5)


def test_the_last_error_is_told_and_escaped() -> None:
    with BokehWidget(Div()) as widget:
        widget.session.report_error(ValueError("<b>no & never</b>"))
        assert widget.stats.last_error == "ValueError: <b>no & never</b>"
        assert "&lt;b&gt;no &amp; never" in widget.stats._repr_html_()
        widget.session.report_error(ValueError("x" * 1000))
        assert len(str(widget.stats)) < 700


def test_info_tells_of_every_open_widget(page_of: Callable[..., Page]) -> None:
    first, second = BokehWidget(Div()), BokehWidget(Slider(start=0, end=1, value=0))
    page_of(second)
    found = bokeh_widget.info()
    assert [stats.model_id for stats in found] == [first.model_id, second.model_id]
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["widget", "session", "state"]
    assert [line.split()[0] for line in lines[1:]] == ["Div", "Slider"]
    assert lines[1:] == [line for line in lines[1:] if "created" in line or "shown" in line]
    table = found._repr_html_()
    assert table.count("<tr>") == 3
    assert repr(found) == str(found)
    first.close()
    assert len(bokeh_widget.info()) == 1


def test_info_of_nothing() -> None:
    assert str(bokeh_widget.info()) == "no widgets"
    assert bokeh_widget.info()._repr_html_() == "<p>no widgets</p>"


def test_a_closed_widget_has_stats() -> None:
    widget = BokehWidget(Div())
    widget.close()
    assert (widget.stats.state, widget.stats.shows, widget.stats.clients) == ("closed", "", ())


def test_a_rate_is_that_of_the_last_seconds() -> None:
    meter = RateMeter()
    for i in range(100):
        meter.count(i * 100.0)
    assert meter.per_s(9900.0) == pytest.approx(10, abs=0.3)
    assert meter.per_s(30_000.0) == 0


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (16_000_000, "16.0 MB"), (5e9, "5.0 GB")]
)
def test_bytes_are_readable(count: Any, text: str) -> None:
    assert readable_bytes(count) == text
