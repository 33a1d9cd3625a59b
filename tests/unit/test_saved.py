"""The state that static pages are made of."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div
from bokeh.plotting import figure
from ipywidgets.embed import embed_data

from bokeh_widget import BokehWidget
from bokeh_widget._protocol import PROTOCOL_VERSION
from bokeh_widget._transfer import MIN_FRAME_LIMIT_BYTES

if TYPE_CHECKING:
    from bokeh_widget._fallback import Fallback


def _saved(widget: BokehWidget) -> dict[str, Any]:
    states: dict[str, Any] = embed_data(views=[widget])["manager_state"]["state"]
    return states


def test_an_embed_has_every_trait_and_the_runtime_once() -> None:
    with BokehWidget(Div(text="one")) as widget, BokehWidget(Div(text="two")) as other:
        states = embed_data(views=[widget, other])["manager_state"]["state"]
        mine = states[widget.model_id]["state"]
        assert mine["_protocol_version"] == PROTOCOL_VERSION
        (runtime,) = [state for state in states.values() if state["model_name"] == "BokehJSModel"]
        assert runtime["state"]["version"]
        assert ["core"] in [buffer["path"] for buffer in runtime["buffers"]]


def test_an_embed_has_the_document_as_it_is_now() -> None:
    div = Div(text="then")
    with BokehWidget(div) as widget:
        div.text = "now"
        saved = json.loads(_saved(widget)[widget.model_id]["state"]["_document"]["json"])
        assert saved["roots"][0]["attributes"]["text"] == "now"


def test_an_embed_has_a_document_that_is_too_large_for_a_message() -> None:
    values = np.arange(MIN_FRAME_LIMIT_BYTES, dtype=float)
    div = Div(tags=[ColumnDataSource({"x": values})])
    with BokehWidget(div, frame_limit_bytes=MIN_FRAME_LIMIT_BYTES) as widget:
        assert widget.get_state("_document")["_document"] is None
        (buffer,) = _saved(widget)[widget.model_id]["buffers"]
        assert len(buffer["data"]) > values.nbytes
        assert widget.get_state("_document")["_document"] is None


class _Frame(HTMLParser):
    """The page that is in the frame of an output, and the text beside it."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.page = self.title = self.text = ""
        self.feed(output)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.page = dict(attrs)["srcdoc"] or ""
            self.title = dict(attrs)["title"] or ""

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def saved(self) -> dict[str, Any]:
        """What the page shows."""
        found = re.search(r'<script type="application/json" id="bokeh-widget-saved">(.*?)</script>', self.page)
        assert found is not None
        saved: dict[str, Any] = json.loads(found[1])
        return saved


@pytest.mark.parametrize("fallback", ["png", None])
def test_an_output_says_how_to_see_the_plot_where_there_are_no_widgets(fallback: Fallback | None) -> None:
    with BokehWidget(figure(title="Sales"), fallback=fallback) as widget:
        data, metadata = widget._repr_mimebundle_()
        assert sorted(data) == ["application/vnd.jupyter.widget-view+json", "text/plain"]
        assert data["text/plain"] == "Bokeh: Sales. To see it live, run this cell in JupyterLab or Notebook 7."
        assert metadata == {"bokeh_widget": fallback or "none"}


def test_an_output_has_a_page_with_the_document_if_that_is_wanted() -> None:
    plot = figure(title="</script> & more")
    plot.line([1, 2], np.array([3.0, 4.0]))
    with BokehWidget([plot, Div(text="beside")], fallback="html") as widget, BokehWidget(plot, fallback="html") as one:
        data, metadata = widget._repr_mimebundle_()
        frame = _Frame(data["text/html"])
        assert frame.saved["root_ids"] == [root.id for root in widget.document.roots]
        assert [root["id"] for root in frame.saved["document"]["roots"]] == frame.saved["root_ids"]
        assert _Frame(one._repr_mimebundle_()[0]["text/html"]).saved["root_ids"] == [plot.id]
        plot.title.text = "later"
        again = Document.from_json(_Frame(widget._repr_mimebundle_()[0]["text/html"]).saved["document"])
        assert [root.id for root in again.roots] == frame.saved["root_ids"]
        assert "later" in json.dumps(again.to_json(deferred=False))
    assert metadata == {"bokeh_widget": "html"}
    assert frame.title == "</script> & more"
    assert frame.text == "Bokeh: </script> & more. To make it live, run this cell."
    # BokehJS is loaded, and not stored
    assert len(re.findall(r'<script[^>]* src="https://cdn\.bokeh\.org/[^"]*\.min\.js"', frame.page)) >= 1
    assert len(data["text/html"]) < 40_000
    assert "application/vnd.jupyter.widget-view+json" in data
