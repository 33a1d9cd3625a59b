"""Ask a running kernel for a value beside the notebook: on the kernel's own shell channel, in no cell."""

from __future__ import annotations

import ast
import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

from jupyter_client.client import KernelClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


class KernelError(RuntimeError):
    """The kernel did not answer, or the code raised; the message holds the traceback."""


def plain_traceback(lines: Sequence[str]) -> str:
    """Return a traceback of IPython without its colours."""
    return _ANSI.sub("", "\n".join(lines))


def evaluate(connection_file: Path, expression: str, *, timeout: float = 30) -> Any:
    """Evaluate an expression in the kernel's user namespace.

    Parameters
    ----------
    connection_file : Path
        The kernel's connection file.
    expression : str
        Its value must be JSON serialisable.
    timeout : float, optional
        Seconds.

    Returns
    -------
    object
        The value, through JSON.

    Raises
    ------
    KernelError
        If the expression raises or the kernel does not answer.

    Notes
    -----
    The request executes no code, only a user expression, so IPython fires ``post_execute`` for it but none of
    ``pre_execute``, ``pre_run_cell`` and ``post_run_cell``, counts no execution and keeps nothing in ``Out``.
    Its header names no cell.
    """
    wrapped = f"__import__('json').dumps({expression})"
    content = _request(connection_file, "", {"value": wrapped}, timeout)
    answer = content["user_expressions"]["value"]
    if answer["status"] != "ok":
        raise KernelError(plain_traceback(answer["traceback"]))
    return json.loads(ast.literal_eval(answer["data"]["text/plain"]))


def execute(connection_file: Path, code: str, *, timeout: float = 30) -> None:
    """Execute statements in the kernel, silently: no history, no execution count, no ``pre_run_cell``.

    Parameters
    ----------
    connection_file : Path
        The kernel's connection file.
    code : str
        What it prints is shown nowhere.
    timeout : float, optional
        Seconds.

    Raises
    ------
    KernelError
        If the code raises or the kernel does not answer.
    """
    _request(connection_file, code, {}, timeout)


def _request(connection_file: Path, code: str, expressions: dict[str, str], timeout: float) -> dict[str, Any]:
    """Send one silent execute request and return the content of its reply.

    A plain ZeroMQ socket is used and not a blocking client: Playwright's sync API keeps an event loop running in
    this thread, in which a blocking client would have to leave for another one.
    """
    client = KernelClient(connection_file=str(connection_file))
    client.load_connection_file()
    socket = client.connect_shell()
    socket.linger = 0
    try:
        request = {
            "code": code,
            "silent": True,
            "store_history": False,
            "user_expressions": expressions,
            "allow_stdin": False,
            "stop_on_error": False,
        }
        sent = client.session.send(socket, "execute_request", request)
        deadline = time.monotonic() + timeout
        while socket.poll(max(0, round(1000 * (deadline - time.monotonic())))):
            _, reply = client.session.recv(socket, copy=True)
            if reply is None or reply["parent_header"].get("msg_id") != sent["header"]["msg_id"]:
                continue
            content: dict[str, Any] = reply["content"]
            if content["status"] == "aborted":  # a cell has just failed, and takes with it what was asked meanwhile
                sent = client.session.send(socket, "execute_request", request)
                continue
            if content["status"] != "ok":
                raise KernelError(plain_traceback(content.get("traceback", [content["status"]])))
            return content
    finally:
        socket.close()
        client.context.destroy(linger=0)
    message = f"The kernel did not answer within {timeout} s"
    raise KernelError(message)
