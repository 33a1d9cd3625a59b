"""Every frame of every websocket of a page: those of the kernel, and those of a Bokeh server."""

from __future__ import annotations

import base64
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.browser.harness import cdp
from tests.browser.harness.probes import parse_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import CDPSession, Page

Direction = Literal["sent", "received"]

_TEXT, _BINARY = 1, 2
_BASE64_BYTES: Final = re.compile(rb'bytes\\*"\s*,\s*\\*"data\\*"\s*:\s*\\*"[A-Za-z0-9+/]')
"""Bokeh's encoding of a buffer as a string, also within a string of JSON."""
_BASE64_ARRAY: Final = re.compile(rb"[A-Za-z0-9+/]{4000}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a document, as the page sees it."""

    direction: Direction
    size: int
    has_base64: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went in one direction."""

    messages: int
    size: int
    base64: bool

    @staticmethod
    def of(frames: list[Frame], direction: Direction) -> Traffic:
        """Add up the frames of one direction."""
        chosen = [frame for frame in frames if frame.direction == direction]
        return Traffic(len(chosen), sum(f.size for f in chosen), any(f.has_base64 for f in chosen))


class Wire:
    """Records frames; of the kernel's only those of comms, of other sockets all."""

    def __init__(self, session: CDPSession) -> None:
        self.frames: list[Frame] = []
        self._session = session

    def start(self) -> None:
        """Begin to record."""
        self._session.on("Network.webSocketFrameSent", lambda event: self._add(event, "sent"))
        self._session.on("Network.webSocketFrameReceived", lambda event: self._add(event, "received"))
        self._session.send("Network.enable", {"maxTotalBufferSize": 1 << 28, "maxResourceBufferSize": 1 << 28})

    def take(self) -> list[Frame]:
        """Give what was recorded since the last time."""
        # events come in order with answers, and are handled while this thread waits for one
        self._session.send("Runtime.evaluate", {"expression": "0"})
        taken, self.frames = self.frames, []
        return taken

    def _add(self, event: dict[str, Any], direction: Direction) -> None:
        frame = event["response"]
        if frame["opcode"] not in (_TEXT, _BINARY):
            return
        is_binary = frame["opcode"] == _BINARY
        payload = base64.b64decode(frame["payloadData"]) if is_binary else frame["payloadData"].encode()
        if not is_binary and b'"schema_id"' in payload:
            return  # the server's event bus
        try:
            message = parse_frame(payload, direction, binary=is_binary)
        except (ValueError, KeyError, IndexError, TypeError):
            pass  # of a Bokeh server
        else:
            if not message.is_comm:
                return
        has_base64 = _BASE64_BYTES.search(payload) is not None or _BASE64_ARRAY.search(payload) is not None
        self.frames.append(Frame(direction, len(payload), has_base64))


@contextmanager
def recorded(page: Page) -> Iterator[Wire]:
    """Record during the block. It costs time: nothing is to be timed inside."""
    with cdp(page) as session:
        wire = Wire(session)
        wire.start()
        yield wire
