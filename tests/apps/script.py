"""A plot with as many points as the first argument says."""

import sys

from bokeh.plotting import curdoc, figure

count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
plot = figure(name="plot", height=200)
plot.line(list(range(count)), list(range(count)))
curdoc().add_root(plot)
curdoc().title = f"{count} points"
