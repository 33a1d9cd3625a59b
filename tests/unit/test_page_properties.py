"""Properties that only a page sets are read-only in Python; what a page says of them is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bokeh.document import Document
from bokeh.models import FileInput, Slider
from bokeh.plotting import figure

from bokeh_widget import errors
from bokeh_widget._codec import apply_event, decode_patch

if TYPE_CHECKING:
    from bokeh.model import Model


def _patch(model: Model, attr: str, value: object) -> None:
    document = Document()
    document.add_root(model)
    event = {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attr, "new": value}
    for decoded in decode_patch(document, [event], {}, setter=object()).events:
        apply_event(document, decoded, setter=object())


@pytest.mark.parametrize(
    ("model", "attr", "value"),
    [
        (figure(), "inner_width", 420),
        (Slider(start=0, end=10, value=1), "value_throttled", 5),
        (FileInput(), "filename", "table.csv"),
    ],
)
def test_a_page_sets_them(model: Model, attr: str, value: object) -> None:
    _patch(model, attr, value)
    assert getattr(model, attr) == value


def test_what_only_python_knows_is_refused() -> None:
    circle = figure().circle([1], [2], radius=1).glyph
    with pytest.raises(errors.ProtocolError, match="exists in Python only"):
        _patch(circle, "radius_units", "screen")
