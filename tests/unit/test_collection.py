"""Zero means zero: after close or collection nothing of a widget is left in Python."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any, Final

import comm
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Div, Slider
from bokeh.plotting import figure
from ipywidgets import HBox, Layout
from ipywidgets.widgets import widget as registry

from bokeh_widget import BokehWidget, _session
from bokeh_widget._weak import close_dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Wire

pytestmark = pytest.mark.usefixtures("wire")


def _content() -> list[Any]:
    source = ColumnDataSource(data={"x": [1, 2], "y": [3, 4]})
    plot = figure()
    plot.line("x", "y", source=source)
    slider = Slider(start=0, end=1, value=0)
    slider.on_change("value", lambda _attr, _old, new: setattr(plot, "name", str(new)))
    return [plot, slider]


def _refs(widget: BokehWidget) -> dict[str, weakref.ref[Any]]:
    refs = {f"model {model}": weakref.ref(model) for model in widget.document.models}
    assert len(refs) > 30
    return {
        **refs,
        "widget": weakref.ref(widget),
        "session": weakref.ref(widget.session),
        "document": weakref.ref(widget.document),
    }


def _alive(refs: dict[str, weakref.ref[Any]]) -> list[str]:
    gc.collect()
    close_dead()
    return [name for name, ref in refs.items() if ref() is not None]


# of other tests, whose timers may let them go later
_earlier: Final[weakref.WeakSet[Document]] = weakref.WeakSet()


def _counts() -> dict[str, int]:
    gc.collect()
    close_dead()
    return {
        "widgets": len(registry._instances),
        "comms": len(comm.get_comm_manager().comms),
        "layouts": sum(isinstance(w, Layout) for w in registry._instances.values()),
        "sessions": len(_session.all_sessions()),
        "documents": sum(isinstance(obj, Document) and obj not in _earlier for obj in gc.get_objects()),
    }


@pytest.fixture
def before() -> dict[str, int]:
    BokehWidget(Div()).close()  # the runtime model stays: one per kernel
    gc.collect()
    _earlier.update(obj for obj in gc.get_objects() if isinstance(obj, Document))
    return _counts()


def _use(widget: BokehWidget, page_of: Callable[..., Any]) -> None:
    """Do everything that could leave a reference behind."""
    page = page_of(widget)
    [plot, slider] = widget.roots
    widget.on_error(lambda error: print(error, widget))
    widget.document.add_periodic_callback(lambda: widget, 1000)
    widget.document.add_next_tick_callback(lambda: widget)
    plot.title.text = "changed"
    page.patch({"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 1})
    assert plot.name == "1"


def test_close_frees_everything(page_of: Callable[..., Any], before: dict[str, int]) -> None:
    widget = BokehWidget(_content())
    _use(widget, page_of)
    refs = _refs(widget)
    widget.close()
    del widget
    assert _alive(refs) == []
    assert _counts() == before


def test_a_closed_widget_that_is_held_holds_nothing_else(page_of: Callable[..., Any], before: dict[str, int]) -> None:
    widget = BokehWidget(_content())
    page_of(widget).hide()
    refs = _refs(widget)
    widget.close()
    assert _alive(refs) == ["widget", "session"]  # a closed session is an empty shell
    assert _counts() == before


def test_collection_frees_everything(before: dict[str, int]) -> None:
    widget = BokehWidget(_content(), layout={"width": "50%"})
    assert widget.layout.width == "50%"
    refs = _refs(widget)
    assert _counts()["widgets"] == before["widgets"] + 2
    del widget
    assert _alive(refs) == []
    assert _counts() == before


def test_collection_closes_the_comms(wire: Wire) -> None:
    widget = BokehWidget(_content())
    expected = [widget.model_id, widget.layout.model_id]
    wire.messages.clear()
    del widget
    gc.collect()
    assert wire.messages == []  # nothing is sent in the middle of collection
    close_dead()
    assert [(message.comm_id, message.msg_type) for message in wire.messages] == [
        (comm_id, "comm_close") for comm_id in expected
    ]


def test_collection_leaves_the_users_document() -> None:
    document = Document()
    for root in _content():
        document.add_root(root)
    widget = BokehWidget(document)
    session = weakref.ref(widget.session)
    del widget
    gc.collect()
    assert session() is None
    assert len(document.roots) == 2
    assert BokehWidget(document).roots == document.roots


def test_update_frees_the_old_content(page_of: Callable[..., Any], before: dict[str, int]) -> None:
    widget = BokehWidget(_content())
    _use(widget, page_of)
    refs = _refs(widget)
    del refs["widget"]
    widget.update(Div(text="new"))
    assert _alive(refs) == []
    widget.close()
    del widget
    assert _counts() == before


def test_a_thousand_dropped_widgets_leave_nothing(before: dict[str, int]) -> None:
    for number in range(1000):
        widget = BokehWidget(Div(text=f"{number}"))
        if number % 10 == 0:
            assert widget.layout is not None
    del widget
    assert _counts() == before


def test_a_thousand_closed_widgets_leave_nothing(before: dict[str, int]) -> None:
    for number in range(1000):
        with BokehWidget(Div(text=f"{number}")) as widget:
            if number % 10 == 0:
                assert widget.layout is not None
    del widget
    assert _counts() == before


def test_a_container_keeps_its_widget_and_lets_it_go(before: dict[str, int]) -> None:
    box = HBox([BokehWidget(_content())])
    gc.collect()
    widget = box.children[0]
    assert isinstance(widget, BokehWidget)
    widget.close()
    assert box.children == ()
    box.layout.close()
    box.close()
    del box, widget
    assert _counts() == before
