"""Applications in a real kernel: what a cell shows, hooks that are coroutines, the end of the kernel."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from bokeh_widget._protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from tests.kernel.kernels import Kernel

APPS: Final = Path(__file__).parents[1] / "apps"
TEXTS: Final = "[w.roots[0].text for w in bokeh_widget.widget.open_widgets()]"
MAKE: Final = """
opened = []
def make(doc):
    opened.append(1)
    doc.add_root(Div(text=f"session {len(opened)}"))
"""

_ticks: Final = itertools.count(1)


def _show(kernel: Kernel, model_id: str) -> None:
    """Play a page that displays a widget."""
    kernel.custom(model_id, {"kind": "hi", "view": "view", "client": "page", "views": ["view"], "tick": next(_ticks)})
    asked = {"session": None, "revision": None, "protocol": PROTOCOL_VERSION, "seq": 0}
    kernel.custom(model_id, {"kind": "attach", "client": "page", "views": ["view"], "tick": next(_ticks), **asked})


def _hide(kernel: Kernel, model_id: str) -> None:
    """Play a page whose output is cleared."""
    kernel.custom(model_id, {"kind": "gone", "client": "page", "view": "view", "views": [], "tick": next(_ticks)})


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    return folder


SHOWN: Final = "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='shown'))\n"


def test_a_script_that_fails_shows_its_file_and_line(kernel: Kernel) -> None:
    run = kernel.run(f"BokehWidget({str(APPS / 'failing.py')!r})")
    assert run.reply["status"] == "error"
    assert run.reply["ename"] == "ApplicationError"
    assert f'File "{APPS / "failing.py"}", line 6, in <module>' in run.text
    assert "ZeroDivisionError: division by zero" in run.text
    assert "code_runner.py" not in run.text
    assert "Error running application handler" not in run.text
    assert kernel.value("len(bokeh_widget.widget.open_widgets())") == 0


def test_hooks_print_in_the_cell_and_coroutines_have_run(kernel: Kernel) -> None:
    run = kernel.ok(
        f"w = BokehWidget({str(APPS / 'themed')!r})\nw.document.select_one({{'name': 'plot'}}).background_fill_color"
    )
    lines = run.text.splitlines()
    assert lines[:2] == ["loaded, sessions: 0", "created, destroyed: False, sessions: 0"]
    assert "'#102030'" in str(run.of("execute_result")[0].content)
    run = kernel.ok("w.close()\nimport asyncio\nawait asyncio.sleep(0.1)")
    assert run.text.splitlines() == [
        "document of a session ends after 0 clicks, destroyed: True",
        "destroyed, sessions: 0",
    ]


def test_a_hook_that_waits_can_be_interrupted(own_kernel: Kernel, tmp_path: Path) -> None:
    kernel = own_kernel
    hooks = "import asyncio\nasync def on_session_created(c):\n    print('waits')\n    await asyncio.sleep(1000)\n"
    folder = _write(tmp_path / "app", main=SHOWN, app_hooks=hooks)
    started = kernel.start(f"BokehWidget({str(folder)!r})")
    kernel.wait_for(lambda message: message.kind == "stream" and "waits" in message.content["text"])
    kernel.interrupt()
    run = kernel.finish(started)
    assert run.reply["ename"] == "KeyboardInterrupt"
    (folder / "app_hooks.py").unlink()
    kernel.ok(f"w = BokehWidget({str(folder)!r})")
    assert kernel.value(TEXTS) == ["shown"]


TRACING: Final = """
import asyncio, pathlib
trace = pathlib.Path(__file__).parent.joinpath("trace.txt")
def note(text):
    with trace.open("a") as file:
        print(text, file=file)
def on_server_loaded(c): note("loaded")
async def on_server_unloaded(c):
    await asyncio.sleep(0.01)
    note(f"unloaded {len(c.sessions)}")
def on_session_created(c): note("created")
async def on_session_destroyed(c):
    await asyncio.sleep(0.01)
    note(f"destroyed {c.destroyed}")
"""


@pytest.mark.parametrize("is_shown", [True, False])
def test_the_end_of_the_kernel_runs_the_hooks(own_kernel: Kernel, tmp_path: Path, is_shown: bool) -> None:
    kernel = own_kernel
    folder = _write(tmp_path / "app", main=SHOWN, app_hooks=TRACING)
    kernel.ok(f"w = BokehWidget({str(folder)!r})\nw")
    kernel.ok("v = show(w.session.context.application)\ndoc = bokeh_widget.BokehWidget(Div()).document\nNone")
    kernel.ok(
        f"class Mine(bokeh_widget.BokehSession):\n    def setup_model(self): return Div()\n"
        f"    def on_close(self): open({str(folder / 'trace.txt')!r}, 'a').write('on_close\\n')\n"
        "s = Mine().open()"
    )
    if is_shown:
        _show(kernel, kernel.value("w.model_id"))
    published = len(kernel.published)
    assert kernel.shut_down() == 0
    assert (folder / "trace.txt").read_text().splitlines() == [
        "loaded",
        "created",
        "created",
        "destroyed True",
        "destroyed True",
        "on_close",
        "unloaded 0",
    ]
    # pages see that the kernel is gone; their widgets are not closed one by one
    assert [message.kind for message in kernel.published[published:] if message.kind == "comm_close"] == []
    assert "Traceback" not in kernel.log


def test_a_hook_that_has_begun_at_the_end_is_finished(own_kernel: Kernel, tmp_path: Path) -> None:
    folder = _write(tmp_path / "app", main=SHOWN, app_hooks=TRACING.replace("0.01", "0.5"))
    own_kernel.ok(f"w = BokehWidget({str(folder)!r})\nw.close()")
    assert own_kernel.shut_down() == 0
    assert (folder / "trace.txt").read_text().splitlines() == ["loaded", "created", "destroyed True", "unloaded 0"]


CLOSINGS: Final = {
    "a cell": "w.close()",
    "a thread": "t = threading.Thread(target=w.close)\nt.start()\nt.join()",
    "collection": "w = None\ngc.collect()",
}


@pytest.mark.parametrize("closing", CLOSINGS)
def test_what_a_coroutine_prints_at_the_end_of_a_session_goes_to_the_cell_that_ended_it(
    kernel: Kernel, closing: str
) -> None:
    kernel.ok("""
import asyncio
from bokeh.application import Application
from bokeh.application.handlers import Handler

class Slow(Handler):
    def modify_document(self, doc):
        doc.add_root(Div())
    async def on_session_destroyed(self, context):
        print("begin")
        await go_on.wait()
        print("end")

go_on = asyncio.Event()
w = BokehWidget(Application(Slow()))
""")
    since = len(kernel.published)
    run = kernel.ok(CLOSINGS[closing], "b")
    kernel.wait_for(lambda message: message.content.get("text") == "begin\n", since=since)
    kernel.ok("1", "c")
    kernel.ok("go_on.set()", "d")
    last = kernel.wait_for(lambda message: message.content.get("text") == "end\n", since=since)
    [cell] = {message.parent for message in run.messages}
    assert last.parent == cell


def test_each_display_opens_a_session_that_goes_with_its_cell(kernel: Kernel) -> None:
    kernel.ok(MAKE)
    kernel.ok("w = BokehWidget(make)\nw", "a")
    kernel.ok("w", "b")
    assert kernel.value(TEXTS) == ["session 1", "session 2"]
    kernel.ok("w", "b")
    kernel.wait_value(TEXTS, ["session 1", "session 3"])
    kernel.ok("1", "b")
    kernel.wait_value(TEXTS, ["session 1"])


def test_a_session_whose_output_is_cleared_is_discarded(kernel: Kernel) -> None:
    kernel.ok(MAKE + "destroyed = []\nbokeh_widget.widget.unused_session_lifetime_ms = 50")
    kernel.ok("w = BokehWidget(make)\nw", "a")
    kernel.ok("w", "b")
    kernel.ok("BokehWidget(make)", "c")
    assert kernel.value(TEXTS) == ["session 1", "session 2", "session 3"]
    for model_id in kernel.value("[w.model_id for w in bokeh_widget.widget.open_widgets()]"):
        _show(kernel, model_id)
        _hide(kernel, model_id)
    kernel.wait_value(TEXTS, ["session 1"])
    assert kernel.value("w.state.value") == "hidden"
    kernel.ok("bokeh_widget.widget.unused_session_lifetime_ms = 15_000")


def test_a_callback_of_the_application_updates_all_sessions(kernel: Kernel) -> None:
    kernel.ok("""
def make(doc):
    doc.add_root(Div(text="0"))
    server = doc.session_context.server_context
    if not server.sessions:
        def produce():
            for context in server.sessions:
                context.with_locked_document(lambda doc: doc.roots[0].update(text=str(int(doc.roots[0].text) + 1)))
        server.add_periodic_callback(produce, 5)
widgets = [BokehWidget(make, pause_when_hidden=False) for _ in range(3)]
""")
    kernel.wait_value("all(int(w.roots[0].text) > 2 for w in widgets)", True)


def test_twenty_sessions_leave_nothing(kernel: Kernel) -> None:
    count = (
        "[gc.collect(), bokeh_widget._weak.close_dead()] and "
        "[sum(type(o).__name__ in ('Document', 'Div', 'Button', 'SessionContext') for o in gc.get_objects()), "
        "len(__import__('ipywidgets').widgets.widget._instances), len(bokeh_widget._session.all_sessions()), "
        "sum('bokeh_app' in name for name in __import__('sys').modules)]"
    )
    opening = f"w = BokehWidget({str(APPS / 'themed')!r})\nw"
    kernel.ok(opening, "a")
    kernel.ok("w.close()\ndel w")
    kernel.ok("import asyncio\nawait asyncio.sleep(0.1)")
    before = kernel.value(count)
    assert before[2:] == [0, 0]
    for index in range(20):
        kernel.ok(opening, "a")
        _show(kernel, kernel.value("w.model_id"))
        if index % 2:
            kernel.ok("w.close()")
    kernel.ok("w = None", "a")
    kernel.wait_value(count, before)


def test_close_all_closes_the_tabs_of_applications_too(kernel: Kernel) -> None:
    alive = "len(__import__('ipywidgets').widgets.widget._instances)"
    kernel.ok(MAKE + "from bokeh_widget import serve\nBokehWidget(Div())\nNone")
    before = kernel.value(alive)
    kernel.ok("apps = serve({'/': make, '/stats': make})\napps", "a")
    assert kernel.value(alive) > before
    kernel.ok("bokeh_widget.close_all()\ngc.collect()", "b")
    assert kernel.value(alive) == before
    assert kernel.value("bokeh_widget.widget.open_widgets()") == []
    kernel.ok("apps", "a")  # they are open all the same
    assert kernel.value(TEXTS) == ["session 2"]
    kernel.ok("apps.close()")


def test_a_tab_that_is_selected_in_the_page_opens_its_session(kernel: Kernel) -> None:
    kernel.ok(MAKE)
    run = kernel.ok("from bokeh_widget import serve\napps = serve({'/': make, '/stats': make})\napps", "a")
    [result] = run.of("execute_result")
    tab = result.content["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert kernel.value(TEXTS) == ["session 1"]
    kernel.comm(tab, {"method": "update", "state": {"selected_index": 1}, "buffer_paths": []})
    assert kernel.value(TEXTS) == ["session 1", "session 2"]
    kernel.ok("apps", "a")
    kernel.wait_value(TEXTS, ["session 3"])
    kernel.ok("apps.close()")
    kernel.wait_value(TEXTS, [])
