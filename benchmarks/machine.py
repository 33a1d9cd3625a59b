"""On what the numbers were measured."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from .peers import PANEL_PACKAGES, PEER_PACKAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PACKAGES = ("bokeh_widget", "bokeh", "ipywidgets", "jupyterlab", "ipykernel", "numpy")

_PEERS = {
    "jupyter_bokeh": PEER_PACKAGES,
    "plotly": PEER_PACKAGES,
    "ipympl": PEER_PACKAGES,
    "panel": PANEL_PACKAGES,
    "pyviz_comms": PANEL_PACKAGES,
}


def describe(browser: Browser) -> dict[str, str]:
    """Return versions and hardware, in words.

    Parameters
    ----------
    browser : Browser
        The browser that was measured.
    """
    found = {name: metadata.version(name) for name in _PACKAGES}
    for name, packages in _PEERS.items():
        for peer in metadata.distributions(name=name, path=[str(packages)]):
            found[name] = peer.version
    return {
        **found,
        "python": platform.python_version(),
        "chromium": browser.version,
        "system": platform.platform(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
