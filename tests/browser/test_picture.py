"""js/src/picture.ts: what BokehJS draws of plots is where the page has it, whatever draws them there.

Runs without Jupyter, in the plain page of test_upstream.py.
"""

from __future__ import annotations

import base64
import importlib
import io
from typing import TYPE_CHECKING, Any, Final, Literal
from xml.etree import ElementTree as ET

import pytest
from bokeh.layouts import column, row
from bokeh.plotting import figure
from PIL import Image

from tests.browser.test_upstream import NOTHING, Playground, document_json, page_script, settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bokeh.models.ui import UIElement
    from playwright.sync_api import Browser, Page

    from tests.browser.harness import PageLog

bkm: Any = importlib.import_module("bokeh.models")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
SVG: Final = "{http://www.w3.org/2000/svg}"

__all__ = ["page_script"]  # a fixture


@pytest.fixture
def page(browser: Browser, page_errors: PageLog, page_script: str) -> Iterator[Page]:
    """Give a page on a screen with four pixels for each of CSS: what counts in the wrong ones is seen there."""
    pages = Playground(browser, page_errors, page_script)
    yield pages.page(device_scale_factor=2)
    pages.close()


def _plot(color: str, backend: str = "canvas", width: int = 200, height: int = 100) -> figure:
    """Return a plot with a large square in the middle, and nothing around it."""
    options: Any = {"x_range": (-1, 1), "y_range": (-1, 1), "output_backend": backend}
    plot = figure(width=width, height=height, toolbar_location=None, min_border=0, **options)
    plot.axis.visible = plot.grid.visible = False
    plot.outline_line_color = None
    plot.scatter([0], [0], size=40, marker="square", color=color)
    return plot


def _picture(page: Page, roots: Sequence[UIElement], kind: Literal["png", "svg"]) -> dict[str, Any]:
    """Give what is made of a document, which is closed again: nothing is left of it."""
    code = """async ([json, kind]) => {
        const handle = await upstream.open(json);
        await upstream.next_frames(4);
        try { return await upstream.picture(handle, kind); } finally { await upstream.close(handle); }
    }"""
    found: dict[str, Any] = page.evaluate(code, [document_json(roots), kind])
    assert settle(page, NOTHING) == NOTHING
    return found


def _png(page: Page, *roots: UIElement) -> Image.Image:
    """Give what a PNG shows on white, with one pixel for each of CSS."""
    found = _picture(page, roots, "png")
    image = Image.open(io.BytesIO(base64.b64decode(found["data"])))
    assert image.size == (found["width"], found["height"])
    scale: int = page.evaluate("() => devicePixelRatio")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB").reduce(scale)


@pytest.mark.parametrize("backend", ["canvas", "webgl", "svg"])
def test_a_plot_is_drawn_at_its_size_by_each_backend(page: Page, backend: str) -> None:
    image = _png(page, _plot("red", backend))
    assert image.size == (200, 100)
    box = image.convert("L").point(lambda value: 255 if value < 200 else 0).getbbox()
    assert box is not None
    assert box == pytest.approx((80, 30, 120, 70), abs=2)
    assert image.getpixel((100, 50)) == RED


def test_plots_of_nested_layouts_and_several_roots_are_where_the_page_has_them(page: Page) -> None:
    layout = column(_plot("red"), row(_plot("green"), _plot("blue", "webgl")))
    image = _png(page, layout, _plot("red"))
    assert image.size[0] >= 400
    assert image.size[1] == 300
    found = [image.getpixel(at) for at in ((100, 50), (100, 150), (300, 150), (300, 50), (100, 250))]
    assert found == [RED, GREEN, BLUE, WHITE, RED]


def test_widgets_leave_their_room_and_are_named(page: Page) -> None:
    def layout() -> UIElement:
        slider = bkm.Slider(start=0, end=1, value=0, height=50, height_policy="fixed", margin=0)
        return column(slider, _plot("red"))

    assert _picture(page, [layout()], "png")["omitted"] == ["Slider"]
    image = _png(page, layout())
    assert image.size[1] == 150
    assert [image.getpixel(at) for at in ((100, 25), (100, 100))] == [WHITE, RED]


def test_what_is_larger_than_a_canvas_is_saved_with_fewer_pixels(page: Page) -> None:
    spacer = bkm.Spacer(width=200, height=20_000)
    text = document_json([column(_plot("red", height=400), spacer, _plot("blue", height=400))])
    found = page.evaluate("async json => upstream.saved_picture(await upstream.open(json))", text)
    assert (found["width"], found["height"]) == pytest.approx((200, 20_800), rel=0.02)
    image = Image.open(io.BytesIO(base64.b64decode(found["data"]))).convert("RGB")
    assert image.size[1] == 16_384
    assert [image.getpixel((image.size[0] // 2, y)) for y in (150, 16_230)] == [RED, BLUE]
    page.evaluate("() => upstream.close_all()")


def test_a_document_without_plots_has_no_picture(page: Page) -> None:
    code = "async json => upstream.picture(await upstream.open(json), 'png').catch(error => String(error))"
    for root, expected in ((bkm.Div(text="text"), "there is only Div here"), (figure(visible=False), "nothing that")):
        error = page.evaluate(code, document_json([root]))
        assert expected in error
        page.evaluate("() => upstream.close_all()")


@pytest.mark.parametrize("backend", ["canvas", "webgl", "svg"])
def test_svg_is_of_vectors_whatever_draws_in_the_page(page: Page, backend: str) -> None:
    found = _picture(page, [row(_plot("red", backend), _plot("blue", backend))], "svg")
    root = ET.fromstring(base64.b64decode(found["data"]))
    assert (root.tag, root.get("width"), root.get("height")) == (f"{SVG}svg", "400", "100")
    parts = root.findall(f"{SVG}svg")
    assert [(part.get("x"), part.get("width")) for part in parts] == [("0", "200"), ("200", "200")]
    assert root.findall(f".//{SVG}image") == []
    for part, color in zip(
        parts, ({"red", "#ff0000", "rgb(255,0,0)"}, {"blue", "#0000ff", "rgb(0,0,255)"}), strict=True
    ):
        fills = {(shape.get("fill") or "").replace(" ", "") for shape in part.iter()}
        assert fills & color, fills
