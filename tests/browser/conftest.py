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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test of this package fail twice before it counts: the front ends have races of their own.

    The summary counts the tests that ran again.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.flaky(reruns=1))


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
