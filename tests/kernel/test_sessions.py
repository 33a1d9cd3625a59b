"""BokehSession in a real kernel: cells, pages, outputs that are cleared, and what it prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.kernel.pages import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.kernels import Kernel

SETUP: Final = """
import asyncio, time
from bokeh.document import Document
from bokeh.model import Model
from bokeh_widget import BokehSession, sessions
from IPython.display import display

events = []

class Ticking(BokehSession):
    callback_period = 0.25
    calls = 0

    def setup_model(self):
        self.div = Div(text="a")
        self.button = Button(label="close")
        self.button.on_click(self.close)
        return [self.div, self.button]

    def periodic_callback(self):
        Ticking.calls += 1
        self.div.text = str(Ticking.calls)

    def on_close(self):
        events.append(f"close {len(self.document.roots)}")

def count(kind):
    gc.collect()
    return sum(issubclass(type(obj), kind) for obj in gc.get_objects())
"""


@pytest.fixture
def session_kernel(kernel: Kernel) -> Iterator[Kernel]:
    """A kernel with a class of sessions, which lets go soon of what nobody sees."""
    kernel.ok(SETUP)
    yield kernel
    kernel.ok("bokeh_widget.widget.unused_session_lifetime_ms = 15_000")


def _rate(kernel: Kernel, seconds: float = 1.5) -> float:
    """Measure how many calls there are in a second."""
    kernel.ok(f"_began = Ticking.calls, time.monotonic()\nawait asyncio.sleep({seconds})")
    rate = kernel.value("(Ticking.calls - _began[0]) / (time.monotonic() - _began[1])")
    assert isinstance(rate, float)
    return rate


def test_opening_displays_once_and_the_last_expression_adds_nothing(session_kernel: Kernel) -> None:
    run = session_kernel.ok("s = Ticking()\ns.open()", cell_id="a")
    [shown] = run.of("display_data")
    assert run.of("execute_result") == []
    assert shown.content["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == session_kernel.value(
        "s.widget.model_id"
    )
    run = session_kernel.ok("s.open()\ns.close()\ns.open(); None", cell_id="a")
    assert len(run.of("display_data")) == 2


@pytest.mark.parametrize("call", ["show(Div(text='there'))", "serve({'/': Div_of}).open('/')"])
def test_what_shows_a_plot_as_the_last_expression_adds_nothing(session_kernel: Kernel, call: str) -> None:
    session_kernel.ok(
        "from bokeh.models import Div\nfrom bokeh_widget import serve, show\n"
        "def Div_of(doc):\n    doc.add_root(Div(text='there'))"
    )
    run = session_kernel.ok(call, cell_id="c")
    assert len(run.of("display_data")) == 1
    assert run.of("execute_result") == []


def test_an_object_as_the_last_expression_is_opened_and_shown(session_kernel: Kernel) -> None:
    kernel = session_kernel
    for _ in range(2):  # the second time it is closed, and opened afresh
        run = kernel.ok("s = globals().get('s') or Ticking()\ns", cell_id="a")
        [shown] = run.of("display_data")
        assert run.of("execute_result") == []
        model_id = shown.content["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
        assert model_id == kernel.value("s.widget.model_id")
    assert kernel.value("events") == ["close 2"]
    run = kernel.ok("s", cell_id="b")  # a second view
    [shown] = run.of("display_data")
    assert shown.content["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == model_id
    kernel.ok("1", cell_id="b")
    assert kernel.value("s.is_open")
    assert "is open, and was to be opened once more" in kernel.run("s.open()", cell_id="b").text
    kernel.ok("1", cell_id="a")
    assert not kernel.value("s.is_open")


def test_ten_runs_of_a_cell_leave_one_callback(session_kernel: Kernel) -> None:
    kernel = session_kernel
    for _ in range(10):
        kernel.ok("s = Ticking(pause_when_hidden=False)\ns.open()", cell_id="a")
    assert kernel.value("events") == ["close 2"] * 9
    assert kernel.value("len(sessions())") == 1
    assert 3 < _rate(kernel) < 4.8
    kernel.ok("s.close()")
    assert _rate(kernel, 0.6) == 0


@pytest.mark.parametrize(
    "code", ["s = Ticking()\ns.open()", "Ticking().open()", "display(Ticking())", "Ticking()", "t = s = Ticking()\ns"]
)
def test_fifty_runs_of_a_cell_leave_what_one_does(session_kernel: Kernel, code: str) -> None:
    kernel = session_kernel
    counts = "[len(sessions()), count(Document), count(Model), count(BokehWidget), count(Ticking)]"
    kernel.ok(code, cell_id="a")
    before = kernel.value(counts)
    for _ in range(50):
        kernel.ok(code, cell_id="a")
    kernel.wait_value(counts, before)
    kernel.ok("s = t = None", cell_id="a")
    kernel.wait_value("[len(sessions()), count(BokehWidget), count(Ticking)]", [0, 0, 0])
    assert kernel.value("len(events)") == 51


@pytest.mark.parametrize("way", ["s = Ticking()\ns.open()", "s = Ticking()\ns"])
def test_a_session_whose_output_is_gone_is_discarded_after_its_time(session_kernel: Kernel, way: str) -> None:
    kernel = session_kernel
    kernel.ok(f"bokeh_widget.widget.unused_session_lifetime_ms = 300\n{way}", cell_id="a")
    page = Page(kernel, "s.widget")
    page.hide()
    page.show()  # a cell that is moved
    kernel.ok("await asyncio.sleep(0.5)")
    assert kernel.value("s.is_open")
    page.hide()
    kernel.wait_value("s.is_open", False)
    assert kernel.value("events") == ["close 2"]
    assert _rate(kernel, 0.6) == 0


def test_what_another_page_shows_is_not_discarded(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok("bokeh_widget.widget.unused_session_lifetime_ms = 50\ns = Ticking()\ns.open()", cell_id="a")
    kernel.ok("w = BokehWidget(s.div)\nw", cell_id="b")
    page, other = Page(kernel, "s.widget"), Page(kernel)
    page.hide()
    kernel.ok("await asyncio.sleep(0.3)")
    assert kernel.value("s.is_open")
    assert other.comm_id == kernel.value("w.model_id")
    assert _rate(kernel) > 3


def test_a_page_that_is_closed_ends_nothing_and_callbacks_rest(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok("bokeh_widget.widget.unused_session_lifetime_ms = 50\ns = Ticking()\ns.open()", cell_id="a")
    page = Page(kernel, "s.widget")
    assert _rate(kernel) > 3
    kernel.custom(page.comm_id, {"kind": "bye", "client": "page", "tick": 10**9})
    assert _rate(kernel) == 0
    assert kernel.value("s.is_open")
    Page(kernel, "s.widget", client="again")
    assert _rate(kernel) > 3


def test_a_button_of_the_plot_closes_it(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok("s = Ticking()\ns.open()", cell_id="a")
    page = Page(kernel, "s.widget")
    run = page.click("s.button")
    assert [message.content["comm_id"] for message in run.of("comm_close")] == [page.comm_id]
    assert not kernel.value("s.is_open")
    assert kernel.value("events") == ["close 2"]
    assert _rate(kernel, 0.6) == 0


def test_errors_of_the_user_appear_where_they_belong(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok(
        "class Bad(Ticking):\n    where = ''\n    errors = []\n"
        "    def setup_model(self):\n        if self.where == 'setup':\n            raise LookupError('in setup')\n"
        "        return super().setup_model()\n"
        "    def periodic_callback(self):\n        raise LookupError('in the callback')\n"
        "    def on_close(self):\n        print('closes')\n        raise LookupError('in on_close')\n"
        "bad = Bad()\nbad.callback_period = 0.01\nbad.on_error(lambda error: Bad.errors.append(str(error)))"
    )
    for code in ("Bad.where = 'setup'\nbad.open()", "Bad.where = 'setup'\nbad"):
        run = kernel.run(code, cell_id="a")
        assert "LookupError: in setup" in run.text
        assert kernel.value("[bad.is_open, len(sessions())]") == [False, 0]
    kernel.ok("Bad.where = ''\nbad.open()", cell_id="a")
    page = Page(kernel, "bad.widget")
    page.wait_kinds("error")
    assert page.output()[0]["text"] == "LookupError: in the callback"
    run = kernel.ok("bad.close()", cell_id="b")
    assert "closes\n" in run.text
    assert "LookupError: in on_close" in run.text
    assert kernel.value("[bad.is_open, len(sessions())]") == [False, 0]
    assert kernel.value("Bad.errors[-1]") == "in on_close"


def test_a_list_of_sessions_is_a_table(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok("s = Ticking(name='left')\ns.open()", cell_id="a")
    Page(kernel, "s.widget")
    run = kernel.ok("sessions()")
    [shown] = run.of("execute_result")
    assert "<td>left</td>" in shown.content["data"]["text/html"]
    assert shown.content["data"]["text/plain"].splitlines()[1].split()[0] == "left"
    assert kernel.value("[[s.name, s.pages, s.views, list(s.widgets)] for s in sessions()]") == [
        ["left", 1, 1, ["shown"]]
    ]
    assert kernel.value("bokeh_widget.info()[0].session") == "left"


def test_blocking_work_in_a_thread_from_a_callback(session_kernel: Kernel) -> None:
    kernel = session_kernel
    kernel.ok(
        "from functools import partial\nimport concurrent.futures\n"
        "pool = concurrent.futures.ThreadPoolExecutor(1)\n"
        "class Work(Ticking):\n    callback_period = None\n"
        "    def setup_model(self):\n"
        "        self.button = Button(label='work')\n"
        "        self.button.on_click(lambda: self.document.add_next_tick_callback(self.work))\n"
        "        self.div = Div(text='')\n        return [self.button, self.div]\n"
        "    def compute(self):\n"
        "        for part in range(3):\n            print('part', part)\n"
        "            self.document.add_next_tick_callback(partial(setattr, self.div, 'text', f'{part} of 3'))\n"
        "            time.sleep(0.05)\n        return 42\n"
        "    async def work(self):\n"
        "        self.button.disabled = True\n"
        "        one = await asyncio.to_thread(self.compute)\n"
        "        two = await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.01)\n"
        "        self.div.text, self.button.disabled = f'{one} {two}', False\n"
        "s = Work()\ns.open()",
        cell_id="a",
    )
    page = Page(kernel, "s.widget")
    since = len(kernel.published)
    page.click("s.button")
    kernel.wait_value("[s.div.text, s.button.disabled]", ["42 None", False])
    page.wait_text("part 0\npart 1\npart 2\n")
    patches = [message.custom for message in kernel.published[since:] if (message.custom or {}).get("kind") == "patch"]
    texts = [
        event["new"] for patch in patches for event in (patch or {})["events"] or [] if event.get("attr") == "text"
    ]
    assert texts == ["0 of 3", "1 of 3", "2 of 3", "42 None"]
    kernel.ok("pool.shutdown()")
