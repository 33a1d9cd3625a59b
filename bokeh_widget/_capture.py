"""Hands what callbacks print and display to the output of their session, instead of to the kernel's streams.

The streams and the publisher of the kernel stay what they are, as others hold and replace them: their methods are
wrapped while there are sessions, and ask the context in which they are called.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from ipywidgets import Output as OutputWidget

from . import _kernel
from ._output import current_output, prepare_with, take_again, take_nothing, take_text
from ._session import all_sessions
from ._tracebacks import set_file_names

if TYPE_CHECKING:
    from collections.abc import Callable

_ORIGINAL: Final = "_bokeh_widget_original"

_wrapped: Final[list[tuple[Any, str, Any]]] = []
"""What was wrapped: the owner, the name of the method, and what it is wrapped with."""


def install() -> None:
    """See to it that what the callbacks of this kernel write is taken in; without a kernel no page would show it."""
    prepare_with(_wrap_all)
    set_file_names(_kernel.name_of_file)


def _wrap_all() -> None:
    # asked before each callback: IPython wraps the streams, too, and undoes that at the end of a cell
    shell = _kernel.shell()
    if shell is None or getattr(shell, "kernel", None) is None:
        return
    for name in ("stdout", "stderr"):
        wrap_stream(name, getattr(sys, name))
    wrap_publisher(shell.display_pub)
    wrap_output_widget()


def leave_soon() -> None:
    """Undo it if no session is open any more, once the cell that runs has ended."""
    if _wrapped:
        _kernel.call_soon(_leave)


def _leave() -> None:
    if not all_sessions():
        remove()


def remove() -> None:
    """Give everything its own methods back."""
    while _wrapped:
        owner, name, wrapper = _wrapped.pop()
        if getattr(owner, name) is not wrapper:
            continue  # somebody has wrapped it once more; ours only passes on what it is given
        original = getattr(wrapper, _ORIGINAL)
        if not isinstance(owner, type) and original == getattr(type(owner), name).__get__(owner):
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    setattr(wrapper, _ORIGINAL, getattr(owner, name))
    try:
        setattr(owner, name, wrapper)
    except AttributeError:  # a stream that is no Python object: somebody redirects the output just now
        return
    _wrapped.append((owner, name, wrapper))


def _is_wrapped(owner: Any, name: str) -> bool:
    found = getattr(owner, name)
    if not hasattr(found, _ORIGINAL):
        return False
    if not any(wrapper is found for _, _, wrapper in _wrapped):
        _wrapped.append((owner, name, found))  # IPython has put it back
    return True


def wrap_stream(name: str, stream: Any) -> None:
    """Let ``stream.write`` ask who takes in what is written.

    Parameters
    ----------
    name : str
        ``"stdout"`` or ``"stderr"``.
    stream : file-like
        The stream.
    """
    if _is_wrapped(stream, "write"):
        return
    original = stream.write

    def write(text: Any) -> Any:
        if isinstance(text, str) and take_text(name, text):
            return len(text)
        return original(text)

    _wrap(stream, "write", write)


def wrap_publisher(publisher: Any) -> None:
    """Let ``publish`` and ``clear_output`` of IPython's display publisher ask who takes in what is displayed."""
    if _is_wrapped(publisher, "publish"):
        return
    original_publish, original_clear = publisher.publish, publisher.clear_output

    def publish(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> None:
        output = current_output()
        safe = None if output is None else _as_json(data, metadata)
        if output is not None and safe is not None:
            display_id = (kwargs.get("transient") or {}).get("display_id")
            if output.display(*safe, display_id=display_id, update=bool(kwargs.get("update"))):
                return
        original_publish(data, metadata, *args, **kwargs)

    def clear_output(wait: bool = False) -> None:  # noqa: FBT001, FBT002  # IPython's signature
        output = current_output()
        if output is None:
            original_clear(wait)
        else:
            output.clear(wait=wait)

    _wrap(publisher, "publish", publish)
    _wrap(publisher, "clear_output", clear_output)


def _as_json(data: Any, metadata: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Give a MIME bundle as JSON can write it, or None."""
    try:
        plain = {
            str(kind): base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for kind, value in data.items()
        }
        json.dumps([plain, metadata], allow_nan=False)
    except (AttributeError, TypeError, ValueError):
        return None
    return plain, metadata or {}


def wrap_output_widget() -> None:
    """Let ``with ipywidgets.Output():`` get what is printed inside, in a callback, too."""
    if _is_wrapped(OutputWidget, "__enter__"):
        return
    original_enter, original_exit = OutputWidget.__enter__, OutputWidget.__exit__

    def enter(self: Any) -> Any:
        take_nothing(self)
        return original_enter(self)

    def leave(self: Any, *error: Any) -> Any:
        try:
            return original_exit(self, *error)
        finally:
            take_again(self)

    _wrap(OutputWidget, "__enter__", enter)
    _wrap(OutputWidget, "__exit__", leave)
