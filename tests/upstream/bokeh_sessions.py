"""Lets Bokeh's own tests run against our sessions: a plugin of pytest, for a checkout of Bokeh.

Every document that a test makes has a session of ours, and the callbacks of its tests of callback groups are added to
the document of such a session and run by it. CONTRIBUTING.md has the command, and what comes of it.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import unittest.mock
from typing import TYPE_CHECKING, Any, Final

import pytest
from bokeh.document import Document

from bokeh_widget import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bokeh.server.callbacks import SessionCallback
    from tornado.ioloop import IOLoop

KINDS: Final = {"next_tick": "NextTickCallback", "timeout": "TimeoutCallback", "periodic": "PeriodicCallback"}

sys.modules.setdefault("mock", unittest.mock)  # Bokeh's tests name its backport


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the tests that are coroutines: no other plugin is needed."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


class CallbackGroup:
    """What Bokeh's tests ask of a group of callbacks, by a document and a session.

    Parameters
    ----------
    io_loop : tornado.ioloop.IOLoop
        Where callbacks run.
    """

    def __init__(self, io_loop: IOLoop) -> None:
        self.document = Document()
        self.session = Session(self.document, loop=io_loop)
        # without a page that shows it, callbacks rest
        self._page = unittest.mock.MagicMock(pause_when_hidden=False, is_shown=True, model_id="page")
        self.session.connect(self._page)
        self._added: dict[str, SessionCallback] = {}

    def __getattr__(self, name: str) -> Any:
        """Give ``add_…_callback``, ``remove_…_callback`` and ``_…_callback_removers`` for each kind of callback."""
        for kind, type_name in KINDS.items():
            if name == f"_{kind}_callback_removers":
                return [added for added in self.document.session_callbacks if type(added).__name__ == type_name]
            if name == f"add_{kind}_callback":
                return self._adder(getattr(self.document, name))
            if name == f"remove_{kind}_callback":
                return self._remover(getattr(self.document, name))
        raise AttributeError(name)

    def _adder(self, add: Callable[..., SessionCallback]) -> Callable[..., str]:
        def add_with_id(
            callback: Callable[[], Any],
            period_milliseconds: int | None = None,
            callback_id: str = "",
            timeout_milliseconds: int | None = None,
        ) -> str:
            times_ms = [ms for ms in (period_milliseconds, timeout_milliseconds) if ms is not None]
            self._added[callback_id] = add(callback, *times_ms)
            return callback_id

        return add_with_id

    def _remover(self, remove: Callable[[SessionCallback], None]) -> Callable[[str], None]:
        def remove_by_id(callback_id: str) -> None:
            try:
                remove(self._added[callback_id])
            except ValueError as error:
                raise ValueError("removed twice") from error  # a document says that in other words than a group

        return remove_by_id

    def remove_all_callbacks(self) -> None:
        """Remove what was added and did not run."""
        for added in self.document.session_callbacks:
            self.document.callbacks.remove_session_callback(added)


@pytest.fixture(autouse=True)
def sessions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Session]]:
    """Give each new document a session, and tests of callback groups such a group."""
    opened: list[Session] = []
    initialise = Document.__init__

    def initialise_with_session(document: Document, **options: Any) -> None:
        initialise(document, **options)
        opened.append(Session(document))

    if hasattr(request.module, "_CallbackGroup"):
        monkeypatch.setattr(request.module, "_CallbackGroup", CallbackGroup)
    else:
        monkeypatch.setattr(Document, "__init__", initialise_with_session)
    yield opened
    for session in opened:
        session.close()
