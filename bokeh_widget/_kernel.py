"""The IPython kernel that this process may be: its shell, its event loop, its namespace.

The one place that asks for them, so that everything else runs in plain Python too.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final

from IPython.core.displayhook import DisplayHook
from IPython.core.getipython import get_ipython

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell
    from tornado.ioloop import IOLoop

_DISPLAY_NAMES: Final = ("_", "__", "___")


def shell() -> InteractiveShell | None:
    """Give the running IPython shell, or None in plain Python."""
    found: InteractiveShell | None = get_ipython()
    return found


def io_loop() -> IOLoop | None:
    """Give the kernel's loop as tornado's, or None without a kernel."""
    return getattr(getattr(shell(), "kernel", None), "io_loop", None)


def event_loop() -> asyncio.AbstractEventLoop | None:
    """Give the event loop on which the kernel handles messages, or None without a kernel."""
    loop: asyncio.AbstractEventLoop | None = getattr(io_loop(), "asyncio_loop", None)
    if loop is not None:
        return loop
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def call_soon(callback: Callable[[], object]) -> bool:
    """Run ``callback`` on the kernel's loop, from whichever thread this is.

    Returns
    -------
    bool
        False where there is no loop, or it is closed: nothing will run then.
    """
    loop = event_loop()
    if loop is None or loop.is_closed():
        return False
    loop.call_soon_threadsafe(callback)
    return True


def call_later(delay_ms: float, callback: Callable[[], object]) -> Callable[[], None] | None:
    """Run ``callback`` on the kernel's loop after ``delay_ms`` milliseconds.

    Returns
    -------
    callable or None
        Cancels the timer; None where there is no loop.
    """
    loop = event_loop()
    if loop is None or loop.is_closed():
        return None
    handle: asyncio.TimerHandle | None = None
    cancelled = False

    def start() -> None:
        nonlocal handle
        if not cancelled:
            handle = loop.call_later(delay_ms / 1000, callback)

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True
        if handle is not None:
            loop.call_soon_threadsafe(handle.cancel)

    loop.call_soon_threadsafe(start)
    return cancel


def _parent() -> dict[str, Any]:
    kernel = getattr(shell(), "kernel", None)
    return {} if kernel is None else kernel.get_parent("shell")


def is_running_cell() -> bool:
    """Tell whether this code runs for a cell, rather than for a message of a comm."""
    parent = _parent()
    if not parent:
        return shell() is not None
    return bool(parent.get("header", {}).get("msg_type") == "execute_request")


def running_cell_id() -> str | None:
    """Give the id of the cell that runs, where the front end sends one."""
    found = _parent().get("metadata", {}).get("cellId")
    return found if isinstance(found, str) else None


def name_of_file(name: str) -> str:
    """Give the name of a file as IPython's tracebacks have it: "Cell In[3]" for what was compiled of a cell."""
    format_name = getattr(getattr(shell(), "compile", None), "format_code_name", None)
    found = None if format_name is None else format_name(name)
    return name if found is None else " ".join(found)


def is_cell_result() -> bool:
    """Tell whether IPython is formatting the value of a cell's last expression just now."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is DisplayHook.__call__.__code__:
            return True
        frame = frame.f_back
    return False


def forget_displayed(obj: object) -> None:
    """Drop the references that IPython itself keeps to a displayed object.

    These are ``Out``, ``_N``, ``_``, ``__``, ``___``, their hidden copies and those of the
    display hook. Variables of the user are left alone.

    Parameters
    ----------
    obj : object
        What was displayed.
    """
    ip = shell()
    if ip is None:
        return
    history: dict[int, Any] = ip.user_ns.get("_oh", {})
    for number in [number for number, value in history.items() if value is obj]:
        del history[number]
    for namespace in (ip.user_ns, ip.user_ns_hidden):
        automatic = [
            name
            for name, value in namespace.items()
            if value is obj and (name in _DISPLAY_NAMES or (name[:1] == "_" and name[1:].isdigit()))
        ]
        for name in automatic:
            del namespace[name]
    for name in _DISPLAY_NAMES:
        if getattr(ip.displayhook, name, None) is obj:
            setattr(ip.displayhook, name, "")
