"""Errors of callbacks, hooks and pages: shown under the plot, logged, and told to ``on_error`` callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._hooks import FAILURES
from ._output import Output, captured_by, silence
from ._tracebacks import format_traceback
from .errors import InputTypeError

if TYPE_CHECKING:
    from ._flow import Connection

log = logging.getLogger("bokeh_widget")

ErrorCallback = Callable[[BaseException], object]


class Reports:
    """Where the errors of one session go.

    Parameters
    ----------
    output : Output
        Shows them.
    connections : callable
        Gives the connections of the session, which are told, too.
    """

    def __init__(self, output: Output, connections: Callable[[], Iterable[Connection]]) -> None:
        self.last: BaseException | None = None
        self.callbacks: list[ErrorCallback] = []
        self._output = output
        self._connections = connections

    def report(self, error: BaseException, *, show: bool, what: str) -> None:
        """Show an error, unless the page has shown it by itself, log with it what failed, and tell the callbacks."""
        self.last = error
        # the log of a kernel without handlers is its stderr: JupyterLab would show there once more what is shown here
        is_seen = show and self._output.error(error_line(error), format_traceback(error))
        with silence() if is_seen else captured_by(None):
            log.error("%s: %s", what, error, exc_info=error)
        with captured_by(self._output):
            call_all(self.callbacks, error)
            for connection in self._connections():
                connection.handle_error(error)


def checked_error_callbacks(callbacks: Iterable[object]) -> list[ErrorCallback]:
    """Check what is given to ``on_error``.

    Parameters
    ----------
    callbacks : iterable of callable
        Each takes the exception.

    Raises
    ------
    InputTypeError
        If one of them cannot be called.
    """
    checked: list[ErrorCallback] = []
    for callback in callbacks:
        if not callable(callback):
            raise InputTypeError(f"on_error takes functions of one argument, the exception, but got {callback!r:.80}")
        checked.append(callback)
    return checked


def error_line(error: BaseException) -> str:
    """Write an error as one line for people."""
    return f"{type(error).__name__}: {error}"


def call_all(callbacks: Iterable[ErrorCallback], error: BaseException) -> None:
    """Hand an error to each callback, whatever the others do."""
    for callback in list(callbacks):
        try:
            callback(error)
        except FAILURES:
            log.exception("an on_error callback failed")
