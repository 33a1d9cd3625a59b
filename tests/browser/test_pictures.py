"""Pictures that pages draw: awaited in a cell, of the size and the colours that are seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.browser.harness import collect_garbage, count_instances

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage

SETUP: Final = """
import asyncio, io, json
from xml.etree import ElementTree
from PIL import Image
from bokeh.layouts import column, row
from bokeh.models import Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget, errors

def plot(color, backend="canvas"):
    made = figure(width=300, height=200, output_backend=backend, toolbar_location=None)
    made.scatter([1, 2, 3], [1, 2, 3], size=40, color=color)
    return made

def colors(png):
    image = Image.open(io.BytesIO(png)).convert("RGB")
    often = {color for count, color in image.getcolors(1 << 20) if count > 300}
    found = {"red": (255, 0, 0), "blue": (0, 0, 255), "lime": (0, 255, 0)}
    return image.size, [name for name, color in found.items() if color in often]

def vectors(svg):
    root = ElementTree.fromstring(svg)
    fills = {part.get("fill") for part in root.iter()}
    found = {"red": "rgb(255,0,0)", "blue": "rgb(0,0,255)", "lime": "rgb(0,255,0)"}
    return root.tag.rpartition("}")[2], root.get("width"), root.get("height"), [name for name, fill in found.items() if fill in fills]

red, blue = plot("red"), plot("blue", "webgl")
w = BokehWidget(column(Slider(start=0, end=1, value=0, width=300, height=50), row(red, blue)))
"""
AWAITED: Final = """
red.renderers[0].glyph.fill_color = red.renderers[0].glyph.line_color = "lime"  # in the cell that awaits
png, svg = await asyncio.gather(w.to_png(), w.to_svg())
print(json.dumps([colors(png), vectors(svg)]))
"""
SAME_CELL: Final = """
other = BokehWidget(plot("blue", "svg"))
display(other)
print(json.dumps([colors(await other.to_png()), vectors(await other.to_svg())]))
"""
UNSEEN: Final = """
try:
    await BokehWidget(plot("red")).to_png()
except errors.ExportError as error:
    print(error)
"""
ZOOM: Final = """() => {
    for (const {document} of globalThis[Symbol.for("bokeh_widget")].replicas())
        for (const plot of document._all_models.values())
            if (plot.type == "Figure" && plot.output_backend == "webgl")
                plot.x_range.setv({start: 10, end: 20})
}"""


def _result(notebook: NotebookPage, index: int) -> Any:
    lines = [line for line in notebook.text(index).splitlines() if line.startswith("[")]
    return json.loads(lines[-1])


def _drawn_on(notebook: NotebookPage) -> list[int]:
    """Count what pictures are drawn on, in the page or held by something."""
    collect_garbage(notebook.page)
    kinds = ("HTMLCanvasElement", "SVGClipPathElement")
    return [count_instances(notebook.page, f"{kind}.prototype") for kind in kinds]


def test_pictures_are_awaited_in_a_cell(lab: NotebookPage) -> None:
    notebook = lab
    notebook.open([SETUP, "w", AWAITED, SAME_CELL, UNSEEN])
    for index in range(5):
        notebook.run(index)
    drawn_on = _drawn_on(notebook)
    (size, seen), (tag, *svg_size, drawn) = _result(notebook, 2)
    assert [seen, drawn, tag] == [["blue", "lime"]] * 2 + ["svg"]
    assert size == [int(side) for side in svg_size]
    assert size[0] >= 600
    assert size[1] >= 250
    assert "empty place for Slider" in notebook.text(2)
    assert _result(notebook, 3) == [[[300, 200], ["blue"]], ["svg", "300", "200", ["blue"]]]
    assert "no page shows it" in notebook.text(4)
    notebook.page.evaluate(ZOOM)  # as with the mouse
    notebook.run(2)
    (_, seen), (*_, drawn) = _result(notebook, 2)
    assert [seen, drawn] == [["lime"]] * 2
    # nothing stays of a picture
    assert _drawn_on(notebook) == drawn_on
