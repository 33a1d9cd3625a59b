"""The callbacks of an application, on the kernel's loop, whatever sessions of it are open."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from bokeh.server.callbacks import PeriodicCallback

from ._curdoc import default_curdoc
from ._hooks import FAILURES
from ._loop_callbacks import LoopCallbacks, is_being_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bokeh.core.types import ID
    from tornado.ioloop import IOLoop


class Owner(Protocol):
    """Whose callbacks they are."""

    def report(self, error: BaseException) -> None:
        """Tell of what a callback raised."""


class ServerCallbacks(LoopCallbacks):
    """The callbacks of one application; the loop holds neither of them.

    An application that nobody holds is collected even if its own callbacks refer to it.

    Parameters
    ----------
    owner : Owner
        Told of errors; held weakly.
    loop : tornado.ioloop.IOLoop
        Where to run.
    """

    def __init__(self, owner: Owner, loop: IOLoop) -> None:
        super().__init__(self, loop)
        self._owner = weakref.ref(owner)

    def run(self, callback_id: ID) -> Awaitable[None] | None:
        """Run a callback that is due; ``curdoc()`` is not that of a document whose callback has added it."""
        callback = self._callbacks.get(callback_id)
        if callback is None:
            return None
        if not isinstance(callback, PeriodicCallback):
            del self._callbacks[callback_id]
        with default_curdoc():
            try:
                result: Any = callback.callback()
            except FAILURES as error:
                _report(self._owner, error)
                return None
            if not inspect.isawaitable(result):
                return None
            return self._spawn(_reported(result, self._owner), getattr(result, "close", None))


async def _reported(result: Awaitable[Any], owner_ref: weakref.ref[Owner]) -> None:
    try:
        await result
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        _report(owner_ref, error)
    except FAILURES as error:
        _report(owner_ref, error)


def _report(owner_ref: weakref.ref[Owner], error: BaseException) -> None:
    owner = owner_ref()
    if owner is not None:
        owner.report(error)
