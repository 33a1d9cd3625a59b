"""The inner planets on their way round the sun: a week for each step."""

from pathlib import Path

import numpy as np
import pandas as pd
from bokeh.io import curdoc
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

DAYS_PER_STEP = 7
planets = pd.read_csv(Path(__file__).parent / "data" / "planets.csv")
source = ColumnDataSource(planets.assign(x=planets.distance_au, y=0.0), name="planets")

plot = figure(width=420, height=420, match_aspect=True, tools="", toolbar_location=None)
plot.circle(0, 0, radius=planets.distance_au, fill_color=None, line_color="#405070")
plot.scatter(0, 0, size=22, color="gold")
plot.scatter("x", "y", size="size", color="color", legend_group="name", source=source)
plot.legend.orientation = "horizontal"
plot.add_layout(plot.legend[0], "below")
days = 0


def step():
    global days
    days += DAYS_PER_STEP
    angle = 2 * np.pi * days / planets.period_days
    source.data.update(x=planets.distance_au * np.cos(angle), y=planets.distance_au * np.sin(angle))
    plot.title.text = f"Day {days}"


step()
curdoc().add_root(plot)
curdoc().add_periodic_callback(step, 100)
