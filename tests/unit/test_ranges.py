"""What pages say of ranges that follow their data, and what a new page is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.models import Range1d
from bokeh.plotting import figure

from bokeh_widget import BokehWidget
from bokeh_widget._ranges import RANGES, FollowingRanges
from bokeh_widget.errors import ProtocolError

if TYPE_CHECKING:
    from bokeh.model import Model


def said(model: Model, attr: str, new: object, *, follows: object) -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attr, "new": new, "follows": follows}


def told(widget: BokehWidget) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(widget.session.encode_state()[0]["json"]).get(RANGES, {})
    return found


def test_ends_that_pages_have_found_are_told_to_later_pages() -> None:
    plot = figure(y_range=(0, 1))
    plot.x_range.start = 5  # chosen
    with BokehWidget(plot) as widget:
        assert told(widget) == {}
        ranges, document = widget.session.ranges, widget.document
        events = [said(plot.x_range, "start", 5, follows=True), said(plot.x_range, "end", 9, follows=True)]
        plain = ranges.note(document, events)
        assert plain == [{k: v for k, v in event.items() if k != "follows"} for event in events]
        assert told(widget) == {plot.x_range.id: {"ends": ["end"], "follows": True}}
        plot.x_range.end = 9
        ranges.note(document, [said(plot.x_range, "end", 20, follows=False)])
        assert told(widget) == {plot.x_range.id: {"ends": ["end"], "follows": False}}


def test_other_events_stay_as_they_are() -> None:
    plot = figure(y_range=(0, 1))
    events = [{"kind": "TitleChanged", "title": "x"}, 3, said(plot.y_range, "end", 2, follows=True)]
    with BokehWidget(plot) as widget:
        assert isinstance(plot.y_range, Range1d)
        plain = widget.session.ranges.note(widget.document, events)
        assert plain[:2] == events[:2]
        assert told(widget) == {}
        with pytest.raises(ProtocolError, match="true or false, but got 'yes'"):
            widget.session.ranges.note(widget.document, [said(plot.x_range, "end", 2, follows="yes")])


def test_ranges_that_have_left_are_forgotten() -> None:
    plot = figure()
    ranges = FollowingRanges()
    with BokehWidget(plot) as widget:
        ranges.note(widget.document, [said(plot.x_range, "end", 9, follows=True)])
        assert json.loads(ranges.add_to('{"a":1}')) == {
            "a": 1,
            RANGES: {plot.x_range.id: {"ends": ["end"], "follows": True}},
        }
        plot.x_range = Range1d(0, 1)
        assert ranges.add_to('{"a":1}') == '{"a":1}'
