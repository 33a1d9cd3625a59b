"""Start Chromium so that two runs on one machine measure the same thing, and nothing reaches the network."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, BrowserType

CHROMIUM_VARIABLE: Final = "BOKEH_WIDGET_CHROMIUM"

_ARGUMENTS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Software WebGL: the same on every machine.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # A test that needs the network must fail everywhere, not only where there is none.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


_UNWATCHED: Final = Path(__file__).with_name("unwatched.js")


def chromium_path() -> str | None:
    """Return the Chromium to run: the one BOKEH_WIDGET_CHROMIUM names, else the system's, else Playwright's (None)."""
    return os.environ.get(CHROMIUM_VARIABLE) or shutil.which("chromium")


def launch(kind: BrowserType, *, headless: bool = True, arguments: Sequence[str] = ()) -> Browser:
    """Start one more Chromium beside a running one: ``launch(browser.browser_type, ...)``.

    Parameters
    ----------
    kind : BrowserType
        Playwright's Chromium; a thread can have only one Playwright.
    headless : bool, optional
        False to watch it.
    arguments : sequence of str, optional
        Further command-line switches.
    """
    return kind.launch(executable_path=chromium_path(), headless=headless, args=[*_ARGUMENTS, *arguments])


@contextmanager
def chromium(
    *, headless: bool = True, arguments: Sequence[str] = (), watches_network: bool = True
) -> Iterator[Browser]:
    """Yield a running Chromium; close it and Playwright afterwards.

    Parameters
    ----------
    headless, arguments
        As for :func:`launch`.
    watches_network : bool, default True
        Whether Playwright hears of requests and frames. It costs as much as a page's own work where much is sent: not
        for measuring. Then a :class:`PageLog` does not see requests that fail; ``websocket_frames`` works.
    """
    manager = sync_playwright()
    with nullcontext() if watches_network else _node_options(f"--require={_UNWATCHED}"):
        playwright = manager.start()
    try:
        browser = launch(playwright.chromium, headless=headless, arguments=arguments)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        playwright.stop()


@contextmanager
def _node_options(options: str) -> Iterator[None]:
    """Have Playwright's driver start with options of Node; what is started later has those that were set before."""
    before = os.environ.get("NODE_OPTIONS")
    os.environ["NODE_OPTIONS"] = f"{before or ''} {options}".strip()
    try:
        yield
    finally:
        if before is None:
            del os.environ["NODE_OPTIONS"]
        else:
            os.environ["NODE_OPTIONS"] = before
