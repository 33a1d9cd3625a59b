"""The traceback of an error of the user's code, without the frames of those who called it. Pure."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bokeh
import tornado

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_CALLERS: Final = (
    *(str(Path(inspect.getfile(package)).resolve().parent) + os.sep for package in (bokeh, tornado, asyncio)),
    str(Path(__file__).resolve().parent) + os.sep,
    str(Path(inspect.getfile(contextlib)).resolve()),
)

_MAX_CHARS: Final = 20_000

_name_of_file: Callable[[str], str] = str


def set_file_names(name_of_file: Callable[[str], str]) -> None:
    """Name files for people from now on: a cell is compiled as a file of some odd name.

    Parameters
    ----------
    name_of_file : callable
        Takes and gives a name.
    """
    global _name_of_file  # noqa: PLW0603  # a process has one kernel
    _name_of_file = name_of_file


def format_traceback(error: BaseException) -> str:
    """Write an error as Python does, from the first frame of the user's on.

    Parameters
    ----------
    error : BaseException
        What was raised, with its causes and notes.

    Returns
    -------
    str
        All frames where none is the user's, as the error is then our own or Bokeh's; of one that is very long, the end.
    """
    described = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    part: traceback.TracebackException | None = described
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        _tidy(part.stack)
        waiting += [part.__cause__, part.__context__, *(part.exceptions or [])]
    text = "".join(described.format()).rstrip()
    if len(text) <= _MAX_CHARS:
        return text
    _, found, rest = text[-_MAX_CHARS:].partition("\n")
    return f"…\n{rest}" if found else f"…{text[-_MAX_CHARS:]}"


def from_users_code(error: BaseException) -> TracebackType | None:
    """Give the traceback of an error from the first frame of the user's on, to raise it once more.

    Parameters
    ----------
    error : BaseException
        What was raised, directly or not, by code of the user.

    Returns
    -------
    traceback or None
        The whole one where no frame is the user's.
    """
    found = error.__traceback__
    while found is not None and str(Path(found.tb_frame.f_code.co_filename).resolve()).startswith(_CALLERS):
        found = found.tb_next
    return found or error.__traceback__


def _tidy(stack: traceback.StackSummary) -> None:
    first = next(
        (i for i, frame in enumerate(stack) if not str(Path(frame.filename).resolve()).startswith(_CALLERS)), 0
    )
    stack[:first] = []
    for frame in stack:
        frame.filename = _name_of_file(frame.filename)
