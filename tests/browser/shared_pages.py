"""One page of each front end for many tests: to open a page and to start a kernel takes longer than most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from tests.browser.harness import Notebook7Page, NotebookPage
from tests.browser.waiting import REPLICAS, wait_in_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer, PageLog

PASSED: Final = pytest.StashKey[bool]()
"""Whether a test has passed, for its fixtures."""

VIEWPORT: Final = {"width": 1280, "height": 900}

NOTHING_SHOWN: Final = f"{REPLICAS}.length === 0"

# what a test may have set for its own sake, and the names that it has made
RESET: Final = """
import bokeh_widget, ipywidgets
bokeh_widget.close_all()
bokeh_widget.widget.unused_session_lifetime_ms = 15_000
for widget in list(ipywidgets.widgets.widget._instances.values()):
    if type(widget).__module__.startswith("ipywidgets."):
        widget.close()
get_ipython().reset(new_session=True)
"""


class _Shared(NotebookPage):
    """A page in which a test finds the notebook open that another one had; ``open`` gives it cells of its own."""

    def open(self, cells: Sequence[str], **options: Any) -> Self:
        if options:
            message = f"Expected a test that shares its page to set nothing for it, but got {options}"
            raise TypeError(message)
        if self.path == "":
            return super().open(cells)
        self.page.set_viewport_size(VIEWPORT)  # type: ignore[arg-type]
        self.exec_in_kernel(RESET)
        self._call("setCells", list(cells))
        self.wait_ready()
        wait_in_page(self, NOTHING_SHOWN, True)
        return self


class SharedLabPage(_Shared):
    """A notebook in JupyterLab."""


class SharedNotebook7Page(_Shared, Notebook7Page):
    """A notebook in Notebook 7."""


class SharedPages:
    """The pages that tests share, each opened for the first of them, and anew after one that failed."""

    def __init__(self, server: JupyterServer, browser: Browser) -> None:
        self._server = server
        self._browser = browser
        self._pages: dict[type[_Shared], _Shared] = {}

    def lend(self, kind: type[_Shared], log: PageLog) -> _Shared:
        """Give a page to a test, in whose log its problems are."""
        page = self._pages.get(kind)
        if page is None:
            context = self._browser.new_context(viewport=VIEWPORT, service_workers="block")  # type: ignore[arg-type]
            page = self._pages[kind] = kind(self._server, context)
        page.log.join(log)
        return page

    def drop(self, kind: type[_Shared]) -> None:
        """Close a page; the next test gets a new one."""
        page = self._pages.pop(kind, None)
        if page is not None:
            page.context.close()
            self._server.check_alive()
            self._server.shutdown_sessions(page.path)

    def close(self) -> None:
        """Close all pages."""
        for kind in list(self._pages):
            self.drop(kind)
