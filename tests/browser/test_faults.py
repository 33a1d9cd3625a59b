"""The real stack over a bad line: in the end the document and its replicas are equal, model by model."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect

from tests.browser.faults import Faults
from tests.browser.waiting import REPLICAS, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage, PageLog

RUN_S: Final = 8.0

CELL: Final = """
import itertools, json, threading, time
import numpy as np
from bokeh.core.json_encoder import serialize_json
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div, Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget

source = ColumnDataSource({"n": np.zeros(0), "y": np.zeros(0)}, name="source")
plot = figure(name="plot", width=400, height=200, x_range=(0, 10), y_range=(0, 10), tools="")
plot.line("n", "y", source=source)
sliders = [Slider(name=f"slider {i}", start=0, end=10**9, value=0) for i in range(2)]
div = Div(name="div", text="start")
w = BokehWidget(column(*sliders, div, plot))
made = {"rows": 0, "updates": 0}
stop = threading.Event()

def update():
    "About 2000 changes a second, of all kinds."
    for i in itertools.count():
        if stop.is_set():
            return
        n = np.arange(made["rows"], made["rows"] + 3.0)
        made["rows"] += 3
        source.stream({"n": n, "y": n / 2}, rollover=300)
        if i % 3 == 0:
            div.text = f"text {i}"
        if i % 10 == 0:
            source.patch({"y": [(0, float(i))]})
        if i % 50 == 0:
            sliders[0].value = i
        if i % 500 == 499:
            source.data = {"n": n, "y": n / 2}
        made["updates"] += 1
        time.sleep(0.0004)

def plain(value):
    "What JSON makes of a value, whichever types carry it."
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in np.asarray(value).tolist()] if isinstance(value, np.ndarray) else [plain(v) for v in value]
    return {"id": value.id} if hasattr(value, "id") else value

CHECKED = {"value", "title", "text", "data", "start", "end", "width", "height", "children", "renderers", "name"}

def values():
    with w.session.lock:
        return {
            model.id: {name: plain(getattr(model, name)) for name in sorted(CHECKED & set(model.properties()))}
            for model in w.document.models
        }

thread = threading.Thread(target=update)
w
"""

PAGE_VALUES: Final = f"""names => {{
  const plain = value => {{
    if (value === null || value === undefined) return null;
    if (ArrayBuffer.isView(value)) return Array.from(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
    if (typeof value == "object" && "id" in value) return {{id: value.id}};
    if (typeof value == "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
    return value;
  }};
  const {{ document }} = {REPLICAS}[0];
  return Object.fromEntries(Object.entries(names).map(([id, attrs]) => {{
    const model = document.get_model_by_id(id);
    return [id, model && Object.fromEntries(attrs.map(attr => [attr, plain(model.property(attr).get_value())]))];
  }}));
}}"""


def _differences(page: NotebookPage) -> list[str]:
    """Name what is not the same in Python and in the page."""
    python: dict[str, dict[str, Any]] = json.loads(page.eval_in_kernel("json.dumps(values())"))
    found = page.page.evaluate(PAGE_VALUES, {model: list(values) for model, values in python.items()})
    return [
        f"{model}.{attr}: {str(value)[:60]} is not {str((found[model] or {}).get(attr))[:60]}"
        for model, values in python.items()
        for attr, value in values.items()
        if (found[model] or {}).get(attr) != value
    ]


def test_document_and_replica_are_equal_after_a_bad_line(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("WebSocket|Connection lost|Canceled future", "sockets are broken on purpose")
    faults = Faults(rate=0.1, seed=1)
    faults.watch(lab.page)
    lab.open([CELL])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    wait_in_kernel(lab, "w.state.value", "shown")
    lab.exec_in_kernel("thread.start()")
    faults.is_on = True

    changes = 0

    def use(seconds: float) -> None:
        """Let a user move the sliders for some time."""
        nonlocal changes
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            changes += 1
            lab.page.evaluate(
                f"""async n => {{
                    for (let i = 0; i < 5; i++) {{
                        const slider = {REPLICAS}[0]?.document.get_model_by_name(`slider ${{n % 2}}`);
                        if (slider) slider.value = 1e6 + 10 * n + i;
                        await new Promise(requestAnimationFrame);
                    }}
                }}""",
                changes,
            )

    use(RUN_S / 2)
    faults.reconnect()
    use(RUN_S / 2)
    lab.reload()
    wait_in_page(lab, f"{REPLICAS}.length", 1, timeout_s=60)
    use(RUN_S / 2)

    lab.exec_in_kernel("stop.set()\nthread.join()")
    use(0.2)
    faults.is_on = False
    assert min(faults.counts.values()) > 5, faults.counts
    assert lab.eval_in_kernel("made['updates']") > 1000
    wait_in_page(lab, f"{REPLICAS}[0].in_flight + {REPLICAS}[0].waiting", 0, timeout_s=60)
    wait_in_page(lab, f"{REPLICAS}[0].revision", lab.eval_in_kernel("w.session.revision"), timeout_s=60)
    assert _differences(lab) == []
    rows = lab.eval_in_kernel("source.data['n'].tolist()")
    assert rows == list(range(int(rows[0]), lab.eval_in_kernel("made['rows']")))
    errors = lab.output(0).locator(".bokeh-widget-error")
    assert errors.all_inner_texts() == []
    print(faults.counts, lab.eval_in_kernel("[made, str(w.stats)]"))


DYING_CELL: Final = """
from bokeh.layouts import column
from bokeh.models import Div, Slider
from bokeh_widget import BokehWidget, _heartbeat

_heartbeat.BEAT_MS = 500.0
slider, div = Slider(name="slider", start=0, end=100, value=0), Div(name="div", text="start")
w = BokehWidget(column(slider, div))
ticks, beats = [], []
w.document.add_periodic_callback(lambda: ticks.append(1), 20)
beat = w.session.beat
w.session.beat = lambda: (beats.append(1), beat())
w
"""


def test_a_page_that_is_cut_off_is_noticed_and_comes_back_as_it_was(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("Canceled future", "a page that is cut off")
    line = Faults(rate=1.0, seed=1)  # when it is on, nothing passes
    line.watch(lab.page)
    lab.open([DYING_CELL])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Slider")).to_be_visible()

    def wait_for(expression: str, expected: object) -> None:
        """Wait for something in the kernel, while the page and its line live on."""
        end = time.monotonic() + 30
        while (found := lab.eval_in_kernel(expression)) != expected:
            assert time.monotonic() < end, f"{expression} is {found!r}"
            lab.page.evaluate("() => new Promise(requestAnimationFrame)")

    wait_for("w.state.value", "shown")
    lab.exec_in_kernel("beats.clear()")
    wait_for("len(beats) >= 2 * _heartbeat.BEATS_UNTIL_LOST", True)
    assert lab.eval_in_kernel("w.state.value") == "shown"  # a document that does not change, and a page that answers

    line.is_on = True
    wait_for("w.state.value", "hidden")
    lab.exec_in_kernel("ticks.clear()\ndiv.text = 'changed meanwhile'")
    wait_for("w.session.is_resting and not ticks", True)
    expect(lab.output(0).locator(".bk-Div")).to_have_text("start")

    line.is_on = False
    lab.page.evaluate(f"() => {{ {REPLICAS}[0].document.get_model_by_name('slider').value = 42; }}")
    wait_for("[w.state.value, slider.value, len(ticks) > 3]", ["shown", 42, True])
    wait_in_page(lab, f"{REPLICAS}[0].revision", lab.eval_in_kernel("w.session.revision"))
    expect(lab.output(0).locator(".bk-Div")).to_have_text("changed meanwhile")
    assert lab.page.evaluate(f"{REPLICAS}[0].document.get_model_by_name('slider').value") == 42
    # one, or two where the page has asked again before the first one came
    resyncs = lab.eval_in_kernel("w.stats.resyncs")
    assert resyncs in {1, 2}
    wait_in_page(lab, f"{REPLICAS}[0].resyncs", resyncs)
