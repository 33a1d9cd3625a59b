"""Page objects: a notebook in JupyterLab, in Notebook 7, and a notebook rendered by Voila."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from . import kernel_channel
from .kernel_channel import KernelError, plain_traceback
from .page_log import PageLog
from .servers import DEFAULT_KERNEL, JupyterServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, Locator, Page

WindowingMode = Literal["defer", "full", "none", "contentVisibility"]

_NOTEBOOK_PLUGIN: Final = "@jupyterlab/notebook-extension:tracker"
_PAGE_SCRIPT: Final = Path(__file__).with_name("page_script.js")
DEFAULT_TIMEOUT: Final = 30.0


class CellError(AssertionError):
    """A cell raised, or its execution was cancelled; the message holds the kernel's traceback.

    Attributes
    ----------
    index : int or None
        The cell's index, None if it is not known.
    ename, evalue : str
        Class and message of the kernel's exception; empty if the execution was cancelled.
    """

    def __init__(self, index: int | None, ename: str, evalue: str, traceback: str) -> None:
        self.index = index
        self.ename = ename
        self.evalue = evalue
        super().__init__(f"Cell {index}: {traceback}")


class JupyterPage:
    """What the pages of all front ends have: a Playwright page, its log, its server.

    Parameters
    ----------
    server : JupyterServer
        The server whose pages are opened.
    context : BrowserContext
        The browser context to open a page in.
    log : PageLog, optional
        Where problems are recorded; a log of its own if omitted.
    page : Page, optional
        A page already open in the context (a second notebook in one JupyterLab), instead of a new one.
    """

    def __init__(
        self, server: JupyterServer, context: BrowserContext, log: PageLog | None = None, *, page: Page | None = None
    ) -> None:
        self.server: Final = server
        self.context: Final = context
        self.log: Final = PageLog() if log is None else log
        self.path: str = ""
        if page is None:
            page = context.new_page()
            page.add_init_script(path=_PAGE_SCRIPT)
            self.log.watch(page)
        self.page: Final = page

    @classmethod
    @contextmanager
    def fresh(cls, server: JupyterServer, browser: Browser, log: PageLog | None = None) -> Iterator[Self]:
        """Yield a page in a browser context of its own; afterwards close it and shut its kernels down.

        Parameters
        ----------
        server : JupyterServer
            The server whose pages are opened.
        browser : Browser
            The browser.
        log : PageLog, optional
            Where problems are recorded.
        """
        before = set(server.kernel_ids())
        context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
        try:
            yield cls(server, context, log)
        finally:
            # The page goes first: a page that sees its kernel die complains, and nobody would look.
            context.close()
            server.check_alive()
            for kernel_id in server.kernel_ids():
                if kernel_id not in before:
                    server.shutdown_kernel(kernel_id)

    def locator(self, selector: str) -> Locator:
        """Return a Playwright locator in this page."""
        return self.page.locator(selector)


class NotebookPage(JupyterPage):
    """A notebook in JupyterLab (single-document mode).

    Indices are those of the notebook's cells, from 0. Methods return when what they ask for has happened.
    """

    def _address(self, path: str) -> str:
        # A workspace of its own, so that no layout of an earlier page is restored.
        return f"doc/workspaces/{uuid.uuid4().hex}/tree/{path}"

    def open(
        self,
        cells: Sequence[str],
        *,
        kernel: str = DEFAULT_KERNEL,
        windowing: WindowingMode | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Self:
        """Write a notebook of code cells, open it, and wait until its kernel is idle.

        Parameters
        ----------
        cells : sequence of str
            Sources of the cells; none is run.
        kernel : str, optional
            Name of the kernel.
        windowing : str, optional
            The notebook's windowing mode, if not JupyterLab's own default.
        timeout : float, optional
            Seconds.
        """
        self.server.set_settings(_NOTEBOOK_PLUGIN, {} if windowing is None else {"windowingMode": windowing})
        return self.open_path(self.server.write_notebook(cells, kernel=kernel), kernel=kernel, timeout=timeout)

    def open_path(self, path: str, *, kernel: str = DEFAULT_KERNEL, timeout: float = DEFAULT_TIMEOUT) -> Self:
        """Open a notebook of the server's root; one whose kernel runs already keeps it.

        Parameters
        ----------
        path : str
            Relative to the server's root.
        kernel : str, optional
            Name of the kernel to start if none runs.
        timeout : float, optional
            Seconds.
        """
        self.path = path
        # The kernel starts while the page loads; the front end finds its session by the path.
        if self.server.kernel_of(path) is None:
            body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
            self.server.request("POST", "api/sessions", body)
        self.page.goto(self.server.page_url(self._address(path)), wait_until="commit")
        self.wait_ready(timeout)
        return self

    def open_beside(self, cells: Sequence[str], *, kernel: str = DEFAULT_KERNEL) -> NotebookPage:
        """Open a second notebook, with a kernel of its own, beside this one in the same page."""
        other = NotebookPage(self.server, self.context, self.log, page=self.page)
        other.path = self.server.write_notebook(cells, kernel=kernel)
        # Single-document mode shows one document at a time.
        self.page.evaluate("() => { window.jupyterapp.shell.mode = 'multiple-document'; }")
        self.page.evaluate("path => __notebook_harness.openDocument(path, 'split-right')", other.path)
        other.wait_ready()
        return other

    def open_tab(self) -> Self:
        """Open the same notebook, on the same kernel, in a second tab of the same browser context."""
        # Each tab has its own ipywidgets control comm, and each is told of the other's.
        self.log.allow("console error: Comm not found for comm id", "the control comm of the other tab")
        return type(self)(self.server, self.context, self.log).open_path(self.path)

    def wait_ready(self, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until the notebook is shown and its kernel is connected and idle."""
        # A poll in each frame would make the page paint while it loads.
        self.page.wait_for_function(
            "path => __notebook_harness.ready(path)", arg=self.path, timeout=1000 * timeout, polling=40
        )

    def _call(self, function: str, *arguments: object) -> Any:
        """Call a function of the page script with this notebook's path and the arguments."""
        return self.page.evaluate(
            "([name, args]) => __notebook_harness[name](...args)", [function, [self.path, *arguments]]
        )

    # -- running -------------------------------------------------------------------------------------------------

    def start(self, index: int) -> None:
        """Begin to run a cell and return at once; ``wait`` waits for it."""
        self._call("start", index)

    def wait(self, index: int, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait for a cell begun with ``start``.

        Raises
        ------
        CellError
            If the cell raised or was cancelled.
        """
        self._raise_for(self._call("wait", index, timeout), index)

    def run(self, index: int, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Run a cell, and wait until the kernel has replied and is idle again.

        Parameters
        ----------
        index : int
            Which cell.
        timeout : float, optional
            Seconds.

        Raises
        ------
        CellError
            If the cell raised or was cancelled.
        """
        self.start(index)
        self.wait(index, timeout=timeout)

    def run_all(self, *, timeout: float = 4 * DEFAULT_TIMEOUT) -> None:
        """Run all cells, and raise CellError for the first that raised."""
        self._raise_for(self._call("runAll", timeout), None)

    def run_source(self, code: str, *, timeout: float = DEFAULT_TIMEOUT) -> int:
        """Run code in a scratch cell at the notebook's end, reused by later calls.

        Returns
        -------
        int
            The scratch cell's index.
        """
        index = int(self._call("scratch", code))
        self.run(index, timeout=timeout)
        return index

    @staticmethod
    def _raise_for(result: dict[str, Any], index: int | None) -> None:
        error = result["error"]
        if error is not None:
            raise CellError(error["index"], error["ename"], error["evalue"], plain_traceback(error["traceback"]))
        if not result["finished"]:
            raise CellError(index, "", "", "the execution was cancelled, or the kernel died")

    # -- the kernel ----------------------------------------------------------------------------------------------

    @property
    def kernel_id(self) -> str:
        """The id of the notebook's kernel; KernelError if it has none."""
        kernel_id = self._call("kernelId")
        if kernel_id is None:
            message = f"The notebook {self.path} has no kernel"
            raise KernelError(message)
        return str(kernel_id)

    @property
    def kernel_status(self) -> str | None:
        """The kernel's status as the page knows it, None without a kernel.

        An answer on the control channel (the debugger's) makes JupyterLab say idle while a cell still runs.
        """
        status: str | None = self._call("kernelStatus")
        return status

    def eval_in_kernel(self, expression: str, *, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Return the JSON value of an expression in the kernel, evaluated in no cell.

        See ``kernel_channel.evaluate`` for what the kernel notices of it.
        """
        return kernel_channel.evaluate(self._connection_file(), expression, timeout=timeout)

    def exec_in_kernel(self, code: str, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Execute statements in the kernel in no cell, silently; see ``kernel_channel.execute``."""
        kernel_channel.execute(self._connection_file(), code, timeout=timeout)

    def _connection_file(self) -> Path:
        kernel_id = self.server.kernel_of(self.path)
        if kernel_id is None:
            message = f"The notebook {self.path} has no kernel"
            raise KernelError(message)
        return self.server.connection_file(kernel_id)

    def restart_kernel(self, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Restart the kernel without asking, and wait until it is idle."""
        self._call("restart")
        self.wait_ready(timeout)

    def shutdown_kernel(self) -> None:
        """Shut the kernel down as the Kernel menu does; the notebook stays open without one."""
        self._call("shutdown")

    def interrupt(self) -> None:
        """Interrupt the kernel; a cell that runs raises KeyboardInterrupt."""
        self._call("interrupt")

    # -- cells ---------------------------------------------------------------------------------------------------

    @property
    def cell_count(self) -> int:
        """How many cells the notebook has."""
        return int(self._call("cellCount"))

    def cell_id(self, index: int) -> str:
        """Return the id of a cell: what the kernel gets as ``cell_id``."""
        return str(self._call("cellId", index))

    def execution_count(self, index: int) -> int | None:
        """Return a cell's execution count, None if it has not run."""
        count: int | None = self._call("executionCount", index)
        return count

    def cell_source(self, index: int) -> str:
        """Return the source of a cell."""
        return str(self._call("source", index))

    def set_cell_source(self, index: int, code: str) -> None:
        """Replace the source of a cell."""
        self._call("setSource", index, code)

    def insert_cell(self, index: int, code: str) -> None:
        """Insert a code cell before the cell at ``index``."""
        self._call("insert", index, code)

    def delete_cell(self, index: int) -> None:
        """Delete a cell."""
        self._call("command", index, "notebook:delete-cell")

    def move_cell(self, index: int, to: int) -> None:
        """Move a cell to another index."""
        self._call("move", index, to)

    def clear_output(self, index: int) -> None:
        """Clear the output of a cell."""
        self._call("command", index, "notebook:clear-cell-output")

    def clear_all_outputs(self) -> None:
        """Clear the outputs of all cells."""
        self._call("command", None, "notebook:clear-all-cell-outputs")

    def scroll_to(self, index: int, *, align: Literal["start", "center", "end", "smart"] = "center") -> None:
        """Scroll a cell into view."""
        self._call("scrollTo", index, align)

    def cell(self, index: int) -> Locator:
        """Return the locator of a cell."""
        return self._root().locator(f'.jp-Cell[data-windowed-list-index="{index}"]')

    def output(self, index: int) -> Locator:
        """Return the locator of a cell's output area, without those of output widgets inside it."""
        return self.cell(index).locator(".jp-Cell-outputArea")

    def text(self, index: int) -> str:
        """Return the text a cell's output shows, without space around it."""
        return self.output(index).inner_text().strip()

    def _root(self) -> Locator:
        """Return the locator of this notebook's panel; a page may hold several."""
        return self.page.locator(f'[id="{self._call("panelId")}"]')

    # -- the notebook --------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Save the notebook."""
        self._call("save")

    def close_notebook(self) -> None:
        """Save and close the notebook's tab; the page and the kernel live on."""
        self.save()
        self._call("close")
        self.page.wait_for_function("path => !__notebook_harness.isOpen(path)", arg=self.path)

    def reopen(self) -> None:
        """Open the notebook again in the same page, after ``close_notebook``."""
        self.page.evaluate("path => __notebook_harness.openDocument(path, 'tab-after')", self.path)
        self.wait_ready()

    def reload(self, *, save: bool = True, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Reload the page, by default after saving, and wait until the kernel is connected again."""
        if save:
            self.save()
        self.page.reload(wait_until="commit")
        self.wait_ready(timeout)


class Notebook7Page(NotebookPage):
    """A notebook in Notebook 7: one document per browser tab, else the interface of JupyterLab's page."""

    def _address(self, path: str) -> str:
        return f"notebooks/{path}"

    def open_beside(self, cells: Sequence[str], *, kernel: str = DEFAULT_KERNEL) -> NotebookPage:
        """Refuse: Notebook 7 shows one notebook per page."""
        message = "Notebook 7 shows one notebook per page; use open_tab or a page of JupyterLab"
        raise NotImplementedError(message)

    def close_notebook(self) -> None:
        """Save, and leave the page: in Notebook 7 the notebook is the page. The kernel lives on."""
        self.save()
        self.page.goto("about:blank")

    def reopen(self) -> None:
        """Open the notebook again after ``close_notebook``."""
        self.open_path(self.path)


class VoilaPage(JupyterPage):
    """A notebook that Voila has run and shows without its code."""

    def open(self, cells: Sequence[str], *, kernel: str = DEFAULT_KERNEL, timeout: float = 2 * DEFAULT_TIMEOUT) -> Self:
        """Write a notebook of code cells, let Voila run it, and wait until its page and widgets are there.

        Parameters
        ----------
        cells : sequence of str
            Sources of the cells.
        kernel : str, optional
            Name of the kernel.
        timeout : float, optional
            Seconds.
        """
        self.path = self.server.write_notebook(cells, kernel=kernel)
        self.page.goto(self.server.page_url(f"voila/render/{self.path}"), wait_until="load", timeout=1000 * timeout)
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until Voila's spinner is gone and its front end is connected to the kernel."""
        self.page.wait_for_function(
            """() => {
                const spinner = document.getElementById("loading");
                return !spinner || getComputedStyle(spinner).display === "none";
            }""",
            timeout=1000 * timeout,
        )

    @property
    def kernel_id(self) -> str:
        """The id of the kernel that Voila started for this page."""
        return str(self.page.evaluate("() => JSON.parse(document.getElementById('jupyter-config-data').text).kernelId"))

    def eval_in_kernel(self, expression: str, *, timeout: float = DEFAULT_TIMEOUT) -> Any:
        """Return the JSON value of an expression in the page's kernel, evaluated in no cell."""
        return kernel_channel.evaluate(self.server.connection_file(self.kernel_id), expression, timeout=timeout)

    def output(self, index: int) -> Locator:
        """Return the locator of the output of cell ``index``."""
        return self.page.locator(".jp-Cell").nth(index).locator(".jp-OutputArea")
