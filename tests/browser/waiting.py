"""Waiting for a condition in a kernel or in a replica, instead of sleeping."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.browser.harness import NotebookPage, VoilaPage

TIMEOUT_S: Final = 20.0
REGISTRY: Final = 'globalThis[Symbol.for("bokeh_widget")]'
REPLICAS: Final = f"({REGISTRY}?.replicas() ?? [])"


def wait_in_kernel(
    page: NotebookPage | VoilaPage, expression: str, expected: Any, timeout_s: float = TIMEOUT_S
) -> None:
    """Wait until an expression in the kernel has a value; fail with the last one it had."""
    deadline = time.monotonic() + timeout_s
    while (found := page.eval_in_kernel(expression)) != expected:
        if time.monotonic() > deadline:
            message = f"{expression} in the kernel is {found!r}, not {expected!r}"
            raise AssertionError(message)
        if page.page.is_closed():
            time.sleep(0.05)
        else:
            page.page.wait_for_timeout(50)  # Playwright serves what is routed through it meanwhile


def wait_in_page(page: NotebookPage | VoilaPage, expression: str, expected: Any, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a JavaScript expression has a JSON value; fail with the last one it had."""
    deadline = time.monotonic() + timeout_s
    while (found := page.page.evaluate(expression)) != expected:
        if time.monotonic() > deadline:
            message = f"{expression} in the page is {found!r}, not {expected!r}"
            raise AssertionError(message)
        page.page.evaluate("() => new Promise(requestAnimationFrame)")


def model_value(name: str, path: str, replica: int = 0) -> str:
    """Give the JavaScript of a property of the model with a name, in one of the replicas."""
    return f"{REPLICAS}[{replica}]?.document.get_model_by_name({name!r})?.{path}"
