"""A websocket between a page and its server that loses, doubles, mixes up and delays what comms carry."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, WebSocketRoute

CHANNELS: Final = "**/api/kernels/*/channels*"

# Jupyter's binary protocol v1.kernel.websocket.jupyter.org: a count, so many offsets, and the parts between them
_COUNT: Final = struct.Struct("<Q")
_HEADER, _CONTENT = 1, 4


def is_ours(message: str | bytes) -> bool:
    """Tell whether a message of the websocket is a custom message of a comm, in which all of this package's travel."""
    if isinstance(message, str):
        return False
    (count,) = _COUNT.unpack_from(message)
    offsets = struct.unpack_from(f"<{count}Q", message, _COUNT.size)
    header = message[offsets[_HEADER] : offsets[_HEADER + 1]]
    content = message[offsets[_CONTENT] : offsets[_CONTENT + 1]]
    return b"comm_msg" in header and b'"custom"' in content and b'"kind"' in content


@dataclass
class Faults:
    """What is done to messages, and how often it was done.

    Attributes
    ----------
    rate : float
        Part of the messages that each kind of fault meets.
    is_on : bool
        Whether there are faults now.
    """

    rate: float
    seed: int
    is_on: bool = False
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(["passed", "lost", "doubled", "late"], 0))
    sockets: list[WebSocketRoute] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # no secret

    def watch(self, page: Page) -> None:
        """Stand between a page and the channels of its kernels."""
        page.route_web_socket(CHANNELS, self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        self.sockets.append(socket)
        socket.on_message(self._way(server.send))
        server.on_message(self._way(socket.send))

    def _way(self, send: Callable[[str | bytes], None]) -> Callable[[str | bytes], None]:
        delayed: list[list[object]] = []  # how many messages pass before it, and the message

        def on_message(message: str | bytes) -> None:
            fate = self._fate() if self.is_on and is_ours(message) else "passed"
            if fate == "late":
                delayed.append([self._random.randint(1, 5), message])
            if fate in ("passed", "doubled"):
                send(message)
            if fate == "doubled":
                delayed.append([self._random.randint(0, 3), message])
            for entry in list(delayed):
                entry[0] = int(entry[0]) - 1  # type: ignore[call-overload]
                if entry[0] < 0 or not self.is_on:
                    delayed.remove(entry)
                    send(entry[1])  # type: ignore[arg-type]

        return on_message

    def _fate(self) -> str:
        drawn = self._random.random() / self.rate
        fate = "lost" if drawn < 1 else "doubled" if drawn < 2 else "late" if drawn < 4 else "passed"
        self.counts[fate] += 1
        return fate

    def reconnect(self) -> None:
        """Let the socket break; the page opens another one."""
        for socket in self.sockets:
            socket.close(code=4000)
        self.sockets.clear()
