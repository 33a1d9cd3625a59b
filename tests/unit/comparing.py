"""Exact equality of what two documents hold: types, shapes, bytes and NaN, not just ``==``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import UnsetValueError

if TYPE_CHECKING:
    from bokeh.document import Document


def assert_same(one: Any, other: Any, where: str = "value") -> None:
    """Fail unless two values are the same in type and in every bit; models are the same by id."""
    assert type(one) is type(other), f"{where}: {type(one).__name__} is not {type(other).__name__}"
    if isinstance(one, HasProps) and hasattr(one, "id"):
        assert one.id == other.id, f"{where}: {one} is not {other}"
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, f"{where}: dtype {one.dtype} is not {other.dtype}"
        assert one.shape == other.shape, f"{where}: shape {one.shape} is not {other.shape}"
        if one.dtype == object:
            assert_same(one.tolist(), other.tolist(), where)
        else:
            assert one.tobytes() == other.tobytes(), f"{where}: {one!r} is not {other!r}"
    elif isinstance(one, dict):
        assert list(one) == list(other), f"{where}: keys {list(one)} are not {list(other)}"
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), f"{where}: length {len(one)} is not {len(other)}"
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            assert_same(mine, theirs, f"{where}[{index}]")
    elif isinstance(one, float):
        assert struct.pack("d", one) == struct.pack("d", other), f"{where}: {one!r} is not {other!r}"
    else:
        assert one == other, f"{where}: {one!r} is not {other!r}"


def assert_same_documents(one: Document, other: Document) -> None:
    """Fail unless two documents have the same title, roots, models and values of every property."""
    assert one.title == other.title
    assert [root.id for root in one.roots] == [root.id for root in other.roots]
    mine, theirs = ({model.id: model for model in document.models} for document in (one, other))
    assert set(mine) == set(theirs)
    for model_id, model in mine.items():
        twin = theirs[model_id]
        assert model is not twin
        # what BokehJS calls the model: a figure of Python is a plain Figure over there
        assert model.__qualified_model__ == twin.__qualified_model__
        for name in sorted(model.properties()):
            assert_same(_value(model, name), _value(twin, name), f"{model}.{name}")


def _value(model: HasProps, name: str) -> Any:
    try:
        return getattr(model, name)
    except UnsetValueError:
        return "(unset)"
