"""BokehSession: what a subclass may define, its life, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import dataclasses
import fractions
import gc
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document, without_document_lock
from bokeh.io import curdoc
from bokeh.models import Button, Div, Slider
from bokeh.plotting import figure
from ipywidgets.widgets import widget as registry
from tornado.ioloop import IOLoop

import bokeh_widget
from bokeh_widget import BokehSession, BokehWidget, _kernel, _session, sessions
from bokeh_widget._hosting import shut_down
from bokeh_widget.errors import (
    EmptyDocumentError,
    InputTypeError,
    InputValueError,
    MixedDocumentsError,
    SessionClosedError,
    SessionOpenError,
    SessionRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from IPython.core.interactiveshell import InteractiveShell

    from tests.unit.wires import Page, Wire

pytestmark = pytest.mark.usefixtures("wire")


class Simple(BokehSession):
    """Keeps what happens to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.events: list[str] = []

    def setup_model(self) -> Any:
        self.events.append("setup")
        self.div = Div(text="a")
        return self.div

    def on_open(self) -> None:
        self.events.append(f"open {self.is_open}")

    def on_close(self) -> None:
        self.events.append(f"close {self.is_open} {len(self.document.roots)}")


class Ticking(Simple):
    """Calls back; the loop is that of the test."""

    callback_period = 0.002

    def __init__(self, **options: Any) -> None:
        super().__init__(pause_when_hidden=False, **options)
        self.calls = 0
        self.called = asyncio.Event()

    def periodic_callback(self) -> Any:
        self.calls += 1
        self.called.set()


def _run(monkeypatch: pytest.MonkeyPatch, body: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a loop, which sessions take for that of a kernel."""

    async def main() -> None:
        loop = IOLoop.current()
        monkeypatch.setattr(_kernel, "io_loop", lambda: loop)
        await asyncio.wait_for(body(), 30)
        bokeh_widget.close_all()

    asyncio.run(main())


async def _calls(session: Ticking, count: int = 2) -> None:
    for _ in range(count):
        session.called.clear()
        await session.called.wait()


async def _is_quiet(session: Ticking) -> bool:
    count = session.calls
    await asyncio.sleep(0.05)
    return session.calls == count


# --- what a class defines --------------------------------------------------------------------------


def test_the_model_of_the_setup_is_shown_in_a_document_of_its_own() -> None:
    session = Simple()
    assert not session.is_open
    assert session.open() is session
    assert session.is_open
    assert session.document.roots == [session.div]
    assert isinstance(session.widget, BokehWidget)
    assert session.widget.document is session.document
    assert session.id == session.widget.session.id
    assert session.events == ["setup", "open True"]
    session.close()
    assert session.events[2:] == ["close False 1"]
    assert session.div.document is None


@pytest.mark.parametrize("roots", [1, 2])
def test_several_roots_and_setup_document(roots: int) -> None:
    class Several(BokehSession):
        def setup_model(self) -> Any:
            return [Div() for _ in range(roots)]

    class Both(Several):
        def setup_document(self, doc: Document) -> None:
            assert curdoc() is doc
            assert self.document is doc
            doc.title = "mine"
            super().setup_document(doc)
            doc.add_root(Div())

    class InCharge(Several):
        def setup_document(self, doc: Document) -> None:
            doc.add_root(Slider(start=0, end=1, value=0))

    outside = curdoc()
    with Several() as several, Both() as both, InCharge() as in_charge:
        assert len(several.document.roots) == roots
        assert (both.document.title, len(both.document.roots)) == ("mine", roots + 1)
        assert [type(root) for root in in_charge.document.roots] == [Slider]  # it did not ask for the others
    assert curdoc() is outside


def test_a_class_that_calls_no_constructor_works() -> None:
    class Careless(BokehSession):
        def __init__(self, text: str) -> None:
            self.callback_period = 2
            self.text = text

        def setup_model(self) -> Any:
            return Div(text=self.text)

    with Careless("hello") as session:
        assert session.document.roots[0].text == "hello"
        assert session.name.startswith("Careless ")


def test_a_dataclass_and_a_class_of_options() -> None:
    @dataclasses.dataclass
    class Settings(BokehSession):
        callback_period: float | None = 0.5
        text: str = "a"

        def setup_model(self) -> Any:
            return Div(text=self.text)

    with Settings(text="b") as session:  # it has an __eq__ and no __hash__
        assert (session.callback_period, session.document.roots[0].text) == (0.5, "b")
    with Simple(name="mine", theme="dark_minimal", layout={"width": "50%"}, pause_when_hidden=False) as simple:
        assert simple.name == "mine"
        assert simple.widget.layout.width == "50%"
        assert not simple.widget.pause_when_hidden
        assert simple.document.theme is not Document().theme
    with pytest.raises(TypeError, match="theem"):
        Simple(theem="dark_minimal")


def _returning(value: Any) -> BokehSession:
    class Returning(BokehSession):
        def setup_model(self) -> Any:
            return value

    return Returning()


class Async(BokehSession):
    async def setup_model(self) -> Any:  # type: ignore[override]
        return Div()


class AsyncDocument(BokehSession):
    async def setup_document(self, doc: Document) -> None:  # type: ignore[override]
        doc.add_root(Div())


class AsyncOpen(BokehSession):
    async def on_open(self) -> None:  # type: ignore[override]
        """Do nothing."""


class AsyncClose(BokehSession):
    async def on_close(self) -> None:  # type: ignore[override]
        """Do nothing."""


def _in_another_document() -> BokehSession:
    Document().add_root(div := Div())
    return _returning(div)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (BokehSession, InputTypeError, "BokehSession defines neither setup_model"),
        (type("Empty", (BokehSession,), {}), InputTypeError, "Empty defines neither"),
        (lambda: _returning(None), EmptyDocumentError, "made no root"),
        (lambda: _returning([]), EmptyDocumentError, "made no root"),
        (lambda: _returning("plot"), InputTypeError, "got 'plot'"),
        (lambda: _returning([Div(), 3]), InputTypeError, "got 3"),
        (_in_another_document, MixedDocumentsError, "already is in another document"),
        (Async, InputTypeError, "setup_model must not be async"),
        (AsyncDocument, InputTypeError, "setup_document must not be async"),
        (AsyncOpen, InputTypeError, "on_open must not be async"),
        (AsyncClose, InputTypeError, "on_close must not be async"),
        (lambda: Simple(theme="no theme"), InputValueError, "no theme"),
        (lambda: Simple(layout=3), InputTypeError, "layout"),
    ],
)
def test_a_setup_that_makes_nothing_is_said_and_leaves_nothing(
    make: Callable[[], BokehSession], error: type[Exception], text: str
) -> None:
    session, widgets, outside = make(), dict(registry._instances), curdoc()
    with pytest.raises(error, match=text):
        session.open()
    assert not session.is_open
    assert sessions() == []
    assert registry._instances == widgets
    assert curdoc() is outside
    assert "not open" in repr(session)


@pytest.mark.parametrize("where", ["setup_model", "on_open"])
def test_an_error_of_the_user_is_raised_by_open_and_leaves_nothing(where: str) -> None:
    class Failing(Simple):
        def setup_model(self) -> Any:
            found = super().setup_model()
            if where == "setup_model":
                raise LookupError("on purpose")
            return found

        def on_open(self) -> None:
            if where == "on_open":
                raise LookupError("on purpose")

    BokehWidget(Div()).close()  # the runtime model stays, whoever makes it
    session, widgets, outside = Failing(), dict(registry._instances), curdoc()
    for _ in range(2):
        with pytest.raises(LookupError, match="on purpose"):
            session.open()
        assert not session.is_open
        assert registry._instances == widgets
        assert sessions() == []
        assert session.div.document is None
    assert session.events == ["setup", "setup"]  # what was not opened is not closed
    assert curdoc() is outside


# --- open and close ----------------------------------------------------------------------------------


def test_open_twice_is_an_error_outside_of_its_cell_and_close_is_idempotent() -> None:
    session = Simple()
    session.close()
    session.open()
    with pytest.raises(SessionOpenError, match=r"is open, and was to be opened once more; close\(\) it first"):
        session.open()
    session.close()
    session.close()
    assert session.events == ["setup", "open True", "close False 1"]


def test_a_closed_session_is_opened_afresh() -> None:
    session = Simple()
    seen: list[BaseException] = []
    session.on_error(seen.append)
    documents, ids = [], []
    for _ in range(3):
        with session:
            documents.append(weakref.ref(session.document))
            ids.append(session.id)
            session.widget.session.report_error(LookupError("once"))
    assert len({*ids}) == 3
    assert len(seen) == 3
    gc.collect()
    assert [ref() for ref in documents] == [None] * 3


def test_models_of_the_user_may_be_shown_again() -> None:
    class Keeping(BokehSession):
        def __init__(self) -> None:
            super().__init__()
            self.plot = figure(height=100)

        def setup_model(self) -> Any:
            return self.plot

    session = Keeping()
    for _ in range(2):
        with session:
            assert session.document.roots == [session.plot]


@pytest.mark.parametrize("what", ["widget", "document", "id"])
def test_what_only_an_open_session_has(what: str) -> None:
    session = Simple()
    with pytest.raises(SessionClosedError, match=r"is not open; call its open\(\)"):
        getattr(session, what)
    with session:
        getattr(session, what)
    with pytest.raises(SessionClosedError):
        getattr(session, what)


@pytest.mark.parametrize(
    "close",
    [
        lambda session: session.close(),
        lambda session: session.widget.close(),
        lambda session: session.widget.session.close(),
        lambda _session: bokeh_widget.close_all(),
    ],
)
def test_however_it_is_closed_the_hook_runs_once_with_the_document(close: Callable[[Simple], None]) -> None:
    session = Simple().open()
    widget, other = session.widget, BokehWidget(session.div)
    close(session)
    assert session.events[2:] == ["close False 1"]
    assert (widget.comm, other.comm) == (None, None)  # the second widget showed the same document
    assert sessions() == []
    close_again = Simple.close
    close_again(session)
    assert len(session.events) == 3


def test_close_within_the_hooks() -> None:
    class Closing(Simple):
        def on_close(self) -> None:
            super().on_close()
            self.close()
            self.widget.close()
            with pytest.raises(SessionOpenError, match="is being closed"):
                self.open()

    session = Closing().open()
    session.close()
    assert session.events[2:] == ["close False 1"]
    assert not session.is_open

    class ClosingAtOnce(Simple):
        def on_open(self) -> None:
            self.close()

    at_once = ClosingAtOnce().open()
    assert at_once.events == ["setup", "close False 1"]
    assert not at_once.is_open


@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_of_on_close_is_reported_and_all_is_freed(is_async: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Simple):
        def on_close(self) -> Any:
            if is_async:
                return asyncio.sleep(0)
            raise LookupError("on purpose")

    session, seen = Failing().open(), []  # type: ignore[var-annotated]
    session.on_error(seen.append)
    widget = session.widget
    session.close()
    assert [type(error) for error in seen] == [InputTypeError if is_async else LookupError]
    assert len(caplog.records) == 1
    assert not session.is_open
    assert widget.comm is None
    assert sessions() == []


def test_a_button_of_the_page_closes_it(page_of: Callable[..., Page], wire: Wire) -> None:
    class Closable(Simple):
        def setup_model(self) -> Any:
            self.button = Button(label="close")
            self.button.on_click(self.close)
            return self.button

    session = Closable().open()
    page, widget = page_of(session.widget), session.widget
    values = {"type": "map", "entries": [["model", session.button.ref]]}
    data = {"type": "event", "name": "button_click", "values": values}
    page.patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data})
    assert not session.is_open
    assert widget.comm is None
    assert wire.of(widget)[-1].msg_type == "comm_close"
    assert session.events[1:] == ["close False 1"]


def test_a_thread_closes_it() -> None:
    session = Simple().open()
    thread = threading.Thread(target=session.close)
    thread.start()
    thread.join()
    assert not session.is_open
    assert session.events[2:] == ["close False 1"]


def test_the_widget_shows_nothing_but_the_document_of_its_session() -> None:
    session = Simple().open()
    for other in (Div(text="other"), [Div()], Document(), Application(FunctionHandler(lambda _doc: None))):
        with pytest.raises(InputValueError, match=r"shows the document of its session.*add_root"):
            session.widget.update(other)
    session.document.add_root(second := Div())
    session.widget.update(second)
    assert session.widget.roots == [second]
    session.widget.update(session.document)
    assert session.is_open
    session.close()
    assert session.events[2:] == ["close False 2"]


def test_a_setup_that_closes_its_session_refuses_it() -> None:
    class Refusing(Simple):
        def setup_model(self) -> Div:
            self.close()
            return super().setup_model()

    session, widgets = Refusing(), dict(registry._instances)
    for _ in range(2):
        with pytest.raises(SessionRefusedError, match=r"setup of <Refusing .* closed it"):
            session.open()
        assert not session.is_open
    assert registry._instances == widgets
    assert session.div.document is None
    assert session.events == ["setup"] * 2


# --- periods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [0, -1, 0.0, float("nan"), float("inf"), -float("inf")])
def test_a_period_must_be_positive_and_finite(period: float) -> None:
    session = Simple()
    with pytest.raises(InputValueError, match="positive, finite number of seconds"):
        session.callback_period = period
    assert session.callback_period is None
    with pytest.raises(InputValueError):
        type("Bad", (BokehSession,), {"callback_period": period})


@pytest.mark.parametrize("period", ["1", True, [1], 1j])
def test_a_period_must_be_a_number(period: Any) -> None:
    session = Simple()
    with pytest.raises(InputTypeError, match="number of seconds or None"):
        session.callback_period = period
    with pytest.raises(InputTypeError):
        type("Bad", (BokehSession,), {"callback_period": period})


@pytest.mark.parametrize("period", [1, 0.25, np.float32(0.5), np.int64(2), fractions.Fraction(1, 3), None])
def test_numbers_of_all_kinds_are_periods(period: Any) -> None:
    class Periodic(Simple):
        callback_period = period

        def periodic_callback(self) -> None:
            """Do nothing."""

    with Periodic() as session:
        expected = [] if period is None else [pytest.approx(1000 * float(period))]
        assert [callback.period for callback in session.document.session_callbacks] == expected  # type: ignore[attr-defined]


def test_the_period_is_set_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        session = Ticking().open()
        await _calls(session)
        session.callback_period = None
        assert session.document.session_callbacks == []
        assert await _is_quiet(session)
        session.callback_period = 0.001
        await _calls(session)
        session.callback_period = 0.001  # the same: it goes on as it was
        [callback] = session.document.session_callbacks
        session.callback_period = 3600
        assert session.document.session_callbacks != [callback]
        assert await _is_quiet(session)
        with pytest.raises(InputValueError):
            session.callback_period = -1
        assert session.callback_period == 3600

    _run(monkeypatch, body)


def test_the_period_of_the_class_is_set_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Ticking):
        pass

    def periods(session: BokehSession) -> list[float]:
        return [callback.period for callback in session.document.session_callbacks]  # type: ignore[attr-defined]

    async def body() -> None:
        session, errors = Own().open(), []
        session.on_error(errors.append)
        await _calls(session)
        Own.callback_period = 0.001  # another class than that which has it
        await _calls(session)
        assert periods(session) == [1]
        Own.callback_period = -1
        await _calls(session, 3)
        assert [str(error)[:32] for error in errors] == ["callback_period must be a positi"]
        assert periods(session) == [1]
        Own.callback_period = None  # type: ignore[assignment]
        assert await _is_quiet(session)
        assert periods(session) == []

    _run(monkeypatch, body)


def test_a_period_that_cannot_be_computed_keeps_no_cell_from_its_end(shell: InteractiveShell) -> None:
    class Computed(Simple):
        is_broken = False

        @property
        def callback_period(self) -> float:  # type: ignore[override]
            if self.is_broken:
                raise LookupError("on purpose")
            return 2

        def periodic_callback(self) -> None:
            """Do nothing."""

    shell.user_ns["Session"] = Computed
    shell.run_cell("session = Session().open()", cell_id="a")
    session = shell.user_ns["session"]
    shell.run_cell("session.is_broken = True", cell_id="b")
    assert isinstance(session.widget.session.last_error, LookupError)
    assert not session.widget.session.flow.is_blocked
    session.close()


def test_the_period_of_the_class_counts_when_the_cell_ends(shell: InteractiveShell) -> None:
    shell.user_ns["Session"] = session_type = type("Own", (Simple,), {"periodic_callback": lambda _self: None})
    shell.run_cell("session = Session().open()", cell_id="a")
    session = shell.user_ns["session"]
    assert session.document.session_callbacks == []
    shell.run_cell("Session.callback_period = 2", cell_id="b")
    assert [callback.period for callback in session.document.session_callbacks] == [2000]
    shell.run_cell("Session.callback_period = 'often'", cell_id="b")
    assert "often" in str(session.widget.session.last_error)
    assert session_type.callback_period == "often"
    assert "every 2 s" in repr(session)
    session.close()


def test_pause_and_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        session = Ticking()
        session.pause()
        session.open()
        assert session.is_paused
        assert await _is_quiet(session)
        session.resume()
        await _calls(session)
        session.pause()
        session.callback_period = 0.001
        assert "paused" in repr(session)
        assert await _is_quiet(session)
        session.resume()
        session.resume()
        await _calls(session)
        session.close()
        session.pause()
        session.resume()
        assert await _is_quiet(session)

    _run(monkeypatch, body)


def test_a_class_without_a_periodic_callback_schedules_nothing() -> None:
    with Simple() as session:
        session.callback_period = 1
        assert session.document.session_callbacks == []
        assert not session.has_periodic_callback
    assert Ticking.has_periodic_callback.fget(object.__new__(Ticking))  # type: ignore[attr-defined]


def test_a_property_may_compute_the_period() -> None:
    class Computed(Simple):
        @property
        def callback_period(self) -> float:  # type: ignore[override]
            return 0.75

        def periodic_callback(self) -> None:
            """Do nothing."""

    with Computed() as session:
        assert [callback.period for callback in session.document.session_callbacks] == [750]  # type: ignore[attr-defined]


def test_an_asynchronous_callback_is_never_twice_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Ticking):
        running = most = 0

        async def periodic_callback(self) -> None:
            assert curdoc() is self.document
            self.running += 1
            self.most = max(self.most, self.running)
            super().periodic_callback()  # from here on the test goes on, while this is at work
            await asyncio.sleep(0.02)
            assert curdoc() is self.document
            self.running -= 1

    async def body() -> None:
        session = Slow().open()
        for period in (0.001, 0.002, 0.001):
            await _calls(session, 1)
            session.callback_period = period
        await _calls(session)
        assert session.most == 1
        assert session.widget.session.last_error is None

    _run(monkeypatch, body)


@pytest.mark.parametrize("is_async", [False, True])
def test_errors_of_the_periodic_callback_are_reported_and_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    class Failing(Ticking):
        def periodic_callback(self) -> Any:
            super().periodic_callback()
            if is_async:
                return self._later()
            raise LookupError("on purpose")

        async def _later(self) -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

    async def body() -> None:
        session, seen = Failing(), []  # type: ignore[var-annotated]
        session.on_error(seen.append)
        session.open()
        await _calls(session, 3)
        assert len(seen) >= 2
        session.widget.session.output.flush()
        [block] = session.widget.session.output._blocks.values()
        assert block["kind"] == "error"
        assert block["text"] == "LookupError: on purpose"

    _run(monkeypatch, body)


@pytest.mark.parametrize("how", ["plain", "async", "before it gives a coroutine"])
def test_the_periodic_callback_closes_its_session(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    class Once(Ticking):
        def periodic_callback(self) -> Any:
            super().periodic_callback()
            self.div.text = "last"
            if how != "async":
                self.close()
            return None if how == "plain" else self._later()

        async def _later(self) -> None:
            await asyncio.sleep(0)
            self.close()

    async def body() -> None:
        session, before = Once(), asyncio.all_tasks()
        session.open()
        await _calls(session, 1)
        await asyncio.sleep(0.03)
        assert session.calls == 1
        assert not session.is_open
        assert session.events[2:] == ["close False 1"]
        assert asyncio.all_tasks() == before
        session.open()  # and is opened afresh
        await _calls(session, 1)

    _run(monkeypatch, body)


def test_a_callback_without_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlocked(Ticking):
        @without_document_lock
        async def periodic_callback(self) -> None:
            await asyncio.sleep(0)
            self.seen = type(curdoc()).__name__
            super().periodic_callback()

    async def body() -> None:
        session = Unlocked().open()
        await _calls(session, 1)
        assert session.seen == "UnlockedDocumentProxy"

    _run(monkeypatch, body)


def test_blocking_work_in_a_thread_shows_its_progress_and_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Working(Ticking):
        def _work(self) -> int:
            for step in range(3):
                self.document.add_next_tick_callback(lambda step=step: self._progress(step))  # type: ignore[misc]
            return 42

        def _progress(self, step: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            assert curdoc() is self.document
            steps.append(step)

        async def periodic_callback(self) -> None:
            result = await asyncio.to_thread(self._work)
            self.div.text = str(result)
            self.callback_period = None
            super().periodic_callback()

    steps: list[int] = []

    async def body() -> None:
        session = Working().open()
        await _calls(session, 1)
        assert session.div.text == "42"
        await asyncio.sleep(0.01)
        assert steps == [0, 1, 2]
        assert session.widget.session.last_error is None

    _run(monkeypatch, body)


# --- names and lists ---------------------------------------------------------------------------------


def test_sessions_are_named_and_listed(page_of: Callable[..., Page]) -> None:
    first, second = Simple(name="first").open(), Simple().open()
    plain = BokehWidget(Slider(start=0, end=1, value=0))
    page_of(second.widget)
    found = sessions()
    assert [session.name for session in found] == ["first", second.name, ""]
    assert [session.id for session in found] == [first.id, second.id, plain.session.id]
    assert [(session.widgets, session.pages, session.views) for session in found[:2]] == [
        (("created",), 0, 0),
        (("shown",), 1, 1),
    ]
    lines = str(found).splitlines()
    assert lines[0].split()[:3] == ["session", "id", "shows"]
    assert lines[1].split()[:3] == ["first", first.id[:8], "Div"]
    second.name = "<second>"
    assert "<td>&lt;second&gt;</td>" in sessions()._repr_html_()
    assert bokeh_widget.info()[1].session == "<second>"
    assert second.name in str(bokeh_widget.info())
    with pytest.raises(InputTypeError, match="must be a string"):
        first.name = 3  # type: ignore[assignment]
    with pytest.raises(InputTypeError, match="must be a string"):
        Simple(name=3)
    bokeh_widget.close_all()
    assert str(sessions()) == "no open sessions"
    assert sessions()._repr_html_() == "<p>no open sessions</p>"
    assert len({Simple().name, Simple().name}) == 2


def test_on_close_is_called_at_the_end_of_the_kernel() -> None:
    class Broken(Simple):
        def on_close(self) -> None:
            raise OSError

    Broken().open()
    session = Simple().open()
    assert _session.all_sessions()[-1].owes_hooks
    shut_down()
    assert session.events == ["setup", "open True", "close False 1"]


def test_an_error_of_the_setup_has_the_frames_of_the_user() -> None:
    class Broken(BokehSession):
        def setup_model(self) -> Any:
            return self.make()

        def make(self) -> Any:
            raise LookupError("on purpose")

    with pytest.raises(LookupError) as caught:
        Broken().open()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1:] == ["open", "setup_model", "make"]


def test_an_error_of_on_close_is_logged_with_the_name_of_the_session(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Simple):
        def on_close(self) -> None:
            raise OSError("on purpose")

    Broken(name="noise").open().close()
    assert [record.getMessage() for record in caplog.records] == ["on_close of session noise: on purpose"]


def test_repr_tells_name_state_and_period() -> None:
    session = Ticking(name="mine")
    assert repr(session) == "<Ticking 'mine': not open>"
    with session:
        assert repr(session) == f"<Ticking 'mine': open, id {session.id[:8]}, every 0.002 s>"
    assert repr(session) == "<Ticking 'mine': not open>"


def test_on_error_takes_functions() -> None:
    with pytest.raises(InputTypeError, match="on_error takes functions"):
        Simple().on_error(print, 3)  # type: ignore[arg-type]


# --- nothing is left ---------------------------------------------------------------------------------


def _refs(session: BokehSession) -> list[weakref.ref[Any]]:
    document = session.document
    return [weakref.ref(x) for x in (session, session.widget, session.widget.session, document, *document.models)]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_nothing_is_left_of_a_session_that_is_closed_or_dropped(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    class Full(Ticking):
        def setup_model(self) -> Any:
            plot = figure(height=100)
            self.source = plot.line([1], [1]).data_source
            button = Button()
            button.on_click(self.close)
            return [plot, button]

        async def periodic_callback(self) -> None:
            super().periodic_callback()
            self.source.stream({"x": [1], "y": [1]})

    async def body() -> None:
        before = asyncio.all_tasks()
        session = Full().open()
        await _calls(session)
        refs = _refs(session)
        if how == "close":
            session.close()
        del session
        gc.collect()
        assert [ref() for ref in refs if ref() is not None] == []
        assert _session.all_sessions() == []
        await asyncio.sleep(0.02)
        assert asyncio.all_tasks() == before
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert len([handle for handle in scheduled if not handle.cancelled()]) <= 1  # the test's own deadline

    _run(monkeypatch, body)


def test_a_session_that_a_variable_holds_keeps_nothing_of_what_is_closed() -> None:
    session = Simple().open()
    refs = _refs(session)[1:]
    session.close()
    del session.div
    gc.collect()
    assert [ref() for ref in refs if ref() is not None] == []
