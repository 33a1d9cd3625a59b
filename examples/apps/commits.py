"""At what hour people commit, on one day of the week; the argument is the day to begin with."""

import sys

from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Button
from bokeh.plotting import figure
from bokeh.sampledata.commits import data

DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
counts = data.groupby(["day", data.time.map(lambda time: time.hour)]).size().unstack(fill_value=0)
counts = counts.reindex(columns=range(24), fill_value=0)
day = sys.argv[1] if len(sys.argv) > 1 else DAYS[0]

plot = figure(x_range=(-0.5, 23.5), y_range=(0, counts.to_numpy().max() * 1.05), height=240, tools="")
plot.sizing_mode = "stretch_width"
plot.xaxis.axis_label = "hour of the day"
bars = plot.vbar(x=counts.columns, top=counts.loc[day], width=0.9, line_color=None)
button = Button(label="Next day", width=120)


def show(new_day):
    global day
    day = new_day
    bars.data_source.data["top"] = counts.loc[day].to_numpy()
    plot.title.text = f"{counts.loc[day].sum()} commits on {day}"


show(day)
button.on_click(lambda: show(DAYS[(DAYS.index(day) + 1) % 7]))
curdoc().add_root(column(button, plot, sizing_mode="stretch_width"))
