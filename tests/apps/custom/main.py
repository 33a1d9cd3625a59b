"""A model of its own, with its TypeScript beside it."""

from bokeh.core.properties import String
from bokeh.io import curdoc
from bokeh.models import LayoutDOM


class Badge(LayoutDOM):
    __implementation__ = "badge.ts"
    text = String("")


curdoc().add_root(Badge(text="gold", width=100, height=30))
