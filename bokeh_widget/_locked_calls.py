"""What a function gives that was called with a locked document: it may be awaited, made a task, or left alone."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

from .errors import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from ._callbacks import Steps


class Reporter(Protocol):
    """Who is told of what nobody awaits: the context of a session."""

    @property
    def destroyed(self) -> bool:
        """Whether the session was closed or refused."""

    def report(self, error: BaseException) -> None:
        """Tell of an error as of one of a callback."""


class LockedCall(Coroutine[Any, Any, Any]):
    """The outcome of a function that was called; asyncio takes it for a coroutine.

    Parameters
    ----------
    result : object
        What a plain function gave.
    """

    def __init__(self, result: Any = None) -> None:
        self._result = result
        self._generator: Generator[Any, Any, Any] | None = None

    def _wait(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self._result

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._wait()

    def send(self, value: Any) -> Any:
        """Go on; as for every coroutine."""
        return self._begun().send(value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        """Go on with an exception; as for every coroutine."""
        error = kind if value is None else value
        return self._begun().throw(error if trace is None else error.with_traceback(trace))

    def close(self) -> None:
        """End it; as for every coroutine."""
        if self._generator is not None:
            self._generator.close()

    def _begun(self) -> Generator[Any, Any, Any]:
        if self._generator is None:
            self._generator = self.__await__()
        return self._generator


class LockedSteps(LockedCall):
    """A coroutine function that was called where no loop runs: its steps are taken when somebody awaits them."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps: Final = steps

    def _wait(self) -> Generator[Any, Any, Any]:
        return _finish(self._steps).__await__()

    def close(self) -> None:
        """Give up what was never begun, or end it."""
        if self._generator is None:
            self._steps.close()
        super().close()


class LockedTask(LockedCall):
    """A coroutine function that was called where a loop runs, and which goes on whether somebody awaits it or not.

    Parameters
    ----------
    reporter : Reporter
        Told of the error of a call that nobody has awaited; held weakly.
    steps : Steps
        The steps of the coroutine.
    tasks : set of asyncio.Task
        Has the task as long as it runs.
    """

    def __init__(self, reporter: Reporter, steps: Steps, tasks: set[asyncio.Task[Any]]) -> None:
        super().__init__()
        self._reporter = weakref.ref(reporter)
        self._task: Final = asyncio.get_running_loop().create_task(_finish(steps))
        tasks.add(self._task)  # loops hold their tasks weakly
        self._task.add_done_callback(tasks.discard)
        self._task.add_done_callback(lambda _task: steps.close())  # if it is cancelled before it began
        self._left_alone = weakref.finalize(self, _report_later, self._task, self._reporter)
        self._left_alone.atexit = False

    def _wait(self) -> Generator[Any, Any, Any]:
        self._left_alone.detach()  # its errors are the caller's
        try:
            return (yield from self._task.__await__())
        except asyncio.CancelledError:
            caller, reporter = asyncio.current_task(), self._reporter()
            is_meant_for_caller = caller is not None and caller.cancelling()
            if is_meant_for_caller or not self._task.cancelled() or (reporter is not None and not reporter.destroyed):
                raise
            return None  # the session was closed before the first step


def end_tasks(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel the tasks of a session that ends, each on its loop, after the step that is just taken."""
    for task in list(tasks):
        with contextlib.suppress(RuntimeError):  # the loop is closed
            task.get_loop().call_soon_threadsafe(task.cancel)


async def _finish(steps: Steps) -> Any:
    try:
        return await steps
    except SystemExit as error:  # it would end the loop, and with it the kernel
        raise ApplicationError(
            f"a function that was called with a locked document ended with SystemExit({error.code!r}); "
            "return, or close the session with session_context.destroy()"
        ) from error


def _report_later(task: asyncio.Task[Any], reporter_ref: weakref.ref[Reporter]) -> None:
    # runs inside garbage collection, in whichever thread
    with contextlib.suppress(RuntimeError):  # the loop is closed
        task.get_loop().call_soon_threadsafe(task.add_done_callback, lambda done: _report(done, reporter_ref))


def _report(task: asyncio.Task[Any], reporter_ref: weakref.ref[Reporter]) -> None:
    error = None if task.cancelled() else task.exception()
    reporter = reporter_ref()
    if error is not None and reporter is not None:
        reporter.report(error)
