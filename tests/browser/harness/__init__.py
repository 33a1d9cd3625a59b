"""Drive JupyterLab, Notebook 7 and Voila in Chromium, and measure them.

The tests and the benchmarks use it; nothing in it needs pytest.

>>> with chromium() as browser, JupyterServer() as server, NotebookPage.fresh(server, browser) as lab:
...     lab.open(["print('hello')"])
...     lab.run(0)
...     assert lab.text(0) == "hello"
...     lab.log.check()
"""

from __future__ import annotations

from .browsers import chromium, launch
from .kernel_channel import KernelError
from .notebook_page import CellError, JupyterPage, Notebook7Page, NotebookPage, VoilaPage
from .page_log import PLATFORM_NOISE, Allowed, PageLog, PageProblem, PageProblemsError
from .probes import (
    BokehCounts,
    DomCounters,
    KernelMessage,
    bokeh_counts,
    bokeh_sources,
    cdp,
    collect_garbage,
    count_instances,
    dom_counters,
    heap_used,
    next_frame,
    screenshot,
    websocket_frames,
)
from .servers import DEFAULT_KERNEL, JupyterServer, ServerError

__all__ = [
    "DEFAULT_KERNEL",
    "PLATFORM_NOISE",
    "Allowed",
    "BokehCounts",
    "CellError",
    "DomCounters",
    "JupyterPage",
    "JupyterServer",
    "KernelError",
    "KernelMessage",
    "Notebook7Page",
    "NotebookPage",
    "PageLog",
    "PageProblem",
    "PageProblemsError",
    "ServerError",
    "VoilaPage",
    "bokeh_counts",
    "bokeh_sources",
    "cdp",
    "chromium",
    "collect_garbage",
    "count_instances",
    "dom_counters",
    "heap_used",
    "launch",
    "next_frame",
    "screenshot",
    "websocket_frames",
]
