"""Session and server contexts: what code knows of its session, the lock, and callbacks of the application."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

import bokeh.io.doc as bokeh_doc
import pytest
from bokeh.application import Application
from bokeh.application import application as bokeh_application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.io import curdoc
from bokeh.models import Div
from tornado.ioloop import IOLoop

import bokeh_widget
from bokeh_widget import BokehWidget, Session, _kernel
from bokeh_widget._contexts import ServerContext, SessionContext
from bokeh_widget._hosting import context_of, shut_down
from bokeh_widget.errors import SessionClosedError
from tests.unit.test_session import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from bokeh.server.callbacks import PeriodicCallback

pytestmark = pytest.mark.usefixtures("wire", "applications_end")


def make_document(doc: Document) -> None:
    doc.add_root(Div(text="0"))


@pytest.fixture
def application() -> Application:
    return Application(FunctionHandler(make_document))


def _in_kernel(
    monkeypatch: pytest.MonkeyPatch, application: Application, body: Callable[[ServerContext], Awaitable[None]]
) -> None:
    """Run a test on a loop that is the kernel's, with the server context of an application."""

    async def main() -> None:
        loop = IOLoop.current()
        monkeypatch.setattr(_kernel, "io_loop", lambda: loop)
        try:
            await asyncio.wait_for(body(context_of(application).server_context), 30)
        finally:
            bokeh_widget.close_all()
            shut_down()
            await asyncio.sleep(0.01)

    asyncio.run(main())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.001)


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0.002)


# --- what a context tells -------------------------------------------------------------------------------------


def test_they_are_bokehs_own_kinds(application: Application) -> None:
    context = BokehWidget(application).session.context
    assert isinstance(context, bokeh_application.SessionContext)
    assert isinstance(context.server_context, bokeh_application.ServerContext)


def test_what_the_code_of_an_application_sees() -> None:
    seen: list[Any] = []

    def look(doc: Document) -> None:
        make_document(doc)
        context = doc.session_context
        assert isinstance(context, SessionContext)
        seen.extend([context, curdoc().session_context, context.session, context.destroyed, context.document is doc])
        seen.extend([context.server_context.sessions])

    widget = BokehWidget(look)
    context = widget.session.context
    assert seen == [context, context, None, False, True, []]
    assert widget.document.session_context is context
    assert context.id == widget.session.id
    assert context.session is widget.session
    assert context.server_context.sessions == [context]


def test_there_was_no_request(application: Application) -> None:
    context = BokehWidget(application).session.context
    assert (context.request.arguments, context.request.cookies, context.request.headers) == ({}, {}, {})
    assert context.token_payload == {}
    assert context.logout_url is None


def test_destroyed(application: Application) -> None:
    widget = BokehWidget(application)
    context, document = widget.session.context, widget.document
    assert not context.destroyed
    assert "destroyed" not in repr(context)
    widget.close()
    assert context.destroyed
    assert "destroyed" in repr(context)
    assert context.session is None
    assert document.session_context is None
    assert context.server_context.sessions == []
    with pytest.raises(SessionClosedError, match=context.id):
        _ = context.document


def test_destroy_closes_the_session_and_its_widgets(application: Application) -> None:
    widget = BokehWidget(application)
    widget.session.context.destroy()
    assert widget.closed
    assert widget.comm is None
    widget._session.context.destroy()  # once more


def test_a_session_without_an_application_is_alone() -> None:
    one, two = BokehWidget(Div()), BokehWidget(Div())
    context = one.session.context
    assert one.document.session_context is context
    assert context.application is None
    assert context.server_context.sessions == [context]
    assert two.session.context.server_context is not context.server_context


def test_a_document_of_somebody_else_keeps_its_context() -> None:
    class Foreign(bokeh_application.SessionContext):
        destroyed = False

        def with_locked_document(self, func: Any) -> Any:
            raise NotImplementedError

    foreign = Foreign(ServerContext(None, None), "foreign")  # type: ignore[abstract, arg-type]
    document = Document()
    document.add_root(Div())
    document._session_context = weakref.ref(foreign)
    BokehWidget(document).close()
    assert document.session_context is foreign


def test_a_context_that_is_kept_keeps_nothing_else(application: Application) -> None:
    widget = BokehWidget(application)
    kept = widget.session.context
    refs = [weakref.ref(widget.document), weakref.ref(widget.session), weakref.ref(widget.roots[0])]
    widget.close()
    del widget
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3
    assert kept.destroyed


# --- the lock --------------------------------------------------------------------------------------------------


@pytest.fixture
def shown() -> Iterator[tuple[Session, Recording, Div]]:
    document = Document()
    document.add_root(div := Div())
    session = Session(document)
    session.encode_state()
    connection = Recording()
    session.connect(connection)
    yield session, connection, div
    session.close()


def test_a_locked_function_is_one_batch(shown: tuple[Session, Recording, Div]) -> None:
    session, connection, div = shown
    seen: list[Any] = []

    def change(doc: Document) -> int:
        seen.extend([doc is session.document, curdoc() is doc, session.flow.is_held])
        div.text, div.width = "changed", 3
        return 5

    assert asyncio.run(_await(session.context.with_locked_document(change))) == 5
    assert seen == [True, True, True]
    assert connection.kinds == [["ModelChanged", "ModelChanged"]]
    assert bokeh_doc._PATCHED_CURDOCS == []


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def test_curdoc_is_that_of_the_context(shown: tuple[Session, Recording, Div]) -> None:
    session, _, div = shown
    seen: list[object] = []
    is_inside, may_end = threading.Event(), threading.Event()

    def hold(_doc: Document) -> None:
        is_inside.set()
        may_end.wait(30)

    def look(_attr: str, _old: str, _new: str) -> None:
        seen.append(curdoc())
        thread = threading.Thread(target=other.context.with_locked_document, args=(hold,))
        thread.start()
        is_inside.wait(30)
        seen.append(curdoc())
        may_end.set()
        thread.join()
        seen.append(curdoc())

    outside = curdoc()
    other = Session(Document())
    div.on_change("text", look)
    div.text = "changed"
    other.close()
    assert seen == [session.document] * 3
    assert curdoc() is outside


def test_curdoc_of_bokeh_itself_reads_what_tests_look_at(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown
    seen: list[object] = []
    session.context.with_locked_document(lambda _doc: seen.extend(bokeh_doc._PATCHED_CURDOCS))
    assert [entry() for entry in seen] == [session.document]  # type: ignore[operator]
    with bokeh_doc.patch_curdoc(session.document):
        assert bokeh_doc._PATCHED_CURDOCS != []
        bokeh_doc._PATCHED_CURDOCS.append(weakref.ref(other := Document()))  # as who patches by hand
        assert curdoc() is other
        bokeh_doc._PATCHED_CURDOCS.pop()
        assert curdoc() is session.document


def test_a_plain_function_need_not_be_awaited(shown: tuple[Session, Recording, Div]) -> None:
    session, connection, div = shown
    session.context.with_locked_document(lambda _doc: setattr(div, "text", "changed"))
    session.context.with_document_locked(setattr, div, "text", "again")
    assert div.text == "again"
    assert len(connection.patches) == 2


def test_a_locked_coroutine_holds_the_lock_in_each_step(shown: tuple[Session, Recording, Div]) -> None:
    session, connection, div = shown
    free: list[bool] = []

    def look() -> None:
        free.append(session.lock.acquire(blocking=False))
        if free[-1]:
            session.lock.release()

    def look_from_a_thread() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    async def change(doc: Document) -> str:
        div.text, div.width = "first", 1
        look_from_a_thread()
        await asyncio.sleep(0.001)
        assert curdoc() is doc
        div.text, div.width = "second", 2
        return "done"

    async def main() -> str:
        locked = session.context.with_locked_document(change)
        await asyncio.sleep(0)
        look_from_a_thread()
        result: str = await locked
        assert bokeh_doc._PATCHED_CURDOCS == []
        return result

    assert asyncio.run(main()) == "done"
    assert free == [False, True]
    assert connection.kinds == [["ModelChanged", "ModelChanged"]] * 2


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_locked_function_raises_is_the_callers(shown: tuple[Session, Recording, Div], is_async: bool) -> None:
    session, _, _ = shown

    def fail(_doc: Document) -> None:
        raise ValueError("boom")

    async def fail_later(doc: Document) -> None:
        await asyncio.sleep(0)
        fail(doc)

    async def main() -> None:
        with pytest.raises(ValueError, match="boom"):
            await session.context.with_locked_document(fail_later if is_async else fail)
        assert bokeh_doc._PATCHED_CURDOCS == []

    asyncio.run(main())
    assert session.last_error is None
    assert not session.flow.is_held


def test_a_locked_coroutine_ends_with_its_session(shown: tuple[Session, Recording, Div]) -> None:
    session, _, div = shown

    async def change(_doc: Document) -> None:
        await asyncio.sleep(0.001)
        div.text = "too late"

    async def main() -> Any:
        locked = session.context.with_locked_document(change)
        session.close()
        return await locked

    assert asyncio.run(main()) is None
    assert div.text == ""


@pytest.mark.parametrize("is_async", [False, True])
def test_what_it_gives_is_a_coroutine_for_asyncio(shown: tuple[Session, Recording, Div], is_async: bool) -> None:
    session, _, _ = shown

    async def later(doc: Document) -> int:
        await asyncio.sleep(0)
        return len(doc.roots)

    def call() -> Coroutine[Any, Any, int]:
        return session.context.with_locked_document(later if is_async else lambda doc: len(doc.roots))

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        found = [await asyncio.create_task(call()), *await asyncio.gather(call(), call())]
        found.append(await asyncio.wait_for(call(), 30))

        def in_a_thread() -> int:
            return asyncio.run_coroutine_threadsafe(call(), loop).result(30)

        found.append(await asyncio.to_thread(in_a_thread))
        found.append(await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), loop)))
        return found

    assert asyncio.run(main()) == [1] * 6
    assert session.context._tasks == set()


def test_what_nobody_awaits_is_reported_as_of_a_callback(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown
    errors: list[BaseException] = []
    session.on_error(errors.append)

    async def fail(_doc: Document, how: BaseException) -> None:
        await asyncio.sleep(0)
        raise how

    async def main() -> None:
        session.context.with_locked_document(functools.partial(fail, how=ValueError("boom")))
        await _until(lambda: bool(errors))
        session.context.with_locked_document(functools.partial(fail, how=SystemExit(3)))  # the loop goes on
        await _until(lambda: len(errors) == 2)
        kept = session.context.with_locked_document(functools.partial(fail, how=ValueError("awaited")))
        await _until(lambda: session.context._tasks == set())
        with pytest.raises(ValueError, match="awaited"):
            await kept
        del kept
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [str(error)[:80] for error in errors] == [
        "boom",
        "a function that was called with a locked document ended with SystemExit(3); retu",
    ]


def test_a_locked_coroutine_that_waits_is_cancelled_with_its_session(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown
    seen: list[str] = []

    async def wait(_doc: Document) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cleaned up")

    async def main() -> None:
        session.context.with_locked_document(wait)
        locked = session.context.with_locked_document(wait)
        await asyncio.sleep(0)
        session.close()
        assert await asyncio.wait_for(locked, 30) is None
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert seen == ["cleaned up"] * 2


def test_a_locked_coroutine_may_close_its_session_and_return(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown

    async def end(_doc: Document) -> int:
        session.destroy()
        return 5

    async def main() -> Any:
        return await session.context.with_locked_document(end)

    assert asyncio.run(main()) == 5
    assert session.destroyed


def test_a_cancelled_caller_cancels_the_locked_coroutine(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown

    async def wait(_doc: Document) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.context.with_locked_document(wait), 0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert session.last_error is None


def test_the_session_has_what_one_of_a_server_has(shown: tuple[Session, Recording, Div]) -> None:
    session, connection, div = shown
    assert session.context.session is session
    assert asyncio.run(session.with_document_locked(lambda text: div.update(text=text), text="changed")) is None
    assert div.text == "changed"
    assert len(connection.patches) == 1
    assert not session.destroyed
    session.destroy()
    assert session.destroyed


def test_after_the_end_nothing_is_called(shown: tuple[Session, Recording, Div]) -> None:
    session, _, _ = shown
    session.close()
    calls: list[Any] = []
    assert asyncio.run(_await(session.context.with_locked_document(calls.append))) is None
    assert calls == []


def test_a_thread_changes_a_document_under_the_lock(shown: tuple[Session, Recording, Div]) -> None:
    session, connection, div = shown

    def change(_doc: Document) -> None:
        for index in range(100):
            div.width, div.height = index, index

    threads = [threading.Thread(target=session.context.with_locked_document, args=(change,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (div.width, div.height) == (99, 99)
    assert len(connection.patches) == 4


# --- callbacks of the application ---------------------------------------------------------------------------


ADDERS: dict[str, Callable[[ServerContext, Callable[[], Any]], Any]] = {
    "next_tick": lambda context, callback: context.add_next_tick_callback(callback),
    "timeout": lambda context, callback: context.add_timeout_callback(callback, 1),
    "periodic": lambda context, callback: context.add_periodic_callback(callback, 1),
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_a_callback_updates_all_sessions(
    how: str, is_async: bool, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(server_context: ServerContext) -> None:
        widgets = [BokehWidget(application) for _ in range(3)]
        documents: list[Document] = []

        def update() -> None:
            documents.append(curdoc())
            for context in server_context.sessions:
                context.with_locked_document(lambda doc: doc.roots[0].update(text=str(int(doc.roots[0].text) + 1)))

        async def update_later() -> None:
            await asyncio.sleep(0.001)
            update()

        ADDERS[how](server_context, update_later if is_async else update)
        await _until(lambda: all(widget.roots[0].text != "0" for widget in widgets))
        assert not {id(widget.document) for widget in widgets} & {id(document) for document in documents}
        if how != "periodic":
            await _turns()
            assert [widget.roots[0].text for widget in widgets] == ["1"] * 3
            assert server_context._callbacks is not None
            assert server_context._callbacks._callbacks == {}
        else:
            await _until(lambda: widgets[0].roots[0].text == "3")

    _in_kernel(monkeypatch, application, body)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("how", ADDERS)
def test_a_callback_has_not_the_document_of_who_adds_it(
    how: str, is_async: bool, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(server_context: ServerContext) -> None:
        seen: list[object] = []
        outside = curdoc()

        def look() -> None:
            seen.append(curdoc())

        async def look_later() -> None:
            await asyncio.sleep(0)
            look()

        widget = BokehWidget(application)
        context = server_context.sessions[0]
        context.with_locked_document(lambda _doc: ADDERS[how](server_context, look_later if is_async else look))
        widget.close()
        await _until(lambda: bool(seen))
        assert {id(document) for document in seen} == {id(outside)}

    _in_kernel(monkeypatch, application, body)


@pytest.mark.parametrize("how", ADDERS)
def test_a_removed_callback_does_not_run(how: str, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(server_context: ServerContext) -> None:
        calls: list[int] = []
        added = ADDERS[how](server_context, lambda: calls.append(1))
        getattr(server_context, f"remove_{how}_callback")(added)
        getattr(server_context, f"remove_{how}_callback")(added)
        await _turns()
        assert calls == []

    _in_kernel(monkeypatch, application, body)


def test_a_callback_may_be_added_and_removed_by_a_thread(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(server_context: ServerContext) -> None:
        threads: list[threading.Thread] = []

        def work() -> None:
            server_context.add_next_tick_callback(lambda: threads.append(threading.current_thread()))
            removed = server_context.add_periodic_callback(lambda: threads.append(threading.current_thread()), 1)
            server_context.remove_periodic_callback(removed)

        added: list[PeriodicCallback] = []

        def add() -> None:
            added.append(server_context.add_periodic_callback(lambda: None, 1))

        for target in (work, add):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        server_context.remove_periodic_callback(added[0])  # the loop has not yet scheduled it
        await _turns()
        assert threads == [threading.main_thread()]
        assert server_context._callbacks is not None
        assert server_context._callbacks._group._group._periodic_callback_removers == {}

    _in_kernel(monkeypatch, application, body)


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_reaches_every_session_and_later_calls_go_on(
    kind: type[BaseException], is_async: bool, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(server_context: ServerContext) -> None:
        errors: list[BaseException] = []
        for _ in range(2):
            widget = BokehWidget(application)
            widget.on_error(errors.append)
            kept.append(widget)
        calls: list[int] = []

        def fail() -> None:
            calls.append(1)
            raise kind("boom")

        async def fail_later() -> None:
            await asyncio.sleep(0)
            fail()

        server_context.add_periodic_callback(fail_later if is_async else fail, 1)
        await _until(lambda: len(calls) >= 3)
        assert len(errors) >= 4
        assert {str(error) for error in errors} == {"boom"}

    kept: list[BokehWidget] = []
    _in_kernel(monkeypatch, application, body)


def test_a_periodic_callback_goes_on_when_what_it_awaits_is_cancelled(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(server_context: ServerContext) -> None:
        calls: list[int] = []

        async def wait() -> None:
            calls.append(1)
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled

        server_context.add_periodic_callback(wait, 1)
        await _until(lambda: len(calls) >= 3)

    with caplog.at_level(logging.ERROR, "bokeh_widget"):
        _in_kernel(monkeypatch, application, body)
    assert {type(record.exc_info[1]) for record in caplog.records if record.exc_info} == {asyncio.CancelledError}


def test_an_error_without_sessions_is_logged(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(server_context: ServerContext) -> None:
        server_context.add_next_tick_callback(lambda: 1 / 0)
        await _until(lambda: bool(caplog.records))

    with caplog.at_level(logging.ERROR):
        _in_kernel(monkeypatch, application, body)
    assert [record.getMessage() for record in caplog.records] == ["division by zero"]


def test_unloading_cancels_callbacks_and_coroutines(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(server_context: ServerContext) -> None:
        BokehWidget(application).close()
        calls: list[int] = []
        cancelled = asyncio.Event()

        async def listen() -> None:
            try:
                calls.append(0)
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        server_context.add_periodic_callback(lambda: calls.append(1), 1)
        server_context.add_next_tick_callback(listen)
        await _until(lambda: 0 in calls and 1 in calls)
        context_of(application).unload()
        await cancelled.wait()
        count = len(calls)
        await _turns()
        assert len(calls) == count

    _in_kernel(monkeypatch, application, body)


def test_callbacks_outlive_sessions(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(server_context: ServerContext) -> None:
        calls: list[int] = []
        with BokehWidget(application):
            server_context.add_periodic_callback(lambda: calls.append(1), 1)
        await _until(lambda: len(calls) > 2)

    _in_kernel(monkeypatch, application, body)


def test_callbacks_do_not_keep_an_application(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    application = Application(FunctionHandler(make_document))
    ref = weakref.ref(application)
    holder = [application]

    async def body(server_context: ServerContext) -> None:
        server_context.add_periodic_callback(lambda: calls.append(len(server_context.sessions)), 1)
        await _until(lambda: bool(calls))

    async def main() -> None:
        loop = IOLoop.current()
        monkeypatch.setattr(_kernel, "io_loop", lambda: loop)
        await body(context_of(holder.pop()).server_context)
        gc.collect()
        await _turns()
        gc.collect()
        assert ref() is None
        calls.clear()
        await _turns()
        assert calls == []

    del application
    asyncio.run(main())


def test_in_plain_python_no_callback_runs(application: Application) -> None:
    server_context = BokehWidget(application).session.context.server_context
    assert isinstance(server_context, ServerContext)
    added = server_context.add_periodic_callback(lambda: None, 1)
    server_context.remove_periodic_callback(added)
    assert server_context._callbacks is None


def test_sessions_that_are_collected_are_not_listed(application: Application) -> None:
    widget = BokehWidget(application)
    server_context = widget.session.context.server_context
    del widget
    gc.collect()
    assert server_context.sessions == []


def test_a_script_may_close_its_own_session_and_goes_on(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\n"
        "trace = []\ndocument = curdoc()\n"
        "def step():\n    document.session_context.destroy()\n    trace.append('went on')\n    document.trace(trace)\n"
        "document.add_root(Div())\ndocument.add_next_tick_callback(step)\n"
    )

    async def body(_server_context: ServerContext) -> None:
        traces: list[Any] = []
        monkeypatch.setattr(Document, "trace", lambda _self, trace: traces.append(list(trace)), raising=False)
        widget = BokehWidget(script)
        session = widget.session
        await _until(lambda: bool(traces))
        assert traces == [["went on"]]
        assert session.closed
        assert session.last_error is None
        import sys

        await _until(lambda: not any("bokeh_app" in name for name in sys.modules))

    _in_kernel(monkeypatch, application, body)
