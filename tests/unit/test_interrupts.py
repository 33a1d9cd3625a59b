"""An interrupt, or an error out of the blue, in the middle of things: no change is lost, and replicas are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bokeh.core.serialization import Serializer
from bokeh.events import ButtonClick
from bokeh.io import curdoc
from bokeh.layouts import row
from bokeh.models import Button, ColumnDataSource, Div, Slider

from bokeh_widget import BokehWidget, _bundles, _page_changes
from bokeh_widget._codec import PatchFrame
from bokeh_widget.errors import CustomModelError
from tests.unit.lossy import LossyPage, assert_followed, shown_page, talk

if TYPE_CHECKING:
    from bokeh.model import Model

    from tests.unit.wires import Wire


class Fragile:
    """A value that cannot be encoded as often as there are failures."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)


def _encode_fragile(value: Fragile, _serializer: Serializer) -> str:
    if value.failures:
        raise value.failures.pop(0)
    return "whole"


Serializer.register(Fragile, _encode_fragile)


def change_both(widget: BokehWidget, slider: Slider, box: Div, tag: object) -> None:
    """Change two models as one patch."""
    with widget.session.batch():
        slider.value += 1
        box.tags = [tag]


# --- while changes are sent -----------------------------------------------------------------------


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), LookupError("unheard of")], ids=["interrupt", "error"])
@pytest.mark.parametrize(
    ("owner", "name"), [(_bundles, "required_bundles"), (PatchFrame, "seal")], ids=["bundles", "seal"]
)
def test_what_fails_in_a_flush_is_a_gap_that_pages_are_told_of(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, failure: BaseException, owner: Any, name: str
) -> None:
    def fail(*_: object) -> None:
        raise failure

    slider, box = Slider(start=0, end=10, value=0), Div()
    with BokehWidget(row(slider, box)) as widget:
        page = shown_page(widget, wire)
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, fail)
            with pytest.raises(type(failure)):
                change_both(widget, slider, box, Div(text="new"))
        talk(page)
        assert_followed(widget, page)


def test_an_interrupt_while_changes_are_encoded_loses_none_of_them(wire: Wire) -> None:
    slider, box = Slider(start=0, end=10, value=0), Div()
    with BokehWidget(row(slider, box)) as widget:
        page = shown_page(widget, wire)
        with pytest.raises(KeyboardInterrupt):
            change_both(widget, slider, box, Fragile(KeyboardInterrupt()))
        talk(page)
        assert_followed(widget, page)


def test_what_another_thread_changes_in_the_middle_is_encoded_once_more(wire: Wire) -> None:
    """Python says so when one thread changes a dict that another one walks through."""
    seen: list[BaseException] = []
    slider, box = Slider(start=0, end=10, value=0), Div()
    with BokehWidget(row(slider, box)) as widget:
        widget.on_error(seen.append)
        page = shown_page(widget, wire)
        change_both(widget, slider, box, Fragile(RuntimeError("dictionary changed size during iteration")))
        assert seen == []
        talk(page)
        assert_followed(widget, page)
        change_both(widget, slider, box, Fragile(*[RuntimeError("it never ends")] * 9))
        assert [str(error) for error in seen] == ["it never ends"]


def test_what_is_to_be_sent_first_is_sent_after_an_interrupt(wire: Wire) -> None:
    with BokehWidget(Div()) as widget:
        shown_page(widget, wire)
        flow, sent = widget.session.flow, list[int]()

        def interrupt() -> None:
            raise KeyboardInterrupt

        flow.hold_back(interrupt)
        flow.hold_back(lambda: sent.append(1))
        with pytest.raises(KeyboardInterrupt):
            flow.flush()
        flow.flush()
        assert sent == [1]


# --- while a change of a page is taken --------------------------------------------------------------


class World:
    """A slider, a button, a source, and two pages that show them."""

    def __init__(self, wire: Wire) -> None:
        self.slider = Slider(start=0, end=10, value=0)
        self.button = Button()
        self.source = ColumnDataSource({"n": [1, 2, 3]})
        self.box = Div(tags=[self.source])
        self.widget = BokehWidget(row(self.slider, self.button, self.box))
        self.pages = [shown_page(self.widget, wire, client) for client in ("one", "two")]

    @property
    def page(self) -> LossyPage:
        return self.pages[0]

    def deliver(self) -> None:
        """Bring the oldest message of the first page to Python."""
        self.page.deliver_to_kernel(0)

    @staticmethod
    def change_of(model: Model, attr: str, value: object) -> dict[str, Any]:
        """Write a change as a page does."""
        return {"kind": "ModelChanged", "model": model.ref, "attr": attr, "new": value}

    def settle(self) -> None:
        """Let everything be delivered, what the page has to send again, too; both pages are then equal to Python."""
        talk(*self.pages)
        for page in self.pages:
            page.remind()
        talk(*self.pages)
        assert_followed(self.widget, *self.pages)
        assert [page.outstanding for page in self.pages] == [[], []]


def interrupt(*_args: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_before_a_change_is_applied_leaves_it_to_be_sent_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(wire)
    for name in ("decode_patch", "source_of"):
        world.page.set(world.slider.id, "value", 5)
        with monkeypatch.context() as patched:
            patched.setattr(_page_changes, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                world.deliver()
        assert world.slider.value != 5
        assert curdoc() is not world.widget.document
        world.settle()
        assert world.slider.value == 5
        world.slider.value = 0
    world.widget.close()


def test_an_error_before_a_change_is_applied_refuses_it(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_models: object) -> None:
        raise CustomModelError("no compiler")

    world = World(wire)
    seen: list[BaseException] = []
    world.widget.on_error(seen.append)
    new = {"type": "object", "name": "Div", "id": "new"}
    world.page.change({"kind": "RootAdded", "model": new}, world.change_of(world.slider, "value", 5))
    with monkeypatch.context() as patched:
        patched.setattr(_bundles, "required_bundles", fail)
        world.deliver()
    assert [str(error) for error in seen] == ["no compiler"]
    world.settle()
    assert world.slider.value == 0
    assert world.page.refusals == ["CustomModelError: no compiler"]
    world.widget.close()


def test_an_interrupt_in_a_callback_ends_that_callback_alone(wire: Wire) -> None:
    world = World(wire)
    clicks: list[int] = []

    def slow(_attr: str, _old: object, _new: object) -> None:
        world.box.text = "begun"
        raise KeyboardInterrupt

    world.slider.on_change("value", slow)
    world.button.on_event(ButtonClick, lambda _event: clicks.append(1))
    outside = curdoc()
    values = {"type": "map", "entries": [["model", world.button.ref]]}
    world.page.change(
        world.change_of(world.slider, "value", 5),
        {
            "kind": "MessageSent",
            "msg_type": "bokeh_event",
            "msg_data": {"type": "event", "name": "button_click", "values": values},
        },
        world.change_of(world.box, "width", 321),
    )
    [message] = world.page.outstanding
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    assert curdoc() is outside
    assert (world.slider.value, world.box.text, world.box.width, clicks) == (5, "begun", 321, [1])
    assert not world.widget.session.flow.is_held
    world.page.to_kernel.append(message)
    world.settle()
    assert clicks == [1]
    world.widget.close()


def test_rows_that_moved_are_sent_to_all_after_an_interrupt(wire: Wire) -> None:
    world = World(wire)
    patches = {"type": "map", "entries": [["n", [[0, 9]]]]}
    world.page.change({"kind": "ColumnsPatched", "model": world.source.ref, "attr": "data", "patches": patches})
    world.source.stream({"n": [4]}, rollover=3)  # the page's row 0 is gone when its change arrives
    world.source.on_change("data", lambda _attr, _old, _new: interrupt())
    before = world.widget.session.revision
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    assert list(world.source.data["n"]) == [9, 3, 4]
    assert world.widget.session.revision > before
    [last] = wire.customs(world.widget, "patch")[-1].content["events"]
    assert last["kind"] == "ColumnDataChanged"
    world.settle()
    world.widget.close()
