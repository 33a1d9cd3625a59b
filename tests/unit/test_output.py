"""Output of callbacks: whose it is, what is kept of it, when it is sent, and where it goes if nobody sees it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import io
import json
import logging
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets
from bokeh.document import Document
from bokeh.models import Slider
from tornado.ioloop import IOLoop

from bokeh_widget import BokehWidget, Session, _capture, _output
from bokeh_widget._output import Output, captured_by, silence
from bokeh_widget._tracebacks import format_traceback
from tests.unit.test_session import Recording, _from_page, _value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.wires import Page, Wire


def _make(connection: Recording | None = None) -> Output:
    shown = [] if connection is None else [connection]
    return Output(lambda: shown)


def _blocks(output: Output) -> list[dict[str, Any]]:
    """Give all that is there, as a page that comes later gets it."""
    told: list[Any] = []
    output.tell(told.append)
    return [] if not told else [dict(block) for block in told[-1].blocks]


def _text(output: Output) -> str:
    return "".join(block["text"] for block in _blocks(output) if block["kind"] == "stream")


def _cut(output: Output) -> int:
    told: list[Any] = []
    output.tell(told.append)
    cut: int = told[-1].cut
    return cut


class Stream(io.StringIO):
    """A stream that is a Python object, as that of a kernel."""


class Publisher:
    """What IPython's display publisher has, and keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.cleared: list[bool] = []

    def publish(self, data: Any, metadata: Any = None, **_options: Any) -> None:
        self.published.append((data, metadata))

    def clear_output(self, wait: bool = False) -> None:
        self.cleared.append(wait)


def with_streams(test: Callable[..., None]) -> Callable[..., None]:
    """Give a test the streams of a kernel as its first argument."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        with _streams() as streams:
            test(streams, *args, **fixtures)

    parameters = list(inspect.signature(test).parameters.values())[1:]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


@contextlib.contextmanager
def _streams() -> Iterator[dict[str, Stream]]:
    """Play the streams of a kernel, wrapped; a fixture could not, as pytest puts its own in before the test runs."""
    found = {"stdout": Stream(), "stderr": Stream()}
    with contextlib.redirect_stdout(found["stdout"]), contextlib.redirect_stderr(found["stderr"]):
        for name, stream in found.items():
            _capture.wrap_stream(name, stream)
        try:
            yield found
        finally:
            _capture.remove()
    assert all("write" not in vars(stream) for stream in found.values())


# --- what is kept ------------------------------------------------------------------------------------


def test_text_of_one_stream_is_one_block_and_the_order_of_streams_is_kept() -> None:
    output = _make()
    for name, text in [("stdout", "a"), ("stdout", "b\n"), ("stderr", "oh\n"), ("stdout", "c\n")]:
        output.write(name, text)
    assert [(block["name"], block["text"]) for block in _blocks(output)] == [
        ("stdout", "ab\n"),
        ("stderr", "oh\n"),
        ("stdout", "c\n"),
    ]


def test_a_change_has_only_what_is_new() -> None:
    output = _make(connection := Recording())
    output.write("stdout", "1\n")
    output.flush()
    output.write("stderr", "2\n")
    output.write("stdout", "3\n")
    output.flush()
    output.flush()
    sent = [[block["text"] for block in change.blocks if block["kind"] == "stream"] for change in connection.outputs]
    assert sent[:2] == [["1\n"], ["2\n", "3\n"]]
    assert not any(sent[2:])
    connection.is_shown = False
    count = len(connection.outputs)
    output.write("stdout", "4\n")
    output.flush()
    assert len(connection.outputs) == count  # a page that comes later gets all


def test_the_last_thousand_lines_are_kept_and_the_others_counted() -> None:
    output = _make()
    for i in range(5000):
        output.write("stdout", f"line {i}\n")
    kept = _text(output).splitlines()
    assert kept[-1] == "line 4999"
    assert 950 <= len(kept) <= 1000
    assert _cut(output) == 5000 - len(kept)
    assert kept[0] == f"line {_cut(output)}"


def test_one_huge_print_takes_no_more_than_small_ones() -> None:
    output = _make()
    began = time.process_time()
    output.write("stdout", "".join(f"{i}\n" for i in range(300_000)))
    assert time.process_time() - began < 2
    kept = _text(output).splitlines()
    assert kept[-1] == "299999"
    assert _cut(output) + len(kept) == 300_000


def test_long_lines_and_much_text_are_bounded() -> None:
    output = _make()
    output.write("stdout", "x" * 1_000_000)
    output.write("stdout", "x" * 1_000_000 + "\n")
    assert _text(output) == "x" * _output.MAX_LINE_CHARS + "…\n"
    for _ in range(100):
        output.write("stderr", "y" * 3999 + "\n")
    assert len(_text(output)) <= _output.MAX_CHARS + 4000
    assert _cut(output) > 0


def test_a_progress_bar_is_one_line() -> None:
    output = _make()
    for percent in range(0, 101, 10):
        output.write("stderr", f"\r{percent:3} % \x1b[31mdone\x1b[0m")
    assert _text(output) == "100 % done"
    output.write("stderr", "\rok   \n")
    assert _text(output) == "ok    done\n"
    output.write("stdout", "50 %\r")
    output.write("stdout", "60 %\r\n70\r\n")
    assert _text(output).splitlines()[1:] == ["60 %", "70"]


def test_an_error_that_comes_again_is_counted() -> None:
    output = _make()
    for _ in range(3):
        output.error("ValueError: a", "trace")
        output.write("stdout", "tick\n")
    output.error("ValueError: b", "trace")
    errors = [(block["text"], block["count"]) for block in _blocks(output) if block["kind"] == "error"]
    assert errors == [("ValueError: a", 3), ("ValueError: b", 1)]


def test_displayed_objects_are_named_if_large_updated_by_their_id_and_the_last_ones_stay() -> None:
    output = _make(Recording())
    assert output.display({"text/plain": "first"}, {}, display_id="a")
    assert output.display({"text/plain": "second"}, {}, display_id="a", update=True)
    assert not output.display({"text/plain": "third"}, {}, display_id="b", update=True)
    assert [block["data"] for block in _blocks(output)] == [{"text/plain": "second"}]
    output.display({"image/png": "A" * (_output.MAX_DISPLAY_CHARS + 1)}, {"image/png": {"width": 3}})
    large = _blocks(output)[-1]
    assert list(large["data"]) == ["text/plain"]
    assert "2.0 MB was displayed" in large["data"]["text/plain"]
    for i in range(20):
        output.display({"text/plain": str(i)}, {})
    assert [block["data"]["text/plain"] for block in _blocks(output)] == [str(i) for i in range(10, 20)]
    assert not output.display({"text/plain": "gone"}, {}, display_id="a", update=True)


def test_clear_and_clear_when_something_comes() -> None:
    output = _make(connection := Recording())
    output.write("stdout", "a\n")
    output.clear()
    assert _blocks(output) == []
    output.flush()
    assert (connection.outputs[-1].blocks, connection.outputs[-1].first) == ([], 1)
    output.write("stdout", "b\n")
    output.clear(wait=True)
    assert _text(output) == "b\n"
    output.write("stdout", "c\n")
    assert _text(output) == "c\n"


def test_it_is_sent_soon_by_itself_even_if_the_thread_is_busy() -> None:
    class Waiting(Recording):
        def send_output(self, change: Any) -> None:
            super().send_output(change)
            sent.set()

    sent = threading.Event()
    output = _make(Waiting())
    output.write("stdout", "a\n")
    assert sent.wait(10)
    output.close()


def test_after_close_nothing_is_taken_in_or_sent() -> None:
    output = _make(connection := Recording())
    output.write("stdout", "a\n")
    output.close()
    assert not output.write("stdout", "b\n")
    assert not output.display({"text/plain": "b"}, {})
    assert not output.error("b", "")
    output.clear()
    output.flush()
    assert connection.outputs == []
    assert _blocks(output) == []


def test_threads_write_at_once() -> None:
    output = _make(connection := Recording())

    def work(name: str) -> None:
        for i in range(100):
            output.write(name, f"{i}\n")
            if i % 10 == 0:
                output.flush()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("stdout", "stderr")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output.flush()
    for name in ("stdout", "stderr"):
        text = "".join(block["text"] for block in _blocks(output) if block["name"] == name)
        assert text == "".join(f"{i}\n" for i in range(100))
    latest = {block["id"]: block for change in connection.outputs for block in change.blocks}
    assert [latest[block_id] for block_id in sorted(latest)] == _blocks(output)


# --- whose it is -------------------------------------------------------------------------------------


@with_streams
def test_prints_go_to_the_output_of_the_context_if_it_is_seen(streams: dict[str, Stream]) -> None:
    seen, unseen = _make(Recording()), _make()
    print("before")
    with captured_by(seen):
        print("inside")
        print("oh", file=sys.stderr)
        with captured_by(unseen):
            print("nobody looks")
        with captured_by(None):
            print("nobody asks")
        with silence():
            print("said already")
    print("after")
    assert _text(seen) == "inside\noh\n"
    assert _text(unseen) == "nobody looks\n"
    assert streams["stdout"].getvalue() == "before\nnobody looks\nnobody asks\nafter\n"
    assert streams["stderr"].getvalue() == ""


@with_streams
def test_redirections_of_the_user_are_his(streams: dict[str, Stream]) -> None:
    output, mine = _make(Recording()), io.StringIO()
    with captured_by(output), contextlib.redirect_stdout(mine):
        print("for me")
    assert mine.getvalue() == "for me\n"
    assert _text(output) == ""
    assert streams["stdout"].getvalue() == ""


@with_streams
def test_a_handler_that_holds_the_stream_is_taken_in(streams: dict[str, Stream]) -> None:
    handler = logging.StreamHandler()  # holds what sys.stderr is now
    logger = logging.getLogger("tests.of_users")
    logger.addHandler(handler)
    output = _make(Recording())
    with captured_by(output):
        logger.warning("hot")
    logger.removeHandler(handler)
    assert _text(output) == "hot\n"
    assert streams["stderr"].getvalue() == ""


@with_streams
def test_a_thread_of_a_callback_belongs_to_it_and_another_does_not(streams: dict[str, Stream]) -> None:
    output = _make(Recording())

    async def main() -> None:
        with captured_by(output):
            inside = asyncio.create_task(asyncio.to_thread(print, "to_thread"))
            outside = asyncio.get_running_loop().run_in_executor(None, print, "executor")
        await inside
        await outside

    asyncio.run(main())
    assert _text(output) == "to_thread\n"
    assert streams["stdout"].getvalue() == "executor\n"


def test_displays_and_clear_output_go_there_too() -> None:
    publisher, output, unseen = Publisher(), _make(Recording()), _make()
    _capture.wrap_publisher(publisher)
    try:
        publisher.publish({"text/plain": "cell"}, None, transient={})
        with captured_by(output):
            publisher.publish({"text/plain": "a", "image/png": b"png"}, {"a": 1}, transient={"display_id": "x"})
            publisher.publish({"text/plain": "b"}, transient={"display_id": "x"}, update=True)
            publisher.publish({"text/plain": "c"}, transient={"display_id": "of a cell"}, update=True)
            publisher.publish({"text/plain": object()})
        with captured_by(unseen):
            publisher.publish({"text/plain": "d"})
        assert [block["data"] for block in _blocks(output)] == [{"text/plain": "b"}]
        plain = [data["text/plain"] for data, _ in publisher.published]
        assert [value if isinstance(value, str) else "object" for value in plain] == ["cell", "c", "object", "d"]
        with captured_by(output):
            publisher.publish({"image/png": b"png"})
            assert _blocks(output)[-1]["data"] == {"image/png": "cG5n"}
            publisher.clear_output(wait=False)
            assert _blocks(output) == []
        publisher.clear_output(True)
        assert publisher.cleared == [True]
    finally:
        _capture.remove()
    assert "publish" not in vars(publisher)


@with_streams
def test_an_output_widget_in_a_callback_gets_what_is_its(streams: dict[str, Stream], wire: Wire) -> None:  # noqa: ARG001
    own, output = ipywidgets.Output(), _make(Recording())
    before = ipywidgets.Output.__enter__
    _capture.wrap_output_widget()
    with captured_by(output):
        print("under the plot")
        with own:
            print("in the widget")
        print("again")
    _capture.remove()
    assert ipywidgets.Output.__enter__ is before
    assert _text(output) == "under the plot\nagain\n"
    assert streams["stdout"].getvalue() == "in the widget\n"
    own.close()


@with_streams
def test_coroutines_in_one_output_widget_do_not_mix(streams: dict[str, Stream], wire: Wire) -> None:  # noqa: ARG001
    own, outputs = ipywidgets.Output(), [_make(Recording()) for _ in range(2)]
    turns = [asyncio.Event() for _ in range(2)]
    _capture.wrap_output_widget()

    async def callback(index: int) -> None:  # as Steps do: each step is captured anew
        with captured_by(outputs[index]):
            own.__enter__()
        await turns[index].wait()
        with captured_by(outputs[index]):
            print(f"in the widget {index}")
            own.__exit__(None, None, None)
            print(f"under plot {index}")

    async def body() -> None:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(callback(index)) for index in range(2)]
            for turn, task in zip(turns, both, strict=True):  # the first to enter is the first to leave
                await asyncio.sleep(0)
                turn.set()
                await task

    asyncio.run(body())
    _capture.remove()
    assert [_text(output) for output in outputs] == ["under plot 0\n", "under plot 1\n"]
    assert streams["stdout"].getvalue() == "in the widget 0\nin the widget 1\n"
    own.close()


def test_streams_are_wrapped_once_and_left_as_they_were() -> None:
    stream = Stream()
    for _ in range(2):
        _capture.wrap_stream("stdout", stream)
    assert len(_capture._wrapped) == 1
    _capture.wrap_stream("stdout", io.StringIO())  # has no attributes of its own, and is left alone
    _capture.remove()
    assert vars(stream) == {}
    assert _capture._wrapped == []


# --- callbacks ---------------------------------------------------------------------------------------


@with_streams
def test_output_of_every_kind_of_callback(streams: dict[str, Stream]) -> None:
    async def main() -> None:
        document = Document()
        document.add_root(slider := Slider(start=0, end=9, value=1))
        session = Session(document, loop=IOLoop.current())
        session.connect(connection := Recording())
        session.encode_state()
        done = asyncio.Event()

        async def later() -> None:
            print("async 1")
            await asyncio.sleep(0)
            print("async 2")
            document.remove_periodic_callback(periodic)
            done.set()

        slider.on_change("value", lambda _attr, _old, new: print("change", new))
        _from_page(session, _value(slider, 5))
        document.add_next_tick_callback(lambda: print("tick"))
        document.add_timeout_callback(lambda: print("timeout"), 1)
        periodic = document.add_periodic_callback(later, 5)  # type: ignore[arg-type]
        await asyncio.wait_for(done.wait(), 20)
        slider.value = 7  # by the user's own code: his cell has the output
        assert _text(session.output) == "change 5\ntick\ntimeout\nasync 1\nasync 2\n"
        assert connection.patches
        session.close()

    asyncio.run(main())
    assert streams["stdout"].getvalue() == "change 7\n"


@with_streams
def test_an_error_is_shown_with_the_traceback_of_the_user_and_not_logged_to_the_stream(
    streams: dict[str, Stream],
) -> None:
    document = Document()
    document.add_root(slider := Slider(start=0, end=9, value=1))
    session = Session(document)
    session.connect(connection := Recording())
    session.encode_state()
    heard: list[BaseException] = []

    def inner() -> None:
        raise LookupError("on purpose") from ValueError("the cause")

    def outer(_attr: str, _old: object, _new: object) -> None:
        inner()

    def hear(error: BaseException) -> None:
        print("heard")
        heard.append(error)

    session.on_error(hear)
    slider.on_change("value", outer)
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("bokeh_widget").addHandler(handler)
    try:
        _from_page(session, _value(slider, 5))
        [error, text] = _blocks(session.output)
        assert error["text"] == "LookupError: on purpose"
        lines = error["detail"].splitlines()
        assert lines[0] == "ValueError: the cause"
        files = [line for line in lines if line.startswith("  File")]
        assert [line.rpartition(" ")[2] for line in files] == ["outer", "inner"]
        assert text["text"] == "heard\n"
        assert len(heard) == 1
        assert streams["stderr"].getvalue() == ""
        connection.is_shown = False
        _from_page(session, _value(slider, 6))
        assert "in inner" in streams["stderr"].getvalue()  # nobody sees it otherwise
    finally:
        logging.getLogger("bokeh_widget").removeHandler(handler)
        session.close()


def test_a_traceback_that_is_long_is_cut_at_a_line() -> None:
    text = format_traceback(ValueError("\n".join(f"line {number}" for number in range(10_000))))
    first, second, *_, last = text.split("\n")
    assert (first, last) == ("…", "line 9999")
    assert second.startswith("line ")
    assert len(text) <= 20_001
    assert len(format_traceback(ValueError("x" * 100_000))) == 20_001


def test_an_error_without_frames_of_the_user_has_all_of_them() -> None:
    try:
        Slider(start="x")
    except ValueError as error:
        text = format_traceback(error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None))
        assert "bokeh" in text.splitlines()[1]
    groups: BaseException = ExceptionGroup("two", [KeyError("a"), KeyError("b")])
    for _ in range(3):
        groups = ExceptionGroup("outer", [groups])  # type: ignore[list-item]
    assert "KeyError: 'b'" in format_traceback(groups)
    endless = RuntimeError("x" * 100_000)
    assert len(format_traceback(endless)) < 30_000


def test_what_a_context_holds_is_not_the_session() -> None:
    document = Document()
    session = Session(document)
    output, ref = session.output, weakref.ref(session)
    session.close()
    del session, document
    gc.collect()
    assert ref() is None
    assert not output.write("stdout", "late\n")


# --- pages -------------------------------------------------------------------------------------------


def test_pages_get_what_is_new_and_who_comes_later_gets_all(page_of: Callable[..., Page], wire: Wire) -> None:
    with BokehWidget(slider := Slider(start=0, end=9, value=1)) as widget:
        first = page_of(widget)
        assert wire.customs(widget, "output") == []  # there never was any
        slider.on_change("value", lambda _attr, _old, new: print("now", new))
        output = widget.session.output
        with captured_by(output):
            output.write("stdout", "hello\n")
        output.flush()
        [sent] = wire.customs(widget, "output")
        assert (sent.content["client"], sent.content["session"]) == (None, widget.session.id)
        assert sent.content["blocks"][0]["text"] == "hello\n"
        page_of(widget, "later")
        told = wire.customs(widget, "output")[-1].content
        assert (told["client"], told["blocks"]) == ("later", sent.content["blocks"])
        first.send({"kind": "clear_output", "client": "page"})
        output.flush()
        cleared = wire.customs(widget, "output")[-1].content
        assert (cleared["client"], cleared["blocks"], cleared["first"]) == (None, [], 1)
        assert json.dumps(cleared)


def test_all_widgets_of_a_document_show_it(page_of: Callable[..., Page], wire: Wire) -> None:
    slider = Slider(start=0, end=9, value=1)
    with BokehWidget(slider) as one, BokehWidget(slider) as two, BokehWidget(Slider(start=0, end=1, value=0)) as other:
        for widget in (one, two, other):
            page_of(widget)
        one.session.output.write("stdout", "hello\n")
        one.session.output.flush()
        assert [len(wire.customs(widget, "output")) for widget in (one, two, other)] == [1, 1, 0]
