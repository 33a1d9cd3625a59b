"""The code of the user guide runs, cell by cell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.kernel.pages import Page

if TYPE_CHECKING:
    from tests.kernel.kernels import Kernel

DOCS: Final = Path(__file__).parents[2] / "docs"


def _cells(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_guide_of_sessions(kernel: Kernel) -> None:
    first, control, callbacks, blocking = _cells("sessions.md")
    kernel.ok(first, cell_id="a")
    page = Page(kernel, "noise.widget")
    assert kernel.value("[noise.is_open, noise.callback_period]") == [True, 0.25]
    [table] = kernel.ok(control, cell_id="b").of("execute_result")
    assert "<td>Noise" in table.content["data"]["text/html"]
    kernel.ok(callbacks, cell_id="c")
    page.wait_text("soon\nlater\n")
    kernel.ok(blocking, cell_id="d")
    work = Page(kernel, "analysis.widget")
    work.click("analysis.button")
    kernel.wait_value("[analysis.result.text, analysis.button.disabled]", ["The result is 10", False])
    page.click("noise.document.select_one({'type': Button})")
    assert kernel.value("[noise.is_open, analysis.is_open]") == [False, True]
    kernel.ok(blocking, cell_id="d")
    assert kernel.value("len(sessions())") == 1
