"""Fails in its sixth line."""

from bokeh.io import curdoc
from bokeh.models import Div

curdoc().add_root(Div(text=str(1 / 0)))
