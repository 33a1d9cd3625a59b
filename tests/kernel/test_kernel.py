"""In a real kernel: what goes over the comm, callbacks on the loop, cells, and the end."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from bokeh_widget._protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.kernels import Kernel, Message, Run

SLIDER: Final = "slider = Slider(start=0, end=10, value=1)\nw = BokehWidget(slider)\n"


_ticks: Final = itertools.count(1)
_seqs: Final[defaultdict[str, int]] = defaultdict(int)


def _id(kernel: Kernel) -> str:
    found = kernel.value("w.model_id")
    assert isinstance(found, str)
    return found


def _show(kernel: Kernel, client: str = "page") -> str:
    """Play a page that displays the widget w; give the id of its comm."""
    comm_id = _id(kernel)
    views = {"client": client, "views": ["view"]}
    kernel.custom(comm_id, {"kind": "hi", "view": "view", "tick": next(_ticks), **views})
    asked = {"session": None, "revision": None, "protocol": PROTOCOL_VERSION, "seq": 0}
    attach = {"kind": "attach", "tick": next(_ticks), **asked, **views}
    [document] = kernel.custom(comm_id, attach).customs("document")
    assert document.custom is not None
    assert document.custom["client"] == client
    return comm_id


def _hide(kernel: Kernel, comm_id: str) -> None:
    gone = {"kind": "gone", "client": "page", "view": "view", "views": [], "tick": next(_ticks)}
    kernel.custom(comm_id, gone)


def _acknowledge(kernel: Kernel, comm_id: str) -> None:
    """Say that the page has everything."""
    session, revision = kernel.value("[w.session.id, w.session.revision]")
    views = {"client": "page", "views": ["view"], "tick": next(_ticks)}
    kernel.custom(comm_id, {"kind": "ack", "session": session, "revision": revision, "cost_ms": 0, **views})


def _next_seq(comm_id: str) -> int:
    _seqs[comm_id] += 1
    return _seqs[comm_id]


def _patch(kernel: Kernel, comm_id: str, *events: Any, **buffers: bytes) -> Run:
    message = {
        "kind": "patch",
        "client": "page",
        "session": kernel.value("w.session.id"),
        "seq": _next_seq(comm_id),
        "revision": kernel.value("w.session.revision"),
        "events": list(events),
        "buffers": list(buffers),
    }
    return kernel.custom(comm_id, message, list(buffers.values()))


def _set_value(kernel: Kernel, comm_id: str, value: Any) -> Run:
    event = {"kind": "ModelChanged", "model": kernel.value("slider.ref"), "attr": "value", "new": value}
    return _patch(kernel, comm_id, event)


def _has_no_base64(message: Message, array: np.ndarray) -> None:
    packed = base64.b64encode(array.tobytes()).decode()
    text = json.dumps(message.content)
    assert packed[:40] not in text
    assert "H4sI" not in text  # how packed gzip begins


# --- the comm ---------------------------------------------------------------------------------------


def test_opening_carries_the_state_and_raw_buffers(kernel: Kernel) -> None:
    run = kernel.ok("w = BokehWidget(Div(tags=[np.arange(1000.0)]))")
    model_id = _id(kernel)
    [opened] = [message for message in run.of("comm_open") if message.content["comm_id"] == model_id]
    assert opened.content["target_name"] == "jupyter.widget"
    array = np.arange(1000.0)
    assert opened.buffers == [array.tobytes()]
    assert opened.content["data"]["state"]["_document"]["revision"] == 0
    _has_no_base64(opened, array)


def test_a_patch_is_one_message_with_raw_buffers(kernel: Kernel) -> None:
    kernel.ok("source = ColumnDataSource(data={'x': [0.5], 'y': [0.5]})\nw = BokehWidget(Div(tags=[source]))")
    comm_id = _show(kernel)
    run = kernel.ok("source.stream({'x': np.arange(1000.0), 'y': np.arange(1000.0) * 2})")
    [sent] = [message for message in run.messages if message.kind.startswith("comm")]
    assert sent.content["comm_id"] == comm_id
    assert sent.custom is not None
    assert (sent.custom["kind"], sent.custom["revision"]) == ("patch", 1)
    array = np.arange(1000.0)
    assert sent.buffers == [array.tobytes(), (array * 2).tobytes()]
    assert len(sent.custom["buffers"]) == 2
    _has_no_base64(sent, array)


def test_what_a_cell_displays_is_sent_at_once(kernel: Kernel) -> None:
    # no page can have answered yet, but what it will show is on its way
    run = kernel.ok("div = Div(text='a')\nw = BokehWidget(div)\ndisplay(w)\ndiv.text = 'b'")
    [patch] = run.customs("patch")
    assert patch.custom is not None
    assert patch.custom["events"][0]["new"] == "b"


def test_nothing_is_sent_to_nobody(kernel: Kernel) -> None:
    kernel.ok("div = Div(text='a')\nw = BokehWidget(div)")
    run = kernel.ok("div.text = 'b'")
    assert [message for message in run.messages if message.kind.startswith("comm")] == []
    assert kernel.value("w.session.revision") == 1


def test_a_page_changes_the_document_and_callbacks_run(kernel: Kernel) -> None:
    kernel.ok(
        f"{SLIDER}seen = []\n"
        "slider.on_change('value', lambda attr, old, new: seen.append([old, new, curdoc() is w.document]))\n"
        "slider.on_change('value', lambda attr, old, new: setattr(slider, 'title', f'value {new}'))"
    )
    run = _set_value(kernel, _show(kernel), 5)
    assert kernel.value("seen") == [[1, 5, True]]
    acknowledged, changed = run.customs("patch")
    assert acknowledged.custom is not None
    assert changed.custom is not None
    assert (acknowledged.custom["events"], acknowledged.custom["origin"]) == (None, "page")
    assert changed.custom["events"][0]["new"] == "value 5"
    assert kernel.value("curdoc() is w.document") is False


def test_raw_buffers_of_a_page(kernel: Kernel) -> None:
    kernel.ok("source = ColumnDataSource(data={'x': [0.5]})\nw = BokehWidget(Div(tags=[source]))")
    comm_id = _show(kernel)
    array = np.array([1.0, np.nan, np.inf])
    column = {
        "type": "ndarray",
        "array": {"type": "bytes", "data": {"id": "a"}},
        "shape": [3],
        "dtype": "float64",
        "order": "little",
    }
    data = {"type": "map", "entries": [["x", column]]}
    event = {"kind": "ModelChanged", "model": kernel.value("source.ref"), "attr": "data", "new": data}
    _patch(kernel, comm_id, event, a=array.tobytes())
    assert kernel.value("source.data['x'].tobytes().hex()") == array.tobytes().hex()


def test_a_bad_patch_is_refused(kernel: Kernel) -> None:
    kernel.ok(SLIDER)
    comm_id = _show(kernel)
    [refused] = _set_value(kernel, comm_id, "high").customs("refused")
    assert refused.custom is not None
    assert "high" in refused.custom["message"]
    assert kernel.value("slider.value") == 1
    assert kernel.value("type(w.session.last_error).__name__") == "ProtocolError"
    _set_value(kernel, comm_id, 4)
    assert kernel.value("slider.value") == 4


def test_request_states_gives_the_current_document(kernel: Kernel) -> None:
    kernel.ok("div = Div(text='first')\nw = BokehWidget(div)")
    kernel.ok("div.text = 'second'\ndiv.tags = [np.arange(4.0)]")
    model_id = _id(kernel)
    kernel.open_comm("control", "jupyter.widget.control")  # as the widget manager does after a reload
    run = kernel.comm("control", {"method": "request_states"})
    [answer] = [message for message in run.of("comm_msg") if message.content["comm_id"] == "control"]
    data = answer.content["data"]
    assert data["method"] == "update_states"
    state = data["states"][model_id]["state"]["_document"]
    assert state["revision"] == 2
    assert "second" in state["json"]
    assert np.arange(4.0).tobytes() in answer.buffers


# --- the loop ---------------------------------------------------------------------------------------


def test_periodic_callbacks_run_between_cells_and_stop_at_close(kernel: Kernel) -> None:
    kernel.ok(
        "count = 0\n"
        "def tick():\n    global count\n    count += 1\n    inside.append(curdoc() is w.document)\n"
        "inside = []\n"
        "w = BokehWidget(Div(), pause_when_hidden=False)\n"
        "w.document.add_periodic_callback(tick, 10)"
    )
    kernel.wait_value("count > 3 and all(inside)", True)  # the value
    kernel.ok(
        "w.close()\nstopped = count\nafter = []\n"
        "import asyncio\nasync def later():\n    await asyncio.sleep(0.2)\n    after.append(count)\ntask = asyncio.ensure_future(later())"
    )
    kernel.wait_value("[n - stopped for n in after]", [0])


@pytest.mark.parametrize("how", ["next_tick", "timeout"])
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_next_tick_and_timeout_callbacks(kernel: Kernel, how: str, is_async: bool) -> None:
    keyword = "async " if is_async else ""
    delay = ", 10" if how == "timeout" else ""
    since = len(kernel.published)
    kernel.ok(
        f"div = Div(text='a')\nw = BokehWidget(div, pause_when_hidden=False)\nseen = []\n"
        f"{keyword}def change():\n    div.text = 'b'\n    div.name = 'c'\n    seen.append(curdoc() is w.document)\n"
    )
    _show(kernel)
    kernel.ok(f"w.document.add_{how}_callback(change{delay})")
    kernel.wait_value("seen", [True])
    found = kernel.wait_for(lambda message: (message.custom or {}).get("kind") == "patch", since=since)
    assert found.custom is not None
    kinds = [event["attr"] for event in found.custom["events"]]
    assert kinds == ["text", "name"]  # what a callback changes at once is one patch
    assert kernel.value("curdoc() is w.document") is False


def test_hidden_documents_rest(kernel: Kernel) -> None:
    kernel.ok(
        "seen = []\nw = BokehWidget(Div())\n"
        "v = BokehWidget(Div(), pause_when_hidden=False)\nticks = []\n"
        "w.document.add_periodic_callback(lambda: seen.append(w.state.value), 10)\n"
        "v.document.add_periodic_callback(lambda: ticks.append(1), 10)"
    )
    comm_id = _show(kernel)
    kernel.wait_value("len(seen) > 2", True)
    _hide(kernel, comm_id)
    kernel.ok("seen.clear()\nticks.clear()")
    kernel.wait_value("len(ticks) > 5", True)
    assert kernel.value("seen") == []
    _show(kernel)
    kernel.wait_value("len(seen) > 2 and set(seen) == {'shown'}", True)


def test_a_page_that_dies_without_a_word_lets_the_document_rest(kernel: Kernel) -> None:
    kernel.ok(
        "from bokeh_widget import _heartbeat\nbeat_ms, _heartbeat.BEAT_MS = _heartbeat.BEAT_MS, 100.0\n"
        "slider = Slider(start=0, end=10, value=1)\nw = BokehWidget(slider)\nticks = []\n"
        "w.document.add_periodic_callback(lambda: ticks.append(1), 10)"
    )
    since = len(kernel.published)
    comm_id = _show(kernel)
    kernel.wait_for(lambda message: (message.custom or {}).get("kind") == "sync", since=since)
    assert kernel.value("w.state.value") == "shown"
    # a kernel that is kept busy hears nobody, and takes nobody for gone: by a cell, by one that awaits, by a callback
    kernel.ok("import asyncio, time\ntime.sleep(1)")
    assert kernel.value("w.state.value") == "shown"
    kernel.ok("await asyncio.sleep(1)")
    assert kernel.value("w.state.value") == "shown"
    _acknowledge(kernel, comm_id)
    kernel.ok("w.document.add_next_tick_callback(lambda: time.sleep(1.5))")
    assert kernel.value("w.state.value") == "shown"

    kernel.wait_value("w.state.value", "hidden")
    asked = sum((message.custom or {}).get("kind") == "sync" for message in kernel.published[since:])
    kernel.ok("ticks.clear()\nafter = []\ntask = asyncio.get_running_loop().call_later(0.3, after.append, ticks)")
    kernel.wait_value("after", [[]])
    kernel.ok("slider.value = 5")
    kinds = [(message.custom or {}).get("kind") for message in kernel.published[since:]]
    assert kinds.count("sync") == asked
    assert "patch" not in kinds

    _set_value(kernel, comm_id, 7)  # whatever it says
    assert kernel.value("[w.state.value, slider.value]") == ["shown", 7]
    kernel.wait_value("len(ticks) > 2", True)
    kernel.ok("_heartbeat.BEAT_MS = beat_ms")


def test_a_document_changed_from_a_thread(kernel: Kernel) -> None:
    kernel.ok("div = Div(text='a')\nw = BokehWidget(div)")
    _show(kernel)
    since = len(kernel.published)
    kernel.ok(
        "def work():\n    for number in range(20):\n        div.text = f'{number}'\n"
        "thread = threading.Thread(target=work)\nthread.start()"
    )
    kernel.wait_for(
        lambda message: (message.custom or {}).get("kind") == "patch" and message.custom["events"][0]["new"] == "19",  # type: ignore[index]
        since=since,
    )
    patches = [m.custom for m in kernel.published[since:] if (m.custom or {}).get("kind") == "patch"]
    assert [patch["revision"] for patch in patches if patch] == list(range(1, len(patches) + 1))
    assert 3 <= len(patches) < 20  # two at once, the rest when a cell of the test has run
    kernel.ok("thread.join()")


def test_a_blocking_cell_shows_what_it_does(kernel: Kernel) -> None:
    kernel.ok("slider = Slider(start=0, end=10**6, value=0)\nw = BokehWidget(slider)")
    _show(kernel)
    run = kernel.ok(
        "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end:\n    slider.value += 1\nlast = slider.value\n"
        "slider.value += 1\ntime.sleep(0.5)\nslider.value += 1"
    )
    patches = [patch.custom["events"][0]["new"] for patch in run.customs("patch") if patch.custom]
    # nobody acknowledges, and what comes last in the loop does not wait for the end of the cell
    assert 10 <= len(patches) < 60
    last = kernel.value("last")
    assert last + 1 in patches
    assert patches[-1] == last + 2


def test_a_large_document_follows_what_displays_it(kernel: Kernel) -> None:
    run = kernel.ok(
        "import numpy as np\nsource = ColumnDataSource({'x': np.zeros(20_000)})\n"
        "w = BokehWidget(Div(tags=[source]), frame_limit_bytes=100_000)\ndisplay(w)"
    )
    kinds = [(message.custom or {}).get("kind", message.kind) for message in run.messages]
    kinds = [kind for kind in kinds if kind in ("comm_open", "display_data", "chunk", "document")]
    assert kinds[kinds.index("display_data") :] == ["display_data", "chunk", "chunk", "document"]


def test_a_large_document_does_not_wait_for_the_end_of_its_cell(kernel: Kernel) -> None:
    since = len(kernel.published)
    run = kernel.ok(
        "import time\nimport numpy as np\nsource = ColumnDataSource({'x': np.zeros(20_000)})\n"
        "w = BokehWidget(Div(tags=[source]), frame_limit_bytes=100_000)\ndisplay(w)\n"
        "end = time.monotonic() + 10\n"
        "while w._pages.is_due and time.monotonic() < end:\n    time.sleep(0.01)\nprint('sent' if not w._pages.is_due else 'late')"
    )
    assert run.text == "sent\n"
    # it is sent by another thread, and what two threads publish may arrive in another order
    kernel.wait_for(lambda message: (message.custom or {}).get("kind") == "document", since=since)


def test_errors_of_callbacks_reach_on_error_and_the_log(kernel: Kernel) -> None:
    kernel.ok(
        f"{SLIDER}errors = []\nrecords = []\n"
        "class Keep(logging.Handler):\n    def emit(self, record):\n        records.append(record.getMessage())\n"
        "logging.getLogger('bokeh_widget').addHandler(keep := Keep())\n"
        "w.on_error(lambda error: errors.append(repr(error)))\n"
        "slider.on_change('value', lambda attr, old, new: [][3])\n"
        "def fail(): raise LookupError('tick')\n"
        "async def fail_later(): raise LookupError('async')\n"
    )
    comm_id = _show(kernel)
    run = _set_value(kernel, comm_id, 5)
    assert kernel.value("slider.value") == 5
    assert kernel.value("errors") == ["IndexError('list index out of range')"]
    assert run.text == ""  # it is shown under the plot
    assert kernel.value("curdoc() is w.document") is False
    kernel.ok("w.document.add_next_tick_callback(fail)\nw.document.add_next_tick_callback(fail_later)")
    kernel.wait_value("sorted(errors)[1:]", ["LookupError('async')", "LookupError('tick')"])
    named = f"session {kernel.value('w.session.id')[:8]}"
    said = [f"{named}: {text}" for text in ("async", "list index out of range", "tick")]
    assert kernel.value("sorted(records)") == said
    assert kernel.value("curdoc() is w.document") is False
    kernel.ok("logging.getLogger('bokeh_widget').removeHandler(keep)")


# --- the end of a widget -------------------------------------------------------------------------------


def _closed(kernel: Kernel, since: int) -> set[str]:
    return {m.content["comm_id"] for m in kernel.published[since:] if m.kind == "comm_close"}


def test_close_closes_the_comms(kernel: Kernel) -> None:
    kernel.ok("w = BokehWidget(Div(), layout={'width': '50%'})\nids = {w.model_id, w.layout.model_id}")
    expected = set(kernel.value("list(ids)"))
    since = len(kernel.published)
    kernel.ok("w.close()\nw.close()")
    assert _closed(kernel, since) == expected
    assert len([m for m in kernel.published[since:] if m.kind == "comm_close"]) == 2


def test_collection_closes_the_comms(kernel: Kernel) -> None:
    kernel.ok(
        "w = BokehWidget(Div(), layout={'width': '50%'})\n"
        "ids = {w.model_id, w.layout.model_id}\n"
        "refs = [weakref.ref(o) for o in (w, w.session, w.document, w.roots[0])]"
    )
    expected = set(kernel.value("list(ids)"))
    since = len(kernel.published)
    kernel.ok("del w\n_ = gc.collect()")
    # the session leaves its document on the loop, the document is then in cycles
    kernel.wait_value("[gc.collect() * 0] + [ref() is None for ref in refs]", [0, True, True, True, True])
    for comm_id in expected:
        kernel.wait_for(lambda m, c=comm_id: m.kind == "comm_close" and m.content["comm_id"] == c, since=since)  # type: ignore[misc]


def test_a_widget_leaves_no_comm_and_no_entry(kernel: Kernel) -> None:
    kernel.ok(
        "import comm, ipywidgets\n"
        "def count(): gc.collect(); return [len(ipywidgets.widgets.widget._instances), "
        "len(comm.get_comm_manager().comms), len(bokeh_widget._session.all_sessions())]\n"
        "BokehWidget(Div()).close()"
    )
    before = kernel.value("count()")
    kernel.ok("for number in range(100): BokehWidget(Div(text=f'{number}'))")
    kernel.wait_value("count()", before)


# --- cells --------------------------------------------------------------------------------------------


def test_running_a_cell_again_closes_what_show_opened(kernel: Kernel) -> None:
    kernel.ok("opened = []")
    kernel.ok("opened.append(show(Div()))", cell_id="a")
    kernel.ok("opened.append(show(Div()))", cell_id="b")
    assert kernel.value("[w.closed for w in opened]") == [False, False]
    kernel.ok("opened.append(show(Div()))", cell_id="a")
    assert kernel.value("[w.closed for w in opened]") == [True, False, False]


def test_running_a_cell_again_drops_what_no_variable_holds(kernel: Kernel) -> None:
    code = "div = Div()\nBokehWidget(div)"
    since = len(kernel.published)
    first = kernel.ok(code, cell_id="a")
    [result] = first.of("execute_result")
    view = result.content["data"]["application/vnd.jupyter.widget-view+json"]
    kernel.ok("ref = weakref.ref(div)", cell_id="b")
    assert kernel.value("len(bokeh_widget.widget._widgets)") == 1
    kernel.ok(code, cell_id="a")
    kernel.ok("_ = gc.collect()", cell_id="b")
    assert kernel.value("len(bokeh_widget.widget._widgets)") == 1
    assert kernel.value("ref() is None") is True
    kernel.wait_for(
        lambda m: m.kind == "comm_close" and m.content["comm_id"] == view["model_id"],
        since=since,
    )


def test_a_variable_keeps_a_widget(kernel: Kernel) -> None:
    kernel.ok("kept = w = BokehWidget(Div())\nw", cell_id="a")
    kernel.ok("w = BokehWidget(Div())\nw", cell_id="a")
    kernel.ok("_ = gc.collect()", cell_id="b")
    assert kernel.value("[kept.closed, w.closed]") == [False, False]


def test_what_is_displayed_is_alive_without_a_variable(kernel: Kernel) -> None:
    kernel.ok("display(BokehWidget(Div(), layout={'width': '50%'}))\n_ = gc.collect()", cell_id="a")
    kernel.ok("for _ in range(3): gc.collect()", cell_id="b")
    assert kernel.value("len(bokeh_widget.widget._widgets)") == 1


def test_the_history_of_outputs_lets_go(kernel: Kernel) -> None:
    kernel.ok("BokehWidget(Div())", cell_id="a")
    names = "[name for name, value in globals().items() if isinstance(value, BokehWidget)]"
    outs = "sum(isinstance(value, BokehWidget) for value in Out.values())"
    hook = "isinstance(get_ipython().displayhook._, BokehWidget)"
    assert "_" in kernel.value(names)
    assert [kernel.value(outs), kernel.value(hook)] == [1, True]
    kernel.ok("1", cell_id="b")
    assert "__" in kernel.value(names)
    kernel.ok("None", cell_id="a")
    assert [kernel.value(names), kernel.value(outs), kernel.value(hook)] == [[], 0, False]
    kernel.ok("_ = gc.collect()", cell_id="b")
    assert kernel.value("len(bokeh_widget.widget._widgets)") == 0


def test_show_as_the_last_expression_displays_once(kernel: Kernel) -> None:
    run = kernel.ok("show(Div())", cell_id="a")
    mime = "application/vnd.jupyter.widget-view+json"
    shown = [m for m in run.of("display_data") + run.of("execute_result") if mime in m.content["data"]]
    assert len(shown) == 1


def test_a_widget_whose_last_view_went_is_let_go_after_its_time(kernel: Kernel) -> None:
    kernel.ok(
        "lifetime = bokeh_widget.widget.unused_session_lifetime_ms\nbokeh_widget.widget.unused_session_lifetime_ms = 50"
    )
    kernel.ok("w = BokehWidget(Div())\ndisplay(w)", cell_id="a")
    comm_id = _show(kernel)
    kernel.ok("ref = weakref.ref(w)\ndel w", cell_id="b")
    assert kernel.value("[gc.collect() * 0, ref() is None]") == [0, False]
    _hide(kernel, comm_id)
    kernel.wait_value("[gc.collect() and False, ref() is None][1]", True)
    kernel.ok("bokeh_widget.widget.unused_session_lifetime_ms = lifetime")


# --- interrupts, shutdown, and no kernel at all ----------------------------------------------------------


def test_an_interrupt_in_a_callback_leaves_everything_working(own_kernel: Kernel) -> None:
    kernel = own_kernel
    kernel.ok(
        f"{SLIDER}import time\n"
        "def slow(attr, old, new):\n    if new == 5:\n        print('started', flush=True)\n        time.sleep(600)\n"
        "slider.on_change('value', slow)"
    )
    comm_id = _show(kernel)
    since = len(kernel.published)
    session, ref = kernel.value("w.session.id"), kernel.value("slider.ref")
    event = {"kind": "ModelChanged", "model": ref, "attr": "value", "new": 5}
    content = {
        "kind": "patch",
        "client": "page",
        "session": session,
        "seq": _next_seq(comm_id),
        "revision": 0,
        "events": [event],
        "buffers": [],
    }
    data = {"method": "custom", "content": content}
    sent = kernel._client.session.send(kernel._shell, "comm_msg", {"comm_id": comm_id, "data": data})
    kernel.wait_for(lambda m: (m.custom or {}).get("kind") == "output" and "started" in str(m.custom), since=since)
    kernel.interrupt()
    kernel.finish(sent["header"]["msg_id"], has_reply=False)
    # the lock is free, the batch is over, curdoc() is what it was, and the next change arrives
    assert kernel.value("curdoc() is w.document") is False
    assert kernel.value("[slider.value, w.session.flow.is_held]") == [5, False]
    _set_value(kernel, comm_id, 7)
    assert kernel.value("slider.value") == 7
    [patch] = kernel.ok("slider.title = 'after'").customs("patch")
    assert patch.custom is not None


def test_shutdown_makes_no_noise(own_kernel: Kernel) -> None:
    kernel = own_kernel
    kernel.ok(
        f"{SLIDER}w.document.add_periodic_callback(lambda: None, 5)\n"
        "v = show(Div(), pause_when_hidden=False)\nv.document.add_periodic_callback(lambda: None, 5)\nw"
    )
    _show(kernel)
    assert kernel.shut_down() == 0
    noise = [line for line in kernel.log.splitlines() if "Error" in line or "Traceback" in line or "Warning" in line]
    assert noise == []


@pytest.mark.parametrize(
    "code",
    [
        "import bokeh_widget",
        (
            "from bokeh.plotting import figure\nfrom bokeh_widget import BokehWidget\n"
            "p = figure()\nw = BokehWidget(p)\np.title.text = 'x'\nw.document.add_periodic_callback(print, 1)\n"
            "assert w.session.revision == 1\nw.close()"
        ),
        "from bokeh.models import Div\nimport bokeh_widget\nw = bokeh_widget.show(Div())\ndel w",
        (
            "import gc\nfrom bokeh.models import Div\nfrom bokeh_widget import BokehWidget, close_all\n"
            "BokehWidget(Div())\ngc.collect()\nw = BokehWidget(Div())\nclose_all()\nassert w.closed"
        ),
    ],
    ids=["import", "use", "show and end", "collect"],
)
def test_plain_python(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_import_is_light(tmp_path: Path) -> None:
    code = "import bokeh_widget, sys\nprint(sorted({'ipykernel', 'bokeh.server.server', 'pandas', 'zmq'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
