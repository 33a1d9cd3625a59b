"""Documents as files, and nothing of the live one changed by that."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import Button, CustomJS, Div, Slider
from bokeh.plotting import figure
from bokeh.resources import INLINE
from bokeh.themes import built_in_themes

from bokeh_widget import BokehWidget
from bokeh_widget.errors import InputTypeError, InputValueError, SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Page, Wire

pytestmark = pytest.mark.usefixtures("wire")


def _documents(html: str) -> list[dict[str, Any]]:
    """Give the documents that a page has."""
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return list(json.loads(found[1]).values())


def _root_ids(html: str) -> list[str]:
    (document,) = _documents(html)
    return [root["id"] for root in document["roots"]]


def test_html_has_the_current_document() -> None:
    slider = Slider(start=0, end=10, value=1)
    widget = BokehWidget(slider)
    slider.value = 7
    (document,) = _documents(widget.to_html())
    assert [(root["id"], root["attributes"]["value"]) for root in document["roots"]] == [(slider.id, 7)]


def test_bokehjs_is_in_the_page_or_on_the_cdn() -> None:
    widget = BokehWidget(Div(text="here"))
    assert "https://cdn.bokeh.org" in widget.to_html()
    for inline in (widget.to_html(resources="inline"), widget.to_html(resources=INLINE)):
        assert 'src="https://cdn.bokeh.org' not in inline
        assert len(inline) > 500_000


def test_the_title_is_that_of_the_document_or_a_given_one() -> None:
    document = Document(title="weather")
    first, second = Div(), Div()
    document.add_root(first)
    document.add_root(second)
    for widget in (BokehWidget(document), BokehWidget(first)):
        assert "<title>weather</title>" in widget.to_html()
        assert "<title>rain</title>" in widget.to_html(title="rain")


def test_only_the_roots_of_the_widget_are_shown() -> None:
    document = Document()
    shared = CustomJS(code="0")
    first, second = Button(), Button()
    for button in (first, second):
        button.js_on_click(shared)
        document.add_root(button)
    document.js_on_event("document_ready", CustomJS(args={"button": second}, code="0"))
    html = BokehWidget(second).to_html()
    assert _root_ids(html) == [second.id]
    # whole by itself: what is referred to is there
    (found,) = _documents(html)
    copy = Document.from_json(found)  # type: ignore[arg-type]
    assert [type(root) for root in copy.roots] == [Button]
    assert [root.document for root in (first, second)] == [document, document]


@pytest.mark.parametrize("whole", [True, False])
def test_the_theme_is_in_the_page_and_nothing_of_the_document_changes(wire: Wire, whole: bool) -> None:
    plot = figure()
    plot.line([1, 2], [3, 4])
    document = Document(theme=built_in_themes["dark_minimal"])
    document.add_root(plot)
    document.add_root(Div())
    widget = BokehWidget(document if whole else plot)
    before, theme, revision = document.to_json(deferred=False), document.theme, widget.session.revision
    sent = len(wire.messages)
    html = widget.to_html()
    assert "#20262B" in html
    assert document.to_json(deferred=False) == before
    assert document.theme is theme
    assert plot.document is document
    assert widget.session.revision == revision
    assert len(wire.messages) == sent


@pytest.mark.parametrize("export", [BokehWidget.to_html, BokehWidget.to_json])
def test_models_that_wait_to_be_sent_are_not_taken_for_sent(
    export: Callable[[BokehWidget], object], page_of: Callable[..., Page], wire: Wire
) -> None:
    div = Div()
    widget = BokehWidget(div)
    page_of(widget)
    for number in range(100):
        div.text = str(number)  # the page acknowledges none: from some of them on, changes wait
    assert len(widget.session.flow.changes) == 1
    div.js_property_callbacks = {"change:text": [CustomJS(code="news")]}
    export(widget)
    widget.session.flush()
    assert "news" in json.dumps([message.content["events"] for message in wire.customs(widget, "patch")])


def test_nothing_is_left_when_a_value_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    plot = figure()
    document = Document()
    document.add_root(plot)
    document.add_root(Div())
    widget = BokehWidget(plot)
    monkeypatch.setattr("bokeh_widget._export.html_page_for_render_items", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        widget.to_html()
    assert plot.document is document
    assert plot._temp_document is None


def test_python_callbacks_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    slider = Slider(start=0, end=1, value=0)
    widget = BokehWidget(slider)
    with caplog.at_level(logging.WARNING):
        widget.to_html()
        assert not caplog.records
        slider.on_change("value", lambda _attr, _old, _new: None)
        widget.to_html(suppress_callback_warning=True)
        assert not caplog.records
        widget.to_html()
    assert ["has no Python" in record.message for record in caplog.records] == [True]


def test_save_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    widget = BokehWidget(Div(text="große Höhe"), theme="contrast")
    saved = widget.save("plot.html", title="Höhe")
    assert saved == tmp_path / "plot.html"
    text = saved.read_text(encoding="utf-8")
    assert "<title>Höhe</title>" in text
    assert _root_ids(text) == [widget.roots[0].id]
    assert widget.save(tmp_path / "again.html", resources="inline").stat().st_size > 500_000


def test_a_file_is_kept_if_the_page_cannot_be_made(tmp_path: Path) -> None:
    kept = tmp_path / "plot.html"
    kept.write_text("old")
    with pytest.raises(InputValueError):
        BokehWidget(Div()).save(kept, resources="nowhere")
    assert kept.read_text() == "old"


def test_roots_are_in_the_order_of_the_widget(tmp_path: Path) -> None:
    first, second = Div(text="first"), Div(text="second")
    document = Document()
    document.add_root(first)
    document.add_root(second)
    with BokehWidget([second, first]) as widget:
        html = widget.to_html()
        [items] = re.findall(r"const render_items = (.*);", html)
        assert list(json.loads(items)[0]["roots"]) == [second.id, first.id]
        written = widget.save(tmp_path / "page.html", title="\ud800").read_text(encoding="utf-8")
        assert "<title>&#55296;</title>" in written


def test_json_is_read_by_bokeh_and_by_json() -> None:
    plot = figure(title="rows")
    plot.line(np.arange(3.0), np.arange(3.0))
    widget = BokehWidget(plot)
    found = json.loads(json.dumps(widget.to_json()))
    copy = Document.from_json(found)
    assert copy.roots[0].title.text == "rows"  # type: ignore[attr-defined]
    assert found["version"] == widget.document.to_json(deferred=False)["version"]


WRONG: dict[str, tuple[Callable[[BokehWidget], object], type[Exception], str]] = {
    "resources of another type": (lambda w: w.to_html(resources=5), InputTypeError, "but got 5"),  # type: ignore[arg-type]
    "unknown resources": (lambda w: w.to_html(resources="nowhere"), InputValueError, "but got 'nowhere'"),
    "a title that is no text": (lambda w: w.to_html(title=b"x"), InputTypeError, "but got b'x'"),  # type: ignore[arg-type]
    "a path that is none": (lambda w: w.save(7), InputTypeError, "but got 7"),  # type: ignore[arg-type]
    "a directory": (lambda w: w.save("/"), InputValueError, "'/' is a directory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_refused(case: str) -> None:
    call, kind, text = WRONG[case]
    with pytest.raises(kind, match=re.escape(text)):
        call(BokehWidget(Div()))


@pytest.mark.parametrize("export", [BokehWidget.to_html, BokehWidget.to_json, lambda widget: widget.save("x.html")])
def test_a_closed_widget_has_nothing_to_export(export: Callable[[BokehWidget], object]) -> None:
    widget = BokehWidget(Div())
    widget.close()
    with pytest.raises(SessionClosedError):
        export(widget)
    assert not Path("x.html").exists()
