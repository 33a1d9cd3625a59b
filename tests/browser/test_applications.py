"""Applications in JupyterLab: sessions of their own, hooks and themes, tabs that open when they are selected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.browser.waiting import REPLICAS, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage

APPS: Final = Path(__file__).parents[1] / "apps"

FUNCTION: Final = """
from bokeh.layouts import column
from bokeh.models import Button, Div
from bokeh_widget import BokehWidget, serve
import bokeh_widget
numbers = []
def make_document(doc):
    numbers.append(len(numbers) + 1)
    number = numbers[-1]
    div = Div(name="div", text=f"session {number}, 0 clicks")
    button = Button(name="button", label=f"press {number}")
    clicks = []
    def count():
        clicks.append(1)
        div.text = f"session {number}, {len(clicks)} clicks"
    button.on_click(count)
    doc.add_root(column(button, div))
w = BokehWidget(make_document)
w
"""
SESSIONS: Final = "[x.document.select_one({'name': 'div'}).text for x in bokeh_widget.widget.open_widgets()]"
SESSION_IDS: Final = f"{REPLICAS}.map(r => r.document.get_model_by_name('div').text)"


def test_each_cell_that_displays_a_function_has_a_session(shared_lab: NotebookPage) -> None:
    shared_lab.open([FUNCTION, "w", "w"])
    for index in range(3):
        shared_lab.run(index)
        expect(shared_lab.output(index).get_by_role("button", name=f"press {index + 1}")).to_be_visible()
    shared_lab.output(1).get_by_role("button", name="press 2").click()
    expect(shared_lab.output(1).get_by_text("session 2, 1 clicks")).to_be_visible()
    wait_in_page(shared_lab, SESSION_IDS, ["session 1, 0 clicks", "session 2, 1 clicks", "session 3, 0 clicks"])
    shared_lab.run(1)
    expect(shared_lab.output(1).get_by_role("button", name="press 4")).to_be_visible()
    wait_in_kernel(shared_lab, SESSIONS, ["session 1, 0 clicks", "session 3, 0 clicks", "session 4, 0 clicks"])
    wait_in_page(shared_lab, f"{REPLICAS}.length", 3)
    shared_lab.exec_in_kernel("bokeh_widget.widget.unused_session_lifetime_ms = 50")
    shared_lab.clear_all_outputs()
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)
    wait_in_kernel(shared_lab, SESSIONS, ["session 1, 0 clicks"])  # a variable holds it
    wait_in_kernel(shared_lab, "w.state.value", "hidden")


def test_a_directory_has_its_theme_its_callbacks_and_its_hooks(shared_lab: NotebookPage) -> None:
    opening = f"from bokeh_widget import show\nimport bokeh_widget\nw = show({str(APPS / 'themed')!r})"
    shared_lab.open([opening, "w.close()\nimport asyncio\nawait asyncio.sleep(0.2)"])
    shared_lab.run(0)
    expect(shared_lab.output(0).locator(".bk-Figure")).to_be_visible()
    expect(shared_lab.output(0).get_by_text("loaded, sessions: 0")).to_be_visible()
    expect(shared_lab.output(0).get_by_text("created, destroyed: False")).to_be_visible()
    wait_in_page(shared_lab, model_value("plot", "background_fill_color"), "#102030")
    shared_lab.output(0).get_by_role("button", name="Press me").click()
    expect(shared_lab.output(0).get_by_text("1 clicks")).to_be_visible()
    shared_lab.run(1)
    expect(
        shared_lab.output(1).get_by_text("document of a session ends after 1 clicks, destroyed: True")
    ).to_be_visible()
    expect(shared_lab.output(1).get_by_text("destroyed, sessions: 0", exact=False).last).to_be_visible()
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)


def test_a_failing_script_is_read_in_the_cell(shared_lab: NotebookPage) -> None:
    shared_lab.open([f"from bokeh_widget import BokehWidget\nBokehWidget({str(APPS / 'failing.py')!r})"])
    shared_lab.start(0)
    expect(shared_lab.output(0).get_by_text("ZeroDivisionError: division by zero").last).to_be_visible()
    expect(shared_lab.output(0).get_by_text('failing.py", line 6, in <module>').last).to_be_visible()
    expect(shared_lab.output(0).get_by_text("ApplicationError").last).to_be_visible()


def test_tabs_open_their_sessions_when_they_are_selected(shared_lab: NotebookPage) -> None:
    shared_lab.open(
        [
            FUNCTION.replace("w = BokehWidget(make_document)\nw", ""),
            "apps = serve({'/': make_document, '/stats': make_document})\napps",
        ]
    )
    shared_lab.run(0)
    shared_lab.run(1)
    expect(shared_lab.output(1).get_by_role("button", name="press 1")).to_be_visible()
    wait_in_page(shared_lab, f"{REPLICAS}.length", 1)
    shared_lab.output(1).get_by_text("/stats", exact=True).click()
    expect(shared_lab.output(1).get_by_role("button", name="press 2")).to_be_visible()
    shared_lab.output(1).get_by_role("button", name="press 2").click()
    expect(shared_lab.output(1).get_by_text("session 2, 1 clicks")).to_be_visible()
    shared_lab.output(1).get_by_text("/", exact=True).click()
    expect(shared_lab.output(1).get_by_role("button", name="press 1")).to_be_visible()
    wait_in_kernel(shared_lab, "len(numbers)", 2)
    shared_lab.exec_in_kernel("bokeh_widget.widget.unused_session_lifetime_ms = 50")
    shared_lab.clear_output(1)
    wait_in_page(shared_lab, f"{REPLICAS}.length", 0)
    wait_in_kernel(shared_lab, "len(bokeh_widget.widget.open_widgets())", 0)


def test_a_model_of_its_own_is_shown_in_every_session(shared_lab: NotebookPage) -> None:
    shared_lab.open([f"from bokeh_widget import BokehWidget\nw = BokehWidget({str(APPS / 'custom')!r})\nw", "w"])
    for index in range(2):
        shared_lab.run(index, timeout=60)
        expect(shared_lab.output(index).locator(".badge")).to_have_text("gold")
    assert shared_lab.eval_in_kernel("len([name for name in w._bokehjs.extensions if name.startswith('custom@')])") == 1
