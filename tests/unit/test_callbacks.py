"""Callbacks of the document on a real loop: batches, curdoc, errors, rest, and their end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.document import Document
from bokeh.document.callbacks import invoke_with_curdoc
from bokeh.io import curdoc
from bokeh.models import Div
from tornado.ioloop import IOLoop

from bokeh_widget import Session
from bokeh_widget._callbacks import _guarded
from tests.unit.test_session import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ADDERS: dict[str, Callable[[Document, Callable[[], Any]], object]] = {
    "next tick": lambda document, callback: document.add_next_tick_callback(callback),
    "timeout": lambda document, callback: document.add_timeout_callback(callback, 1),
    "periodic": lambda document, callback: document.add_periodic_callback(callback, 1),
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


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_an_error_is_reported_and_leaves_nothing_behind(how: str, is_async: bool) -> None:
    async def body(session: Session, connection: Recording, _div: Div) -> None:
        reported = asyncio.Event()
        session.on_error(lambda _error: reported.set())

        def fail() -> None:
            raise LookupError("on purpose")

        async def fail_later() -> None:
            await asyncio.sleep(0)
            fail()

        outside = curdoc()
        ADDERS[how](session.document, fail_later if is_async else fail)
        await reported.wait()
        assert isinstance(session.last_error, LookupError)
        assert connection.errors[0] == "LookupError: on purpose"
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
    call = _guarded(weakref.ref(session), lambda: invoke_with_curdoc(session.document, interrupted), rests=False)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert curdoc() is outside
    session.close()


@pytest.mark.parametrize("how", ADDERS)
def test_a_removed_callback_does_not_run(how: str) -> None:
    async def body(session: Session, _connection: Recording, _div: Div) -> None:
        ran: list[int] = []
        document = session.document
        callback = ADDERS[how](document, lambda: ran.append(1))
        remove = {
            "next tick": document.remove_next_tick_callback,
            "timeout": document.remove_timeout_callback,
            "periodic": document.remove_periodic_callback,
        }[how]
        remove(callback)  # type: ignore[arg-type]
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
