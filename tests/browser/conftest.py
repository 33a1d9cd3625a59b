"""Fixtures of the browser tests: one server and one browser, a fresh page for each test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.harness import (
    JupyterServer,
    Notebook7Page,
    NotebookPage,
    PageLog,
    VoilaPage,
    chromium,
)
from tests.browser.shared_pages import PASSED, SharedLabPage, SharedNotebook7Page, SharedPages

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test of this package fail twice before it counts: the front ends have races of their own.

    The summary counts the tests that ran again.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether a test has passed, for its fixtures."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report


# The scope is the package and not the session: Playwright's sync API keeps an event loop running in this thread as
# long as the browser lives, and later test packages want to run loops of their own.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without network. Replaces pytest-playwright's fixture of the name, which is not needed here."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def jupyter() -> Iterator[JupyterServer]:
    """One server with JupyterLab, Notebook 7 and Voila."""
    with JupyterServer() as server:
        yield server


@pytest.fixture(autouse=True)
def page_errors() -> Iterator[PageLog]:
    """Record the problems of all pages of a test; the test fails if one is left that nothing allows.

    ``page_errors.allow(pattern, reason)`` names one that the test provokes.
    """
    with PageLog().checked() as log:
        yield log


@pytest.fixture
def lab(jupyter: JupyterServer, browser: Browser, page_errors: PageLog) -> Iterator[NotebookPage]:
    """Yield a page for a notebook in JupyterLab; ``lab.open([...])`` opens it."""
    with NotebookPage.fresh(jupyter, browser, page_errors) as page:
        yield page


@pytest.fixture
def notebook7(jupyter: JupyterServer, browser: Browser, page_errors: PageLog) -> Iterator[Notebook7Page]:
    """Yield a page for a notebook in Notebook 7."""
    with Notebook7Page.fresh(jupyter, browser, page_errors) as page:
        yield page


@pytest.fixture(scope="package")
def shared_pages(jupyter: JupyterServer, browser: Browser) -> Iterator[SharedPages]:
    """Give the pages that tests share."""
    pages = SharedPages(jupyter, browser)
    yield pages
    pages.close()


@pytest.fixture
def shared_lab(
    request: pytest.FixtureRequest, shared_pages: SharedPages, page_errors: PageLog
) -> Iterator[NotebookPage]:
    """Give the page for a notebook in JupyterLab that tests share; ``shared_lab.open([...])`` begins anew in it."""
    yield shared_pages.lend(SharedLabPage, page_errors)
    if not request.node.stash.get(PASSED, False):
        shared_pages.drop(SharedLabPage)


@pytest.fixture
def shared_notebook7(
    request: pytest.FixtureRequest, shared_pages: SharedPages, page_errors: PageLog
) -> Iterator[NotebookPage]:
    """Give the page for a notebook in Notebook 7 that tests share."""
    yield shared_pages.lend(SharedNotebook7Page, page_errors)
    if not request.node.stash.get(PASSED, False):
        shared_pages.drop(SharedNotebook7Page)


@pytest.fixture(params=["shared_lab", "shared_notebook7"])
def shared_notebook(request: pytest.FixtureRequest) -> NotebookPage:
    """Give the page that tests share of each front end in which a user runs cells."""
    page: NotebookPage = request.getfixturevalue(request.param)
    return page


@pytest.fixture
def voila(jupyter: JupyterServer, browser: Browser, page_errors: PageLog) -> Iterator[VoilaPage]:
    """Yield a page that Voila renders."""
    with VoilaPage.fresh(jupyter, browser, page_errors) as page:
        yield page


@pytest.fixture(scope="session")
def oldest_bokeh() -> Path:
    """Return the folder with the oldest Bokeh that is supported, installed beside the tests' own."""
    folder = Path(__file__).parents[2] / ".venv" / "oldest-bokeh"
    if not folder.is_dir():
        pytest.fail("Expected the oldest supported Bokeh in .venv/oldest-bokeh: run `make .venv/.oldest`")
    return folder
