from bokeh.io import curdoc

from .parts import greeting

curdoc().add_root(greeting())
