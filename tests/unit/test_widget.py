"""The widget: what it shows, its states, what it sends, and its container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import Button, ColumnDataSource, Div, Line, Plot, Slider
from bokeh.plotting import figure
from bokeh.themes import Theme
from ipywidgets import HBox, Layout
from ipywidgets.widgets import widget as registry

import bokeh_widget
from bokeh_widget import BokehWidget, State
from bokeh_widget._protocol import PROTOCOL_VERSION
from bokeh_widget.errors import BrowserError, InputTypeError
from tests.unit.comparing import assert_same_documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Page, Wire

pytestmark = pytest.mark.usefixtures("wire")


# --- content ------------------------------------------------------------------------------------


def test_one_model() -> None:
    div = Div()
    widget = BokehWidget(div)
    assert widget.roots == [div] == widget.document.roots
    assert div.document is widget.document is widget.session.document


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_roots(kind: type) -> None:
    divs = [Div(), Div(), Div()]
    widget = BokehWidget(kind(divs))
    assert widget.roots == divs == widget.document.roots
    assert widget._root_ids is None


def test_a_document_shows_roots_that_come_later() -> None:
    document = Document()
    document.add_root(Div())
    widget = BokehWidget(document)
    document.add_root(late := Button())
    assert widget.document is document
    assert widget.roots[1] is late


def test_a_part_of_a_document() -> None:
    document = Document()
    first, inner = Div(), Div()
    document.add_root(first)
    document.add_root(column(inner))
    widget = BokehWidget(inner)
    assert widget.roots == [inner]
    assert widget._root_ids == [inner.id]
    assert widget.document is document


def test_two_widgets_of_one_document_share_its_session() -> None:
    slider = Slider(start=0, end=1, value=0)
    one, two = BokehWidget([slider, Div()]), BokehWidget(slider)
    assert one.session is two.session
    one.close()
    assert not two.closed
    assert two.roots == [slider]
    session = two.session
    two.close()
    assert session.closed
    assert slider.document is None


def test_a_closed_widgets_model_can_be_shown_again() -> None:
    div = Div()
    BokehWidget(div).close()
    assert BokehWidget(div).roots == [div]


def test_a_users_document_keeps_its_roots() -> None:
    document = Document()
    document.add_root(div := Div())
    BokehWidget(document).close()
    assert document.roots == [div]


@pytest.mark.parametrize(
    "theme", ["dark_minimal", Theme(json={"attrs": {"Plot": {"background_fill_color": "#20262B"}}})]
)
def test_theme(theme: Any) -> None:
    plot = Plot()
    widget = BokehWidget(plot, theme=theme)
    assert plot.background_fill_color == "#20262B"
    assert BokehWidget(Plot()).roots[0].background_fill_color == "#ffffff"
    widget.close()


# --- states ----------------------------------------------------------------------------------------


def test_states_and_reprs(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget([Div(), Button()])
    assert widget.state is State.CREATED
    assert repr(widget) == "<BokehWidget Div, Button: 2 models, created, revision 0>"
    page = page_of(widget)
    assert widget.state is State.SHOWN
    widget.roots[0].text = "new"
    assert repr(widget) == "<BokehWidget Div, Button: 2 models, shown, revision 1>"
    page.hide()
    assert widget.state is State.HIDDEN
    assert repr(widget) == "<BokehWidget Div, Button: 2 models, hidden, revision 1>"
    page.show()
    assert widget.state is State.SHOWN
    session = widget.session
    session.close()
    assert repr(widget) == "<BokehWidget closed>"
    assert repr(session) == f"<Session {session.id[:8]} closed>"
    widget.close()
    assert widget.state is State.CLOSED
    assert repr(widget) == "<BokehWidget closed>"


def test_views_and_clients_are_counted(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    one, two = page_of(widget, "one"), page_of(widget, "two")
    one.show("second view")
    one.hide("view")
    one.hide("unknown view")
    two.leave()
    assert widget.state is State.SHOWN
    one.hide("second view")
    assert widget.state is State.HIDDEN
    two.hide()
    assert widget.state is State.HIDDEN


def test_context_manager() -> None:
    with BokehWidget(Div()) as widget:
        assert not widget.closed
    assert widget.closed


def test_context_manager_closes_after_an_error() -> None:
    widget = BokehWidget(Div())
    with pytest.raises(LookupError), widget:
        raise LookupError
    assert widget.closed


def test_close_all() -> None:
    widgets = [BokehWidget(Div()) for _ in range(3)]
    bokeh_widget.close_all()
    assert all(widget.closed for widget in widgets)
    bokeh_widget.close_all()


def test_update(page_of: Callable[..., Page]) -> None:
    div = Div()
    widget = BokehWidget(div)
    page = page_of(widget)
    old, model_id = widget.session, widget.model_id
    plot = Plot()
    widget.update([plot, Button()])
    assert widget.model_id == model_id
    assert old.closed
    assert div.document is None
    assert widget.roots[0] is plot
    sent = page.documents[-1].content
    assert (sent["session"], sent["client"]) == (widget.session.id, None)
    page.patch({"kind": "ModelChanged", "model": plot.ref, "attr": "name", "new": "late"})
    assert plot.name == "late"


def test_a_patch_for_the_old_document_is_answered_with_the_new(page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=9, value=1)
    widget = BokehWidget(slider)
    page = page_of(widget)
    late = page.patch_message([{"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 5}])
    widget.update(div := Div())
    count = len(page.documents)
    page.send(late)
    assert slider.value == 1
    assert page.documents[count].content["client"] == page.client
    assert div.id in page.documents[count].content["json"]


def test_update_within_the_same_document_keeps_the_session() -> None:
    first, second = Div(), Div()
    widget = BokehWidget([first, second])
    session = widget.session
    widget.update(second)
    assert widget.session is session
    assert widget.roots == [second]


# --- what is sent -----------------------------------------------------------------------------------


def test_opening_carries_the_state_with_raw_buffers(wire: Wire) -> None:
    array = np.arange(100.0)
    widget = BokehWidget(Div(tags=[ColumnDataSource(data={"x": array})]))
    [opened] = wire.of(widget)
    assert opened.msg_type == "comm_open"
    state = opened.data["state"]
    assert state["_document"]["session"] == widget.session.id
    assert state["_protocol_version"] == PROTOCOL_VERSION
    assert state["layout"] is None
    assert opened.buffers == [array.tobytes()]
    [[name, _, buffer_id]] = opened.data["buffer_paths"]
    assert name == "_document"
    assert buffer_id in state["_document"]["json"]


def test_nothing_is_sent_before_it_is_shown(wire: Wire) -> None:
    widget = BokehWidget(div := Div())
    div.text = "new"
    assert len(wire.of(widget)) == 1
    assert widget.session.revision == 1


def test_a_patch_is_one_message(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource(data={"x": np.zeros(1), "y": np.zeros(1)})
    widget = BokehWidget(Div(tags=[source]))
    page = page_of(widget)
    rows = {"x": np.arange(10.0), "y": np.arange(10.0) * 2}
    before = len(wire.messages)
    source.stream(rows)
    [sent] = wire.messages[before:]
    assert sent.content["kind"] == "patch"
    assert sent.content["revision"] == 1
    assert sent.buffers == [column.tobytes() for column in rows.values()]
    page.receive(sent)
    assert_same_documents(page.replica, _copy(widget, wire))


def _copy(widget: BokehWidget, wire: Wire) -> Document:
    from tests.unit.wires import Page

    page = Page(widget, wire, "a copy")
    page.show()
    return page.replica


def test_attach_with_the_current_revision_is_answered_with_nothing(wire: Wire) -> None:
    widget = BokehWidget(Div())
    from tests.unit.wires import Page

    page = Page(widget, wire, views=["view"])
    page.attach(widget.session.id, 0)
    assert len(wire.of(widget)) == 1
    widget.document.title = "new"
    assert [sent.content["kind"] for sent in wire.customs(widget)] == ["patch"]
    page.attach(widget.session.id, 0)  # it was sent to its comm, and is on its way
    assert [sent.content["kind"] for sent in wire.customs(widget)] == ["patch", "sync"]
    page.attach(None, None)
    assert [sent.content["revision"] for sent in page.documents] == [1]
    page.hide()
    widget.document.title = "nobody is told"
    page.views = ["view"]
    page.attach(widget.session.id, 1)
    assert [sent.content["revision"] for sent in page.documents] == [1, 2]


def test_attach_with_another_protocol_says_what_to_do(wire: Wire) -> None:
    from tests.unit.wires import Page

    widget = BokehWidget(Div())
    page = Page(widget, wire)
    page.send({"kind": "attach", "client": "c", "session": None, "revision": None, "protocol": 99})
    [notice] = wire.customs(widget)
    assert notice.content["kind"] == "notice"
    assert "protocol 99" in notice.content["text"]
    assert "Install the same version" in notice.content["text"]
    assert widget.state is State.CREATED


def test_an_acknowledgement_has_no_events(wire: Wire, page_of: Callable[..., Page]) -> None:
    slider = Slider(start=0, end=9, value=1)
    widget = BokehWidget(slider)
    one = page_of(widget, "one")
    event = {"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": 5}
    one.patch(event)
    [sent] = wire.customs(widget, "patch")
    assert (sent.content["events"], sent.content["origin"], sent.content["seq"]) == (None, "one", 1)
    two = page_of(widget, "two")
    one.patch({**event, "new": 6})
    relayed = wire.customs(widget, "patch")[-1]
    assert relayed.content["events"] == [{**event, "new": 6}]
    two.receive(relayed)
    assert two.replica.models[slider.id].value == 6


def test_two_pages_and_python_agree(wire: Wire, page_of: Callable[..., Page]) -> None:
    source = ColumnDataSource(data={"x": np.zeros(1)})
    plot = Plot()
    plot.add_glyph(source, Line(x="x", y="x"))
    widget = BokehWidget(plot)
    one, two = page_of(widget, "one"), page_of(widget, "two")
    assert {one.replica is two.replica} == {False}
    start = len(wire.customs(widget, "patch"))
    from tests.unit.wires import Recorder

    recorder = Recorder(one.replica)
    one.replica.models[source.id].stream({"x": np.array([np.nan, 2.0])})
    one.send_events(recorder.events)
    source.patch({"x": [(0, 9.0)]})
    for sent in wire.customs(widget, "patch")[start:]:
        two.receive(sent)
        if sent.content["origin"] != "one":
            one.receive(sent)
    assert_same_documents(one.replica, two.replica)
    np.testing.assert_array_equal(source.data["x"], [9.0, np.nan, 2.0])
    assert_same_documents(one.replica, _copy(widget, wire))


def test_an_error_of_the_page_reaches_python(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(Div())
    page = page_of(widget)
    errors: list[BaseException] = []
    widget.on_error(errors.append)
    page.send({"kind": "error", "client": "page", "context": "render", "message": "no canvas", "stack": "at x"})
    [error] = errors
    assert isinstance(error, BrowserError)
    assert (error.context, error.stack) == ("render", "at x")
    assert "render" in str(error)
    assert "no canvas" in str(error)


@pytest.mark.parametrize("how", ["widget", "session"])
def test_messages_that_come_after_the_end_are_ignored(
    how: str, wire: Wire, page_of: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = BokehWidget(div := Div())
    page = page_of(widget)
    comm = widget.comm
    late = page.patch_message([{"kind": "ModelChanged", "model": div.ref, "attr": "text", "new": "late"}])
    views = {"views": [], "tick": 9}
    attach = {"kind": "attach", "client": "page", "session": None, "revision": None, "protocol": 2, "seq": 0, **views}
    (widget if how == "widget" else widget.session).close()
    wire.messages.clear()
    warnings: list[tuple[Any, ...]] = []
    # ipywidgets catches what a handler raises and only logs it
    monkeypatch.setattr(widget.log, "warning", lambda *args, **_options: warnings.append(args))
    for content in (late, attach, {"kind": "gone", "client": "page", "view": "view", **views}):
        comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert wire.messages == []
    assert warnings == []
    assert div.text == ""


# --- layout and containers ----------------------------------------------------------------------------


def test_the_layout_is_made_when_it_is_asked_for(wire: Wire) -> None:
    widget = BokehWidget(Div())
    before = len(registry._instances)
    assert widget.get_state()["layout"] is None
    assert len(registry._instances) == before
    layout = widget.layout
    assert isinstance(layout, Layout)
    assert len(registry._instances) == before + 1
    assert widget.layout is layout
    assert wire.of(widget)[-1].data["state"] == {"layout": f"IPY_MODEL_{layout.model_id}"}
    widget.close()
    assert layout.comm is None


def test_a_layout_from_a_dict_is_closed_and_one_of_the_user_is_not() -> None:
    users = Layout(width="50%")
    mine, theirs = BokehWidget(Div(), layout={"width": "50%"}), BokehWidget(Div(), layout=users)
    made = mine.layout
    assert made.width == "50%"
    assert theirs.layout is users
    mine.close()
    theirs.close()
    assert made.comm is None
    assert users.comm is not None
    users.close()


def test_layout_and_classes_can_be_changed(wire: Wire) -> None:
    widget = BokehWidget(Div())
    widget.add_class("wide")
    widget.layout.height = "100px"
    assert "wide" in widget._dom_classes
    assert any(message.data.get("state", {}).get("height") == "100px" for message in wire.messages)


def test_closing_leaves_the_container() -> None:
    keep, close = BokehWidget(Div()), BokehWidget(Div())
    box = HBox([keep, close])
    close.close()
    assert box.children == (keep,)
    box.close()


def test_the_mime_bundle_names_the_model() -> None:
    widget = BokehWidget(Div())
    bundle, _ = widget._repr_mimebundle_()
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == widget.model_id
    assert bundle["text/plain"].startswith("Bokeh: Bokeh document. ")


def test_show_gives_the_widget(capsys: pytest.CaptureFixture[str]) -> None:
    widget = bokeh_widget.show(Div(), pause_when_hidden=False)
    assert isinstance(widget, BokehWidget)
    assert not widget.pause_when_hidden
    assert repr(widget) in capsys.readouterr().out


# --- for screen readers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda: figure(title="Sales"), "Sales"),
        (lambda: row(figure(title="Sales"), figure(), figure(title="Costs"), figure(title="Sales")), "Sales, Costs"),
        (figure, "Plot"),
        (Div, "Bokeh document"),
    ],
)
def test_label(make: Callable[[], Any], label: str) -> None:
    def said(widget: BokehWidget) -> str:
        bundle, _ = widget._repr_mimebundle_()
        return str(bundle["text/plain"]).removeprefix("Bokeh: ").partition(". To see it")[0]

    with BokehWidget(Div()) as widget:
        widget.update(make())
        assert (said(widget), widget.aria_label) == (label, "")
    with BokehWidget(make()) as widget:
        assert said(widget) == label
    with BokehWidget(make(), aria_label="mine") as widget:
        widget.update(Div())
        assert (said(widget), widget.aria_label) == ("mine", "mine")
    with pytest.raises(InputTypeError, match="aria_label must be a text or None, but got 3"):
        BokehWidget(make(), aria_label=3)  # type: ignore[arg-type]


def test_label_follows_the_titles() -> None:
    plot = figure(title="Sales")
    with BokehWidget(row(plot, Div())) as widget:
        plot.title.text = "Costs"
        assert widget._repr_mimebundle_()[0]["text/plain"].startswith("Bokeh: Costs. ")
