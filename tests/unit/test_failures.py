"""What fails leaves nothing half-done: no session, layout or timer, no lost revision, no widget that stays open."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import bokeh.io.doc as bokeh_doc
import ipywidgets
import pytest
from bokeh.document import Document
from bokeh.layouts import row
from bokeh.models import Slider, Span
from bokeh.plotting import figure
from ipywidgets.widgets import widget as registry

from bokeh_widget import BokehWidget, _bundles, _session, close_all, errors
from bokeh_widget._protocol import PROTOCOL_VERSION
from bokeh_widget._session import Session, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def plot() -> figure:
    made = figure(width=300, height=200)
    made.line([1, 2], [1, 2])
    return made


def _attach(widget: BokehWidget, client: str = "c") -> None:
    asked = {"session": None, "revision": None, "protocol": PROTOCOL_VERSION, "seq": 0, "views": ["v"], "tick": 1}
    widget._handle_custom_msg({"kind": "attach", "client": client, **asked}, [])


@contextlib.contextmanager
def refused_change(match: str = "object") -> Iterator[None]:
    """Expect an assignment to raise, and ``curdoc()`` to be what it was."""
    with pytest.raises(Exception, match=match):
        yield
    assert bokeh_doc._PATCHED_CURDOCS == []


def test_bokeh_itself_leaves_curdoc_behind() -> None:
    # when this fails, the work-around of `patch_curdoc` is needed no longer
    code = (
        "from bokeh.document import Document; from bokeh.io import doc\n"
        "try:\n    with doc.patch_curdoc(Document()):\n        raise ValueError\nexcept ValueError:\n    pass\n"
        "print(len(doc._PATCHED_CURDOCS))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(BokehWidget, "send", lambda _self, content, _buffers=None: messages.append(content))
    return messages


@pytest.mark.parametrize("layout", [{"width": "50%"}, {"width": 5}])
def test_a_widget_that_cannot_be_made_leaves_nothing(layout: dict[str, Any]) -> None:
    BokehWidget(plot()).close()  # the runtime model of BokehJS stays, whichever test makes it
    bad = plot()
    bad.tags = [object()]
    before = dict(registry._instances)
    for _ in range(3):
        with pytest.raises(Exception, match=r"object|trait"):
            BokehWidget(bad, layout=layout)
    assert registry._instances == before
    assert bad.document is None
    bad.tags = []
    with BokehWidget(bad) as widget:
        assert widget.roots == [bad]


def test_an_update_that_fails_changes_nothing(sent: list[dict[str, Any]]) -> None:
    good, bad = plot(), plot()
    bad.tags = [object()]
    with BokehWidget(good) as widget:
        _attach(widget)
        session, count = widget.session, len(sent)
        with pytest.raises(Exception, match="object"):
            widget.update(bad)
        assert widget.session is session
        assert widget.roots == [good]
        assert len(sent) == count
        assert bad.document is None
        good.title.text = "lives on"
        assert sent[-1]["kind"] == "patch"


def test_update_to_a_part_of_the_same_document_is_sent(sent: list[dict[str, Any]]) -> None:
    first, second = plot(), plot()
    with BokehWidget(row(first, second)) as widget:
        _attach(widget)
        widget.update(second)
        assert sent[-1]["kind"] == "document"
        assert sent[-1]["client"] is None
        assert widget.roots == [second]


def test_theme_and_error_callbacks_stay_with_update() -> None:
    seen: list[BaseException] = []
    with BokehWidget(plot(), theme="dark_minimal") as widget:
        widget.on_error(seen.append)
        theme = widget.document.theme
        widget.update(plot())
        assert widget.document.theme is theme
        widget.session.report_error(ValueError("later"))
        assert [str(error) for error in seen] == ["later"]


def test_a_document_that_cannot_be_encoded_is_said_and_stops_no_reload(sent: list[dict[str, Any]]) -> None:
    bad = plot()
    seen: list[BaseException] = []
    with BokehWidget(bad) as widget:
        widget.on_error(seen.append)
        bad.tags = [object()]
        assert widget.get_state()["_document"] is None  # as ipywidgets asks for, when a page reloads
        assert len(seen) == 1
        _attach(widget)
        assert sent[-2]["kind"] == "notice"
        assert "cannot be shown" in sent[-2]["text"]
        assert [block["kind"] for block in sent[-1]["blocks"]] == ["error"]  # as a callback's: from before
        assert len(seen) == 2
        bad.tags = []
        _attach(widget, "another")
        assert [message["kind"] for message in sent[-2:]] == ["document", "output"]


def test_closing_the_session_closes_its_widgets() -> None:
    slider = Slider(start=0, end=1, value=0)
    first = BokehWidget(slider)
    second = BokehWidget(slider)
    first.session.close()
    assert (first.comm, second.comm) == (None, None)
    assert first.model_id not in registry._instances


def test_what_cannot_be_encoded_is_said_and_keeps_nothing_else_from_being_sent(sent: list[dict[str, Any]]) -> None:
    shown = plot()
    with BokehWidget(shown) as widget:
        _attach(widget)
        revision = widget.session.revision
        with refused_change():
            shown.tags = [object()]
        seen: list[BaseException] = []
        widget.on_error(seen.append)
        with widget.session.batch():
            shown.title.text = "sent"
            shown.tags = [object()]
            shown.name = "sent, too"
        assert len(seen) == 1
        patches = [message for message in sent if message["kind"] == "patch"]
        assert [patch["revision"] for patch in patches] == [revision + 1]
        assert [event["new"] for event in patches[0]["events"]] == ["sent", "sent, too"]


def test_a_bundle_that_cannot_be_made_is_a_gap_in_the_revisions(
    sent: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_models: object) -> None:
        raise errors.CustomModelError("no compiler")

    shown = plot()
    with BokehWidget(shown) as widget:
        _attach(widget)
        revision = widget.session.revision
        with monkeypatch.context() as patched:
            patched.setattr(_bundles, "required_bundles", refuse)
            with refused_change("no compiler"):
                shown.add_layout(Span(location=1, dimension="width"))
        shown.title.text = "next"
        assert next(message["revision"] for message in sent if message["kind"] == "patch") > revision + 1


def test_a_connection_that_fails_does_not_keep_the_others_from_being_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    slider = Slider(start=0, end=1, value=0)
    with BokehWidget(slider) as broken, BokehWidget(slider) as other:
        for widget in (broken, other):
            _attach(widget)
        got: list[object] = []
        monkeypatch.setattr(broken, "send_patch", lambda _patch: 1 / 0)
        monkeypatch.setattr(other, "send_patch", got.append)
        slider.value = 1
        assert len(got) == 1
        assert isinstance(other.session.last_error, ZeroDivisionError)


def test_widgets_of_a_document_come_and_go_while_a_thread_changes_it() -> None:
    slider = Slider(start=0, end=10**6, value=0)
    failures: list[BaseException] = []
    stop = threading.Event()

    def change() -> None:
        value = 0
        while not stop.is_set():
            value += 1
            try:
                slider.value = value
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the finding
                failures.append(error)
                return

    with BokehWidget(slider) as widget:
        _attach(widget)
        thread = threading.Thread(target=change)
        thread.start()
        for _ in range(100):
            BokehWidget(slider).close()
        stop.set()
        thread.join()
    assert failures == []


def test_callbacks_that_raise_do_not_keep_anything_open() -> None:
    first, second = BokehWidget(plot()), BokehWidget(plot())
    seen: list[BaseException] = []
    first.on_error(seen.append)
    first.session.on_error(seen.append)
    first.document.on_change(lambda _event: 1 / 0)
    close_all()
    assert (first.comm, second.comm) == (None, None)
    assert any(isinstance(error, ZeroDivisionError) for error in seen)


@pytest.mark.parametrize("container", [ipywidgets.Tab, ipywidgets.Accordion])
def test_titles_and_selection_of_a_container_stay_with_their_children(container: Any) -> None:
    widgets = [BokehWidget(plot()) for _ in range(3)]
    box = container(widgets, titles=("A", "B", "C"), selected_index=2)
    widgets[0].close()
    assert box.titles == ("B", "C")
    assert box.children == (widgets[1], widgets[2])
    assert box.selected_index == 1
    widgets[2].close()
    assert (box.titles, box.selected_index) == (("B",), 0)
    widgets[1].close()
    assert (box.titles, box.children, box.selected_index) == ((), (), None)
    box.close()


def test_bundles_of_values_inside_of_values() -> None:
    assert _bundles.bundles_for_value("major_label_overrides", {1: "$$x$$", 2: "$$y$$"}) == ["bokeh-mathjax"]
    assert _bundles.bundles_for_value("items", [("plain", 1), ("$$x$$", 2)]) == ["bokeh-mathjax"]
    assert _bundles.bundles_for_value("items", ["plain"]) == []


def test_a_session_that_closes_while_it_reports_is_closed() -> None:
    document = Document()
    document.add_root(plot())
    session = Session(document)
    session.on_error(lambda _error: session.close())
    session.report_error(ValueError("x"))
    assert session.closed
    assert session_of(document) is None
    assert _session.all_sessions().count(session) == 0
