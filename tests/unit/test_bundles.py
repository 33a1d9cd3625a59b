"""Which bundles a document needs, and what the runtime model carries to the page."""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import bokeh
import pytest
from bokeh.models import ColumnDataSource, DataTable, Div, Plot, Slider, TableColumn

from bokeh_widget import _bokehjs, _bundles
from bokeh_widget._bokehjs import BokehJSModel, runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Wire


def _table() -> DataTable:
    return DataTable(source=ColumnDataSource(data={"x": [1]}), columns=[TableColumn(field="x")])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Plot, ["bokeh"]),
        (lambda: Slider(start=0, end=1, value=0), ["bokeh", "bokeh-widgets"]),
        (_table, ["bokeh", "bokeh-widgets", "bokeh-tables"]),
        (lambda: Plot(output_backend="webgl"), ["bokeh", "bokeh-gl"]),
        (lambda: Div(text="$$x$$"), ["bokeh", "bokeh-widgets", "bokeh-mathjax"]),
    ],
    ids=["plot", "slider", "table", "webgl", "mathtext"],
)
def test_required_bundles(make: Callable[[], Any], expected: list[str]) -> None:
    assert [bundle.name for bundle in _bundles.required_bundles([make()])] == expected


@pytest.mark.parametrize(
    ("attr", "value", "expected"),
    [
        ("text", r"\(x\)", ["bokeh-mathjax"]),
        ("text", "plain", []),
        ("output_backend", "webgl", ["bokeh-gl"]),
        ("output_backend", "canvas", []),
        ("name", "webgl", []),
        ("value", 3, []),
    ],
)
def test_bundles_for_a_value(attr: str, value: object, expected: list[str]) -> None:
    assert _bundles.bundles_for_value(attr, value) == expected


@pytest.mark.parametrize("name", _bundles.COMPONENTS)
def test_components_are_those_of_the_installed_bokeh(name: str) -> None:
    bundle = _bundles.component(name)
    source = gzip.decompress(bundle.compressed())
    assert source == bundle.source.read_bytes()  # type: ignore[union-attr]
    assert bundle.source.name == f"{name}.min.js"  # type: ignore[union-attr]
    assert bundle.compressed() is bundle.compressed()


def test_the_runtime_is_one_and_made_anew_when_it_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bokehjs, "_runtime", None)
    first = runtime()
    assert runtime() is first
    first.close()
    second = runtime()
    assert second is not first
    second.close()


def test_bundles_are_sent_once(wire: Wire) -> None:
    model = BokehJSModel()
    assert wire.messages[-1].buffers == [_bundles.component("bokeh").compressed()]
    bundles = [_bundles.component("bokeh"), _bundles.component("bokeh-gl"), _bundles.Bundle("mine@1", "let x = 1")]
    assert model.provide(bundles) == ["bokeh", "bokeh-gl", "mine@1"]
    sent = [buffer for message in wire.messages[1:] for buffer in message.buffers]
    assert sent == [_bundles.component("bokeh-gl").compressed(), gzip.compress(b"let x = 1", 6, mtime=0)]
    count = len(wire.messages)
    assert model.provide(bundles) == ["bokeh", "bokeh-gl", "mine@1"]
    assert len(wire.messages) == count
    model.close()


@pytest.mark.parametrize(
    ("version", "is_supported"), [("3.9.0", True), ("3.9.2", True), ("3.8.5", False), ("3.10.0", False), ("4.0", False)]
)
def test_a_bokeh_outside_of_the_range_is_said(
    version: str, is_supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bokeh, "__version__", version)
    warning = _bokehjs._warning()
    assert (warning == "") is is_supported
    if not is_supported:
        assert version in warning
        assert 'pip install "bokeh>=3.9,<3.10"' in warning


BROKEN_MODEL = """
from bokeh.models import LayoutDOM
from bokeh_widget import BokehWidget, errors
class Broken(LayoutDOM):
    __implementation__ = "export class {"
try:
    BokehWidget(Broken())
except errors.CustomModelError as error:
    print(error)
"""


def test_a_custom_model_that_does_not_compile_ends_in_an_error_and_not_the_process() -> None:
    # in a process of its own: Bokeh keeps every model class for ever
    done = subprocess.run([sys.executable, "-P", "-c", BROKEN_MODEL], check=True, capture_output=True, text=True)
    assert "Mend the class's __implementation__" in done.stdout
    assert "Compilation failed" in done.stderr
