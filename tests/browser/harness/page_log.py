"""Record what goes wrong in pages, and tell the platform's own harmless noise from faults."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request, Response

Kind = Literal["page error", "console error", "failed request", "http status", "dialog"]

_FIRST_ERROR_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class PageProblem:
    """One thing that went wrong in a page."""

    kind: Kind
    text: str
    url: str = ""

    def __str__(self) -> str:
        """Return one line for people, the one that allow-list patterns are matched against."""
        return f"{self.kind}: {self.text}" + (f" [{self.url}]" if self.url else "")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A kind of problem that is not ours: a regular expression for the problem's line, and why it is harmless."""

    pattern: str
    reason: str


PLATFORM_NOISE: Final = (
    Allowed(
        r"^failed request: net::ERR_ABORTED",
        "the page left, or cancelled, while it loaded; a request that fails says something else",
    ),
    Allowed(
        r"^console error: Could not restore the debugger state: Canceled future for debug_request",
        "JupyterLab's debugger asks a kernel that is shut down or restarted",
    ),
    Allowed(
        r"^page error: Error: Canceled future for (create|delete)_subshell_request message before replies were done",
        "JupyterLab asks for the subshell of a comm when its kernel is shut down or restarted",
    ),
    Allowed(
        r"^page error: TypeError: Cannot read properties of undefined \(reading 'schema'\)\s+"
        r"at http://127\.0\.0\.1:\d+/static/notebook/notebook_core\.",
        "Notebook 7 reads shortcuts of plugins it has not loaded yet",
    ),
    Allowed(
        r"^page error: Error: Command 'filebrowser:open-path' not registered\.",
        "Notebook 7 restores the file browser, which it has none of in a notebook's page",
    ),
    Allowed(
        r"403.*http://127\.0\.0\.1:\d+/static/(lab|notebook)/[0-9a-f]+\.woff2",
        "JupyterLab and Notebook 7 now and then ask for a font of theirs without being logged in, and paint with another",
    ),
    Allowed(
        r"https://cdn\.jsdelivr\.net/npm/@fortawesome/fontawesome-free@",
        "Voila's template loads icons from the network",
    ),
    Allowed(
        r"https://cdnjs\.cloudflare\.com/ajax/libs/mathjax/",
        "Voila's template loads MathJax from the network",
    ),
    Allowed(
        r"^console error: Error: The getter for the shared module is not a function(?s:.*)"
        r"/voila/labextensions/@jupyter-notebook/lab-extension/",
        "Voila offers Notebook 7's extension to a front end without a document registry",
    ),
)


class PageProblemsError(AssertionError):
    """A page had problems that nobody allowed."""


class PageLog:
    """The problems of all pages it watches.

    Parameters
    ----------
    allowed : tuple of Allowed, optional
        What is not counted; by default the noise of JupyterLab, Notebook 7 and Voila themselves.
    """

    def __init__(self, allowed: tuple[Allowed, ...] = PLATFORM_NOISE) -> None:
        self.problems: list[PageProblem] = []
        self._allowed = list(allowed)

    def watch(self, page: Page) -> None:
        """Record the problems of ``page`` from now on."""
        page.on("pageerror", self._on_page_error)
        page.on("console", self._on_console)
        page.on("requestfailed", self._on_request_failed)
        page.on("response", self._on_response)
        page.on("dialog", self._on_dialog)

    def _on_page_error(self, error: Error) -> None:
        self.problems.append(PageProblem("page error", error.stack or error.message))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            self.problems.append(PageProblem("console error", message.text, message.location.get("url", "")))

    def _on_request_failed(self, request: Request) -> None:
        self.problems.append(PageProblem("failed request", request.failure or "no reason given", request.url))

    def _on_response(self, response: Response) -> None:
        if response.status >= _FIRST_ERROR_STATUS:
            line = f"{response.request.method} {response.status}"
            self.problems.append(PageProblem("http status", line, response.url))

    def _on_dialog(self, dialog: Dialog) -> None:
        # Leaving a page with unsaved changes is what tests do; any other dialog would block the page unseen.
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            self.problems.append(PageProblem("dialog", f"{dialog.type}: {dialog.message}"))
            dialog.dismiss()

    def allow(self, pattern: str, reason: str) -> None:
        """Do not count problems whose line matches the regular expression, in this log only."""
        self._allowed.append(Allowed(pattern, reason))

    def unexpected(self) -> list[PageProblem]:
        """Return the problems that nothing allows."""
        return [
            problem
            for problem in self.problems
            if not any(re.search(allowed.pattern, str(problem)) for allowed in self._allowed)
        ]

    def join(self, other: PageLog) -> None:
        """Record in another log from now on, and allow what that one allows."""
        self.problems = other.problems
        self._allowed = other._allowed

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self.problems.clear()

    def check(self) -> None:
        """Raise PageProblemsError if there is an unexpected problem."""
        unexpected = self.unexpected()
        if unexpected:
            lines = "\n".join(f"- {problem}" for problem in unexpected)
            message = f"{len(unexpected)} unexpected problem(s) in the browser:\n{lines}"
            raise PageProblemsError(message)

    @contextlib.contextmanager
    def checked(self) -> Iterator[PageLog]:
        """Check at the end of the block, unless it raises by itself."""
        yield self
        self.check()
