"""The state that static pages are made of."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Div
from ipywidgets.embed import embed_data

from bokeh_widget import BokehWidget
from bokeh_widget._protocol import PROTOCOL_VERSION
from bokeh_widget._transfer import MIN_FRAME_LIMIT_BYTES


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
