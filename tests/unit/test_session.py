"""A session: revisions, batches, who is sent what, errors of callbacks, and its end."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from bokeh.io import curdoc
from bokeh.models import Button, ColumnDataSource, Div, Slider

from bokeh_widget import Session
from bokeh_widget._protocol import ClientPatch
from bokeh_widget._session import all_sessions, session_of
from bokeh_widget.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bokeh_widget._flow import Patch
    from bokeh_widget._output import OutputChange


@dataclass(eq=False)
class Recording:
    """A connection that keeps what it is sent."""

    pause_when_hidden: bool = True
    is_shown: bool = True
    clients: tuple[str, ...] = ("c",)
    patches: list[Patch] = field(default_factory=list)
    outputs: list[OutputChange] = field(default_factory=list)
    handled: list[BaseException] = field(default_factory=list)
    closed: bool = False
    model_id: str = "model"
    syncs: list[int] = field(default_factory=list)
    beats: int = 0

    @property
    def has_clients(self) -> bool:
        return bool(self.clients)

    def send_sync(self, revision: int) -> None:
        self.syncs.append(revision)

    def beat(self, session_id: str) -> None:
        assert session_id
        self.beats += 1

    def has_clients_beside(self, client: str) -> bool:
        return any(other != client for other in self.clients)

    def send_patch(self, patch: Patch) -> None:
        self.patches.append(patch)

    def send_output(self, change: OutputChange) -> None:
        self.outputs.append(change)

    def handle_error(self, error: BaseException) -> None:
        self.handled.append(error)

    def close(self) -> None:
        self.closed = True

    @property
    def errors(self) -> list[str]:
        """What is said of errors, once it is sent."""
        blocks = [block for change in self.outputs for block in change.blocks]
        return [block["text"] for block in blocks if block["kind"] == "error"]

    @property
    def kinds(self) -> list[list[str]]:
        return [[event["kind"] for event in patch.events] for patch in self.patches]


@pytest.fixture
def slider() -> Slider:
    slider = Slider(start=0, end=10, value=1)
    Document().add_root(slider)
    return slider


@pytest.fixture
def session(slider: Slider) -> Iterator[Session]:
    assert slider.document is not None
    opened = Session(slider.document)
    opened.encode_state()  # what it holds is known to the other side from here on
    yield opened
    opened.close()


@pytest.fixture
def connection(session: Session) -> Recording:
    made = Recording()
    session.connect(made)
    return made


def _from_page(session: Session, *events: Any, client: str = "c", seq: int = 1) -> None:
    session.apply(ClientPatch(client, session.id, seq, session.revision, list(events), {}), {})


def _value(slider: Slider, value: Any) -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": slider.ref, "attr": "value", "new": value}


# --- from Python ----------------------------------------------------------------------------------


def test_each_change_is_one_revision(session: Session, connection: Recording, slider: Slider) -> None:
    slider.value = 2
    slider.title = "two"
    assert [patch.revision for patch in connection.patches] == [1, 2]
    assert session.revision == 2
    assert [patch.events[0]["new"] for patch in connection.patches] == [2, "two"]
    assert {patch.origin for patch in connection.patches} == {None}


def test_no_change_is_no_revision(session: Session, connection: Recording, slider: Slider) -> None:
    slider.value = 1
    session.flush()
    assert connection.patches == []
    assert session.revision == 0


def test_a_batch_is_one_revision(session: Session, connection: Recording, slider: Slider) -> None:
    with session.batch():
        slider.value = 2
        with session.batch():
            slider.value = 3
        assert connection.patches == []
        session.document.title = "title"
    assert connection.kinds == [["ModelChanged", "TitleChanged"]]
    assert connection.patches[0].events[0]["new"] == 3
    assert session.revision == 1


def test_a_batch_that_raises_is_sent(session: Session, connection: Recording, slider: Slider) -> None:
    def change() -> None:
        with session.batch():
            slider.value = 2
            raise LookupError

    with pytest.raises(LookupError):
        change()
    assert connection.kinds == [["ModelChanged"]]
    slider.value = 3
    assert len(connection.patches) == 2


@pytest.mark.parametrize(("policy", "count"), [("combine", 1), ("collect", 2)])
def test_hold(session: Session, connection: Recording, slider: Slider, policy: Any, count: int) -> None:
    session.document.hold(policy)
    slider.value = 2
    slider.value = 3
    assert connection.patches == []
    session.document.unhold()
    assert len(connection.patches) == count
    assert connection.patches[-1].events[0]["new"] == 3


def test_nothing_is_encoded_for_nobody(session: Session, connection: Recording, slider: Slider) -> None:
    connection.is_shown = False
    slider.value = 2
    assert connection.patches == []
    assert session.revision == 1
    connection.is_shown = True
    slider.value = 3
    assert [patch.revision for patch in connection.patches] == [2]


def test_only_what_is_shown_is_sent(session: Session, connection: Recording, slider: Slider) -> None:
    hidden = Recording(is_shown=False)
    session.connect(hidden)
    slider.value = 2
    assert len(connection.patches) == 1
    assert hidden.patches == []


def test_the_state_contains_what_waits(session: Session, connection: Recording, slider: Slider) -> None:
    with session.batch():
        slider.value = 7
        state, bundles = session.encode_state()
        assert state["revision"] == session.revision == 1
        assert len(connection.patches) == 1
    assert '"value":7' in state["json"].replace(" ", "")
    assert [bundle.name for bundle in bundles] == state["requires"]
    assert "bokeh-widgets" in state["requires"]
    assert len(connection.patches) == 1


def test_a_patch_names_the_bundles_that_it_needs(session: Session, connection: Recording, slider: Slider) -> None:
    slider.title = "plain"
    slider.title = "$$x^2$$"
    session.document.add_root(Button())
    names = [[bundle.name for bundle in patch.bundles] for patch in connection.patches]
    assert names == [[], ["bokeh-mathjax"], ["bokeh", "bokeh-widgets"]]


def test_buffers_are_named(session: Session, connection: Recording) -> None:
    import numpy as np

    source = ColumnDataSource(data={"x": np.array([1.0])})
    session.document.add_root(Div(tags=[source]))
    source.stream({"x": np.array([2.0, 3.0])})
    [patch] = connection.patches[1:]
    [(name, raw)] = patch.buffers.items()
    assert name in str(patch.events)
    assert bytes(raw) == np.array([2.0, 3.0]).tobytes()


# --- from a page -----------------------------------------------------------------------------------


def test_the_origin_gets_an_acknowledgement_only(session: Session, connection: Recording, slider: Slider) -> None:
    elsewhere, hidden = Recording(clients=("d",)), Recording(is_shown=False, clients=())
    session.connect(elsewhere)
    session.connect(hidden)
    _from_page(session, _value(slider, 5), seq=9)
    [mine], [theirs] = connection.patches, elsewhere.patches
    assert (mine.revision, mine.origin, mine.seq, mine.events) == (1, "c", 9, [])
    assert (theirs.revision, theirs.origin, theirs.seq, theirs.events) == (1, "c", 9, [_value(slider, 5)])
    assert hidden.patches == []
    assert slider.value == 5


def test_a_second_client_of_the_same_connection_gets_the_events(session: Session, slider: Slider) -> None:
    both = Recording(clients=("c", "d"))
    session.connect(both)
    _from_page(session, _value(slider, 5))
    assert both.patches[0].events == [_value(slider, 5)]


def test_what_callbacks_change_follows_as_one_patch(session: Session, connection: Recording, slider: Slider) -> None:
    def changed(_attr: str, _old: Any, new: Any) -> None:
        slider.title = f"{new}"
        session.document.title = "changed"

    slider.on_change("value", changed)
    _from_page(session, _value(slider, 5))
    assert connection.kinds == [[], ["ModelChanged", "TitleChanged"]]
    assert [patch.revision for patch in connection.patches] == [1, 2]
    assert [patch.origin for patch in connection.patches] == ["c", None]


def test_a_callback_may_overrule_the_page(session: Session, connection: Recording, slider: Slider) -> None:
    slider.on_change("value", lambda _attr, _old, new: setattr(slider, "value", min(new, 3)))
    _from_page(session, _value(slider, 5))
    assert slider.value == 3
    assert connection.patches[-1].events == [_value(slider, 3)]
    assert connection.patches[-1].origin is None


def test_what_python_changed_before_goes_first(session: Session, connection: Recording, slider: Slider) -> None:
    with session.batch():
        slider.title = "before"
        _from_page(session, _value(slider, 5))
    assert connection.kinds == [["ModelChanged"], []]


def test_a_bad_patch_changes_nothing(session: Session, connection: Recording, slider: Slider) -> None:
    with pytest.raises(ProtocolError):
        _from_page(session, _value(slider, 5), _value(slider, "x"))
    assert (slider.value, session.revision, connection.patches) == (1, 0, [])


def test_an_event_of_a_removed_model_comes_too_late(session: Session, slider: Slider) -> None:
    gone = Div(text="gone")
    session.document.add_root(gone)
    session.document.remove_root(gone)
    late = {"kind": "ModelChanged", "model": gone.ref, "attr": "text", "new": "late"}
    _from_page(session, late, _value(slider, 5))
    assert slider.value == 5
    assert gone.text == "gone"


def test_a_model_that_a_page_made_is_known(session: Session, connection: Recording) -> None:
    made = {"type": "object", "name": "Div", "id": "of-the-page", "attributes": {"text": "new"}}
    _from_page(session, {"kind": "RootAdded", "model": made})
    div = session.document.roots[-1]
    assert div.text == "new"
    div.tags = [div]
    assert connection.patches[-1].events[0]["new"] == [{"id": "of-the-page"}]


def test_curdoc_is_the_document_inside_of_callbacks(session: Session, slider: Slider) -> None:
    outside, seen = curdoc(), []
    slider.on_change("value", lambda _attr, _old, _new: seen.append(curdoc()))
    _from_page(session, _value(slider, 5))
    assert seen == [session.document]
    assert curdoc() is outside


def test_events_reach_callbacks_that_were_added_late(session: Session, connection: Recording) -> None:
    button, seen = Button(), []
    session.document.add_root(button)
    button.on_event(ButtonClick, lambda event: seen.append(event.model))
    click = {"type": "event", "name": "button_click", "values": {"model": button.ref}}
    _from_page(session, {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": click})
    assert seen == [button]
    assert connection.kinds[-2][0] == "ModelChanged"  # the page is told to send it


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LookupError, SystemExit])
def test_an_error_stops_no_later_event(
    session: Session,
    connection: Recording,
    slider: Slider,
    caplog: pytest.LogCaptureFixture,
    kind: type[BaseException],
) -> None:
    def fail(_attr: str, _old: Any, _new: Any) -> None:
        raise kind("on purpose")

    reported: list[BaseException] = []
    outside = curdoc()
    slider.on_change("value", fail)
    session.on_error(reported.append)
    _from_page(session, _value(slider, 5), {"kind": "TitleChanged", "title": "after"})
    assert slider.value == 5
    assert session.document.title == "after"
    assert [str(error) for error in reported] == ["on purpose"]
    assert session.last_error is reported[0]
    session.output.flush()
    assert connection.errors == [f"{kind.__name__}: on purpose"]
    assert curdoc() is outside  # Bokeh's patch_curdoc does not restore it after an exception
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is reported[0]


def _fail(_attr: str, _old: Any, new: Any) -> None:
    raise LookupError(f"on purpose, {new}")


def test_a_change_whose_callback_fails_reaches_the_pages(
    session: Session, connection: Recording, slider: Slider
) -> None:
    seen: list[Any] = []
    slider.on_change("value", _fail)
    session.document.on_change(seen.append)
    with pytest.raises(LookupError, match="on purpose, 5"):
        slider.value = 5
    [event] = connection.patches[-1].events
    assert (event["attr"], event["new"]) == ("value", 5)
    assert seen == []  # as in plain Bokeh
    source = ColumnDataSource(data={"x": [1]})
    session.document.add_root(source)
    source.on_change("data", _fail)
    with pytest.raises(LookupError):
        source.stream({"x": [2]})
    assert connection.patches[-1].events[0]["kind"] == "ColumnsStreamed"
    with pytest.raises(LookupError):
        source.data = {"x": [3]}
    assert connection.patches[-1].events[0]["attr"] == "data"


def test_a_callback_of_the_document_that_fails_keeps_no_change_from_the_pages() -> None:
    def fail(_event: Any) -> None:
        raise LookupError("on purpose")

    document = Document()
    document.on_change(fail)  # is called before the session
    session, connection = Session(document), Recording()
    session.connect(connection)
    with pytest.raises(LookupError):
        document.add_root(Div())
    with pytest.raises(LookupError):
        document.title = "new"
    document.remove_on_change(fail)
    session.close()
    assert connection.kinds == [["RootAdded"], ["TitleChanged"]]


def test_changes_of_a_held_document_reach_the_pages_whichever_callback_fails(
    session: Session, connection: Recording, slider: Slider
) -> None:
    other, seen = Slider(start=0, end=10, value=1), []
    session.document.add_root(other)
    slider.on_change("value", _fail)
    other.on_change("value", lambda _attr, _old, new: seen.append(new))
    session.document.hold("collect")
    slider.value, other.value = 5, 6
    with pytest.raises(LookupError, match="on purpose, 5"):
        session.document.unhold()
    assert seen == [6]
    assert [(event["model"]["id"], event["new"]) for patch in connection.patches[-2:] for event in patch.events] == [
        (slider.id, 5),
        (other.id, 6),
    ]
    assert session.document.callbacks.hold_value is None


@pytest.mark.usefixtures("session")
def test_a_callback_that_changes_the_value_once_more_and_fails(connection: Recording, slider: Slider) -> None:
    def change(_attr: str, _old: Any, new: Any) -> None:
        if new == 5:
            slider.value = 7
            raise LookupError("on purpose")

    slider.on_change("value", change)
    with pytest.raises(LookupError):
        slider.value = 5
    assert [event["new"] for patch in connection.patches for event in patch.events] == [5, 7]
    assert slider.value == 7


def test_a_callback_that_streams_once_more(session: Session, connection: Recording) -> None:
    source = ColumnDataSource(data={"x": [1]})
    session.document.add_root(source)
    sent = len(connection.patches)

    def add(_attr: str, _old: Any, new: Any) -> None:
        if len(new["x"]) == 2:
            source.stream({"x": [3]})

    source.on_change("data", add)
    source.stream({"x": [2]})
    streamed = [event["data"] for patch in connection.patches[sent:] for event in patch.events]
    assert "[2]" in str(streamed[0])
    assert "[3]" in str(streamed[1])
    assert source.data["x"] == [1, 2, 3]


def test_bokeh_itself_tells_nobody_of_a_change_whose_callback_fails() -> None:
    # when this fails, the work-around of `take_changes_first` is needed no longer
    code = (
        "from bokeh.document import Document; from bokeh.models import Div\n"
        "def fail(attr, old, new): raise ValueError\n"
        "doc = Document(); doc.add_root(div := Div()); div.on_change('text', fail)\n"
        "doc.on_change(lambda event: print('told'))\n"
        "try: div.text = 'x'\nexcept ValueError: print(div.text)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "x"


def test_an_on_error_callback_that_fails_stops_no_other(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    reported: list[BaseException] = []
    session.on_error(lambda _error: 1 / 0, reported.append)  # type: ignore[func-returns-value]
    error = LookupError("first")
    session.report_error(error)
    assert reported == [error]
    assert [record.message for record in caplog.records] == [
        f"session {session.id[:8]}: first",
        "an on_error callback failed",
    ]


# --- threads and the end ------------------------------------------------------------------------------


def test_a_thread_waits_for_a_batch(session: Session, connection: Recording, slider: Slider) -> None:
    started = threading.Event()

    def change() -> None:
        started.set()
        slider.title = "of the thread"

    thread = threading.Thread(target=change)
    with session.batch():
        slider.value = 2
        thread.start()
        started.wait()
        assert connection.patches == []
    thread.join()
    assert [event["attr"] for patch in connection.patches for event in patch.events] == ["value", "title"]


def test_many_threads_make_gapless_revisions(session: Session, connection: Recording) -> None:
    divs = [Div() for _ in range(4)]
    for div in divs:
        session.document.add_root(div)
    before = session.revision

    def change(div: Div) -> None:
        for number in range(50):
            div.text = f"{number}"

    threads = [threading.Thread(target=change, args=(div,)) for div in divs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    revisions = [patch.revision for patch in connection.patches][-200:]
    assert revisions == list(range(before + 1, before + 201))


def test_session_of_and_all_sessions(session: Session) -> None:
    document = session.document
    assert session_of(document) is session
    assert session in all_sessions()
    session.close()
    assert session_of(document) is None
    assert session not in all_sessions()


def test_close_is_idempotent_and_stops_everything(session: Session, connection: Recording, slider: Slider) -> None:
    document = session.document
    session.close()
    session.close()
    assert session.closed
    assert "closed" in repr(session)
    slider.value = 2
    assert connection.patches == []
    assert document.roots == [slider]
    # Bokeh can give the document to somebody else
    Session(document).close()


def test_close_empties_its_own_document_only() -> None:
    div = Div()
    document = Document()
    document.add_root(div)
    Session(document, owns_document=True).close(empty_document=False)
    assert document.roots == [div]
    Session(document, owns_document=True).close()
    assert document.roots == []
    assert div.document is None


def test_the_last_connection_closes_the_session(session: Session, connection: Recording) -> None:
    second = Recording()
    session.connect(second)
    session.disconnect(connection)
    assert not session.closed
    session.disconnect(second)
    assert session.closed


def test_connections_are_held_weakly(session: Session) -> None:
    ref = weakref.ref(made := Recording())
    session.connect(made)
    del made
    gc.collect()
    assert ref() is None
    session.close_if_unused()
    assert session.closed
