"""Live Bokeh documents as Jupyter widgets: two-way, no server, nothing left behind."""

from . import errors
from ._session import Session
from ._stats import ClientStats, SessionStats, WidgetStats
from ._version import __version__
from .diagnostics import Info, Sessions, info, sessions
from .session import BokehSession
from .widget import BokehWidget, State, close_all, show

__all__ = [
    "BokehSession",
    "BokehWidget",
    "ClientStats",
    "Info",
    "Session",
    "SessionStats",
    "Sessions",
    "State",
    "WidgetStats",
    "__version__",
    "close_all",
    "errors",
    "info",
    "sessions",
    "show",
]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "bokeh-widget"}]


def _jupyter_nbextension_paths() -> list[dict[str, str]]:
    return [{"section": "notebook", "src": "nbextension", "dest": "bokeh-widget", "require": "bokeh-widget/extension"}]
