"""What the code of an application knows of its session, and of all the others: as in a Bokeh server.

Bokeh's own ``BokehSessionContext`` and ``ApplicationContext`` make and lock a ``ServerSession``, which waits for
websockets; here are Bokeh's abstract classes on a session of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import uuid
import weakref
from typing import TYPE_CHECKING, Any, Final

from bokeh.application import application as bokeh_application
from bokeh.core.types import ID
from bokeh.server.callbacks import NextTickCallback, PeriodicCallback, SessionCallback, TimeoutCallback
from bokeh.util.serialization import make_id

from ._callbacks import Steps
from ._curdoc import patch_curdoc
from ._hooks import FAILURES, call_each, call_hook, finish_soon
from ._locked_calls import LockedCall, LockedSteps, LockedTask, end_tasks
from ._output import Output, captured_by
from ._server_callbacks import ServerCallbacks
from ._upstream_code import destroy_modules
from .errors import SessionClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from bokeh.application import Application
    from bokeh.application.handlers import Handler
    from bokeh.document import Document
    from tornado.ioloop import IOLoop

    from ._hosting import ApplicationContext
    from ._session import Session

log = logging.getLogger("bokeh_widget")


class Request:
    """What stands for the HTTP request of a session: there was none, so all of it is empty."""

    def __init__(self) -> None:
        self.arguments: Final[dict[str, list[bytes]]] = {}
        self.cookies: Final[dict[str, str]] = {}
        self.headers: Final[dict[str, str | list[str]]] = {}


class ServerContext(bokeh_application.ServerContext):
    """What all sessions of one application share.

    Parameters
    ----------
    application_context : ApplicationContext or None
        The application; None for a session that was opened without one, which has a context of its own.
    loop : tornado.ioloop.IOLoop or None
        Where callbacks run; without it they never do.
    """

    def __init__(self, application_context: ApplicationContext | None, loop: IOLoop | None) -> None:
        self.application_context: Final = application_context
        self.loop: Final = loop
        self._sessions: Final[weakref.WeakValueDictionary[str, Session]] = weakref.WeakValueDictionary()
        self._ending: Final[set[str]] = set()
        self._callbacks: ServerCallbacks | None = None
        self._is_closed = False

    @property
    def is_in_use(self) -> bool:
        """Whether a session is open, or a hook of one that was closed still runs."""
        return bool(self._ending or self.sessions)

    @property
    def sessions(self) -> list[SessionContext]:  # type: ignore[override]  # Bokeh names a class of its server
        """The contexts of all open sessions, oldest first."""
        return [session.context for session in list(self._sessions.values()) if not session.closed]

    @property
    def name(self) -> str:
        """What the application was made of, for messages; empty without one."""
        return "" if self.application_context is None else self.application_context.name

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """The handlers of the application; their hooks are called."""
        return () if self.application_context is None else self.application_context.application.handlers

    def enter(self, session: Session) -> None:
        """Take in a ``session`` that is open now."""
        self._sessions[session.id] = session

    def begin_end(self, session_id: str) -> None:
        """Take note that the hooks of the end of session ``session_id`` are called; :meth:`leave` follows."""
        self._ending.add(session_id)

    def leave(self, session_id: str) -> None:
        """Forget a session that is closed, by its ``session_id``; its hooks have ended."""
        self._sessions.pop(session_id, None)
        self._ending.discard(session_id)
        if self.application_context is not None:
            self.application_context.session_ended()

    # --- callbacks of the application ------------------------------------------------------

    def add_periodic_callback(self, callback: Callable[[], Any], period_milliseconds: int) -> PeriodicCallback:
        """Call a function again and again, whatever sessions there are.

        Parameters
        ----------
        callback : callable
            Without arguments, plain or a coroutine; it holds the lock of no document.
        period_milliseconds : int
            Time between two calls.

        Returns
        -------
        PeriodicCallback
            For :meth:`remove_periodic_callback`.

        Raises
        ------
        SessionClosedError
            After the application was unloaded, until it is loaded again.
        """
        added = PeriodicCallback(callback, period_milliseconds, callback_id=make_id())
        self._add(added)
        return added

    def add_timeout_callback(self, callback: Callable[[], Any], timeout_milliseconds: int) -> TimeoutCallback:
        """Call a function once, after a time.

        Parameters
        ----------
        callback : callable
            As for :meth:`add_periodic_callback`.
        timeout_milliseconds : int
            The time.

        Returns
        -------
        TimeoutCallback
            For :meth:`remove_timeout_callback`.

        Raises
        ------
        SessionClosedError
            After the application was unloaded, until it is loaded again.
        """
        added = TimeoutCallback(callback, timeout_milliseconds, callback_id=make_id())
        self._add(added)
        return added

    def add_next_tick_callback(self, callback: Callable[[], Any]) -> NextTickCallback:
        """Call a function once, as soon as the kernel's loop is free; from whichever thread.

        Parameters
        ----------
        callback : callable
            As for :meth:`add_periodic_callback`.

        Returns
        -------
        NextTickCallback
            For :meth:`remove_next_tick_callback`.

        Raises
        ------
        SessionClosedError
            After the application was unloaded, until it is loaded again.
        """
        added = NextTickCallback(callback, callback_id=make_id())
        self._add(added)
        return added

    def remove_periodic_callback(self, callback: PeriodicCallback) -> None:
        """Do not call ``callback`` any more; it is what the method that added it has returned."""
        self._remove(callback)

    def remove_timeout_callback(self, callback: TimeoutCallback) -> None:
        """Do not call ``callback``; it is what the method that added it has returned."""
        self._remove(callback)

    def remove_next_tick_callback(self, callback: NextTickCallback) -> None:
        """Do not call ``callback``; it is what the method that added it has returned."""
        self._remove(callback)

    def _add(self, callback: SessionCallback) -> None:
        if self._is_closed:
            raise SessionClosedError(
                f"the application {self.name} is unloaded, and takes no callback {callback.callback!r:.80}; add it "
                "in on_server_loaded, which is called when the application is used again"
            )
        if self.loop is None:
            return  # plain Python: as for the callbacks of documents
        if self._callbacks is None:
            self._callbacks = ServerCallbacks(self, self.loop)
        self._callbacks.add(callback)

    def _remove(self, callback: SessionCallback) -> None:
        if self._callbacks is not None:
            self._callbacks.remove(callback)

    def begin(self) -> None:
        """Take callbacks: the application is being loaded."""
        self._is_closed = False

    def close(self) -> None:
        """Cancel every callback of the application, and take no others until it is loaded again."""
        self._is_closed = True
        if self._callbacks is not None:
            self._callbacks.close()
            self._callbacks = None

    def report(self, error: BaseException) -> None:
        """Tell every session of an ``error`` that is of none in particular; the log has it in any case."""
        told = [context.session for context in self.sessions]
        for session in told:
            if session is not None:
                session.report_error(error)
        if not told:
            log.error("%s", error, exc_info=error)


class SessionContext(bokeh_application.SessionContext):
    """What the code of an application knows of its session: ``document.session_context``.

    Parameters
    ----------
    server_context : ServerContext
        What the session shares with the others of its application.
    document : bokeh.document.Document
        The document, which may still be empty.
    """

    logout_url = None
    """There is nobody to log out."""

    def __init__(self, server_context: ServerContext, document: Document) -> None:
        super().__init__(server_context, ID(uuid.uuid4().hex))
        self.request: Final = Request()
        self.token_payload: Final[dict[str, Any]] = {}
        self._document: Document | None = document
        self._session: weakref.ref[Session] | None = None
        self._is_destroyed = False
        self._has_ended = False
        self._tasks: Final[set[asyncio.Task[Any]]] = set()
        other = document.session_context
        if other is None or other.destroyed:
            document._session_context = weakref.ref(self)  # noqa: SLF001  # as Bokeh's server does

    def __repr__(self) -> str:
        """Show the state at a glance."""
        return f"<SessionContext {self.id[:8]}{' destroyed' if self.destroyed else ''}>"

    def enter(self, session: Session) -> None:
        """Take note that the ``session`` is open."""
        self._session = weakref.ref(session)
        self._own_server_context.enter(session)

    @property
    def _own_server_context(self) -> ServerContext:
        context = self.server_context
        if not isinstance(context, ServerContext):  # narrows the type: it was given to the constructor
            raise TypeError(type(context))
        return context

    @property
    def session(self) -> Session | None:
        """The session, or None before it is open and after it was closed."""
        found = None if self._session is None else self._session()
        return None if found is None or found.closed else found

    @property
    def document(self) -> Document:
        """The document.

        Raises
        ------
        SessionClosedError
            After the end of the session and of its hooks.
        """
        if self._document is None:
            raise SessionClosedError(f"session {self.id} is closed, and its document is gone")
        return self._document

    @property
    def destroyed(self) -> bool:
        """Whether the session was closed or refused."""
        return self._is_destroyed or (self._session is not None and self.session is None)

    @property
    def loop(self) -> IOLoop | None:
        """Where the callbacks of the session run."""
        return self._own_server_context.loop

    @property
    def application(self) -> Application | None:
        """The application that fills the document, or None."""
        context = self._own_server_context.application_context
        return None if context is None else context.application

    @property
    def owes_hooks(self) -> bool:
        """Whether something is to be called when the session ends."""
        if self._has_ended or self._document is None:
            return False
        return self.application is not None or bool(self._document.session_destroyed_callbacks)

    def destroy(self) -> None:
        """Close the session; before it is open, refuse it."""
        self._is_destroyed = True
        session = self.session
        if session is not None:
            session.close()

    # --- the lock ----------------------------------------------------------------------------

    def with_locked_document(self, func: Callable[[Document], Any]) -> Coroutine[Any, Any, Any]:
        """Call a function with the document while the lock of the session is held, and send what it changes as one.

        Parameters
        ----------
        func : callable
            Takes the document. A plain function has been called when this method returns. Of a coroutine each step,
            from one await to the next, holds the lock, as in callbacks of the document. Where a loop runs in this
            thread the coroutine begins by itself, and is cancelled when the session ends; elsewhere it begins when
            what this returns is awaited, or given to ``asyncio.run_coroutine_threadsafe``.

        Returns
        -------
        coroutine
            Gives what the function returns; None if the session was destroyed, and nothing is called then. It need
            not be awaited; what a coroutine raises is then reported, as what callbacks raise.
        """
        document = self._document
        if document is None or self.destroyed:
            return LockedCall()
        with captured_by(self.output), self.batch(), patch_curdoc(document):
            result = func(document)
        if not inspect.isawaitable(result):
            return LockedCall(result)
        steps = Steps(weakref.ref(self), result)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return LockedSteps(steps)
        return LockedTask(self, steps, self._tasks)

    def with_document_locked(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Do the same for a function that does not take the document, as ``ServerSession`` of Bokeh does.

        Parameters
        ----------
        func : callable
            As for :meth:`with_locked_document`.
        *args
            Arguments of the function.
        **kwargs
            Arguments of the function, by name.

        Returns
        -------
        coroutine
            Gives what the function returns.
        """
        return self.with_locked_document(lambda _document: func(*args, **kwargs))

    def report(self, error: BaseException) -> None:
        """Tell of an ``error`` as of one of a callback of the session; of one that is closed only the log tells."""
        session = self.session
        if session is None:
            log.error("%s", error, exc_info=error)
        else:
            session.report_error(error)

    @property
    def closed(self) -> bool:
        """The same as ``destroyed``; sessions call it so."""
        return self.destroyed

    def batch(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock, and send all changes that are made inside as one patch."""
        session = self.session
        return contextlib.nullcontext() if session is None else session.batch()

    @contextlib.contextmanager
    def step(self) -> Iterator[bool]:
        """Do the same for one step of a coroutine; give False, and hold nothing, if the session is destroyed."""
        session = self.session
        if session is None:
            yield not self.destroyed
            return
        with session.step() as may_run:
            yield may_run

    @property
    def output(self) -> Output | None:
        """What takes in what callbacks of the session print; None while it is not open."""
        session = self.session
        return None if session is None else session.output

    # --- the end -------------------------------------------------------------------------------

    def end(self, report: Callable[[BaseException], object]) -> None:
        """Call what is to be called at the end of the session, once; coroutines go on on the kernel's loop.

        Parameters
        ----------
        report : callable
            Told of each error.
        """
        document = self._document
        if self._has_ended or document is None:
            return
        self._has_ended = self._is_destroyed = True
        self._own_server_context.begin_end(self.id)
        callbacks, document.callbacks.session_destroyed_callbacks = document.session_destroyed_callbacks, set()
        hooks = [*callbacks, *(handler.on_session_destroyed for handler in self._own_server_context.handlers)]
        end_tasks(self._tasks)
        pending: list[Awaitable[Any]] = []

        def call(hook: Callable[[Any], object]) -> None:
            awaitable = call_hook(hook, self)
            if awaitable is not None:
                pending.append(awaitable)

        try:
            call_each((functools.partial(call, hook) for hook in hooks), report)
        finally:
            if pending:
                finish_soon(self.loop, self._end_after(pending, report))
            else:
                self._release()

    async def _end_after(self, pending: list[Awaitable[Any]], report: Callable[[BaseException], object]) -> None:
        try:
            for awaitable in pending:
                try:
                    await awaitable
                except FAILURES as error:
                    report(error)
        finally:
            self._release()

    def _release(self) -> None:
        document, self._document = self._document, None
        if document is not None:
            if document.session_context is self:
                document._session_context = None  # noqa: SLF001
            if self.application is not None:
                self._destroy_modules(document)
        self._own_server_context.leave(self.id)

    def _destroy_modules(self, document: Document) -> None:
        # the code of a callback that closes its own session goes on with the globals of its module
        loop, session = self.loop, None if self._session is None else self._session()
        if loop is not None and session is not None and session.flow.is_held:
            loop.add_callback(destroy_modules, document)
        else:
            destroy_modules(document)
