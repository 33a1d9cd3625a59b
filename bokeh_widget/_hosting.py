"""Applications as this kernel hosts them: each is loaded once, opens sessions, and is unloaded at the end.

The end is that of the kernel, or earlier: when nobody holds the application any more and no session of it is open,
when its files have changed, or when what serves it was closed.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bokeh.application import Application
from bokeh.application.handlers import Handler
from bokeh.document import Document

from . import _kernel
from ._application import (
    application_from_function,
    application_from_path,
    application_name,
    check_handlers,
    check_packages,
    checked_argv,
    checked_path,
    failure,
    forget_failures,
    is_application,
    name_of,
)
from ._content import Content, resolve_content
from ._contexts import ServerContext, SessionContext
from ._curdoc import patch_curdoc
from ._hooks import FAILURES, call_hook, finish, finish_running
from ._session import all_sessions
from ._themes import theme_for_document
from ._upstream_code import code_of_application, forget_modules
from .errors import ApplicationError, EmptyDocumentError, InputTypeError, InputValueError, SessionRefusedError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from pathlib import Path

    from bokeh.models.ui import UIElement
    from tornado.ioloop import IOLoop

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

log = logging.getLogger("bokeh_widget")

_MARK: Final = "_bokeh_widget_context"
_contexts: Final[weakref.WeakSet[ApplicationContext]] = weakref.WeakSet()
# as long as a session of it is open, the same function is the same application
_by_object: Final[weakref.WeakValueDictionary[Hashable, Application]] = weakref.WeakValueDictionary()
# a script or directory is, until its files change
_by_path: Final[dict[tuple[str, tuple[str, ...]], tuple[object, Application]]] = {}
_lock: Final = threading.RLock()


_PATIENCE_S: Final = 2.0
_turns_of_context: Final[contextvars.ContextVar[tuple[object, ...]]] = contextvars.ContextVar("turns", default=())


class _Turn:
    """Lets one thread at a time load or unload an application, and holds no lock while the hooks run.

    A hook may wait for the lock of a document. Who holds that one and waits here would wait for ever.
    """

    def __init__(self) -> None:
        self._freed: Final = threading.Condition()
        self._turn: object = None

    @contextlib.contextmanager
    def taken(self, name: str) -> Iterator[None]:
        """Wait for the turn, and have it in the block."""
        outer, turn = _turns_of_context.get(), object()
        if self._turn in outer:  # coroutines of hooks may run in another thread, but in the same context
            raise ApplicationError(
                f"on_server_loaded or on_server_unloaded of the application {name} uses the application itself, which "
                "is not loaded meanwhile; let server_context.add_next_tick_callback() do that later"
            )
        patience_s = _PATIENCE_S if any(session.flow.is_held_here for session in all_sessions()) else None
        try:
            with self._freed:
                if not self._freed.wait_for(lambda: self._turn is None, patience_s):
                    raise ApplicationError(
                        f"another thread loads or unloads the application {name}, and has not ended within "
                        f"{patience_s} s, while this one holds the lock of a document, for which the other may wait; "
                        "open the application in a cell, or in a callback that is marked with without_document_lock"
                    )
                self._turn = turn
            _turns_of_context.set((*outer, turn))
            yield
        finally:
            _turns_of_context.set(outer)
            with self._freed:
                if self._turn is turn:
                    self._turn = None
                    self._freed.notify()


class ApplicationContext:
    """One application in this kernel.

    Parameters
    ----------
    application : bokeh.application.Application
        The application.
    loop : tornado.ioloop.IOLoop or None
        Where its callbacks run.
    """

    def __init__(self, application: Application, loop: IOLoop | None) -> None:
        self.application: Final = application
        self.server_context: Final = ServerContext(self, loop)
        self._turn: Final = _Turn()
        self._is_loaded = False
        self._is_retired = False
        _contexts.add(self)

    def __del__(self) -> None:
        """Unload the application that nobody holds any more, outside of garbage collection if there is a loop."""
        if self.__dict__.get("_is_loaded") and not _kernel.call_soon(self.unload):
            self.unload()

    @property
    def name(self) -> str:
        """What the application was made of, for messages."""
        return application_name(self.application)

    # --- once ----------------------------------------------------------------------------------

    def load(self) -> None:
        """Call ``on_server_loaded``, if it was not called yet.

        Raises
        ------
        ApplicationError
            If the hook fails; the next use calls it again. If another thread just loads or unloads the application, and
            does not come to an end while this one holds the lock of a document, or if a hook opens a session of its
            own application.
        """
        with self._turn.taken(self.name):
            self._is_retired = False
            if self._is_loaded:
                return
            self.server_context.begin()
            try:
                self._load()
            except BaseException:
                self.server_context.close()
                self._forget_packages()
                raise
            _say_what_is_not_used(self.application, self.name)
            self._is_loaded = True

    def _load(self) -> None:
        for handler in self.application.handlers:
            package = getattr(handler, "_package", None)
            if package is not None:
                sys.modules[package.__name__] = package
            try:
                finish(call_hook(handler.on_server_loaded, self.server_context))
            except (Exception, SystemExit) as error:
                raise failure(f"on_server_loaded of the application {self.name}", error) from error
        check_packages(self.application)

    def unload(self) -> None:
        """Call ``on_server_unloaded`` and cancel the callbacks of the application. The next use loads it again."""
        if not self._is_loaded:
            return
        with self._turn.taken(self.name):
            if not self._is_loaded:
                return
            self._is_loaded = False
            self.server_context.close()
            for handler in self.application.handlers:
                try:
                    finish(call_hook(handler.on_server_unloaded, self.server_context))
                except FAILURES as error:
                    _log_error(failure(f"on_server_unloaded of the application {self.name}", error))
            self._forget_packages()

    def _forget_packages(self) -> None:
        for handler in self.application.handlers:
            package = getattr(handler, "_package", None)
            if package is not None:
                forget_modules(package.__name__)

    def retire(self) -> None:
        """Unload the application now, or when its last session is closed and the hooks of that have ended."""
        self._is_retired = True
        self.session_ended()

    def session_ended(self) -> None:
        """Take note that a session is closed."""
        if self._is_retired and not self.server_context.is_in_use:
            self.unload()

    # --- for each session ------------------------------------------------------------------------

    def open(self) -> Content:
        """Make the document of a new session, as Bokeh's server does: first the hooks, then the code.

        Returns
        -------
        Content
            The document, with the context that is to be given to its session.

        Raises
        ------
        ApplicationError
            If a hook or the code fails, or refuses the session.
        EmptyDocumentError
            If there is nothing to show, and nothing that could bring it later.
        """
        self.load()
        document = Document()
        context = SessionContext(self.server_context, document)
        try:
            self._create(context)
            self._check_is_wanted(context)
            self._fill(document)
            self._check_is_wanted(context)
            self._check_shows_something(document)
        except BaseException:
            discard(Content(document, is_own=True, root_ids=None, context=context))
            raise
        return Content(document, is_own=True, root_ids=None, context=context)

    def _create(self, context: SessionContext) -> None:
        for handler in self.application.handlers:
            try:
                finish(call_hook(handler.on_session_created, context))
            except (Exception, SystemExit) as error:  # a script that exits is not to end the kernel
                raise failure(f"on_session_created of the application {self.name}", error) from error

    def _fill(self, document: Document) -> None:
        forget_failures(self.application)
        with code_of_application(), patch_curdoc(document):
            try:
                self.application.initialize_document(document)
            except (Exception, SystemExit) as error:
                raise failure(f"the application {self.name}", error) from error
        check_handlers(self.application)

    def _check_is_wanted(self, context: SessionContext) -> None:
        if context.destroyed:
            raise SessionRefusedError(
                f"the application {self.name} destroyed session {context.id} before it was open, so there is "
                "nothing to show; its on_session_created hook says when it takes one"
            )

    def _check_shows_something(self, document: Document) -> None:
        if not document.roots and not document.session_callbacks:
            raise EmptyDocumentError(
                f"the application {self.name} added nothing to its document, so there is nothing to show; "
                "let it add a root: doc.add_root(figure), in a script curdoc().add_root(figure)"
            )


def discard(content: Content) -> None:
    """Free the document of a session that does not open, and call the hooks of its end.

    Parameters
    ----------
    content : Content
        What :func:`open_content` made.
    """
    if content.context is not None:
        try:
            content.document.clear()
        finally:
            content.context.end(_log_error)


def _log_error(error: BaseException) -> None:
    log.error("%s", error, exc_info=error)


def _say_what_is_not_used(application: Application, name: str) -> None:
    for handler in application.handlers:
        if getattr(handler, "_template", None) is not None:
            log.warning("templates/index.html of the application %s is not used: a cell has no page of its own", name)
    if application.static_path is not None:
        log.info("the static files of the application %s have no URL: no server serves them", name)


# --- which application is meant ----------------------------------------------------------------------


def context_of(application: Application) -> ApplicationContext:
    """Give the context of an application; the application holds it, so that both go together."""
    with _lock:
        found = getattr(application, _MARK, None)
        if not isinstance(found, ApplicationContext):
            found = ApplicationContext(application, _kernel.io_loop())
            setattr(application, _MARK, found)
        return found


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
        found = obj
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
            found = Application(obj) if isinstance(obj, Handler) else application_from_function(obj)
            _by_object[obj] = found
        return found


def _of_path(path: Path, argv: list[str]) -> Application:
    key, signature = (str(path), tuple(argv)), _signature(path)
    known = _by_path.get(key)
    if known is not None and known[0] == signature:
        return known[1]
    made = application_from_path(path, argv)  # without the lock: this runs the files of hooks
    with _lock:
        other = _by_path.get(key)
        if other is not known and other is not None and other[0] == signature:
            return other[1]  # another thread was faster
        _by_path[key] = (signature, made)
    if other is not None:
        context_of(other[1]).retire()
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


# --- the end -------------------------------------------------------------------------------------------


def shut_down() -> None:
    """End all sessions that have hooks, and then unload every application. The pages are not told: the kernel ends."""
    for session in all_sessions():
        if session.context.owes_hooks:
            session.close(tell_connections=False)  # raises nothing: what hooks raise is reported
    finish_running()
    for context in list(_contexts):
        context.unload()
    _by_path.clear()


atexit.register(shut_down)
