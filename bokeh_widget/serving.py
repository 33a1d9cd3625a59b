"""Several applications under prefixes, like the routes of a Bokeh server, without the server."""

from __future__ import annotations

import html
import logging
import os
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, get_args

from ipywidgets import HTML, Accordion, Tab, VBox

from . import _kernel
from . import widget as widget_module
from ._cells import cells
from ._hosting import context_of
from ._options import Options
from ._output import CellPrints
from ._resolving import application_of
from .errors import InputTypeError, InputValueError, SessionClosedError
from .widget import BokehWidget, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from bokeh.application import Application

log = logging.getLogger("bokeh_widget")

Arrangement: TypeAlias = Literal["tabs", "accordion", "column"]
"""How :class:`Applications` are shown together."""


def serve(
    apps: Any,
    *,
    argv: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    arrangement: Arrangement = "tabs",
    **options: Any,
) -> Applications:
    """Put applications under prefixes, as a Bokeh server puts them under routes.

    Parameters
    ----------
    apps : dict of str to application, sequence of paths, or an application
        Applications by prefix, such as ``{"/": make_document, "/stats": "stats.py"}``. Paths alone get the prefixes
        that ``bokeh serve`` gives them: ``"stats.py"`` that of ``"/stats"``. One application alone has ``"/"``.
    argv : list of str, or dict of str to list of str, optional
        Arguments of all scripts, directories and notebooks, or those of each by prefix.
    arrangement : {"tabs", "accordion", "column"}, default "tabs"
        How they are displayed together. A tab opens its session when it is first selected, a section of an
        accordion when it is first unfolded; a column opens all at once.
    **options
        As for :class:`BokehWidget`, for each session.

    Returns
    -------
    Applications
        As the last line of a cell it shows all of them.

    Raises
    ------
    InputTypeError
        If ``apps``, ``argv`` or an option is of a type that is not accepted.
    InputValueError
        If a prefix does not begin with ``"/"``, nothing is at a path, or the arrangement is unknown.
    ApplicationError
        If the code of an application cannot be loaded.

    Examples
    --------
    >>> from bokeh.models import Div
    >>> from bokeh_widget import serve
    >>> apps = serve({"/": lambda doc: doc.add_root(Div(text="one")), "/two": lambda doc: doc.add_root(Div())})
    >>> list(apps)
    ['/', '/two']
    >>> widget = apps["/two"]  # a session of its own, each time
    >>> apps.close()
    """
    if arrangement not in get_args(Arrangement):
        raise InputValueError(f"arrangement must be one of {', '.join(get_args(Arrangement))}, but got {arrangement!r}")
    return Applications(_resolved(_by_prefix(apps), argv), arrangement, Options(**options))


def _by_prefix(apps: Any) -> dict[str, Any]:
    if isinstance(apps, Mapping):
        found = dict(apps)
    elif isinstance(apps, (list, tuple)):
        found = {}
        for path in apps:
            if not isinstance(path, (str, os.PathLike)):
                raise InputTypeError(
                    f"a list for serve() holds paths, whose names are the prefixes, but got {path!r:.80}; "
                    'give a dict to name applications: {"/": make_document}'
                )
            prefix = f"/{os.path.splitext(os.path.basename(os.path.abspath(path)))[0]}"  # noqa: PTH100, PTH119, PTH122  # as Bokeh does
            if prefix in found:
                raise InputValueError(f"two paths have the prefix {prefix!r}: {apps!r:.200}; give a dict to name them")
            found[prefix] = path
    else:
        found = {"/": apps}
    if not found:
        raise InputValueError('there is no application to serve; give at least one: {"/": make_document}')
    for prefix in found:
        if not isinstance(prefix, str) or not prefix.startswith("/"):
            raise InputValueError(f'a prefix begins with "/", as in "/stats", but got {prefix!r}')
    return found


def _resolved(apps: dict[str, Any], argv: Any) -> dict[str, Application]:
    if isinstance(argv, Mapping):
        unknown = [prefix for prefix in argv if prefix not in apps]
        if unknown:
            raise InputValueError(f"argv names {unknown[0]!r}, but the applications are {', '.join(map(repr, apps))}")
        return {prefix: application_of(app, argv.get(prefix)) for prefix, app in apps.items()}
    have_argv = [prefix for prefix, app in apps.items() if isinstance(app, (str, os.PathLike))]
    if argv and not have_argv:
        raise InputValueError(f"argv is for scripts, directories and notebooks, but got {argv!r} with {apps!r:.200}")
    return {prefix: application_of(app, argv if prefix in have_argv else None) for prefix, app in apps.items()}


class Applications:
    """Applications by prefix: each look-up opens a session; the whole of it is displayed as tabs.

    Made by :func:`serve`. Nothing but the process is shared: each application has a context and hooks of its own.

    Parameters
    ----------
    apps : dict of str to bokeh.application.Application
        The applications by prefix.
    arrangement : {"tabs", "accordion", "column"}
        As for :func:`serve`.
    options : Options
        For each session.
    """

    def __init__(self, apps: dict[str, Application], arrangement: Arrangement, options: Options) -> None:
        self._apps: dict[str, Application] = apps
        self._arrangement: Final = arrangement
        self._options: Final = options
        self._opened: Final[weakref.WeakSet[BokehWidget]] = weakref.WeakSet()
        self._panels: Final[list[_Panel]] = []
        self._is_closed = False
        for application in apps.values():
            context_of(application).hold(self)
        weakref.finalize(self, _let_go, apps).atexit = False

    def __iter__(self) -> Iterator[str]:
        """Give the prefixes."""
        return iter(self._apps)

    def __len__(self) -> int:
        """Tell how many there are."""
        return len(self._apps)

    def __contains__(self, prefix: object) -> bool:
        """Tell whether there is an application under a prefix."""
        return prefix in self._apps

    def __getitem__(self, prefix: str) -> BokehWidget:
        """Open a session, and give its widget.

        Raises
        ------
        InputValueError
            If there is no such prefix.
        SessionClosedError
            After :meth:`close`.
        ApplicationError
            If the code of the application fails.
        """
        return self._open(prefix)

    def _open(self, prefix: str) -> BokehWidget:
        widget = BokehWidget(self._find(prefix), **self._options.given)
        widget.note_siblings(self._opened)
        return widget

    def open(self, prefix: str) -> BokehWidget:
        """Open a session and display it in this cell; it is closed when the cell runs again.

        Parameters
        ----------
        prefix : str
            Which application.

        Returns
        -------
        BokehWidget
            The widget that is displayed.

        Raises
        ------
        InputValueError
            If there is no such prefix.
        SessionClosedError
            After :meth:`close`.
        ApplicationError
            If the code of the application fails.
        """
        widget = show(self._find(prefix), **self._options.given)
        widget.note_siblings(self._opened)
        return widget

    def close(self) -> None:
        """Close every session that was opened here, and unload the applications, as a server does. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        for widget in list(self._opened):
            widget.close()
        for panel in list(self._panels):
            panel.close()
        for application in self._apps.values():
            context_of(application).retire(self)

    def __enter__(self) -> Self:
        """Give the applications; they are closed when the block ends."""
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all of it."""
        self.close()

    def __repr__(self) -> str:
        """Name the prefixes."""
        return f"<Applications {', '.join(self._apps)}{' closed' if self._is_closed else ''}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:  # IPython's protocol
        self._require_open()
        panel = _Panel(list(self._apps), self._open, self._arrangement, self._panels)
        self._panels.append(panel)
        cells.pin(panel, opened=True)
        return panel.container._repr_mimebundle_(**kwargs)

    def _require_open(self) -> None:
        if self._is_closed:
            raise SessionClosedError(f"{self!r}: call serve() again")

    def _find(self, prefix: str) -> Application:
        self._require_open()
        if prefix not in self._apps:
            raise InputValueError(
                f"no application has the prefix {prefix!r}; there are {', '.join(map(repr, self._apps))}"
            )
        found = application_of(self._apps[prefix])
        if found is not self._apps[prefix]:  # its files have changed
            self._apps[prefix] = found
            context_of(found).hold(self)
        return found


def _let_go(apps: dict[str, Application]) -> None:
    """Unload applications that nobody serves any more, unless sessions are open; garbage collection may call this."""

    def end() -> None:
        for application in apps.values():
            context_of(application).session_ended()

    if not _kernel.call_soon(end):
        end()


class _Panel:
    """All applications in one output: a container, and a session for each part that was looked at."""

    def __init__(
        self,
        prefixes: list[str],
        open_session: Callable[[str], BokehWidget],
        arrangement: Arrangement,
        siblings: list[_Panel],
    ) -> None:
        self._siblings = siblings
        """Those of the same applications that are open: IPython's history may hold the applications for good."""
        self._prefixes = prefixes
        self._open_session = open_session
        self._places = [VBox() for _ in prefixes]
        self._cell = CellPrints()
        if arrangement == "column":
            self.container = VBox(self._places)
            self._watch_views()
            for index in range(len(self._places)):
                self._open(index)
            return
        kind = Tab if arrangement == "tabs" else Accordion
        self.container = kind(self._places, titles=tuple(prefixes))
        self._watch_views()
        self.container.observe(self._selected, "selected_index")
        if self.container.selected_index is not None:
            self._open(self.container.selected_index)

    @property
    def model_id(self) -> str:
        return str(self.container.model_id)

    def _watch_views(self) -> None:
        # sessions tell when no page shows them, but where all applications fail there is none
        self.container._view_count = 0  # noqa: SLF001  # ipywidgets' trait, by which it counts from then on
        self.container.observe(self._viewed, "_view_count")

    def _viewed(self, change: Any) -> None:
        if change["new"] != 0:
            return
        ref = weakref.ref(self)

        def look() -> None:
            panel = ref()
            if panel is not None and panel.container._view_count == 0:  # noqa: SLF001
                panel.close_if_unused()

        _kernel.call_later(widget_module.unused_session_lifetime_ms, look)

    def _selected(self, change: Any) -> None:
        if change["new"] is not None:
            self._open(change["new"])

    def _open(self, index: int) -> None:
        place = self._places[index]
        if any(isinstance(child, BokehWidget) for child in place.children):
            return
        _close_all(place.children)  # the error of the last time
        with self._cell.here():
            self._fill(place, self._prefixes[index])

    def _fill(self, place: VBox, prefix: str) -> None:
        try:
            opened = self._open_session(prefix)
        except Exception as error:
            log.exception("the application %s could not be opened in its tab", prefix)
            place.children = (HTML(f"<pre>{html.escape(f'{type(error).__name__}: {error}')}</pre>"),)
            return
        ref = weakref.ref(self)
        opened.when_unused(lambda: None if (panel := ref()) is None else panel.close_if_unused())
        place.children = (opened,)

    def _widgets(self) -> list[BokehWidget]:
        return [child for place in self._places for child in place.children if isinstance(child, BokehWidget)]

    def close_if_unused(self) -> None:
        """Close all of it when no page shows any part of it any more."""
        if not any(widget.has_views for widget in self._widgets()):
            self.close()

    def close(self) -> None:
        cells.unpin(self)
        if self in self._siblings:
            self._siblings.remove(self)
        for place in self._places:
            _close_all(place.children)
        _close_all(self._places)
        _close_all([self.container])


def _close_all(widgets: Iterable[Any]) -> None:
    """Close widgets and the models that ipywidgets makes for them and leaves open."""
    for widget in list(widgets):
        if not isinstance(widget, BokehWidget):
            for part in ("layout", "style"):
                model = getattr(widget, part, None)
                if model is not None:
                    model.close()
        widget.close()
