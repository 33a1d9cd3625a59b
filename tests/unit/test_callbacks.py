"""Callbacks of the document on a real loop: batches, curdoc, errors, rest, and their end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.document import Document, without_document_lock
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.document.locking import UnlockedDocumentProxy
from bokeh.io import curdoc
from bokeh.models import Div
from tornado.ioloop import IOLoop

from bokeh_widget import Session
from bokeh_widget._callbacks import run_callback
from tests.unit.test_session import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ADDERS: dict[str, Callable[[Document, Callable[[], Any]], object]] = {
    "next tick": lambda document, callback: document.add_next_tick_callback(callback),
    "timeout": lambda document, callback: document.add_timeout_callback(callback, 1),
    "periodic": lambda document, callback: document.add_periodic_callback(callback, 1),
}
REMOVERS: dict[str, Callable[[Document, Any], None]] = {
    "next tick": lambda document, callback: document.remove_next_tick_callback(callback),
    "timeout": lambda document, callback: document.remove_timeout_callback(callback),
    "periodic": lambda document, callback: document.remove_periodic_callback(callback),
}


def _run(body: Callable[[Session, Recording, Div], Awaitable[None]]) -> None:
    """Run a test on a loop, with a session that is shown."""

    async def main() -> None:
        document = Document()
        document.add_root(div := Div())
        session = Session(document, loop=IOLoop.current())
        session.encode_state()  # what it holds is known to the pages from here on
        connection = Recording()
        session.connect(connection)
        try:
            await asyncio.wait_for(body(session, connection, div), 30)
        finally:
            session.close()

    asyncio.run(main())


async def _turns(count: int = 5) -> None:
    """Let the loop run what is due."""
    for _ in range(count):
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("how", ADDERS)
def test_a_plain_callback_is_one_batch_with_its_curdoc(how: str) -> None:
    async def body(session: Session, connection: Recording, div: Div) -> None:
        done = asyncio.Event()

        def callback() -> None:
            if not done.is_set():
                div.text = "a"
                div.name = "b"
                seen.append(curdoc())
                done.set()

        seen: list[Document] = []
        outside = curdoc()
        ADDERS[how](session.document, callback)
        await done.wait()
        assert seen == [session.document]
        assert connection.kinds == [["ModelChanged", "ModelChanged"]]
        assert curdoc() is outside

    _run(body)


@pytest.mark.parametrize("how", ADDERS)
def test_each_step_of_an_asynchronous_callback_is_one_batch(how: str) -> None:
    async def body(session: Session, connection: Recording, div: Div) -> None:
        go_on, first, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        seen: list[Document] = []

        async def callback() -> None:
            if first.is_set():
                return
            div.text, div.name = "a", "b"
            seen.append(curdoc())
            first.set()
            await go_on.wait()
            div.text, div.name = "c", "d"
            seen.append(curdoc())
            done.set()

        outside = curdoc()
        ADDERS[how](session.document, callback)
        await first.wait()
        # it waits, and holds neither the lock nor the document of others
        assert curdoc() is outside
        assert len(connection.patches) == 1
        go_on.set()
        await done.wait()
        assert seen == [session.document] * 2
        assert connection.kinds == [["ModelChanged", "ModelChanged"]] * 2
        assert curdoc() is outside

    _run(body)


@pytest.mark.parametrize("kind", [LookupError, SystemExit])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_an_error_is_reported_and_leaves_nothing_behind(how: str, is_async: bool, kind: type[BaseException]) -> None:
    async def body(session: Session, connection: Recording, _div: Div) -> None:
        reported = asyncio.Event()
        session.on_error(lambda _error: reported.set())

        def fail() -> None:
            raise kind("on purpose")

        async def fail_later() -> None:
            await asyncio.sleep(0)
            fail()

        outside = curdoc()
        ADDERS[how](session.document, fail_later if is_async else fail)
        await reported.wait()
        assert isinstance(session.last_error, kind)
        session.output.flush()
        assert connection.errors[0] == f"{kind.__name__}: on purpose"
        assert curdoc() is outside
        done = asyncio.Event()
        session.document.add_next_tick_callback(done.set)
        await done.wait()

    _run(body)


def test_an_exception_that_is_awaited_reaches_the_callback() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        done = asyncio.Event()

        async def callback() -> None:
            failing = asyncio.get_running_loop().create_future()
            failing.set_exception(LookupError())
            try:
                await failing
            except LookupError:
                done.set()

        session.document.add_next_tick_callback(callback)
        await done.wait()
        assert session.last_error is None

    _run(body)


def test_an_interrupt_gives_curdoc_back() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    session = Session(Document())
    outside = curdoc()
    # on a loop it would end the test run as well
    with pytest.raises(KeyboardInterrupt):
        run_callback(session, lambda: invoke_with_curdoc(session.document, interrupted))
    assert curdoc() is outside
    session.close()


@pytest.mark.parametrize("how", ADDERS)
def test_a_removed_callback_does_not_run(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document = session.document
        callback = ADDERS[how](document, lambda: ran.append(1))
        REMOVERS[how](document, callback)
        await _turns()
        assert ran == []

    _run(body)


@pytest.mark.parametrize("how", ADDERS)
def test_close_cancels(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        ADDERS[how](session.document, lambda: ran.append(1))
        session.close()
        await _turns()
        assert ran == []

    _run(body)


def test_close_ends_an_asynchronous_callback_at_its_next_step() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        go_on, started = asyncio.Event(), asyncio.Event()
        steps: list[str] = []

        async def callback() -> None:
            try:
                started.set()
                await go_on.wait()
                steps.append("after close")
            finally:
                steps.append("cleaned up")

        session.document.add_next_tick_callback(callback)
        await started.wait()
        session.close()
        go_on.set()
        await _turns()
        assert steps == ["cleaned up"]

    _run(body)


def test_callbacks_that_were_added_before_the_session_run() -> None:
    async def main() -> None:
        document, done = Document(), asyncio.Event()
        document.add_next_tick_callback(done.set)
        session = Session(document, loop=IOLoop.current())
        session.connect(connection := Recording())
        await asyncio.wait_for(done.wait(), 30)
        session.disconnect(connection)
        assert session.closed

    asyncio.run(main())


@pytest.mark.parametrize(("pause_when_hidden", "rests"), [(True, True), (False, False)])
def test_periodic_callbacks_rest_while_nobody_looks(pause_when_hidden: bool, rests: bool) -> None:
    async def body(session: Session, connection: Recording, _div: Div) -> None:
        ran = asyncio.Event()
        connection.is_shown = False
        connection.pause_when_hidden = pause_when_hidden
        session.document.add_periodic_callback(ran.set, 1)
        if rests:
            await _turns(20)
            assert not ran.is_set()
            once = asyncio.Event()
            session.document.add_next_tick_callback(once.set)  # what runs once is not for the eye
            await once.wait()
            connection.is_shown = True
        await ran.wait()

    _run(body)


def test_the_loop_holds_the_session_weakly() -> None:
    async def main() -> None:
        document = Document()
        session = Session(document, loop=IOLoop.current())
        document.add_periodic_callback(lambda: None, 1)
        refs = [weakref.ref(session), weakref.ref(document)]
        await _turns()
        session.close()
        del session, document
        await _turns()
        gc.collect()
        assert [ref() for ref in refs] == [None, None]

    asyncio.run(main())


def test_without_a_loop_nothing_is_scheduled() -> None:
    document = Document()
    session = Session(document)
    document.add_next_tick_callback(print)
    document.add_periodic_callback(print, 1)
    session.close()


# --- as Bokeh's own server has it --------------------------------------------------------------------


@pytest.mark.parametrize("how", ADDERS)
def test_what_runs_once_is_forgotten_and_what_repeats_stays_until_it_is_removed(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document, often = session.document, asyncio.Event()

        def callback() -> None:
            ran.append(1)
            if len(ran) == 3:
                often.set()

        added = ADDERS[how](document, callback)
        assert document.session_callbacks == [added]
        if how == "periodic":
            await often.wait()
            assert document.session_callbacks == [added]
            REMOVERS[how](document, added)
        else:
            await _turns()
            assert ran == [1]
        assert document.session_callbacks == []
        count = len(ran)
        await _turns()
        assert len(ran) == count
        # it ran, or was removed: nobody can remove it any more
        with pytest.raises(ValueError, match="already"):
            REMOVERS[how](document, added)

    _run(body)


@pytest.mark.parametrize("how", ADDERS)
def test_a_callback_of_another_document_cannot_be_removed(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        stranger = ADDERS[how](Document(), lambda: None)
        with pytest.raises(ValueError, match="already"):
            REMOVERS[how](session.document, stranger)

    _run(body)


@pytest.mark.parametrize("how", ADDERS)
def test_a_function_that_is_added_twice_is_two_callbacks(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document = session.document

        def callback() -> None:
            ran.append(1)

        first, second = ADDERS[how](document, callback), ADDERS[how](document, callback)
        assert first is not second
        REMOVERS[how](document, first)
        await _turns()
        assert ran
        if how != "periodic":
            assert len(ran) == 1

    _run(body)


def test_one_function_in_all_three_ways() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran, often = 0, asyncio.Event()

        def callback() -> None:
            nonlocal ran
            ran += 1
            if ran == 5:
                often.set()

        for add in ADDERS.values():
            add(session.document, callback)
        await often.wait()

    _run(body)


@pytest.mark.parametrize("how", ADDERS)
def test_a_partial_and_a_bound_method_are_callbacks(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[str] = []
        done = asyncio.Event()
        ADDERS[how](session.document, functools.partial(ran.append, "partial"))
        ADDERS[how](session.document, done.set)
        await done.wait()
        assert "partial" in ran

    _run(body)


def test_a_callback_removes_all_others_before_they_run() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document = session.document
        others: list[tuple[str, object]] = []

        def remove_all() -> None:
            for how, other in others:
                REMOVERS[how](document, other)

        document.add_next_tick_callback(remove_all)
        others += [(how, add(document, lambda: ran.append(1))) for how, add in ADDERS.items()]
        await _turns()
        assert ran == []
        assert document.session_callbacks == []

    _run(body)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_periodic_callback_removes_itself(is_async: bool) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document = session.document

        def plain() -> None:
            ran.append(1)
            document.remove_periodic_callback(added)

        async def coroutine() -> None:
            await asyncio.sleep(0)
            plain()

        added = document.add_periodic_callback(coroutine if is_async else plain, 1)  # type: ignore[arg-type]
        await _turns(10)
        assert ran == [1]
        assert session.last_error is None

    _run(body)


def test_calls_of_an_asynchronous_periodic_callback_do_not_pile_up() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        running, most, ended = 0, 0, asyncio.Event()

        async def slow() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            ended.set()

        session.document.add_periodic_callback(slow, 1)  # type: ignore[arg-type]
        for _ in range(3):
            ended.clear()
            await ended.wait()
        assert most == 1

    _run(body)


def test_threads_add_and_remove_callbacks() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran, done = 0, asyncio.Event()
        document, loop = session.document, asyncio.get_running_loop()

        def callback() -> None:
            nonlocal ran
            assert threading.current_thread() is threading.main_thread()
            ran += 1
            if ran == 200:
                done.set()

        def work(_: int) -> None:
            REMOVERS["timeout"](document, document.add_timeout_callback(callback, 10))
            document.add_next_tick_callback(callback)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            await asyncio.gather(*(loop.run_in_executor(pool, work, i) for i in range(200)))
        await done.wait()
        await _turns()
        assert ran == 200

    _run(body)


# --- without the lock --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_without_the_lock_a_callback_waits_for_nobody_and_changes_the_document_by_another(
    how: str, is_async: bool
) -> None:
    async def body(session: Session, connection: Recording, div: Div) -> None:
        seen: list[Any] = []
        in_time: list[bool] = []
        outside, changed = curdoc(), asyncio.Event()
        locked, release = threading.Event(), threading.Event()

        def hold_the_lock() -> None:
            with session.lock:
                locked.set()
                in_time.append(release.wait(10))

        def change() -> None:
            div.text = "changed"
            seen.append(curdoc())
            changed.set()

        @without_document_lock
        def plain() -> None:
            if not release.is_set():
                seen.append(curdoc())
                curdoc().add_next_tick_callback(change)
                release.set()

        @without_document_lock
        async def coroutine() -> None:
            await asyncio.sleep(0)
            plain()

        holder = threading.Thread(target=hold_the_lock)
        holder.start()
        locked.wait()
        ADDERS[how](session.document, coroutine if is_async else plain)
        await changed.wait()
        holder.join()
        assert in_time == [True]
        assert isinstance(seen[0], UnlockedDocumentProxy)
        with pytest.raises(AttributeError, match="add_next_tick_callback"):
            seen[0].title  # noqa: B018
        assert seen[1] is session.document
        assert connection.kinds == [["ModelChanged"]]
        assert curdoc() is outside
        assert session.last_error is None

    _run(body)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_without_the_lock_is_reported(is_async: bool) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        reported, outside = asyncio.Event(), curdoc()
        session.on_error(lambda _error: reported.set())

        @without_document_lock
        def fail() -> None:
            raise LookupError("on purpose")

        @without_document_lock
        async def fail_later() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        session.document.add_next_tick_callback(fail_later if is_async else fail)
        await reported.wait()
        assert isinstance(session.last_error, LookupError)
        assert curdoc() is outside

    _run(body)


# --- the end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_a_callback_closes_its_own_session(how: str, is_async: bool) -> None:
    async def body(session: Session, _connection: Recording, div: Div) -> None:
        ran: list[str] = []
        closed = asyncio.Event()

        def close() -> None:
            div.text = "last"
            ran.append("closes")
            session.close()
            div.text = "later"
            closed.set()

        async def close_later() -> None:
            await asyncio.sleep(0)
            close()
            try:
                await asyncio.sleep(60)
            finally:
                ran.append("cleaned up")

        ADDERS[how](session.document, close_later if is_async else close)
        await closed.wait()
        await _turns(10)
        assert ran == (["closes", "cleaned up"] if is_async else ["closes"])
        assert session.last_error is None

    _run(body)


def test_a_callback_that_waits_may_clean_up_when_the_session_closes() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        started, cleaned_up, before = asyncio.Event(), asyncio.Event(), asyncio.all_tasks()

        async def callback() -> None:
            started.set()
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0.001)  # what a connection needs that is closed
                cleaned_up.set()

        session.document.add_next_tick_callback(callback)  # type: ignore[arg-type]
        await started.wait()
        session.close()
        await cleaned_up.wait()
        await _turns()
        assert asyncio.all_tasks() == before
        assert session.last_error is None

    _run(body)


def test_a_coroutine_that_was_not_begun_when_the_session_closes_is_given_up() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []

        async def callback() -> None:
            ran.append(1)

        session.document.add_next_tick_callback(callback)  # type: ignore[arg-type]
        session.document.add_next_tick_callback(session.close)
        await _turns()
        gc.collect()  # a coroutine that nobody awaits would warn
        assert ran == []

    _run(body)


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_callback_awaits_is_cancelled_and_it_goes_on(is_async: bool) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        calls, often = 0, asyncio.Event()

        def count() -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                often.set()

        def fail() -> None:
            count()
            raise asyncio.CancelledError

        async def fail_later() -> None:
            count()
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled

        session.document.add_periodic_callback(fail_later if is_async else fail, 1)  # type: ignore[arg-type]
        await often.wait()
        assert isinstance(session.last_error, asyncio.CancelledError)

    _run(body)


@pytest.mark.parametrize("how", ["periodic", "timeout"])
def test_a_callback_that_is_due_much_later_holds_nothing_after_close(how: str) -> None:
    async def main() -> None:
        document = Document()
        session = Session(document, loop=IOLoop.current())
        callback = functools.partial(setattr, document, "title", "it holds its document")
        ref = weakref.ref(document)
        if how == "periodic":
            document.add_periodic_callback(callback, 3_600_000)
        else:
            document.add_timeout_callback(callback, 3_600_000)
        await _turns(1)
        session.close()
        del session, document, callback
        gc.collect()
        assert ref() is None

    asyncio.run(main())


def test_a_session_that_is_dropped_without_close_is_collected_and_leaves_no_timer() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        document, ran, connection = Document(), [], Recording()
        session = Session(document, loop=IOLoop.current())
        session.connect(connection)

        async def callback(held: Document = document) -> None:  # as a method holds its object
            ran.append(held.title)

        document.add_periodic_callback(callback, 1)  # type: ignore[arg-type]
        refs = [weakref.ref(session), weakref.ref(document)]
        await _turns()
        assert ran
        del session, document, callback
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
        await _turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []  # type: ignore[attr-defined]

    asyncio.run(main())


# --- the loop is there for others, too -----------------------------------------------------------------


def test_periodic_callbacks_leave_the_loop_free_from_time_to_time() -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        calls: list[tuple[float, float]] = []
        enough = asyncio.Event()

        def work() -> None:
            begin = time.monotonic()
            while time.monotonic() - begin < 0.005:
                pass
            calls.append((begin, time.monotonic()))
            if len(calls) >= 60:
                enough.set()

        for _ in range(3):
            session.document.add_periodic_callback(work, 1)
        await enough.wait()
        longest = in_a_row = 1
        for (_, end), (begin, _) in itertools.pairwise(calls):
            in_a_row = in_a_row + 1 if begin - end < 0.002 else 1
            longest = max(longest, in_a_row)
        assert 2 <= longest <= 8  # 30 ms, and the one that is then running

    _run(body)


def test_a_callback_that_rests_does_not_wake_up_at_its_own_pace() -> None:
    async def body(session: Session, connection: Recording, _div: Div) -> None:
        looks = 0

        class Watching(Recording):
            @property
            def is_shown(self) -> bool:
                nonlocal looks
                looks += 1
                return False

            @is_shown.setter
            def is_shown(self, value: bool) -> None:
                pass

        session._connections.discard(connection)
        session.connect(watching := Watching())
        session.document.add_periodic_callback(lambda: None, 1)
        began = looks
        await asyncio.sleep(0.25)
        assert looks - began <= 4
        del watching

    _run(body)
