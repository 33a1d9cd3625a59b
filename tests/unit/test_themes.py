"""Themes: what is accepted, and the one that follows the light and dark of a page."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import Div, Legend, Slider, TextInput
from bokeh.plotting import figure
from bokeh.themes import built_in_themes

from bokeh_widget import BokehWidget, _themes
from bokeh_widget.errors import InputTypeError, InputValueError
from tests.unit.comparing import assert_same_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bokeh_widget.errors import BokehWidgetError
    from tests.unit.wires import Page, Wire

JSON = {"attrs": {"Plot": {"background_fill_color": "#123456"}}}
YAML = "attrs:\n    Plot:\n        background_fill_color: '#123456'\n"
DARK = "#20262B"


@pytest.fixture(autouse=True)
def _nothing_told() -> Iterator[None]:
    _themes._last_told.clear()
    yield
    _themes._last_told.clear()


def _turn(page: Page, scheme: str) -> None:
    page.presence("hi", view="view", scheme=scheme)


def _background(widget: BokehWidget) -> Any:
    return widget.roots[0].background_fill_color


def test_a_dict_is_taken_and_left_as_it_is() -> None:
    json: dict[str, Any] = {}
    BokehWidget(figure(), theme=json).close()
    assert json == {}
    with BokehWidget(figure(), theme=JSON) as widget:
        assert _background(widget) == "#123456"


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_a_file_is_taken_as_path_and_as_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_text(YAML)
    for theme in (path, str(path)):
        with BokehWidget(figure(), theme=theme) as widget:
            assert _background(widget) == "#123456"
            path.unlink()  # it was read once
            widget.update(figure())
            assert _background(widget) == "#123456"
        path.write_text(YAML)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["cannot be read", "No such file"]),
        ("attrs: [", ["is no YAML"]),
        ("", ["the key 'attrs'", "None"]),
        ("- 3", ["the key 'attrs'", "[3]"]),
        ("attrs: 3", ["describes no theme", "3"]),
        ("attrs: {Plot: 3}", ["describes no theme", "attrs.Plot"]),
        ("attrs: {Plot: {colour: red}}", ["Plot.colour", "correct its name"]),
    ],
)
def test_a_file_that_is_no_theme(tmp_path: Path, content: str | None, words: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    plot = figure()
    with pytest.raises(InputValueError) as caught:
        BokehWidget(plot, theme=path)
    assert all(word in str(caught.value) for word in ["mine.yaml", *words])
    assert plot.document is None


@pytest.mark.parametrize(
    ("theme", "kind", "word"),
    [
        ({"attrs": {"Plot": {"colour": 1}}}, InputValueError, "Plot.colour"),
        ({"attrs": 3}, InputValueError, "the dict describes no theme"),
        ({"line_defaults": {"nope": 1}}, InputValueError, "LineProps.nope"),
        ({"fill_defaults": None}, InputValueError, "a dict of values as fill_defaults, but has None"),
        ({"text_defaults": {"text_alpha": []}}, InputValueError, "text_alpha to"),
        ({"Plot": {"height": 3}}, InputValueError, "the key 'Plot'.*belong into 'attrs'"),
        (
            {"attrs": {"Plot": {"background_fill_color": "nocolor"}}},
            InputValueError,
            "background_fill_color.*'nocolor'",
        ),
        ({"attrs": {"Plot": {"height": "high"}}}, InputValueError, "Plot.height to 'high'"),
        (b"mine.yaml", InputTypeError, "'auto'"),
    ],
)
def test_what_is_no_theme(theme: Any, kind: type[BokehWidgetError], word: str) -> None:
    with pytest.raises(kind, match=word):
        BokehWidget(figure(), theme=theme)


@pytest.mark.parametrize("name", built_in_themes)
def test_the_json_of_built_in_themes_is_taken(name: str) -> None:
    plot = figure()
    with BokehWidget(plot, theme=dict(built_in_themes[name]._json)) as widget:
        background = plot.background_fill_color
        widget.document.theme = name
        assert plot.background_fill_color == background


def test_a_class_that_nobody_knows_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with BokehWidget(figure(), theme={"attrs": {"Plt": {"height": 3}}}):
        assert "the dict sets values of Plt, and there is no model of this name" in caplog.text


# --- "auto" ----------------------------------------------------------------------------------------


def test_the_document_follows_its_page_and_comes_back_to_what_it_was(page_of: Callable[..., Page], wire: Wire) -> None:
    plot = figure(title="t", border_fill_color="yellow")
    plot.add_layout(Legend())
    with BokehWidget([plot, TextInput()], theme="auto") as widget:
        light = widget.document.to_json(deferred=False)
        page = page_of(widget)
        revision = widget.session.revision
        _turn(page, "dark")
        assert (plot.background_fill_color, plot.border_fill_color) == (DARK, "yellow")
        assert widget.session.revision == revision + 1  # one patch
        assert plot.xaxis.major_label_text_font_size == "11px"  # a switch moves nothing
        assert "color-scheme: dark" in widget.roots[1].stylesheets[0]
        replica = page.replica
        page.receive(wire.customs(widget, "patch")[-1])
        assert_same_documents(replica, widget.document)
        _turn(page, "light")
        assert widget.document.to_json(deferred=False) == light


def test_a_replica_is_patched_and_not_replaced(page_of: Callable[..., Page]) -> None:
    with BokehWidget(figure(), theme="auto") as widget:
        page = page_of(widget)
        documents = len(page.documents)
        _turn(page, "dark")
        _turn(page, "dark")
        assert len(page.documents) == documents


def test_other_themes_follow_nobody(page_of: Callable[..., Page]) -> None:
    for theme in (None, "caliber", JSON):
        with BokehWidget(figure(), theme=theme) as widget:
            before = widget.document.theme
            _turn(page_of(widget), "dark")
            assert widget.document.theme is before


def test_new_documents_begin_as_a_page_of_the_kernel_was_last(page_of: Callable[..., Page]) -> None:
    with BokehWidget(figure()) as first, BokehWidget(figure(), theme="auto") as second:
        _turn(page_of(first), "dark")
        assert _background(second) == "#ffffff"
        with BokehWidget(figure(), theme="auto") as third:
            assert _background(third) == DARK
            third.update(figure())
            assert _background(third) == DARK


def test_where_pages_differ_the_one_that_came_or_changed_last_decides(page_of: Callable[..., Page]) -> None:
    with BokehWidget(figure(), theme="auto") as widget:
        one, other = page_of(widget, "one"), page_of(widget, "other")
        _turn(one, "dark")
        _turn(other, "light")
        assert _background(widget) == "#ffffff"
        _turn(one, "dark")  # it says so again, and has not changed
        assert _background(widget) == "#ffffff"
        _turn(one, "light")
        _turn(one, "dark")
        assert _background(widget) == DARK


def _fail(attr: str, old: object, new: object) -> None:  # noqa: ARG001  # Bokeh wants these names
    raise ZeroDivisionError


def test_an_error_of_a_callback_is_reported(page_of: Callable[..., Page]) -> None:
    plot = figure()
    errors: list[BaseException] = []
    with BokehWidget(plot, theme="auto") as widget:
        widget.on_error(errors.append)
        plot.on_change("background_fill_color", _fail)
        _turn(page_of(widget), "dark")
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert widget.document.theme is _themes.scheme_theme("dark")


def test_themes_hold_no_document(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(figure(), theme="auto")
    _turn(page_of(widget), "dark")
    dead = [weakref.ref(widget), weakref.ref(widget.document), weakref.ref(widget.roots[0])]
    widget.close()
    del widget
    gc.collect()
    assert [ref() for ref in dead[1:]] == [None, None]


def test_a_users_document_has_the_theme() -> None:
    document = Document()
    document.add_root(Div())
    with BokehWidget(document, theme=JSON):
        assert document.theme._json == JSON


def test_a_page_has_the_dark_theme_before_python_knows_of_it(page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=1, value=0)
    with BokehWidget(column(figure(), slider), theme="auto") as widget, BokehWidget(Div(), theme=JSON) as other:
        assert other.get_state("_dark_theme") == {"_dark_theme": None}
        told = json.loads(json.dumps(widget.get_state("_dark_theme")["_dark_theme"]))
        page = page_of(widget)
        light = slider.bar_color
        _turn(page, "dark")
        assert slider.bar_color == told["AbstractSlider"]["bar_color"] != light
        with BokehWidget(column(figure(), Slider(start=0, end=1, value=0)), theme={"attrs": told}) as twin:
            dark, same = (each.document.to_json(deferred=False)["roots"] for each in (widget, twin))
            assert [list(root["attributes"]) for root in dark] == [list(root["attributes"]) for root in same]
