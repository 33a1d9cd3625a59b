"""Live Bokeh documents as Jupyter widgets: two-way, no server, nothing left behind."""

from . import errors
from ._session import Session
from ._stats import ClientStats, WidgetStats
from ._version import __version__
from .diagnostics import Info, info
from .serving import Applications, serve
from .widget import BokehWidget, State, close_all, show

__all__ = [
    "Applications",
    "BokehWidget",
    "ClientStats",
    "Info",
    "Session",
    "State",
    "WidgetStats",
    "__version__",
    "close_all",
    "errors",
    "info",
    "serve",
    "show",
]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "bokeh-widget"}]


def _jupyter_nbextension_paths() -> list[dict[str, str]]:
    return [{"section": "notebook", "src": "nbextension", "dest": "bokeh-widget", "require": "bokeh-widget/extension"}]
