"""The document that all golden frames are about, with ids that never change."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from bokeh.core.types import ID
from bokeh.document import Document
from bokeh.document.config import DocumentConfig
from bokeh.events import ButtonClick, DocumentReady
from bokeh.models import Button, ColumnDataSource, FileInput, Selection, Slider, UnionRenderers
from bokeh.models.ui.notifications import Notifications

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bokeh.model import Model

M = TypeVar("M", bound="Model")


def named(kind: type[M], model_id: str, **properties: Any) -> M:
    """Make a model with an id of our choice, in the two steps of Bokeh's own deserializer."""
    model = kind.__new__(kind, id=ID(model_id))
    model.__init__(**properties)  # type: ignore[misc]
    return model


@dataclass(frozen=True, slots=True)
class Described:
    """The document and the models that the frames change."""

    document: Document
    slider: Slider
    button: Button
    file: FileInput
    source: ColumnDataSource
    heard: list[dict[str, Any]]
    """The events that callbacks in Python were given."""


def described_document() -> Described:
    document = Document(title="golden")
    document._config = named(DocumentConfig, "config", notifications=named(Notifications, "notifications"))
    slider = named(Slider, "slider", start=0, end=10, value=1, title="amplitude")
    button = named(Button, "button", label="press")
    heard: list[dict[str, Any]] = []
    button.on_event(ButtonClick, lambda event: heard.append({"event_name": event.event_name, "model": event.model.id}))
    document.on_event(DocumentReady, lambda event: heard.append({"event_name": event.event_name}))
    file = named(FileInput, "file")
    source = named(
        ColumnDataSource,
        "source",
        data={"x": np.array([0.0, 1.5, np.nan]), "n": np.array([1, 2, 3], dtype=np.int32), "label": ["a", "b", "c"]},
        selected=named(Selection, "selection"),
        selection_policy=named(UnionRenderers, "policy"),
    )
    for root in (slider, button, file, source):
        document.add_root(root)
    return Described(document, slider, button, file, source, heard)


def plain(value: Any) -> Any:
    """Give a value of a property as the ``result`` of a frame writes it."""
    if hasattr(value, "ref"):
        return {"id": value.id}
    if isinstance(value, (np.ndarray, array)):  # Bokeh decodes typed arrays of a page to the latter
        return plain(value.tolist())
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"type": "number", "value": "nan" if math.isnan(value) else f"{'-' if value < 0 else '+'}inf"}
    return value.item() if isinstance(value, np.generic) else value


def outcome(document: Document, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Give of the document what a ``result`` speaks of."""
    found: dict[str, Any] = {}
    if "title" in expected:
        found["title"] = document.title
    if "roots" in expected:
        found["roots"] = [root.id for root in document.roots]
    if "models" in expected:
        found["models"] = {
            model_id: {attr: plain(getattr(document.models.get_by_id(ID(model_id)), attr)) for attr in attrs}
            for model_id, attrs in expected["models"].items()
        }
    return found
