"""A real IPython kernel, spoken to on plain sockets: no event loop in this process."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from jupyter_client.client import KernelClient
from jupyter_client.connect import write_connection_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TIMEOUT_S: Final = 60.0
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Message:
    """A message of the kernel's publishing channel."""

    kind: str
    content: dict[str, Any]
    buffers: list[bytes]
    parent: str | None

    @property
    def custom(self) -> dict[str, Any] | None:
        """The content of one of our messages on a comm, else None."""
        data = self.content.get("data", {})
        if self.kind != "comm_msg" or data.get("method") != "custom":
            return None
        content: dict[str, Any] = data["content"]
        return content


@dataclass
class Run:
    """What came of one request."""

    reply: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def of(self, kind: str) -> list[Message]:
        """Messages of one type."""
        return [message for message in self.messages if message.kind == kind]

    def customs(self, kind: str) -> list[Message]:
        """Our own messages of one kind."""
        return [message for message in self.messages if (message.custom or {}).get("kind") == kind]

    @property
    def text(self) -> str:
        """Everything that was printed, the tracebacks too."""
        streams = [message.content["text"] for message in self.of("stream")]
        errors = ["\n".join(message.content["traceback"]) for message in self.of("error")]
        return _ANSI.sub("", "".join(streams + errors))


class Kernel:
    """A kernel process and its channels."""

    def __init__(self, folder: Path) -> None:
        connection_file = str(folder / "kernel.json")
        write_connection_file(connection_file)
        self._log_path = folder / "kernel.log"
        environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", connection_file],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._client = KernelClient(connection_file=connection_file)
        self._client.load_connection_file()
        self._shell = self._client.connect_shell()
        self._iopub = self._client.connect_iopub()
        self._control = self._client.connect_control()
        self.published: list[Message] = []

    def __enter__(self) -> Self:
        self._wait_until_it_listens()
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for socket in (self._shell, self._iopub, self._control):
            socket.close(linger=0)
        self._client.context.destroy(linger=0)

    @property
    def log(self) -> str:
        """What the process itself wrote."""
        return self._log_path.read_text("utf-8")

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            assert time.monotonic() < deadline, self.log
            assert self.process.poll() is None, self.log
            self._client.session.send(self._shell, "kernel_info_request", {})
            # a subscription takes a moment: the first status that arrives shows that it is there
            if self._shell.poll(1000) and self._iopub.poll(1000):
                break
        while self._shell.poll(200):
            self._client.session.recv(self._shell)
        self.pump(0.2)

    # --- requests --------------------------------------------------------------------------------

    def run(self, code: str, cell_id: str | None = None) -> Run:
        """Run a cell; a front end names it by its id."""
        metadata = {} if cell_id is None else {"cellId": cell_id}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        return self._request("execute_request", content, metadata=metadata)

    def ok(self, code: str, cell_id: str | None = None) -> Run:
        """Run a cell that must not fail."""
        run = self.run(code, cell_id)
        assert run.reply["status"] == "ok", run.text
        return run

    def value(self, expression: str) -> Any:
        """Evaluate an expression outside of any cell; its value goes through JSON."""
        wrapped = {"value": f"__import__('json').dumps({expression})"}
        content = {"code": "", "silent": True, "user_expressions": wrapped, "allow_stdin": False}
        answer = self._request("execute_request", content).reply["user_expressions"]["value"]
        assert answer["status"] == "ok", _ANSI.sub("", "\n".join(answer.get("traceback", [])))
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def comm(self, comm_id: str, data: dict[str, Any], buffers: Sequence[bytes] = ()) -> Run:
        """Send a message of a page on a comm and wait until it has been handled."""
        return self._request("comm_msg", {"comm_id": comm_id, "data": data}, buffers=buffers, has_reply=False)

    def custom(self, comm_id: str, content: dict[str, Any], buffers: Sequence[bytes] = ()) -> Run:
        """Send a custom message of a page."""
        return self.comm(comm_id, {"method": "custom", "content": content}, buffers)

    def open_comm(self, comm_id: str, target: str) -> Run:
        """Open a comm from the page."""
        content = {"comm_id": comm_id, "target_name": target, "data": {}}
        return self._request("comm_open", content, metadata={"version": "1.0.0"}, has_reply=False)

    def start(self, code: str) -> str:
        """Send a cell without waiting for it; for :meth:`finish`."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        sent = self._client.session.send(self._shell, "execute_request", content)
        msg_id: str = sent["header"]["msg_id"]
        return msg_id

    def finish(self, msg_id: str, *, has_reply: bool = True) -> Run:
        """Wait for the reply of a request and for the end of what it publishes."""
        run = Run()
        is_replied, is_idle = not has_reply, False
        deadline = time.monotonic() + TIMEOUT_S
        while not (is_replied and is_idle):
            assert time.monotonic() < deadline, f"no answer; so far {run}"
            assert self.process.poll() is None, self.log
            if self._shell.poll(1 if not is_replied else 0):
                _, reply = self._client.session.recv(self._shell)
                if reply is not None and reply["parent_header"].get("msg_id") == msg_id:
                    run.reply = reply["content"]
                    is_replied = True
            for message in self.pump(0.01):
                if message.parent == msg_id:
                    run.messages.append(message)
                    is_idle |= message.kind == "status" and message.content["execution_state"] == "idle"
        return run

    def _request(self, kind: str, content: Any, *, has_reply: bool = True, **options: Any) -> Run:
        sent = self._client.session.send(self._shell, kind, content, **options)
        return self.finish(sent["header"]["msg_id"], has_reply=has_reply)

    def interrupt(self) -> None:
        """Interrupt what runs, as a front end does on this machine: with a signal."""
        self.process.send_signal(signal.SIGINT)

    def shut_down(self) -> int:
        """Ask the kernel to end and give its exit code."""
        self._client.session.send(self._control, "shutdown_request", {"restart": False})
        return self.process.wait(TIMEOUT_S)

    # --- what is published ---------------------------------------------------------------------------

    def pump(self, seconds: float) -> list[Message]:
        """Read what was published, and wait so long for a first message."""
        found: list[Message] = []
        while self._iopub.poll(0 if found else round(1000 * seconds)):
            _, raw = self._client.session.recv(self._iopub)
            if raw is not None:
                parent = raw["parent_header"].get("msg_id")
                buffers = [bytes(buffer) for buffer in raw["buffers"]]
                found.append(Message(raw["msg_type"], raw["content"], buffers, parent))
        self.published += found
        return found

    def wait_for(self, is_it: Callable[[Message], bool], *, since: int = 0) -> Message:
        """Wait until a message is published that answers a description."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            found = next((message for message in self.published[since:] if is_it(message)), None)
            if found is not None:
                return found
            assert time.monotonic() < deadline, self.published[since:]
            self.pump(0.1)

    def wait_value(self, expression: str, expected: Any) -> None:
        """Wait until an expression has a value."""
        deadline = time.monotonic() + TIMEOUT_S
        while (found := self.value(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {expected!r}"
            self.pump(0.02)
