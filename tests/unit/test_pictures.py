"""Pictures that a page is asked for: each question ends, with a picture or with an error that says what to do."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import math
import weakref
from typing import TYPE_CHECKING, Any, ParamSpec

import pytest
from bokeh.models import Div

from bokeh_widget import BokehWidget, _kernel
from bokeh_widget._cells import cells
from bokeh_widget.errors import ExportError, InputTypeError, InputValueError, SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.unit.wires import Page, Sent, Wire


P = ParamSpec("P")


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def _answer(page: Page, question: Sent, data: bytes = b"picture", **fields: Any) -> None:
    page.send(
        {
            "kind": "exported",
            "client": page.client,
            "request": question.content["request"],
            "width": 2,
            "height": 1,
            "omitted": [],
            "error": None,
            "buffers": ["picture"],
            **fields,
        },
        [data] if fields.get("error") is None else [],
    )


def _refuse(page: Page, question: Sent, error: str) -> None:
    _answer(page, question, error=error, buffers=[], width=0, height=0)


async def _asked(wire: Wire, widget: BokehWidget, *pictures: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Begin to wait, and give the tasks with the newest questions of as many."""
    before = len(wire.customs(widget, "export"))
    tasks = [asyncio.ensure_future(picture) for picture in pictures]
    await asyncio.sleep(0)
    return *tasks, *wire.customs(widget, "export")[before:]


@in_loop
async def test_a_page_gives_the_picture(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png(timeout_s=2.5))
    assert question.content | {"request": ""} == {
        "kind": "export",
        "client": "page",
        "request": "",
        "session": widget.session.id,
        "revision": 0,
        "type": "png",
        "timeout_ms": 2500,
    }
    _answer(page, question, b"\x89PNG")
    assert await png == b"\x89PNG"
    svg, question = await _asked(wire, widget, widget.to_svg())
    assert question.content["type"] == "svg"
    _answer(page, question, "<svg>é</svg>".encode())
    assert await svg == "<svg>é</svg>"


@in_loop
async def test_what_waits_to_be_sent_is_in_the_picture(wire: Wire, page_of: Callable[..., Page]) -> None:
    div = Div()
    widget = BokehWidget(div)
    page = page_of(widget)
    for number in range(100):
        div.text = str(number)
    assert len(widget.session.flow.changes) == 1
    png, question = await _asked(wire, widget, widget.to_png())
    assert wire.customs(widget, "patch")[-1].content["events"][0]["new"] == "99"
    assert question.content["revision"] == wire.customs(widget, "patch")[-1].content["revision"]
    _answer(page, question)
    await png


@in_loop
async def test_several_questions_get_their_own_answers(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    first, second, asked_first, asked_second = await _asked(wire, widget, widget.to_png(), widget.to_png())
    _answer(page, asked_second, b"second")
    _answer(page, asked_first, b"first")
    _answer(page, asked_first, b"once more")
    assert await first == b"first"
    assert await second == b"second"


@in_loop
async def test_one_of_several_pages_is_asked_and_another_when_it_goes(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page, other = page_of(widget), page_of(widget, "other")
    png, question = await _asked(wire, widget, widget.to_png())
    assert question.content["client"] == "page"
    page.views.clear()
    page.presence("bye")
    again = wire.customs(widget, "export")[-1]
    assert again.content == question.content | {"client": "other"}
    _answer(page, again, b"too late")
    _answer(other, again, b"of the other")
    assert await png == b"of the other"


@in_loop
async def test_the_last_page_goes(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, _ = await _asked(wire, widget, widget.to_png())
    page.views.clear()
    page.presence("gone", view="view")
    with pytest.raises(ExportError, match="went away"):
        await png


@in_loop
async def test_a_page_that_cannot_says_why(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png())
    _refuse(page, question, "only Div here")
    with pytest.raises(ExportError, match="no PNG of the plot: only Div here"):
        await png


@in_loop
async def test_what_is_not_in_the_picture_is_logged(
    wire: Wire, page_of: Callable[..., Page], caplog: pytest.LogCaptureFixture
) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png())
    with caplog.at_level(logging.WARNING):
        _answer(page, question, omitted=["Slider", "DataTable"])
        await png
    assert "empty place for Slider, DataTable" in caplog.text


@in_loop
async def test_without_a_page_the_error_comes_at_once(wire: Wire) -> None:
    widget = BokehWidget(Div())
    with pytest.raises(ExportError, match=r"no PNG of <BokehWidget Div.*no page shows it\. Display it"):
        await widget.to_png()
    assert wire.customs(widget, "export") == []


@in_loop
async def test_a_page_that_does_not_answer(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    with pytest.raises(ExportError, match=r"did not answer within 0\.01 s"):
        await widget.to_png(timeout_s=0.01)
    _answer(page, wire.customs(widget, "export")[-1])  # nobody waits any more
    assert widget.session.last_error is None


@pytest.mark.parametrize("end", [BokehWidget.close, lambda widget: widget.update(Div())])
@in_loop
async def test_the_widget_is_closed_or_shows_something_else(
    wire: Wire, page_of: Callable[..., Page], end: Callable[[BokehWidget], None]
) -> None:
    widget = BokehWidget(Div())
    page_of(widget)
    png, _ = await _asked(wire, widget, widget.to_png())
    end(widget)
    with pytest.raises(ExportError, match="closed, or shows something else"):
        await png


@in_loop
async def test_interrupted(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png())
    png.cancel()
    with pytest.raises(asyncio.CancelledError):
        await png
    _answer(page, question)
    assert widget.session.last_error is None
    assert widget._pages.pictures._asked == {}


@in_loop
async def test_a_closed_widget_gives_no_picture(wire: Wire) -> None:
    widget = BokehWidget(Div())
    widget.close()
    with pytest.raises(SessionClosedError):
        await widget.to_png()
    assert wire.customs(widget, "export") == []


@pytest.mark.parametrize(
    ("timeout_s", "kind"),
    [
        ("5", InputTypeError),
        (True, InputTypeError),
        (0, InputValueError),
        (-1, InputValueError),
        (math.inf, InputValueError),
    ],
)
@pytest.mark.usefixtures("wire")
@in_loop
async def test_a_bad_timeout_is_refused(timeout_s: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="timeout_s must be"):
        await BokehWidget(Div()).to_svg(timeout_s=timeout_s)


@in_loop
async def test_nothing_is_held_of_a_widget_that_gave_pictures(wire: Wire, page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png())
    _answer(page, question)
    await png
    ref = weakref.ref(widget)
    widget.close()
    del widget, page, png, question
    gc.collect()
    assert ref() is None


@in_loop
async def test_a_reload_ends_the_wait_and_the_page_gives_the_next_picture(
    wire: Wire, page_of: Callable[..., Page]
) -> None:
    widget = BokehWidget([Div(), Div()])
    page = page_of(widget)
    png, question = await _asked(wire, widget, widget.to_png())
    page.leave()
    with pytest.raises(ExportError, match="went away; await it again where the plot is shown"):
        await png
    _answer(page, question, b"of the page before")  # its last message comes late
    reloaded = page_of(widget, "reloaded")
    png, question = await _asked(wire, widget, widget.to_png())
    assert question.content["client"] == "reloaded"
    _answer(reloaded, question)
    assert await png == b"picture"


@in_loop
async def test_the_page_of_an_earlier_cell_is_awaited_if_it_has_not_answered_yet(
    wire: Wire, page_of: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = BokehWidget(Div())
    monkeypatch.setattr(_kernel, "running_cell_id", lambda: "a cell of a notebook page")
    monkeypatch.setattr(type(cells), "current_run", 1)
    widget._repr_mimebundle_()
    monkeypatch.setattr(type(cells), "current_run", 2)
    png = asyncio.ensure_future(widget.to_png())
    await asyncio.sleep(0)
    assert not png.done()
    page = page_of(widget)
    (question,) = wire.customs(widget, "export")
    _answer(page, question)
    assert await png == b"picture"
    page.hide()  # the cell was cleared: nobody is to come
    with pytest.raises(ExportError, match="no page shows it"):
        await widget.to_png()
    other = BokehWidget(Div())
    monkeypatch.setattr(_kernel, "running_cell_id", lambda: None)
    other._repr_mimebundle_()
    monkeypatch.setattr(type(cells), "current_run", 3)
    with pytest.raises(ExportError, match="no page shows it"):  # no page executes this notebook
        await other.to_png()
