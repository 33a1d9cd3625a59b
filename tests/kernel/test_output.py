"""What callbacks print, display and raise in a real kernel: it reaches the page that shows the plot, or the streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.kernel.pages import Page

if TYPE_CHECKING:
    from tests.kernel.kernels import Kernel

SLIDER: Final = """
slider = Slider(start=0, end=10, value=1)
w = BokehWidget(slider)
"""


def test_each_way_of_writing_reaches_the_page(kernel: Kernel) -> None:
    kernel.ok(
        f"{SLIDER}import sys, warnings, asyncio, subprocess\nfrom IPython.display import display, HTML, clear_output\n"
        "def change(attr, old, new):\n"
        "    print('now', new)\n    print('oh', file=sys.stderr)\n    display(HTML('<b>bold</b>'))\n"
        "slider.on_change('value', change)\n"
        "async def later():\n    print('first')\n    await asyncio.sleep(0.01)\n    warnings.warn('careful')\n"
        "    await asyncio.to_thread(print, 'thread')\n"
    )
    page = Page(kernel)
    run = page.set_value("slider", 5)
    assert run.text == ""
    assert run.of("display_data") == []
    page.wait_kinds("stream", "stream", "display")
    out, err, shown = page.output()
    assert (out["name"], out["text"]) == ("stdout", "now 5\n")
    assert (err["name"], err["text"]) == ("stderr", "oh\n")
    assert shown["data"]["text/html"] == "<b>bold</b>"
    run = kernel.ok(
        "w.document.add_next_tick_callback(lambda: clear_output())\nw.document.add_timeout_callback(later, 20)"
    )
    page.wait_kinds("stream", "stream", "stream")
    assert page.text().startswith("first\n")
    assert "UserWarning: careful" in page.text()
    page.wait_text(page.text().rpartition("thread\n")[0] + "thread\n")
    assert run.text == ""


def test_a_blocking_callback_shows_what_it_prints_while_it_runs(kernel: Kernel) -> None:
    kernel.ok(
        f"{SLIDER}import time\n"
        "def long(attr, old, new):\n    print('begins')\n    end = time.monotonic() + 20\n"
        "    while not flag.exists() and time.monotonic() < end:\n        time.sleep(0.01)\n    print('ends', flag.exists())\n"
        "import pathlib, tempfile\nflag = pathlib.Path(tempfile.mkdtemp()) / 'flag'\nslider.on_change('value', long)\n"
    )
    page = Page(kernel)
    folder = kernel.value("str(flag)")
    ref, session = kernel.value("[slider.ref, w.session.id]")
    event = {"kind": "ModelChanged", "model": ref, "attr": "value", "new": 5}
    content = {"kind": "patch", "client": "page", "session": session, "seq": 1, "revision": 0, "events": [event]}
    data = {"method": "custom", "content": {**content, "buffers": []}}
    kernel._client.session.send(kernel._shell, "comm_msg", {"comm_id": page.comm_id, "data": data})
    page.wait_text("begins\n")
    Path(folder).touch()
    page.wait_text("begins\nends True\n")


def test_prints_of_a_cell_and_of_what_it_changes_stay_in_the_cell(kernel: Kernel) -> None:
    kernel.ok(f"{SLIDER}slider.on_change('value', lambda attr, old, new: print('now', new))")
    page = Page(kernel)
    assert kernel.ok("print('cell')\nslider.value = 3").text == "cell\nnow 3\n"
    assert page.output() == []


def test_an_error_is_shown_with_the_lines_of_its_cell_and_not_published(kernel: Kernel) -> None:
    kernel.ok(f"{SLIDER}def fail():\n    raise LookupError('tick')\n")
    page = Page(kernel)
    run = kernel.ok("handle = w.document.add_periodic_callback(fail, 10)")
    page.wait_kinds("error")
    page.wait(lambda: page.output()[0]["count"] > 3, "4 times")
    kernel.ok("w.document.remove_periodic_callback(handle)")
    [error] = page.output()
    assert error["text"] == "LookupError: tick"
    lines = error["detail"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith('  File "Cell In[')
    assert lines[1].endswith(", in fail")
    assert lines[2] == "    raise LookupError('tick')"
    assert run.text == ""
    assert "LookupError" not in kernel.log


def test_what_nobody_sees_goes_to_the_streams_of_the_kernel(kernel: Kernel) -> None:
    kernel.ok(SLIDER)
    since = len(kernel.published)
    kernel.ok("w.document.add_next_tick_callback(lambda: print('nobody looks'))")
    stream = kernel.wait_for(lambda message: message.kind == "stream", since=since)
    assert stream.content["text"] == "nobody looks\n"
    page = Page(kernel)
    page.wait_text("nobody looks\n")  # who looks later finds it
    page.hide()
    since = len(kernel.published)
    kernel.ok("def fail(): raise LookupError('unseen')\nw.document.add_next_tick_callback(fail)")
    stream = kernel.wait_for(lambda message: message.kind == "stream", since=since)
    assert "LookupError: unseen" in stream.content["text"]


def test_what_is_said_at_the_end_and_by_a_later_tab_is_printed_in_the_cell(kernel: Kernel) -> None:
    run = kernel.ok(
        "class Closing(bokeh_widget.BokehSession):\n"
        "    def setup_model(self):\n"
        "        self.slider = Slider(start=0, end=10, value=1)\n"
        "        self.slider.on_change('value', lambda attr, old, new: self.close())\n"
        "        self.document.on_session_destroyed(lambda context: print('destroyed'))\n"
        "        return self.slider\n"
        "    def on_close(self):\n        print('on_close')\n        raise LookupError('of on_close')\n"
        "s = Closing()\ns.open()\nw, slider = s.widget, s.slider"
    )
    page = Page(kernel)
    since = len(kernel.published)
    page.set_value("slider", 5)
    kernel.wait_for(lambda message: "destroyed" in message.content.get("text", ""), since=since)
    said = [message for message in kernel.published[since:] if message.kind == "stream"]
    assert {message.parent for message in said} == {run.messages[0].parent}
    texts = {
        name: "".join(message.content["text"] for message in said if message.content["name"] == name)
        for name in ("stdout", "stderr")
    }
    assert texts["stdout"] == "on_close\ndestroyed\n"
    assert texts["stderr"].startswith("on_close of session Closing 1: of on_close\nTraceback")
    run = kernel.ok(
        "def later(doc):\n    print('opened')\n    doc.add_root(Div())\n"
        "apps = bokeh_widget.serve({'/': lambda doc: doc.add_root(Div()), '/later': later})\n"
        "display(apps)\ntabs = apps._panels[0].container.comm.comm_id"
    )
    since = len(kernel.published)
    kernel.comm(kernel.value("tabs"), {"method": "update", "state": {"selected_index": 1}, "buffer_paths": []})
    stream = kernel.wait_for(lambda message: message.kind == "stream", since=since)
    assert (stream.content["text"], stream.parent) == ("opened\n", run.messages[0].parent)
    kernel.ok("apps.close()")


def test_an_output_widget_in_a_callback_gets_what_is_its(kernel: Kernel) -> None:
    kernel.ok(
        f"{SLIDER}import ipywidgets\nout = ipywidgets.Output()\n"
        "def change(attr, old, new):\n    print('under the plot')\n    with out:\n        print('in the widget')\n"
        "slider.on_change('value', change)\n"
    )
    page = Page(kernel)
    run = page.set_value("slider", 5)
    assert run.text == "in the widget\n"
    page.wait_text("under the plot\n")
    kernel.ok("out.close()")


def test_the_streams_are_left_as_they_were_when_no_session_is_open(kernel: Kernel) -> None:
    wrapped = (
        "[name for owner in (__import__('sys').stdout, __import__('sys').stderr, get_ipython().display_pub)"
        " for name in ('write', 'publish') if hasattr(getattr(owner, name, None), '_bokeh_widget_original')]"
    )
    kernel.ok(SLIDER)
    page = Page(kernel)
    for text in ("one\n", "one\ntwo\n"):
        kernel.ok(f"w.document.add_next_tick_callback(lambda: print({text.splitlines()[-1]!r}))\nprint('cell')")
        page.wait_text(text)
        assert kernel.value(wrapped) == ["write", "write", "publish"]
    kernel.ok("w.close()")
    kernel.wait_value(wrapped, [])
    kernel.ok("w = BokehWidget(Div())\nw.document.add_next_tick_callback(lambda: print('unseen'))")
    kernel.wait_value(wrapped, ["write", "write", "publish"])
    kernel.ok("del w\ngc.collect()")
    kernel.wait_value(wrapped, [])
    assert kernel.ok("print('still here')").text == "still here\n"


def test_a_document_that_is_replaced_takes_its_output_with_it(kernel: Kernel) -> None:
    kernel.ok(SLIDER)
    page = Page(kernel)
    kernel.ok("w.document.add_next_tick_callback(lambda: print('of the first'))")
    page.wait_text("of the first\n")
    kernel.ok("w.update(Div())\nw.document.add_next_tick_callback(lambda: print('of the second'))")
    kernel.wait_for(
        lambda message: (
            (message.custom or {}).get("kind") == "output"
            and (message.custom or {})["session"] == kernel.value("w.session.id")
        ),
        since=page.since,
    )
