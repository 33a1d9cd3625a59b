"""Cells in a real IPython shell without a kernel: pins, what show() opened, and IPython's history of outputs."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from bokeh_widget import _kernel
from bokeh_widget._cells import _Cells, cells

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.usefixtures("wire")


def _run(shell: InteractiveShell, code: str, cell_id: str | None = None) -> None:
    shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()


def _get(shell: InteractiveShell, name: str) -> Any:
    return shell.user_ns[name]


def test_running_a_cell_again_closes_what_show_opened(shell: InteractiveShell) -> None:
    _run(shell, "one = show(Div())", "a")
    _run(shell, "two = show(Div())", "b")
    one, two = _get(shell, "one"), _get(shell, "two")
    assert not one.closed
    _run(shell, "one", "a")
    assert one.closed
    assert not two.closed


def test_without_cell_ids_each_run_is_a_cell_of_its_own(shell: InteractiveShell) -> None:
    _run(shell, "one = show(Div())")
    _run(shell, "two = show(Div())")
    assert not _get(shell, "one").closed


def test_a_pin_keeps_a_widget_until_its_cell_runs_again(shell: InteractiveShell) -> None:
    _run(shell, "div = Div()\ndisplay(BokehWidget(div))\nref = weakref.ref(div.document)\ndel div", "a")
    gc.collect()
    assert _get(shell, "ref")() is not None
    _run(shell, "1", "b")
    gc.collect()
    assert _get(shell, "ref")() is not None
    _run(shell, "1", "a")
    gc.collect()
    assert _get(shell, "ref")() is None


def test_a_widget_that_two_cells_show_stays_until_both_ran(shell: InteractiveShell) -> None:
    _run(shell, "w = BokehWidget(Div())\ndisplay(w)\nref = weakref.ref(w)", "a")
    _run(shell, "display(w)\ndel w", "b")
    _run(shell, "1", "a")
    gc.collect()
    assert cells.is_pinned(_get(shell, "ref")())
    _run(shell, "1", "b")
    gc.collect()
    assert _get(shell, "ref")() is None


def test_unpin_takes_a_widget_from_every_cell(shell: InteractiveShell) -> None:
    _run(shell, "w = BokehWidget(Div())\ndisplay(w)", "a")
    _run(shell, "display(w)", "b")
    widget = _get(shell, "w")
    assert cells.is_pinned(widget)
    cells.unpin(widget)
    assert not cells.is_pinned(widget)
    assert "a" not in cells._pins
    assert "b" not in cells._pins


def test_history_of_outputs_is_dropped_and_variables_stay(shell: InteractiveShell) -> None:
    _run(shell, "mine = w = BokehWidget(Div())\nw", "a")
    widget = _get(shell, "w")
    number = shell.execution_count - 1
    names = {name for name, value in shell.user_ns.items() if value is widget}
    assert {"mine", "w", "_", f"_{number}"} <= names
    assert shell.user_ns["Out"][number] is widget
    _kernel.forget_displayed(widget)
    assert {name for name, value in shell.user_ns.items() if value is widget} == {"mine", "w"}
    assert number not in shell.user_ns["Out"]
    assert shell.displayhook._ is not widget
    _run(shell, "3", "b")
    _run(shell, "assert _ == 3", "c")


def test_no_cell_runs_after_a_cell(shell: InteractiveShell) -> None:
    _run(shell, "w = BokehWidget(Div())\nfrom bokeh_widget._cells import cells\nduring = cells.current_run", "a")
    assert isinstance(_get(shell, "during"), int)
    assert cells.current_run is None


def test_what_a_cell_made_is_on_its_way_while_the_cell_runs(shell: InteractiveShell) -> None:
    _run(shell, "w = BokehWidget(Div())\nduring = w.is_shown", "a")
    assert _get(shell, "during") is True
    assert _get(shell, "w").is_shown is False


def test_cells_are_listened_to_once(shell: InteractiveShell) -> None:
    _run(shell, "for _ in range(3): BokehWidget(Div())", "a")
    registered = shell.events.callbacks["pre_run_cell"]
    assert len([callback for callback in registered if callback.__name__ == "_before"]) == 1


def test_a_cell_that_runs_another_one_goes_on_afterwards(shell: InteractiveShell) -> None:
    code = "get_ipython().run_cell('inner = 1', cell_id='inner')\nref = weakref.ref(show(Div()))"
    _run(shell, code, "outer")
    assert cells.current_run is None
    gc.collect()
    assert cells.is_pinned(_get(shell, "ref")())
    _run(shell, "1", "outer")
    gc.collect()
    assert _get(shell, "ref")() is None


def test_what_a_callback_displays_is_kept_without_a_variable(shell: InteractiveShell) -> None:
    _run(shell, "def callback(): return weakref.ref(show(Div()))", "a")
    ref = _get(shell, "callback")()  # no cell runs
    gc.collect()
    widget = ref()
    assert cells.is_pinned(widget)
    _run(shell, "1", "a")
    assert cells.is_pinned(widget)
    widget.close()
    assert not cells.is_pinned(widget)


def test_in_plain_python_nothing_is_pinned() -> None:
    assert _kernel.shell() is None
    plain = _Cells()
    plain.install()
    assert plain.current_run is None
    assert _kernel.io_loop() is None
    assert _kernel.event_loop() is None
    assert _kernel.call_soon(print) is False
    assert _kernel.call_later(1, print) is None
    _kernel.forget_displayed(object())
