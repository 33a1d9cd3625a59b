"""Counts clicks: a directory with a theme, data, and hooks that print."""

from pathlib import Path

from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Button, Div
from bokeh.plotting import figure

heading = (Path(__file__).parent / "data" / "heading.txt").read_text("utf-8").strip()
counter = Div(name="counter", text="0 clicks")
button = Button(name="button", label=heading)
plot = figure(name="plot", height=200)
plot.line([1, 2, 3], [1, 3, 2])
clicks = 0


def count() -> None:
    global clicks  # noqa: PLW0603  # as scripts do
    clicks += 1
    counter.text = f"{clicks} clicks"


def say_goodbye(session_context) -> None:
    print(f"document of a session ends after {clicks} clicks, destroyed: {session_context.destroyed}")


button.on_click(count)
curdoc().add_root(column(button, counter, plot))
curdoc().on_session_destroyed(say_goodbye)
