"""Live Bokeh documents as Jupyter widgets: two-way, no server, nothing left behind."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ._version import __version__

if TYPE_CHECKING:
    from . import diagnostics, errors, serving, session, widget  # noqa: F401  # as type checkers see them
    from ._connected import State
    from ._session import Session
    from ._stats import ClientStats, SessionStats, WidgetStats
    from .diagnostics import Info, Sessions, info, sessions
    from .serving import Applications, serve
    from .session import BokehSession
    from .widget import BokehWidget, close_all, show

__all__ = [
    "Applications",
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
    "serve",
    "sessions",
    "show",
]

# Jupyter Server imports this package for its extension, and needs neither Bokeh nor ipywidgets for that
_HOMES: Final = {
    "Applications": "serving",
    "BokehSession": "session",
    "BokehWidget": "widget",
    "ClientStats": "_stats",
    "Info": "diagnostics",
    "Session": "_session",
    "SessionStats": "_stats",
    "Sessions": "diagnostics",
    "State": "_connected",
    "WidgetStats": "_stats",
    "close_all": "widget",
    "info": "diagnostics",
    "serve": "serving",
    "sessions": "diagnostics",
    "show": "widget",
}
_MODULES: Final = {"diagnostics", "errors", "serving", "session", "widget"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=None)
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value  # not asked for again
    return value


def __dir__() -> list[str]:
    return __all__


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "bokeh-widget"}]


def _jupyter_nbextension_paths() -> list[dict[str, str]]:
    return [{"section": "notebook", "src": "nbextension", "dest": "bokeh-widget", "require": "bokeh-widget/extension"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "bokeh_widget._server"}]
