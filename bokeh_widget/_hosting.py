"""Applications as this kernel hosts them: each is loaded once, opens sessions, and is unloaded at the end.

The end is that of the kernel, or earlier, as soon as no session of it is open: when nobody holds the application any
more, as for some time after its last session one of a path is held by us; when its files have changed; when what serves
it was closed, and when everything was.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import sys
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bokeh.document import Document

from . import _kernel
from ._application import (
    application_name,
    check_handlers,
    check_packages,
    failure,
    folders_of,
    forget_failures,
)
from ._content import Content
from ._contexts import ServerContext, SessionContext
from ._curdoc import patch_curdoc
from ._hooks import FAILURES, call_hook, finish, finish_running
from ._local_modules import LocalModules
from ._session import all_sessions
from ._upstream_code import code_of_application, forget_modules, forget_names
from .errors import ApplicationError, EmptyDocumentError, SessionRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bokeh.application import Application
    from tornado.ioloop import IOLoop


log = logging.getLogger("bokeh_widget")

_MARK: Final = "_bokeh_widget_context"
_contexts: Final[weakref.WeakSet[ApplicationContext]] = weakref.WeakSet()
_collected: Final[deque[ApplicationContext]] = deque()
_lock: Final = threading.RLock()

_unused_lifetime_ms: Callable[[], float] | None = None


def keep_unused_for(lifetime_ms: Callable[[], float]) -> None:
    """Let applications of paths stay loaded after their last session, so that a cell that runs again finds them so.

    Parameters
    ----------
    lifetime_ms : callable
        Gives for how long, in milliseconds.
    """
    global _unused_lifetime_ms  # noqa: PLW0603  # a process has one kernel
    _unused_lifetime_ms = lifetime_ms


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an application of a path comes from.

    Attributes
    ----------
    path : pathlib.Path
        The script, notebook or directory.
    argv : list of str
        Its arguments.
    signature : object
        Of its files, when it was made.
    """

    path: Path
    argv: list[str]
    signature: object


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
    origin : Origin, optional
        Where it comes from, if that is a path.
    modules : LocalModules, optional
        Those that it has imported so far.
    """

    def __init__(
        self,
        application: Application,
        loop: IOLoop | None,
        origin: Origin | None = None,
        modules: LocalModules | None = None,
    ) -> None:
        self.application: Final = application
        self.server_context: Final = ServerContext(self, loop)
        self.origin: Final = origin
        self.modules: Final = modules or LocalModules(folders_of(application))
        self._holders: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
        self._turn: Final = _Turn()
        self._is_loaded = False
        self._was_loaded = False
        self._is_gone = False
        self._is_retired = False
        self._cancel_unload: Callable[[], None] | None = None
        _contexts.add(self)

    def __del__(self) -> None:
        """Unload the application that nobody holds any more, outside of garbage collection if there is a loop."""
        if self.__dict__.get("_is_loaded"):
            _collected.append(self)
            if not _kernel.call_soon(_unload_collected):
                _unload_collected()

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
        self._stop_waiting()
        _unload_collected()  # its handlers may have been those of an application that is to be unloaded yet
        with self._turn.taken(self.name):
            self._is_retired = False
            if self._is_loaded:
                return
            self.server_context.begin()
            try:
                with self.modules.in_place():
                    self._load()
            except BaseException:
                self.server_context.close()
                self._forget_modules()
                raise
            _say_what_is_not_used(self.application, self.name)
            self._is_loaded = True

    def _load(self) -> None:
        is_again, self._was_loaded = self._was_loaded, True
        for handler in self.application.handlers:
            package = getattr(handler, "_package", None)
            if package is not None:
                if is_again:
                    forget_names(package)
                sys.modules[package.__name__] = package
            try:
                finish(call_hook(handler.on_server_loaded, self.server_context))
            except (Exception, SystemExit) as error:
                raise failure(f"on_server_loaded of the application {self.name}", error) from error
        check_packages(self.application)

    def unload(self) -> None:
        """Call ``on_server_unloaded`` and cancel the callbacks of the application. The next use loads it again."""
        self._stop_waiting()
        if not self._is_loaded:
            return
        with self._turn.taken(self.name):
            if not self._is_loaded:
                return
            self._is_loaded = False
            self.server_context.close()
            with self.modules.in_place():
                for handler in self.application.handlers:
                    try:
                        finish(call_hook(handler.on_server_unloaded, self.server_context))
                    except FAILURES as error:
                        _log_error(failure(f"on_server_unloaded of the application {self.name}", error))
            self._forget_modules()

    def _forget_modules(self) -> None:
        self._is_gone = self.origin is not None  # its path is made to an application anew
        self.modules.forget()
        for handler in self.application.handlers:
            package = getattr(handler, "_package", None)
            if package is not None:
                forget_modules(package.__name__)

    def retire(self, holder: object = None) -> None:
        """Unload the application now, or when its last session is closed and the hooks of that have ended.

        Parameters
        ----------
        holder : object, optional
            Who does not :meth:`hold` it any more.
        """
        if holder is not None:
            self._holders.discard(holder)
        self._is_retired = True
        self.session_ended()

    def session_ended(self) -> None:
        """Take note that a session is closed, or somebody else does not hold the application any more."""
        if self.server_context.is_in_use:
            return
        if self._is_retired:
            self.unload()
        elif self.origin is not None and self._is_loaded and not self._is_held:
            lifetime_ms = 0 if _unused_lifetime_ms is None else _unused_lifetime_ms()
            # the timer holds it, so that it is the application of its path meanwhile
            self._stop_waiting()
            self._cancel_unload = _kernel.call_later(lifetime_ms, self._unload_unused)
            if self._cancel_unload is None:
                self.unload()

    def _stop_waiting(self) -> None:
        cancel, self._cancel_unload = self._cancel_unload, None
        if cancel is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                cancel()

    def _unload_unused(self) -> None:
        self._cancel_unload = None
        if not (self._is_held or self.server_context.is_in_use):
            self.unload()

    @property
    def _is_held(self) -> bool:
        return bool(list(self._holders))  # its length may still count one that is just dying

    def hold(self, holder: object) -> None:
        """Keep the application of a path loaded as long as ``holder`` is there, whether or not sessions are open."""
        self._holders.add(holder)

    # --- for each session ------------------------------------------------------------------------

    def is_of(self, signature: object) -> bool:
        """Tell whether the application may be used still: its files are those of which it was made.

        Parameters
        ----------
        signature : object
            Of the files at its path now; what the code has imported besides is looked at here.
        """
        if self._is_gone or self.origin is None or self.origin.signature != signature:
            return False
        return not self.modules.has_changed()

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
        with self.modules.in_place():
            for handler in self.application.handlers:
                try:
                    finish(call_hook(handler.on_session_created, context))
                except (Exception, SystemExit) as error:  # a script that exits is not to end the kernel
                    raise failure(f"on_session_created of the application {self.name}", error) from error

    def _fill(self, document: Document) -> None:
        forget_failures(self.application)
        with self.modules.in_place(), code_of_application(), patch_curdoc(document):
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


def context_of(
    application: Application, origin: Origin | None = None, modules: LocalModules | None = None
) -> ApplicationContext:
    """Give the context of an application; the application holds it, so that both go together.

    Parameters
    ----------
    application : bokeh.application.Application
        The application.
    origin : Origin, optional
        Where a new one comes from, if that is a path.
    modules : LocalModules, optional
        Those that a new one has imported so far.
    """
    with _lock:
        found = getattr(application, _MARK, None)
        if not isinstance(found, ApplicationContext):
            found = ApplicationContext(application, _kernel.io_loop(), origin, modules)
            setattr(application, _MARK, found)
        return found


# --- the end -------------------------------------------------------------------------------------------


def _unload_collected() -> None:
    while _collected:
        _collected.popleft().unload()


def unload_unused() -> None:
    """Unload every application, now or when the hooks of its last session have ended; the next use loads it again."""
    for context in list(_contexts):
        context.retire()


def shut_down() -> None:
    """End all sessions that have hooks, and then unload every application. The pages are not told: the kernel ends."""
    for session in all_sessions():
        if session.owes_hooks:
            session.close(tell_connections=False)  # raises nothing: what hooks raise is reported
    finish_running()
    _unload_collected()
    for context in list(_contexts):
        context.unload()


atexit.register(shut_down)
