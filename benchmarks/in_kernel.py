"""What the kernel does in the flow parts. It is run there as source, after the set-up of a peer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations import Span
from bokeh.models.widgets import Button, Slider
from bokeh.plotting import figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from bokeh.models import LayoutDOM, Plot

    Change = Callable[[Callable[[], object]], None]

made: dict[str, Any] = {}
"""The models by their names: a Bokeh server makes them when a page asks for them."""


def make_line(color: str, *, fixed: bool) -> Plot:
    """Make a line without points; with ranges that the page computes, or with fixed ones."""
    plot = figure(width=400, height=300, name="plot", title="start", toolbar_location=None, tools="")
    if fixed:
        plot.x_range = Range1d(start=0, end=100)
        plot.y_range = Range1d(start=-1, end=1)
    made["source"] = ColumnDataSource({"x": np.empty(0), "y": np.empty(0)}, name="source")
    plot.line("x", "y", source=made["source"], line_color=color)
    made["plot"] = plot
    return plot


def make_image() -> LayoutDOM:
    """Make an image of four pixels."""
    plot = figure(width=400, height=300, name="plot", title="start", toolbar_location=None, tools="")
    made["source"] = ColumnDataSource({"image": [np.zeros((2, 2))]}, name="source")
    plot.image("image", x=0, y=0, dw=10, dh=10, source=made["source"], palette="Viridis256")
    made["plot"] = plot
    return plot


def make_crowd(models: int) -> LayoutDOM:
    """Make a plot of so many models: most of them are spans that are not painted, one is a range that nothing uses."""
    plot = make_line("#123456", fixed=True)
    made["note"] = Range1d(name="note", start=-1)
    plot.tags = [made["note"]]
    few = len(plot.references())
    plot.center = [*plot.center, *(Span(location=n, visible=False) for n in range(models - few))]
    return plot


class Stream:
    """Rows that count up, so that whatever happens to one of them is seen.

    Parameters
    ----------
    change : callable
        Calls a function where the document may be changed.
    count : int
        Rows of one update.
    rollover : int
        How many rows are kept.
    most_s : float
        After so many seconds no further update is made.
    """

    def __init__(self, change: Change, count: int, rollover: int, most_s: float) -> None:
        self._most_s = most_s
        self._change = change
        self._count = count
        self._rollover = rollover
        self._source: ColumnDataSource = made["source"]
        self._cpu = 0.0
        self._updates = 0
        self.started = self.last = self.finished = 0.0

    def _begin(self) -> None:
        self._cpu = time.process_time()
        self.started = time.time()

    def _update(self) -> bool:
        if time.time() - self.started > self._most_s:
            return False
        x = np.arange(self._updates * self._count, (self._updates + 1) * self._count, dtype=float)
        rows: dict[str, Any] = {"x": x, "y": x % 97}
        self._updates += 1
        self.last = time.time()
        self._change(lambda: self._source.stream(rows, self._rollover))
        return True

    async def rate(self, updates: int, hertz: float) -> None:
        """Update at a rate, from a task; what is late is made up for."""
        self._begin()
        for number in range(updates):
            await asyncio.sleep(max(0, self.started + number / hertz - time.time()))
            if not self._update():
                break
        self.finished = time.time()

    async def loop(self, updates: int) -> None:
        """Update as fast as the event loop lets a task."""
        self._begin()
        for _ in range(updates):
            if not self._update():
                break
            await asyncio.sleep(0)
        self.finished = time.time()

    def cell(self, updates: int) -> None:
        """Update as fast as a loop does that nobody interrupts."""
        self._begin()
        for _ in range(updates):
            if not self._update():
                break
        self.finished = time.time()

    def report(self) -> dict[str, float]:
        """Tell times in milliseconds since 1970, and the processor's milliseconds for each update until now."""
        cpu_ms = 1000 * (time.process_time() - self._cpu) / max(1, self._updates)
        times = {name: 1000 * getattr(self, name) for name in ("started", "last", "finished")}
        return {**times, "cpu_ms": cpu_ms, "updates": self._updates}

    def faults(self) -> dict[str, int]:
        """Count what is wrong with Python's own columns."""
        x = np.asarray(self._source.data["x"], dtype=float)
        y = np.asarray(self._source.data["y"], dtype=float)
        total = self._updates * self._count
        first = max(0, total - self._rollover)
        shorter = min(len(x), len(y))
        fine = (x[:shorter] >= first) & (x[:shorter] < total) & (y[:shorter] == x[:shorter] % 97)
        return {
            "rows": len(x),
            "missing": int(np.setdiff1d(np.arange(first, total), x).size),
            "duplicates": len(x) - int(np.unique(x).size),
            "disordered": int(np.count_nonzero(~(np.diff(x) > 0))),
            "wrong": int(np.count_nonzero(~fine)) + abs(len(x) - len(y)),
        }


def assign(data: dict[str, Any]) -> None:
    """Replace the data of the source."""
    made["source"].data = data


class Replacing:
    """Whole columns, made before they are timed.

    Parameters
    ----------
    change : callable
        Calls a function where the document may be changed.
    assign : callable
        Shows the data.
    """

    def __init__(self, change: Change, assign: Callable[[dict[str, Any]], None]) -> None:
        self._change = change
        self._assign = assign
        self.started = 0.0

    def points(self, count: int, number: int) -> None:
        """Replace both columns; the last y is the number of the round."""
        x = np.linspace(0, 100, count)
        y = np.sin(x)
        y[-1] = number
        self._replace({"x": x, "y": y}, number)

    def image(self, side: int, number: int) -> None:
        """Replace the image; the last pixel is the number of the round."""
        image = ((np.arange(side * side, dtype=float) + number) % 1000).reshape(side, side)
        image[-1, -1] = number
        self._replace({"image": [image]}, number)

    def _replace(self, data: dict[str, Any], number: int) -> None:
        made["number"] = number
        self.started = time.time()
        self._change(lambda: self._assign(data))


class Controls:
    """A slider whose callback writes the title, and a button whose callback counts."""

    def __init__(self) -> None:
        self.sleep_s = 0.0
        self.calls: list[float] = []
        self.clicks = 0

    def make(self) -> LayoutDOM:
        """Make a plot under a slider and a button."""
        plot = make_line("#123456", fixed=True)
        slider = Slider(name="slider", start=0, end=10_000, value=0)
        slider.on_change("value", self._slid)
        button = Button(name="button", label="count")
        button.on_event("button_click", self._clicked)
        return column(slider, button, plot)

    def _slid(self, _attribute: str, _old: float, new: float) -> None:
        time.sleep(self.sleep_s)
        made["plot"].title.text = f"value {new}"
        self.calls.append(1000 * time.time())

    def _clicked(self, _event: object) -> None:
        self.clicks += 1


class Notes:
    """One property, set again and again with a pause, so that each change goes alone.

    Parameters
    ----------
    change : callable
        Calls a function where the document may be changed.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self.cpu_ms = 0.0
        self.done = False

    async def pause(self, count: int, interval_s: float) -> None:
        """Do as much without setting it: what the loop itself costs."""
        await self._repeat(count, interval_s, lambda _: None)

    async def set(self, count: int, interval_s: float) -> None:
        """Set it to one number after the other."""
        note = made["note"]
        await self._repeat(count, interval_s, lambda number: self._change(lambda: setattr(note, "start", number)))

    async def _repeat(self, count: int, interval_s: float, step: Callable[[int], None]) -> None:
        self.done = False
        before = time.process_time()
        for number in range(count):
            step(number)
            await asyncio.sleep(interval_s)
        self.cpu_ms = 1000 * (time.process_time() - before) / count
        self.done = True
