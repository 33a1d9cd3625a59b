"""Which application is meant: a function, a path with its arguments, or what Bokeh calls an application."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bokeh.application import Application
from bokeh.application.handlers import Handler

from ._application import (
    application_from_function,
    application_from_path,
    check_is_plain,
    checked_argv,
    checked_path,
    is_application,
    name_of,
)
from ._content import Content, resolve_content
from ._hosting import Origin, context_of, discard
from ._local_modules import LocalModules
from ._themes import theme_for_document
from .errors import InputTypeError, InputValueError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from pathlib import Path

    from bokeh.document import Document
    from bokeh.models.ui import UIElement

    from ._themes import ThemeLike

    Showable: TypeAlias = (
        UIElement
        | Sequence[UIElement]
        | Document
        | Callable[[Document], object]
        | str
        | os.PathLike[str]
        | Application
        | Handler
    )

# as long as a session of it is open, the same function is the same application
_by_object: Final[weakref.WeakValueDictionary[Hashable, Application]] = weakref.WeakValueDictionary()
# a script or directory is, until its files change or it is unloaded
_by_path: Final[weakref.WeakValueDictionary[tuple[str, tuple[str, ...]], Application]] = weakref.WeakValueDictionary()
_lock: Final = threading.RLock()


def application_of(obj: Any, argv: object = None) -> Application:
    """Find or make the application that is meant.

    Parameters
    ----------
    obj : callable, str, os.PathLike, Handler or Application
        As :func:`is_application` takes it.
    argv : list of str, optional
        Arguments of a script, directory or notebook.

    Returns
    -------
    bokeh.application.Application
        The same as before for the same function while it has sessions, and for a path as long as its files stay as
        they are.

    Raises
    ------
    InputTypeError
        If it is no application, ``argv`` is no list of strings, or the function is a coroutine function.
    InputValueError
        If nothing is at the path, the function takes other arguments, or has ``argv``.
    ApplicationError
        If the code cannot be loaded.
    """
    words = checked_argv(argv)
    if not is_application(obj):
        raise InputTypeError(
            "an application is a function of the document, the path of a script, directory or notebook, or a "
            f"bokeh.application.Application, but got {obj!r:.80}"
        )
    if isinstance(obj, Application):
        found = obj if words else _as_it_is_now(obj)
        check_is_plain(found)
    elif callable(obj) or isinstance(obj, Handler):
        found = _of_object(obj)
    else:
        return _of_path(checked_path(obj), words)
    if words:
        raise InputValueError(
            f"argv is for scripts, directories and notebooks, but {name_of(obj)} is none and got {words!r}"
        )
    return found


def _of_object(obj: Any) -> Application:
    with _lock:
        try:
            found = _by_object.get(obj)
        except TypeError:  # a method of an object that has no hash
            return application_from_function(obj)
        if found is None:
            if isinstance(obj, Handler):
                found = Application(obj)
                check_is_plain(found)
            else:
                found = application_from_function(obj)
            _by_object[obj] = found
        return found


def _as_it_is_now(application: Application) -> Application:
    """Give the application of the same path, which is another one if its files have changed or it was unloaded."""
    origin = context_of(application).origin
    return application if origin is None else _of_path(checked_path(origin.path), origin.argv)


def _of_path(path: Path, argv: list[str]) -> Application:
    key, signature = (str(path), tuple(argv)), _signature(path)
    known = _by_path.get(key)
    if known is not None:
        if context_of(known).is_of(signature):
            return known
        context_of(known).modules.forget_compiled()
    made = _make_of_path(Origin(path, list(argv), signature))  # without the lock: this runs the files of hooks
    with _lock:
        other = _by_path.get(key)
        if other is not None and other is not known and context_of(other).is_of(signature):
            return other  # another thread was faster
        _by_path[key] = made
    if other is not None:
        context_of(other).retire()
    return made


def _make_of_path(origin: Origin) -> Application:
    path = origin.path
    modules = LocalModules([str(path if path.is_dir() else path.parent)])
    try:
        with modules.in_place():
            made = application_from_path(path, origin.argv)
    except BaseException:
        modules.forget()
        raise
    modules.take_away()  # they are there while it is loaded, and not before
    context_of(made, origin, modules)
    return made


def _signature(path: Path) -> object:
    found = [(str(file), file.stat()) for file in (sorted(_code_in(path)) if path.is_dir() else [path])]
    return [(file, stat.st_mtime_ns, stat.st_size) for file, stat in found]


def _code_in(folder: Path) -> Iterator[Path]:
    """Give the files of a directory, and of the packages in it, of which a session is made."""
    for entry in folder.iterdir():
        if entry.suffix in (".py", ".ipynb", ".yaml"):
            if entry.exists():  # editors leave links that lead nowhere
                yield entry
        elif (entry / "__init__.py").exists():
            yield from _code_in(entry)


def open_content(obj: Any, *, argv: object = None, theme: ThemeLike | None = None) -> Content:
    """Bring what the user wants to show to a document: that of an application is new.

    Parameters
    ----------
    obj : object
        What :func:`application_of` or :func:`resolve_content` take.
    argv : list of str, optional
        Arguments of a script, directory or notebook.
    theme : str, Path, dict or bokeh.themes.Theme, optional
        For the document.

    Returns
    -------
    Content
        The document and what to show of it. If it is not used, :func:`discard` it.

    Raises
    ------
    BokehWidgetError
        As those two.
    """
    if is_application(obj):
        content = context_of(application_of(obj, argv)).open()
    else:
        if checked_argv(argv):
            raise InputValueError(f"argv is for scripts, directories and notebooks, but got {argv!r} with {obj!r:.80}")
        content = resolve_content(obj)
    if theme is not None:
        try:
            content.document.theme = theme_for_document(theme)
        except BaseException:
            discard(content)
            raise
    return content
