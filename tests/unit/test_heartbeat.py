"""Pages that die without a word: noticed, not waited for, and as they were when they are back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest
from bokeh.document import Document
from bokeh.models import Div, Slider
from tornado.ioloop import IOLoop

from bokeh_widget import BokehWidget, Session, State, _heartbeat, _kernel
from bokeh_widget._heartbeat import BEATS_UNTIL_LOST, BEATS_WHILE_LOADING
from bokeh_widget._session import cell_begins, cell_ends
from tests.unit.lossy import LossyPage, assert_followed, shown_page, talk
from tests.unit.test_session import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.unit.wires import Wire


class World:
    """A slider in a widget whose document has a periodic callback, and a page that shows it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.slider = Slider(start=0, end=10**6, value=0)
        self.widget = BokehWidget(self.slider)
        self.ticking = self.widget.document.add_periodic_callback(lambda: None, 10**6)
        self.page = shown_page(self.widget, wire)

    def beat(self, count: int = 1) -> None:
        """Let time pass in which the kernel could have read what pages say."""
        for _ in range(count):
            self.widget.session.beat()

    def lose(self) -> None:
        """Let the page be silent until it counts as gone."""
        self.beat(BEATS_UNTIL_LOST)
        assert self.widget.state is State.HIDDEN

    @property
    def asked(self) -> int:
        """How often pages were asked where they are."""
        return len(self.wire.customs(self.widget, "sync"))


@pytest.fixture
def world(wire: Wire) -> Iterator[World]:
    made = World(wire)
    yield made
    made.widget.close()


# --- who is lost, and who is not --------------------------------------------------------------------


def test_a_page_that_shows_what_does_not_change_is_asked_from_time_to_time(world: World) -> None:
    for beats, asked in enumerate([0, 1, 1, 2, 2, 3, 3], start=1):
        world.beat()
        assert world.asked == asked, beats
        talk(world.page)
    assert world.widget.state is State.SHOWN


def test_a_page_on_which_nothing_depends_is_left_alone(world: World) -> None:
    # each question counts as activity of the kernel, which a server would never find idle
    world.widget.document.remove_periodic_callback(world.ticking)
    world.beat(10 * BEATS_UNTIL_LOST)
    assert (world.asked, world.widget.state) == (0, State.SHOWN)
    world.slider.value = 1  # on its way, and never acknowledged
    world.beat(BEATS_UNTIL_LOST)
    assert (world.asked, world.widget.state) == (2, State.HIDDEN)


def test_a_page_that_a_document_is_on_its_way_to_may_take_long(world: World) -> None:
    world.page.ask()
    world.page.deliver_to_kernel(0)
    world.beat(BEATS_WHILE_LOADING - 1)
    assert world.widget.state is State.SHOWN
    talk(world.page)
    world.beat(BEATS_UNTIL_LOST - 1)
    assert world.widget.state is State.SHOWN
    world.beat()
    assert world.widget.state is State.HIDDEN


def test_what_callbacks_said_meanwhile_is_told_to_a_page_that_is_back(world: World) -> None:
    world.lose()
    world.widget.session.report_error(ValueError("boom"))
    world.page.to_page.clear()
    world.page._acknowledge()
    talk(world.page)
    [told] = world.page.outputs
    assert "boom" in json.dumps(told)


def test_the_grace_period_begins_when_no_page_has_views_not_even_one_that_is_asleep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[float] = []

    def call_later(delay_ms: float, _callback: object) -> Callable[[], None]:
        timers.append(delay_ms)
        return timers.clear

    monkeypatch.setattr(_kernel, "call_later", call_later)
    other = shown_page(world.widget, world.wire, "other")
    world.beat(BEATS_UNTIL_LOST - 1)
    other._acknowledge()
    other.deliver_to_kernel(0)
    world.beat()  # the first page is lost
    assert [page.client for page in world.widget.stats.clients] == ["other"]
    other._speak("gone", view="v", views=[])
    other.deliver_to_kernel(0)
    assert (world.widget.state, timers) == (State.HIDDEN, [])
    world.page.to_page.clear()
    world.page._speak("gone", view="v", views=[])  # its first words
    world.page.deliver_to_kernel(0)
    assert len(timers) == 1


def test_a_page_that_does_not_answer_is_not_waited_for(world: World) -> None:
    session = world.widget.session
    world.slider.value = 1  # on its way, and never acknowledged
    world.beat(BEATS_UNTIL_LOST - 1)
    assert (world.widget.state, world.asked, session.is_resting) == (State.SHOWN, 2, False)
    world.beat()
    assert (world.widget.state, world.asked, session.is_resting) == (State.HIDDEN, 2, True)
    assert session.flow.outbox.peers() == []
    assert session.flow.outbox.reminder_wait_ms(0) is None
    assert world.widget.stats.clients == ()
    sent = len(world.wire.messages)
    world.slider.value = 2
    world.beat(10)
    assert len(world.wire.messages) == sent


def test_one_page_that_is_gone_takes_no_other_along(world: World) -> None:
    other = shown_page(world.widget, world.wire, "other")
    for value in range(1, 20):
        world.slider.value = value
        world.beat()
        talk(other)
    assert {peer[1] for peer in world.widget.session.flow.outbox.peers()} == {"other"}
    assert world.widget.state is State.SHOWN
    assert_followed(world.widget, other)


# --- the way back --------------------------------------------------------------------------------------


def say_where(page: LossyPage) -> None:
    page._acknowledge()


def move(page: LossyPage) -> None:
    slider = page.widget.roots[0]
    page.set(slider.id, "value", 7)


def ask(page: LossyPage) -> None:
    page.ask()


def view(page: LossyPage) -> None:
    page._speak("hi", view="v")


def complain(page: LossyPage) -> None:
    page.to_kernel.append({"kind": "error", "client": page.client, "context": "render", "message": "x", "stack": ""})


SPEAK = [say_where, move, ask, view, complain]


def test_whatever_a_page_says_shows_that_it_is_there(world: World) -> None:
    for speak in SPEAK:
        world.beat(BEATS_UNTIL_LOST - 1)
        speak(world.page)
        world.page.deliver_to_kernel(0)
    world.beat(BEATS_UNTIL_LOST - 1)
    assert world.widget.state is State.SHOWN


@pytest.mark.parametrize("speak", SPEAK)
@pytest.mark.parametrize("has_changed", [False, True])
def test_a_page_that_is_back_has_what_python_has(
    world: World, speak: Callable[[LossyPage], None], has_changed: bool
) -> None:
    world.lose()
    if has_changed:
        world.slider.title = "changed meanwhile"
    speak(world.page)
    world.page.deliver_to_kernel(0)
    assert world.widget.state is State.SHOWN
    assert not world.widget.session.is_resting
    talk(world.page)
    world.page.remind()
    talk(world.page)
    assert_followed(world.widget, world.page)
    assert world.slider.value == (7 if speak is move else 0)
    world.slider.value = 5
    talk(world.page)
    assert_followed(world.widget, world.page)
    outbox, peer = world.widget.session.flow.outbox, (world.widget.model_id, "page")
    assert (outbox.acknowledged(peer), outbox.in_flight(peer)) == (world.widget.session.revision, 0)


def test_a_page_that_was_lost_goes_on_counting(world: World) -> None:
    seen: list[int] = []
    world.slider.on_change("value", lambda _attr, _old, new: seen.append(new))
    world.page.set(world.slider.id, "value", 1)
    [first] = world.page.outstanding
    world.page.deliver_to_kernel(0)
    world.page.to_page.clear()  # its acknowledgement is lost
    world.lose()
    world.slider.value = 9
    world.page.to_kernel.append(first)  # so it is sent again
    world.page.deliver_to_kernel(0)
    assert seen == [1, 9]
    talk(world.page)
    world.page.set(world.slider.id, "value", 2)
    talk(world.page)
    assert seen == [1, 9, 2]
    assert_followed(world.widget, world.page)


def test_a_page_that_was_lost_and_goes_is_gone(world: World) -> None:
    world.lose()
    world.page.tick += 1
    world.page.to_kernel.append({"kind": "bye", "client": "page", "tick": world.page.tick})
    world.page.deliver_to_kernel(0)
    assert world.widget.state is State.HIDDEN
    assert world.widget.session.flow.outbox.peers() == []


def test_a_page_that_is_back_after_an_update_shows_the_new_document(world: World) -> None:
    world.lose()
    world.widget.update(new := Div(text="new"))
    world.page.set(world.slider.id, "value", 3)  # it has not heard of that
    talk(world.page)
    world.page.remind()
    talk(world.page)
    assert world.widget.roots == [new]
    assert_followed(world.widget, world.page)


# --- when a beat counts ----------------------------------------------------------------------------------


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_heartbeat, "BEAT_MS", 10.0)
    monkeypatch.setattr(_heartbeat, "LATE_MS", 40.0)


def run(body: Callable[[Session, Recording], Awaitable[None]]) -> None:
    """Run a test on a loop, with a session that a page shows."""

    async def main() -> None:
        document = Document()
        document.add_root(Div())
        session = Session(document, loop=IOLoop.current())
        connection = Recording()
        session.connect(connection)
        try:
            await asyncio.wait_for(body(session, connection), 30)
        finally:
            session.close()

    asyncio.run(main())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # conditions of all kinds
        await asyncio.sleep(0.002)


@pytest.mark.usefixtures("_quick")
def test_beats_come_while_a_page_is_there() -> None:
    async def body(session: Session, connection: Recording) -> None:
        await asyncio.sleep(0.05)
        assert connection.beats == 0
        session.heartbeat.start()
        await _until(lambda: connection.beats > 3)
        connection.clients = ()
        await _until(lambda: session.heartbeat._alarm.due_s is None)
        await asyncio.sleep(0.05)
        assert session.heartbeat._alarm.due_s is None
        beats = connection.beats
        connection.clients = ("c",)
        session.heartbeat.start()
        await _until(lambda: connection.beats > beats)

    run(body)


@pytest.mark.usefixtures("_quick")
def test_no_beat_counts_while_the_loop_is_kept_busy() -> None:
    async def body(session: Session, connection: Recording) -> None:
        session.heartbeat.start()
        for _ in range(BEATS_UNTIL_LOST - 1):
            beats = connection.beats
            time.sleep(0.1)  # noqa: ASYNC251  # that is the point
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert connection.beats <= beats + 1  # one may have been on time just before
        assert connection.beats < BEATS_UNTIL_LOST
        await _until(lambda: connection.beats >= BEATS_UNTIL_LOST)

    run(body)


@pytest.mark.usefixtures("_quick")
def test_no_beat_counts_while_a_cell_runs_or_just_after() -> None:
    async def body(session: Session, connection: Recording) -> None:
        session.heartbeat.start()
        await _until(lambda: connection.beats > 0)
        cell_begins()
        beats = connection.beats
        await asyncio.sleep(0.1)  # a cell that awaits leaves the loop free, and messages wait all the same
        assert connection.beats == beats
        cell_ends()
        await _until(lambda: connection.beats > beats)
        for _ in range(30):  # "run all": what pages say waits behind all of them
            cell_begins()
            cell_ends()
            beats = connection.beats
            await asyncio.sleep(0.005)
        assert connection.beats <= beats + 1

    run(body)


@pytest.mark.usefixtures("_quick")
def test_no_beat_counts_while_another_thread_has_the_lock() -> None:
    async def body(session: Session, connection: Recording) -> None:
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with session.lock:
                held.set()
                release.wait(10)

        session.heartbeat.start()
        await _until(lambda: connection.beats > 0)
        holding = asyncio.get_running_loop().run_in_executor(None, hold)
        await _until(held.is_set)
        beats = connection.beats
        await asyncio.sleep(0.1)  # the loop does not wait for the lock
        assert connection.beats == beats
        release.set()
        await holding
        await _until(lambda: connection.beats > beats)

    run(body)


@pytest.mark.usefixtures("_quick")
def test_the_loop_holds_no_session() -> None:
    async def body(session: Session, connection: Recording) -> None:
        session.heartbeat.start()
        await _until(lambda: connection.beats > 0)
        other = Session(Document(), loop=IOLoop.current())
        other.connect(connection)
        other.heartbeat.start()
        ref = weakref.ref(other)
        other.close()
        del other
        await _until(lambda: ref() is None)

    run(body)


def test_without_a_loop_there_is_no_beat(world: World) -> None:
    assert world.widget.session.heartbeat._alarm.due_s is None
