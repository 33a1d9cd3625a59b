"""Lifecycle hooks: which are called, in which order, in which thread, and what becomes of what they raise.

The behaviours are those of Bokeh's own tests of lifecycle handlers; where a notebook differs, the test says so.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import signal
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler, Handler, ScriptHandler
from bokeh.application.handlers.document_lifecycle import DocumentLifecycleHandler
from bokeh.document import Document
from bokeh.document.document import DEFAULT_TITLE
from bokeh.models import Div
from tornado.ioloop import IOLoop

import bokeh_widget
from bokeh_widget import BokehWidget, Session, _kernel
from bokeh_widget._hooks import finish
from bokeh_widget._hosting import context_of, shut_down
from bokeh_widget._session import all_sessions
from bokeh_widget.errors import ApplicationError, SessionRefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("wire", "applications_end")


class Recorder(Handler):
    """Writes down each hook; what a test gives under its name is called, too."""

    def __init__(self, **extra: Callable[[Any], Any]) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.threads: list[threading.Thread] = []
        self.extra = extra

    def _note(self, name: str, context: Any) -> Any:
        self.calls.append(name)
        self.threads.append(threading.current_thread())
        return self.extra.get(name, lambda _context: None)(context)

    def modify_document(self, doc: Document) -> None:
        self._note("modify", doc)
        doc.add_root(Div(text="shown"))

    def on_server_loaded(self, server_context: Any) -> Any:
        return self._note("loaded", server_context)

    def on_server_unloaded(self, server_context: Any) -> Any:
        return self._note("unloaded", server_context)

    def on_session_created(self, session_context: Any) -> Any:
        return self._note("created", session_context)

    def on_session_destroyed(self, session_context: Any) -> Any:
        return self._note("destroyed", session_context)


class AsyncRecorder(Recorder):
    """The same with coroutines, which really wait."""

    async def _wait(self, name: str, context: Any) -> Any:
        await asyncio.sleep(0.001)
        result = self._note(name, context)
        return await result if asyncio.iscoroutine(result) else result

    def on_server_loaded(self, server_context: Any) -> Any:
        return self._wait("loaded", server_context)

    def on_server_unloaded(self, server_context: Any) -> Any:
        return self._wait("unloaded", server_context)

    async def on_session_created(self, session_context: Any) -> Any:
        return await self._wait("created", session_context)

    async def on_session_destroyed(self, session_context: Any) -> Any:
        return await self._wait("destroyed", session_context)


RECORDERS = pytest.mark.parametrize("recorder_type", [Recorder, AsyncRecorder])


def _in_kernel(monkeypatch: pytest.MonkeyPatch, body: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a loop that is the kernel's."""

    async def main() -> None:
        loop = IOLoop.current()
        monkeypatch.setattr(_kernel, "io_loop", lambda: loop)
        try:
            await asyncio.wait_for(body(), 30)
        finally:
            bokeh_widget.close_all()
            await asyncio.sleep(0.01)

    asyncio.run(main())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.001)


# --- the order ---------------------------------------------------------------------------------------------


@RECORDERS
def test_the_order_is_that_of_a_server(recorder_type: type[Recorder]) -> None:
    recorder = recorder_type()
    application = Application(recorder)
    one = BokehWidget(application)
    assert recorder.calls == ["loaded", "created", "modify"]
    two = BokehWidget(application)
    one.close()
    one.close()
    assert recorder.calls == ["loaded", "created", "modify", "created", "modify", "destroyed"]
    two.session.close()
    assert recorder.calls[6:] == ["destroyed"]
    shut_down()
    shut_down()
    assert recorder.calls[7:] == ["unloaded"]


@RECORDERS
def test_the_order_on_the_loop_of_a_kernel(recorder_type: type[Recorder], monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = recorder_type()

    async def body() -> None:
        widget = BokehWidget(Application(recorder))
        assert recorder.calls == ["loaded", "created", "modify"]
        context = widget.session.context
        widget.close()
        context.end(pytest.fail)  # once more
        await _until(lambda: len(recorder.calls) == 4)
        await asyncio.sleep(0.01)
        assert recorder.calls[3:] == ["destroyed"]
        assert recorder.threads[3] is threading.main_thread()

    _in_kernel(monkeypatch, body)


def test_plain_hooks_run_in_the_thread_of_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

    async def body() -> None:
        BokehWidget(Application(recorder)).close()
        assert recorder.calls == ["loaded", "created", "modify", "destroyed"]

    _in_kernel(monkeypatch, body)
    assert set(recorder.threads) == {threading.main_thread()}


def test_plain_hooks_of_a_file_do_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "app_hooks.py").write_text(
        HOOKS.format(kind="def").replace("append(", "append(threading.current_thread().name + ")
    )

    async def body() -> None:
        widget = BokehWidget(tmp_path)
        calls = _calls(widget)
        widget.close()
        name = threading.main_thread().name
        assert calls == [f"{name}loaded", f"{name}created", f"{name}destroyed"]

    _in_kernel(monkeypatch, body)


def test_a_coroutine_runs_in_the_context_of_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")
    seen: list[str] = []

    async def created(_context: Any) -> None:
        await asyncio.sleep(0)
        seen.append(where.get())

    async def body() -> None:
        where.set("cell")
        BokehWidget(Application(Recorder(created=created)))

    _in_kernel(monkeypatch, body)
    assert seen == ["cell"]


def test_each_handler_has_its_turn() -> None:
    calls: list[str] = []
    first = Recorder(created=lambda _c: calls.append("first"))
    second = Recorder(created=lambda _c: calls.append("second"))
    BokehWidget(Application(first, second))
    assert calls == ["first", "second"]


MAIN = "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div())"
HOOKS = """
import threading
calls = []
def on_server_loaded(server_context): calls.append("loaded")
def on_server_unloaded(server_context): calls.append("unloaded")
{kind} on_session_created(session_context): calls.append("created")
{kind} on_session_destroyed(session_context): calls.append("destroyed")
"""


def _calls(widget: BokehWidget) -> list[str]:
    [handler] = widget.session.context.application.handlers  # type: ignore[union-attr]
    calls: list[str] = handler._lifecycle_handler._module.calls  # type: ignore[attr-defined]
    return calls


@pytest.mark.parametrize("name", ["app_hooks.py", "server_lifecycle.py"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_hooks_of_a_directory(kind: str, name: str, tmp_path: Path) -> None:
    # Bokeh's server does not await coroutines of such files
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / name).write_text(HOOKS.format(kind=kind))
    widget = BokehWidget(tmp_path)
    calls = _calls(widget)
    widget.close()
    shut_down()
    assert calls == ["loaded", "created", "destroyed", "unloaded"]


def test_hooks_may_add_callbacks_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(name: str, server_context: Any) -> None:
        def note(kind: str) -> None:
            recorder.calls.append(f"{kind} of {name}")
            if kind == "periodic":
                server_context.remove_periodic_callback(periodic)

        server_context.add_next_tick_callback(lambda: note("next tick"))
        server_context.add_timeout_callback(lambda: note("timeout"), 5)
        periodic = server_context.add_periodic_callback(lambda: note("periodic"), 30)

    recorder = AsyncRecorder(
        loaded=lambda context: add("server", context),
        created=lambda context: add("session", context.server_context),
    )

    async def body() -> None:
        application = Application(recorder)
        context_of(application).load()
        await _until(lambda: len(recorder.calls) == 4)
        widget = BokehWidget(application)
        await _until(lambda: len(recorder.calls) == 9)
        widget.close()
        await _until(lambda: len(recorder.calls) == 10)
        shut_down()

    _in_kernel(monkeypatch, body)
    assert recorder.calls == [
        *("loaded", "next tick of server", "timeout of server", "periodic of server"),
        *("created", "modify", "next tick of session", "timeout of session", "periodic of session"),
        *("destroyed", "unloaded"),
    ]


def test_a_hook_may_fill_the_document_first() -> None:
    async def fill(doc: Document) -> int:
        assert doc.title == DEFAULT_TITLE
        await asyncio.sleep(0)
        doc.title = "by the hook"
        await asyncio.sleep(0.001)
        doc.add_root(Div(text="by the hook"))
        return 3

    results: list[int] = []

    async def created(context: Any) -> None:
        results.append(await context.with_locked_document(fill))

    widget = BokehWidget(Application(Recorder(created=created)))
    assert [root.text for root in widget.roots] == ["by the hook", "shown"]
    assert widget.document.title == "by the hook"
    assert results == [3]


def test_after_the_end_the_document_is_out_of_reach() -> None:
    seen: list[Any] = []

    async def destroyed(context: Any) -> None:
        seen.append(await context.with_locked_document(lambda doc: doc.roots))
        seen.append((context.destroyed, context.server_context.sessions, context.document.roots))

    BokehWidget(Application(Recorder(destroyed=destroyed))).close()
    assert seen == [None, (True, [], [])]


# --- callbacks of documents ------------------------------------------------------------------------------


def _documents() -> dict[str, Callable[[Document], Any]]:
    def fill(doc: Document, to: Document) -> None:
        to.add_root(Div())
        for callback in doc.session_destroyed_callbacks:
            to.on_session_destroyed(callback)

    def model(doc: Document) -> Any:
        doc.add_root(div := Div())
        return div

    return {
        "document": lambda doc: (doc.add_root(Div()), doc)[1],
        "model": model,
        "application": lambda doc: lambda to: fill(doc, to),
    }


@pytest.mark.parametrize("what", _documents())
@pytest.mark.parametrize("how", ["close", "session", "update", "exit"])
def test_callbacks_of_a_document_run_once(what: str, how: str) -> None:
    calls: list[Any] = []
    document = Document()

    def increment(session_context: Any) -> None:
        calls.append((1, session_context))

    async def increment_by_two(session_context: Any) -> None:
        await asyncio.sleep(0)
        calls.append((2, session_context))

    document.on_session_destroyed(increment)
    document.on_session_destroyed(increment_by_two)
    widget = BokehWidget(_documents()[what](document))
    context = widget.session.context
    assert widget.document.session_context is context
    ends: dict[str, Callable[[], object]] = {
        "close": widget.close,
        "session": widget.session.close,
        "update": lambda: widget.update(Div()),
        "exit": shut_down,
    }
    ends[how]()
    widget.close()
    assert sorted(calls, key=lambda call: call[0]) == [(1, context), (2, context)]
    assert context.destroyed


def test_a_server_s_own_handler_does_not_call_them_again() -> None:
    calls: list[Any] = []
    application = Application(FunctionHandler(_fill(lambda doc: doc.on_session_destroyed(calls.append))))
    application.add(DocumentLifecycleHandler())
    BokehWidget(application).close()
    assert len(calls) == 1


def _fill(more: Callable[[Document], Any]) -> Callable[[Document], None]:
    def make_document(doc: Document) -> None:
        doc.add_root(Div())
        more(doc)

    return make_document


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_a_callback_that_fails_does_not_stop_the_others(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    errors: list[BaseException] = []

    def blow_up(session_context: Any) -> None:  # noqa: ARG001  # Bokeh looks at the name
        calls.append("blown up")
        raise kind("boom!")

    async def blow_up_later(session_context: Any) -> None:
        await asyncio.sleep(0)
        blow_up(session_context)

    recorder = Recorder(destroyed=blow_up)
    document_of = _fill(lambda doc: doc.on_session_destroyed(blow_up, blow_up_later, lambda _c: calls.append("fine")))
    widget = BokehWidget(Application(FunctionHandler(document_of), recorder))
    session = widget.session
    session.on_error(errors.append)
    with caplog.at_level(logging.ERROR):
        widget.close()
    assert sorted(calls) == ["blown up", "blown up", "blown up", "fine"]
    assert recorder.calls[-1] == "destroyed"
    assert [record.getMessage() for record in caplog.records] == [
        f"on_session_destroyed of session {session.id[:8]}: boom!"
    ] * 3
    assert len(errors) == 3
    assert str(session.last_error) == "boom!"
    assert all_sessions() == []


def test_callbacks_of_a_collected_document_run() -> None:
    calls: list[bool] = []

    def open_and_drop() -> list[weakref.ref[Any]]:
        document = Document()
        document.add_root(div := Div())
        document.on_session_destroyed(lambda context: calls.append(context.destroyed))
        widget = BokehWidget(div)
        # a user's callback refers to the widget, so that all of it is collected at once
        div.on_change("text", lambda _attr, _old, _new: widget)
        return [weakref.ref(thing) for thing in (document, widget, widget.session, div)]

    refs = open_and_drop()
    gc.collect()
    gc.collect()
    assert calls == [True]
    assert [ref() for ref in refs] == [None] * 4


def test_hooks_of_a_collected_session_run_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    application = Application(recorder)

    def open_and_drop() -> weakref.ref[Document]:
        widget = BokehWidget(application)
        widget.document.roots[0].on_change("text", lambda _attr, _old, _new: widget)
        return weakref.ref(widget.document)

    async def body() -> None:
        ref = open_and_drop()
        gc.collect()
        assert "destroyed" not in recorder.calls  # not in the middle of garbage collection
        await _until(lambda: "destroyed" in recorder.calls)
        gc.collect()
        assert ref() is None

    _in_kernel(monkeypatch, body)
    assert recorder.calls.count("destroyed") == 1


# --- refusal ------------------------------------------------------------------------------------------------


async def _refuse_later(context: Any) -> None:
    await asyncio.sleep(0.001)
    context.destroy()


@pytest.mark.parametrize("refuse", [lambda context: context.destroy(), _refuse_later], ids=["plain", "coroutine"])
def test_a_hook_may_refuse_a_session(refuse: Callable[[Any], Any]) -> None:
    recorder = Recorder(created=refuse)
    application = Application(recorder)
    with pytest.raises(SessionRefusedError) as caught:
        BokehWidget(application)
    assert isinstance(caught.value, ApplicationError)
    assert "on_session_created" in str(caught.value)
    assert recorder.calls == ["loaded", "created", "destroyed"]
    assert context_of(application).server_context.sessions == []
    assert all_sessions() == []
    recorder.extra.clear()
    assert BokehWidget(application).roots[0].text == "shown"


def test_an_application_may_refuse_its_own_session() -> None:
    def make_document(doc: Document) -> None:
        doc.add_root(Div())
        doc.session_context.destroy()  # type: ignore[union-attr]

    with pytest.raises(SessionRefusedError, match="make_document"):
        BokehWidget(make_document)
    assert all_sessions() == []


def test_refused_sessions_leave_nothing() -> None:
    documents: list[weakref.ref[Document]] = []

    def refuse(context: Any) -> None:
        documents.append(weakref.ref(context.document))
        context.document.add_root(Div())
        context.destroy()

    application = Application(Recorder(created=refuse))
    for _ in range(3):
        with pytest.raises(SessionRefusedError):
            BokehWidget(application)
    gc.collect()
    assert [ref() for ref in documents] == [None] * 3


# --- what hooks raise ------------------------------------------------------------------------------------------


def _raise(_context: Any) -> None:
    raise OSError("no")


@RECORDERS
@pytest.mark.parametrize("name", ["loaded", "created"])
def test_an_error_on_the_way_is_raised_in_the_cell(name: str, recorder_type: type[Recorder]) -> None:
    # Bokeh's server logs it and opens the session
    recorder = recorder_type(**{name: _raise})
    application = Application(recorder)
    with pytest.raises(
        ApplicationError, match=f"on_s.*_{name} of the application {recorder_type.__name__} raised OSError: no"
    ):
        BokehWidget(application)
    assert all_sessions() == []
    assert "modify" not in recorder.calls
    recorder.extra.clear()
    BokehWidget(application)
    assert recorder.calls.count("loaded") == (2 if name == "loaded" else 1)


@RECORDERS
def test_an_error_of_unloading_stops_nobody(recorder_type: type[Recorder], caplog: pytest.LogCaptureFixture) -> None:
    failing, fine = recorder_type(unloaded=_raise), recorder_type()
    BokehWidget(Application(failing))
    BokehWidget(Application(fine))
    with caplog.at_level(logging.ERROR):
        shut_down()
    assert fine.calls[-1] == failing.calls[-1] == "unloaded"
    [record] = caplog.records
    assert "on_server_unloaded" in record.getMessage()


def test_an_interrupt_ends_a_hook_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    async def forever(_context: Any) -> None:
        try:
            begun.set()
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    begun = threading.Event()

    async def body() -> None:
        def interrupt() -> None:
            begun.wait(30)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                BokehWidget(Application(Recorder(created=forever)))
        finally:
            thread.join()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGINT, interrupted)  # asyncio.run() replaces the handler of Python
    try:
        _in_kernel(monkeypatch, body)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert cancelled.wait(30)
    assert all_sessions() == []


def test_an_interrupt_at_the_end_leaves_nothing_behind(tmp_path: Path) -> None:
    calls: list[str] = []

    def interrupt(_context: Any) -> None:
        raise KeyboardInterrupt

    (tmp_path / "app.py").write_text(MAIN)
    handlers = [
        AsyncRecorder(destroyed=lambda _c: calls.append("before")),
        Recorder(destroyed=interrupt),
        Recorder(destroyed=lambda _c: calls.append("after")),
        ScriptHandler(filename=tmp_path / "app.py"),
    ]
    widget = BokehWidget(Application(*handlers))
    other = BokehWidget(widget.document)
    session = widget.session
    assert any("bokeh_app" in name for name in sys.modules)
    with pytest.raises(KeyboardInterrupt):
        session.close()
    assert sorted(calls) == ["after", "before"]  # a coroutine goes on
    assert widget.comm is other.comm is None
    assert not any("bokeh_app" in name for name in sys.modules)


def test_an_interrupt_while_the_end_is_told_ends_the_session_all_the_same() -> None:
    calls: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    widget = BokehWidget(Application(Recorder(destroyed=lambda _c: calls.append("hook"))))
    other = BokehWidget(widget.document)
    session = widget.session
    session.on_close(interrupt)
    session.on_close(lambda: calls.append("closes"))
    with pytest.raises(KeyboardInterrupt):
        session.close()
    assert calls == ["closes", "hook"]
    assert widget.comm is other.comm is None
    assert all_sessions() == []


@pytest.mark.parametrize("has_loop", [True, False])
def test_what_a_hook_leaves_running_ends_with_it(has_loop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def created(_context: Any) -> None:
        kept.append(asyncio.ensure_future(forever()))
        await asyncio.sleep(0)

    async def body() -> None:
        BokehWidget(Application(Recorder(created=created)))

    kept: list[Any] = []
    if has_loop:
        _in_kernel(monkeypatch, body)
    else:
        body().close()
        BokehWidget(Application(Recorder(created=created)))
    assert ended == ["cancelled"]


def test_finish_leaves_the_loop_of_the_thread() -> None:
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    try:
        finish(asyncio.sleep(0))
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        loop.close()
        asyncio.set_event_loop(None)


# --- the end -----------------------------------------------------------------------------------------------------


def test_the_end_of_the_kernel_ends_sessions_first() -> None:
    order: list[str] = []
    recorder = Recorder(destroyed=lambda _c: order.append("destroyed"), unloaded=lambda _c: order.append("unloaded"))
    widget = BokehWidget(Application(recorder))
    sent = widget.comm
    shut_down()
    assert order == ["destroyed", "unloaded"]
    assert widget.closed
    assert widget.comm is sent  # the page is not told: it sees that the kernel is gone


def test_an_application_is_unloaded_after_the_hooks_that_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        go_on = asyncio.Event()
        seen: list[Any] = []

        async def destroyed(context: Any) -> None:
            await go_on.wait()
            seen.append(context.server_context.application_context is not None)

        recorder = AsyncRecorder(destroyed=destroyed)
        application = Application(recorder)
        widget = BokehWidget(application)
        widget.close()
        context_of(application).retire()
        await asyncio.sleep(0)
        assert "unloaded" not in recorder.calls
        go_on.set()
        await _until(lambda: "unloaded" in recorder.calls)
        assert seen == [True]
        assert recorder.calls[-2:] == ["destroyed", "unloaded"]

    _in_kernel(monkeypatch, body)


def test_the_end_waits_for_hooks_on_a_loop_of_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def kernel_loop() -> IOLoop:
        return IOLoop.current()

    try:
        found = asyncio.run_coroutine_threadsafe(kernel_loop(), loop).result(30)
        monkeypatch.setattr(_kernel, "io_loop", lambda: found)
        recorder = AsyncRecorder(destroyed=lambda _context: asyncio.sleep(0.05))
        BokehWidget(Application(recorder)).close()
        shut_down()
        assert recorder.calls[-2:] == ["destroyed", "unloaded"]
        assert all_sessions() == []
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def test_an_application_that_is_gone_is_unloaded() -> None:
    recorder = Recorder()
    widget = BokehWidget(Application(recorder))
    gc.collect()
    assert "unloaded" not in recorder.calls
    widget.close()
    del widget
    gc.collect()
    assert recorder.calls[-2:] == ["destroyed", "unloaded"]


def test_a_held_application_stays_loaded() -> None:
    recorder = Recorder()
    application = Application(recorder)
    for _ in range(3):
        BokehWidget(application).close()
        gc.collect()
    assert recorder.calls.count("loaded") == 1
    assert "unloaded" not in recorder.calls


def test_changed_files_unload_the_application_that_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    hooks = tmp_path / "app_hooks.py"
    code = "def on_server_loaded(c): print('loaded {0}')\ndef on_server_unloaded(c): print('unloaded {0}')\n"
    hooks.write_text(code.format("old"))
    old = BokehWidget(tmp_path)
    hooks.write_text(code.format("new") + "# longer")
    new = BokehWidget(tmp_path)
    assert capsys.readouterr().out.split("\n")[:-1] == ["loaded old", "loaded new"]
    old.close()
    assert capsys.readouterr().out == "unloaded old\n"
    assert not new.closed
    shut_down()
    assert capsys.readouterr().out == "unloaded new\n"


def test_changed_files_in_folders_of_an_application_are_seen(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "__init__.py").touch()
    (tmp_path / "pages" / "one.py").write_text("text = 'old'")
    (tmp_path / "static").mkdir()
    (tmp_path / "main.py").write_text(
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\nfrom .pages.one import text\n"
        "curdoc().add_root(Div(text=text))"
    )
    old = BokehWidget(tmp_path)
    (tmp_path / "static" / "tool.py").write_text("# no code of the application")
    same = BokehWidget(tmp_path)
    assert same.session.context.application is old.session.context.application
    (tmp_path / "pages" / "one.py").write_text("text = 'newer'")
    assert [widget.document.roots[0].text for widget in (old, BokehWidget(tmp_path))] == ["old", "newer"]  # type: ignore[attr-defined]


def test_a_session_without_hooks_is_left_alone_at_the_end() -> None:
    widget = BokehWidget(Div())
    shut_down()
    assert not widget.closed


def test_hooks_of_a_session_of_plain_python() -> None:
    calls: list[Any] = []
    document = Document()
    document.add_root(Div())
    document.on_session_destroyed(calls.append)
    with pytest.raises(ValueError, match="session_context"):
        document.on_session_destroyed(lambda: None)
    session = Session(document)
    session.close()
    assert calls == [session.context]
    assert document.session_context is None
