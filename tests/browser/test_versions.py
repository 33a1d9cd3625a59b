"""BokehJS of several versions in one page, and what the cell says when versions do not fit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import bokeh
import pytest
from playwright.sync_api import expect

from bokeh_widget._version import SUPPORTED_BOKEH
from tests.browser.harness import JupyterServer, NotebookPage
from tests.browser.waiting import REGISTRY, REPLICAS, model_value, wait_in_kernel, wait_in_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.browser.harness import PageLog

OLDEST: Final = f"{SUPPORTED_BOKEH[0]}.0"

PLOT: Final = """
import bokeh
from bokeh.layouts import column
from bokeh.models import Slider
from bokeh.plotting import figure
from bokeh_widget import BokehWidget
plot = figure(name="plot", width=300, height=200, title="start")
plot.scatter([1, 5, 9], [1, 5, 9], size=20)
slider = Slider(name="slider", start=0, end=10, value=1)
slider.on_change("value", lambda attr, old, new: setattr(plot.title, "text", f"{new} in {bokeh.__version__}"))
w = BokehWidget(column(slider, plot))
w
"""


@pytest.fixture(scope="module")
def both(oldest_bokeh: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """Start a server with a second kernel, whose Bokeh is the oldest one that is supported."""
    wrapper = tmp_path_factory.mktemp("oldest") / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{oldest_bokeh}" exec "{sys.executable}" "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    with JupyterServer(kernels={"oldest": str(wrapper)}) as server:
        yield server


def _move_slider(lab: NotebookPage, replica: int, value: int) -> None:
    slider = f"{REPLICAS}[{replica}].document.get_model_by_name('slider')"
    lab.page.evaluate(f"() => {{ {slider}.value = {value} }}")


def test_two_kernels_with_two_versions_of_bokeh_on_one_page(
    both: JupyterServer, browser: Browser, page_errors: PageLog
) -> None:
    with NotebookPage.fresh(both, browser, page_errors) as lab:
        lab.open([PLOT])
        lab.run(0)
        expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
        other = lab.open_beside([PLOT], kernel="oldest")
        other.run(0)
        expect(other.output(0).locator(".bk-Figure")).to_be_visible()
        assert other.eval_in_kernel("bokeh.__version__") == OLDEST
        assert lab.page.evaluate(f"{REGISTRY}.versions().sort()") == sorted([OLDEST, bokeh.__version__])
        for replica, version in enumerate([bokeh.__version__, OLDEST]):
            _move_slider(lab, replica, 4)
            wait_in_page(lab, model_value("plot", "title.text", replica), f"4 in {version}")
        expect(other.output(0).locator(".bokeh-widget-warning")).to_have_count(0)  # this one is supported
        lab.exec_in_kernel("w.close()")
        wait_in_page(lab, f"{REPLICAS}.length", 1)
        _move_slider(lab, 0, 7)
        wait_in_page(lab, model_value("plot", "title.text", 0), f"7 in {OLDEST}")
        other.exec_in_kernel("w.close()")
        wait_in_page(lab, f"{REPLICAS}.length", 0)
        assert lab.page.evaluate("typeof globalThis.Bokeh") == "undefined"


def test_a_foreign_bokehjs_in_the_page_goes_on_working(lab: NotebookPage, oldest_bokeh: Path) -> None:
    lab.open([PLOT])
    static = oldest_bokeh / "bokeh" / "server" / "static" / "js"
    for name in ("bokeh", "bokeh-api"):
        lab.page.add_script_tag(path=static / f"{name}.min.js")
    lab.page.evaluate("() => { globalThis.foreign = globalThis.Bokeh }")
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    assert lab.page.evaluate("[Bokeh === foreign, Bokeh.version, Bokeh.documents.length]") == [True, OLDEST, 0]
    lab.page.evaluate(
        """async () => {
            const place = document.body.appendChild(document.createElement("div"))
            place.id = "foreign"
            const plot = Bokeh.Plotting.figure({width: 100, height: 100})
            plot.line([1, 2], [1, 2])
            await Bokeh.Plotting.show(plot, place)
        }"""
    )
    expect(lab.page.locator("#foreign .bk-Figure")).to_be_attached()
    _move_slider(lab, 0, 3)
    wait_in_page(lab, model_value("plot", "title.text"), f"3 in {bokeh.__version__}")
    assert lab.page.evaluate("Bokeh.documents.length") == 1


def test_a_bokeh_outside_the_supported_range_is_named_in_the_cell(lab: NotebookPage) -> None:
    lab.open(["import bokeh_widget._bokehjs as b\nb.SUPPORTED_BOKEH = ('2.4', '2.5')", PLOT])
    lab.run_all()
    expect(lab.output(1).locator(".bk-Figure")).to_be_visible()
    expect(lab.output(1).locator(".bokeh-widget-warning")).to_contain_text('pip install "bokeh>=2.4,<2.5"')


def test_a_front_end_of_another_protocol_is_named_in_the_cell(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("bokeh_widget could not", "the versions differ on purpose")
    lab.open([PLOT.replace("\nw\n", "\nw.set_trait('_protocol_version', 99)\nw\n")])
    lab.run(0)
    notice = lab.output(0).locator(".bokeh-widget-error")
    expect(notice).to_contain_text("Update it in the environment of JupyterLab")
    wait_in_kernel(lab, "'environment of JupyterLab' in str(w.session.last_error)", expected=True)
    assert lab.page.evaluate(f"{REGISTRY}?.replicas().length ?? 0") == 0


def test_bokehjs_that_does_not_load_is_said_and_tried_again(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("bokeh_widget could not", "the bundle is broken on purpose")
    broken = "import gzip, bokeh_widget._bokehjs as b\ngood = b.runtime().core\n"
    lab.open([broken + "b.runtime().core = gzip.compress(b'throw new Error(\"broken bundle\")')", PLOT])
    lab.run_all()
    expect(lab.output(1).locator(".bokeh-widget-error")).to_contain_text("broken bundle")
    wait_in_kernel(lab, "'broken bundle' in str(w.session.last_error)", expected=True)
    lab.exec_in_kernel("b.runtime().core = good")
    lab.run(1)
    expect(lab.output(1).locator(".bk-Figure")).to_be_visible()
    expect(lab.output(1).locator(".bokeh-widget-error")).to_have_count(0)


def test_a_malformed_message_of_the_kernel_is_said_and_survived(lab: NotebookPage, page_errors: PageLog) -> None:
    page_errors.allow("bokeh_widget could not", "the message is malformed on purpose")
    lab.open([PLOT])
    lab.run(0)
    expect(lab.output(0).locator(".bk-Figure")).to_be_visible()
    lab.exec_in_kernel("w.send({'kind': 'patch', 'revision': 'one'})")
    expect(lab.output(0).locator(".bokeh-widget-error")).to_contain_text('field "session"')
    wait_in_kernel(lab, "'session' in str(w.session.last_error)", expected=True)
    _move_slider(lab, 0, 5)
    wait_in_page(lab, model_value("plot", "title.text"), f"5 in {bokeh.__version__}")
