"""The callbacks of an application, on the kernel's loop, whatever sessions of it are open."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from bokeh.server.callbacks import DocumentCallbackGroup, PeriodicCallback, SessionCallback

from ._callbacks import on_loop
from ._curdoc import default_curdoc
from ._hooks import FAILURES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bokeh.core.types import ID
    from tornado.ioloop import IOLoop


class Owner(Protocol):
    """Whose callbacks they are."""

    def report(self, error: BaseException) -> None:
        """Tell of what a callback raised."""


class ServerCallbacks:
    """The callbacks of one application; the loop holds neither of them.

    What the user gave is kept here and looked up by id, so that an application that nobody holds is collected even
    if its own callbacks refer to it.

    Parameters
    ----------
    owner : Owner
        Told of errors; held weakly.
    loop : tornado.ioloop.IOLoop
        Where to run.
    """

    def __init__(self, owner: Owner, loop: IOLoop) -> None:
        self._owner = weakref.ref(owner)
        self._loop = loop
        self._group = DocumentCallbackGroup(loop)
        self._functions: dict[ID, Callable[[], Any]] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        weakref.finalize(self, on_loop, loop, self._group.remove_all_callbacks).atexit = False

    def add(self, callback: SessionCallback) -> None:
        """Schedule a callback, from whichever thread."""
        self._functions[callback.id] = callback.callback
        is_periodic = isinstance(callback, PeriodicCallback)
        callback._callback = _weak_call(self, callback.id, is_periodic=is_periodic)  # type: ignore[assignment]  # noqa: SLF001  # as Bokeh's server does
        functions, group = self._functions, self._group

        def schedule() -> None:
            if callback.id in functions:
                group.add_session_callback(callback)

        on_loop(self._loop, schedule)

    def remove(self, callback: SessionCallback) -> None:
        """Cancel a callback, from whichever thread."""
        self._functions.pop(callback.id, None)
        on_loop(self._loop, lambda: self._group.remove_session_callback(callback))

    def close(self) -> None:
        """Cancel all of them, and the coroutines that they have begun."""
        self._functions.clear()
        on_loop(self._loop, self._end)

    def _end(self) -> None:
        self._group.remove_all_callbacks()
        for task in list(self._tasks):
            task.cancel()

    def _call(self, callback_id: ID, *, is_periodic: bool) -> Awaitable[Any] | None:
        function = self._functions.get(callback_id) if is_periodic else self._functions.pop(callback_id, None)
        if function is None:
            return None
        try:
            result = function()
        except FAILURES as error:
            self._report(error)
            return None
        if not inspect.isawaitable(result):
            return None
        task = asyncio.ensure_future(_reported(result, self._owner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if inspect.iscoroutine(result):
            task.add_done_callback(lambda _task: result.close())  # if it is cancelled before it began
        return task

    def _report(self, error: BaseException) -> None:
        owner = self._owner()
        if owner is not None:
            owner.report(error)


def _weak_call(
    callbacks: ServerCallbacks, callback_id: ID, *, is_periodic: bool
) -> Callable[[], Awaitable[Any] | None]:
    ref = weakref.ref(callbacks)

    def call() -> Awaitable[Any] | None:
        found = ref()
        with default_curdoc():  # whoever added it may have been a callback of a document
            return None if found is None else found._call(callback_id, is_periodic=is_periodic)  # noqa: SLF001  # our own class

    return call


async def _reported(result: Awaitable[Any], owner_ref: weakref.ref[Owner]) -> None:
    try:
        await result
    except FAILURES as error:
        owner = owner_ref()
        if owner is not None:
            owner.report(error)
