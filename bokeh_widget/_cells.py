"""Which cell shows what, so that what a cell showed goes when the cell runs again.

A displayed widget is pinned to its cell: what the user sees is alive even if no variable holds
it. IPython tells which cell runs (``pre_run_cell`` with ``info.cell_id``); messages of comms run
outside of any cell.
"""

from __future__ import annotations

import logging
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import _kernel

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("bokeh_widget")

_NO_CELL: Final = ""
"""Under this key is kept what was displayed while no cell ran."""


class Displayed(Protocol):
    """What can be pinned to a cell."""

    @property
    def model_id(self) -> str:
        """Id of the widget model."""

    def close(self) -> None:
        """Free everything."""


class Follower(Protocol):
    """Who looks what a cell has changed."""

    def cell_ended(self) -> None:
        """Take note that a cell has ended; must not raise."""


class _Cells:
    """The pins of one IPython shell."""

    def __init__(self) -> None:
        self._pins: dict[str, dict[str, Displayed]] = defaultdict(dict)
        # what show() opened is closed with its cell even if a variable holds it
        self._opened: dict[str, weakref.WeakSet[Any]] = defaultdict(weakref.WeakSet)
        # innermost last: code of a cell may run another one (%run, run_cell)
        self._running: list[tuple[str, int]] = []
        self._runs = 0
        self._shell: weakref.ref[Any] | None = None
        self._watchers: tuple[Callable[[], object], Callable[[], object]] | None = None
        self.followers: Final[weakref.WeakSet[Follower]] = weakref.WeakSet()
        """Told of each cell that ends."""

    def watch(self, begins: Callable[[], object], ends: Callable[[], object]) -> None:
        """Call ``begins`` when a cell begins, and ``ends`` when none runs any more; the last pair given counts."""
        self._watchers = (begins, ends)

    def install(self) -> None:
        """Listen to the cells of the running shell; once per shell."""
        shell = _kernel.shell()
        if shell is None or (self._shell is not None and self._shell() is shell):
            return
        self._shell = weakref.ref(shell)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)
        if _kernel.is_running_cell():  # the cell that makes the first widget began before
            self._begin(_kernel.running_cell_id())

    def _before(self, info: Any) -> None:  # IPython's ExecutionInfo
        self._begin(getattr(info, "cell_id", None))

    def _begin(self, cell_id: str | None) -> None:
        if cell_id is None:  # nbclient and plain IPython have no cell ids: each run is its own
            shell = _kernel.shell()
            cell_id = f"execution {0 if shell is None else shell.execution_count}"
        self._runs += 1
        self._running.append((cell_id, self._runs))
        self.release(cell_id)
        if self._watchers is not None:
            self._watchers[0]()

    def _after(self, _result: object) -> None:
        if self._running:
            self._running.pop()
        for follower in list(self.followers):
            follower.cell_ended()
        if not self._running and self._watchers is not None:
            self._watchers[1]()

    @property
    def current_run(self) -> int | None:
        """Number of the run of a cell that is in progress, or None outside of cells."""
        return self._running[-1][1] if self._running else None

    def pin(self, widget: Displayed, *, opened: bool) -> None:
        """Keep a widget alive for the cell that runs now.

        Outside of a cell (a callback displays it, as ``interact`` does) it is kept until :meth:`unpin`.
        """
        if not self._running and _kernel.shell() is None:
            return  # plain Python displays nothing
        cell_id = self._running[-1][0] if self._running else _NO_CELL
        self._pins[cell_id][widget.model_id] = widget
        if opened:
            self._opened[cell_id].add(widget)

    def unpin(self, widget: Displayed) -> None:
        """Let a widget go from every cell, and from IPython's output history."""
        for cell_id in list(self._pins):
            if self._pins[cell_id].get(widget.model_id) is widget:
                del self._pins[cell_id][widget.model_id]
                if not self._pins[cell_id]:
                    del self._pins[cell_id]
        _kernel.forget_displayed(widget)

    def is_pinned(self, widget: Displayed) -> bool:
        """Tell whether some cell keeps the widget."""
        return any(pins.get(widget.model_id) is widget for pins in self._pins.values())

    def is_opened(self, widget: Displayed) -> bool:
        """Tell whether some cell opened the widget, so that it ends with what the cell shows."""
        return any(widget in opened for opened in self._opened.values())

    def release(self, cell_id: str) -> None:
        """Let everything go that the previous run of a cell showed, and close what it opened."""
        self._close_opened(cell_id)
        for widget in list(self._pins.pop(cell_id, {}).values()):
            _kernel.forget_displayed(widget)

    def close_opened(self) -> None:
        """Close what all cells opened."""
        for cell_id in list(self._opened):
            self._close_opened(cell_id)

    def _close_opened(self, cell_id: str) -> None:
        for widget in list(self._opened.pop(cell_id, ())):
            try:
                widget.close()
            except Exception:
                log.exception("could not close %r, which a cell opened", widget)


cells = _Cells()
"""The cells of this process: a kernel has one shell."""
