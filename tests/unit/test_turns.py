"""Code of the user never runs under a lock of ours but that of its document: hooks of applications in several threads."""

from __future__ import annotations

import sys
import threading
import types
from typing import TYPE_CHECKING

import pytest
from bokeh.application import Application
from bokeh.models import Div

from bokeh_widget import BokehWidget, _hosting
from bokeh_widget._hosting import context_of
from bokeh_widget._resolving import application_of
from bokeh_widget.errors import ApplicationError, SessionClosedError
from tests.unit.test_hooks import RECORDERS, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bokeh.document import Document

pytestmark = pytest.mark.usefixtures("wire", "applications_end")

WAIT_S = 30


class World:
    """A document, and an application whose hook waits, in one thread, until another one is there."""

    def __init__(self) -> None:
        self.status = BokehWidget(Div())
        self.is_loading, self.may_go_on = threading.Event(), threading.Event()
        self.recorder = Recorder(loaded=self._load)
        self.application = Application(self.recorder)
        self.opened: list[BokehWidget] = []
        self.errors: list[Exception] = []

    def _load(self, _context: object) -> None:
        self.is_loading.set()
        assert self.may_go_on.wait(WAIT_S)
        with self.status.session.batch():
            self.status.roots[0].text = "loaded"

    def open(self) -> None:
        try:
            self.opened.append(BokehWidget(self.application))
        except Exception as error:  # noqa: BLE001  # looked at by the test
            self.errors.append(error)

    def start(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.status.close()


def test_who_holds_a_document_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hosting, "_PATIENCE_S", 0.05)
    thread = world.start(world.open)
    assert world.is_loading.wait(WAIT_S)

    def callback(_doc: Document) -> None:
        world.may_go_on.set()  # the hook waits for the lock that this one holds
        world.open()

    other = world.start(lambda: world.status.document.session_context.with_locked_document(callback))
    for each in (other, thread):
        each.join(WAIT_S)
        assert not each.is_alive()
    [error] = world.errors
    assert isinstance(error, ApplicationError)
    assert "holds the lock of a document" in str(error)
    assert world.status.roots[0].text == "loaded"
    assert len(world.opened) == 1
    world.status.document.session_context.with_locked_document(lambda _doc: world.open())
    assert len(world.opened) == 2


def test_who_holds_none_waits_for_the_hook(world: World) -> None:
    thread = world.start(world.open)
    assert world.is_loading.wait(WAIT_S)
    other = world.start(world.open)
    world.may_go_on.set()
    for each in (thread, other):
        each.join(WAIT_S)
    assert world.errors == []
    assert len(world.opened) == 2
    assert world.recorder.calls.count("loaded") == 1


@RECORDERS
def test_a_hook_that_opens_its_own_application_is_told(recorder_type: type[Recorder]) -> None:
    recorder = recorder_type(loaded=lambda _context: BokehWidget(application))
    application = Application(recorder)
    with pytest.raises(ApplicationError, match="uses the application itself"):
        BokehWidget(application)
    recorder.extra.clear()
    BokehWidget(application)  # the next use loads it again
    assert "modify" in recorder.calls


def test_an_application_may_be_opened_while_the_hooks_of_another_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = types.ModuleType("turn_events")
    events.is_inside, events.may_go_on = threading.Event(), threading.Event()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "turn_events", events)
    main = "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div())"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(main)
    waits = "import turn_events\nturn_events.is_inside.set()\nassert turn_events.may_go_on.wait(30)\n"
    (tmp_path / "app" / "app_hooks.py").write_text(waits)
    (tmp_path / "other.py").write_text(main)
    made: list[Application] = []
    thread = threading.Thread(target=lambda: made.append(application_of(tmp_path / "app")), daemon=True)
    thread.start()
    assert events.is_inside.wait(WAIT_S)
    other = threading.Thread(target=lambda: made.append(application_of(tmp_path / "other.py")), daemon=True)
    other.start()
    other.join(5)
    assert len(made) == 1, "it waits for the code of the first"
    events.may_go_on.set()
    thread.join(WAIT_S)
    assert application_of(tmp_path / "app") is made[1]


def test_an_unloaded_application_takes_no_callbacks_until_it_is_loaded_again() -> None:
    recorder = Recorder(unloaded=lambda context: context.add_next_tick_callback(recorder.calls.clear))
    application = Application(recorder)
    BokehWidget(application).close()
    server_context = context_of(application).server_context
    context_of(application).retire()
    assert recorder.calls[-1] == "unloaded"
    for add in (server_context.add_timeout_callback, server_context.add_periodic_callback):
        with pytest.raises(SessionClosedError, match=r"Recorder is unloaded.*clear.*on_server_loaded"):
            add(recorder.calls.clear, 10)
    BokehWidget(application)
    server_context.add_next_tick_callback(recorder.calls.clear)
