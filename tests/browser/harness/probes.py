"""Measurements in a page through the Chrome DevTools protocol: heap, DOM, live instances, websocket traffic."""

from __future__ import annotations

import base64
import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from playwright.sync_api import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from playwright.sync_api import CDPSession, Locator

Direction = Literal["sent", "received"]

# Prototype objects inherit from the prototype asked for, so a query finds them too: they are no instances.
_COUNT_INSTANCES: Final = """function () {
    let count = 0;
    for (const found of this) {
        const own = Object.getOwnPropertyDescriptor(found, "constructor")?.value;
        if (own?.prototype !== found) {
            count += 1;
        }
    }
    return count;
}"""

_TWO_FRAMES: Final = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@contextmanager
def cdp(page: Page) -> Iterator[CDPSession]:
    """Yield a DevTools session of the page, detached afterwards."""
    session = page.context.new_cdp_session(page)
    try:
        yield session
    finally:
        session.detach()


def next_frame(page: Page) -> None:
    """Wait until the page has painted what it has now."""
    page.evaluate(_TWO_FRAMES)


def collect_garbage(page: Page) -> None:
    """Free what the page no longer reaches.

    Twice, with a frame between: finalisers and timers of the first collection release more.
    """
    with cdp(page) as session:
        # The console's history keeps the objects that were logged.
        session.send("Runtime.discardConsoleEntries")
        session.send("HeapProfiler.collectGarbage")
        next_frame(page)
        session.send("HeapProfiler.collectGarbage")


@dataclass(frozen=True, slots=True)
class DomCounters:
    """What the renderer process holds of DOM objects, attached or not."""

    documents: int
    nodes: int
    listeners: int


def dom_counters(page: Page) -> DomCounters:
    """Return the page's DOM counters; collect garbage first to count only what is reachable."""
    with cdp(page) as session:
        counters = session.send("Memory.getDOMCounters")
    return DomCounters(counters["documents"], counters["nodes"], counters["jsEventListeners"])


def heap_used(page: Page, *, collect: bool = True) -> int:
    """Return the bytes of JavaScript heap in use, by default after a garbage collection."""
    if collect:
        collect_garbage(page)
    with cdp(page) as session:
        return int(session.send("Runtime.getHeapUsage")["usedSize"])


def count_instances(page: Page, prototype: str) -> int:
    """Count the live objects of a class, reachable ones only.

    Parameters
    ----------
    page : Page
        The page.
    prototype : str
        JavaScript expression of the class's prototype: ``"Map.prototype"``.

    Returns
    -------
    int
        Instances of the class and of its subclasses, not their prototypes.

    Raises
    ------
    ValueError
        If the expression throws or its value is no object.
    """
    group = "harness_count_instances"
    with cdp(page) as session:
        try:
            evaluated = session.send("Runtime.evaluate", {"expression": prototype, "objectGroup": group})
            if "exceptionDetails" in evaluated or "objectId" not in evaluated["result"]:
                message = f"Expected an expression of a prototype object but {prototype!r} gives {evaluated['result']}"
                raise ValueError(message)
            # The query itself collects garbage, so what it finds is reachable.
            found = session.send(
                "Runtime.queryObjects",
                {"prototypeObjectId": evaluated["result"]["objectId"], "objectGroup": group},
            )
            counted = session.send(
                "Runtime.callFunctionOn",
                {
                    "functionDeclaration": _COUNT_INSTANCES,
                    "objectId": found["objects"]["objectId"],
                    "returnByValue": True,
                },
            )
        finally:
            session.send("Runtime.releaseObjectGroup", {"objectGroup": group})
    return int(counted["result"]["value"])


@dataclass(frozen=True, slots=True)
class BokehCounts:
    """Live objects of one BokehJS."""

    documents: int = 0
    models: int = 0
    views: int = 0

    def __add__(self, other: BokehCounts) -> BokehCounts:
        """Return the sums."""
        return BokehCounts(self.documents + other.documents, self.models + other.models, self.views + other.views)


_REGISTRY: Final = 'globalThis[Symbol.for("bokeh_widget")]'


def installed_bokeh_versions() -> tuple[str, ...]:
    """Return the version of the Bokeh installed beside the tests, none if there is none."""
    try:
        from bokeh import __version__
    except ImportError:
        return ()
    return (__version__,)


def bokeh_sources(versions: Sequence[str] | None = None) -> dict[str, str]:
    """Return where a page may hold a BokehJS: name -> JavaScript expression.

    Parameters
    ----------
    versions : sequence of str, optional
        Versions to ask bokeh_widget's page registry for; by default the one installed beside the tests.
    """
    versions = installed_bokeh_versions() if versions is None else versions
    own = {f"bokeh_widget {version}": f"{_REGISTRY}?.bokeh?.({json.dumps(version)})" for version in versions}
    return {"window": "globalThis.Bokeh", **own}


def bokeh_counts(page: Page, sources: Mapping[str, str] | None = None) -> dict[str, BokehCounts]:
    """Count the live documents, models and views of each BokehJS in the page.

    Parameters
    ----------
    page : Page
        The page.
    sources : mapping of str to str, optional
        Name -> JavaScript expression of a ``Bokeh`` object; by default ``bokeh_sources()``.

    Returns
    -------
    dict of str to BokehCounts
        One entry for each source the page has now; two names of one object count once, under the first.
    """
    counts: dict[str, BokehCounts] = {}
    expressions: list[str] = []
    for name, expression in (bokeh_sources() if sources is None else sources).items():
        known = ", ".join(expressions)
        if not page.evaluate(f"() => Boolean({expression}) && ![{known}].includes({expression})"):
            continue
        expressions.append(expression)
        # three queries: one for all objects of the page is faster, and now and then keeps the views that it has found
        counts[name] = BokehCounts(
            documents=count_instances(page, f'({expression}).require("document").Document.prototype'),
            models=count_instances(page, f'({expression}).require("core/has_props").HasProps.prototype'),
            views=count_instances(page, f'({expression}).require("core/view").View.prototype'),
        )
    return counts


def screenshot(target: Page | Locator, path: Path) -> Path:
    """Write a PNG of a page or an element, painted with all its fonts.

    Parameters
    ----------
    target : Page or Locator
        What to show; an element is scrolled into view.
    path : Path
        The file; its directory is made.

    Returns
    -------
    Path
        The same path.
    """
    page = target if isinstance(target, Page) else target.page
    page.evaluate("() => document.fonts.ready.then(() => undefined)")
    next_frame(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    target.screenshot(path=path)
    return path


# -- websocket ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KernelMessage:
    """One Jupyter message as it crossed a websocket.

    Attributes
    ----------
    direction : {"sent", "received"}
        As the page sees it.
    channel, msg_type : str
        ``"shell"``, ``"comm_msg"``.
    content_size : int
        Bytes of the JSON content.
    buffer_sizes : tuple of int
        Bytes of each raw buffer.
    frame_size : int
        Bytes of the whole frame.
    binary : bool
        Whether the frame was a binary one.
    comm_id : str
        Of comm messages, else empty.
    content : dict
        The decoded content, empty unless the recorder keeps it.
    """

    direction: Direction
    channel: str
    msg_type: str
    content_size: int
    buffer_sizes: tuple[int, ...]
    frame_size: int
    binary: bool
    comm_id: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_comm(self) -> bool:
        """Whether it opens, closes or uses a comm."""
        return self.msg_type.startswith("comm_")

    @property
    def buffer_size(self) -> int:
        """Bytes of all raw buffers."""
        return sum(self.buffer_sizes)


_HEADER, _CONTENT, _FIRST_BUFFER = 0, 3, 4


def parse_v1(frame: bytes) -> tuple[str, list[bytes]]:
    """Split a frame of ``v1.kernel.websocket.jupyter.org``.

    Layout, all integers little-endian 64 bit: number of offsets, offsets (of channel, header, parent header,
    metadata, content, buffers, and the end), then the parts.

    Returns
    -------
    tuple of (str, list of bytes)
        The channel; header, parent header, metadata, content, buffers.

    Raises
    ------
    ValueError
        If the frame is of another layout.
    """
    count = int.from_bytes(frame[:8], "little")
    first = 8 * (count + 1)
    if count < _FIRST_BUFFER + 2 or first > len(frame) or int.from_bytes(frame[8:16], "little") != first:
        message = "Not a frame of v1.kernel.websocket.jupyter.org"
        raise ValueError(message)
    offsets = [int.from_bytes(frame[8 * i : 8 * (i + 1)], "little") for i in range(1, count + 1)]
    parts = [frame[start:end] for start, end in itertools.pairwise(offsets)]
    return parts[0].decode(), parts[1:]


def parse_legacy(frame: bytes) -> tuple[str, list[bytes]]:
    """Split a binary frame of the protocol before v1: 32-bit big-endian offsets, one JSON message, buffers.

    Returns
    -------
    tuple of (str, list of bytes)
        As ``parse_v1``.
    """
    count = int.from_bytes(frame[:4], "big")
    offsets = [int.from_bytes(frame[4 * i : 4 * (i + 1)], "big") for i in range(1, count + 1)]
    message, *buffers = [frame[start:end] for start, end in itertools.pairwise([*offsets, len(frame)])]
    channel, parts = parse_text(message)
    return channel, [*parts, *buffers]


def parse_text(frame: bytes) -> tuple[str, list[bytes]]:
    """Split a text frame: one JSON message.

    Returns
    -------
    tuple of (str, list of bytes)
        As ``parse_v1``.
    """
    message = json.loads(frame)
    keys = ("header", "parent_header", "metadata", "content")
    return message["channel"], [json.dumps(message[key], separators=(",", ":")).encode() for key in keys]


def parse_frame(payload: bytes, direction: Direction, *, binary: bool, keep_content: bool = False) -> KernelMessage:
    """Return what one websocket frame of a kernel connection carries.

    Parameters
    ----------
    payload : bytes
        The frame.
    direction : {"sent", "received"}
        As the page sees it.
    binary : bool
        Whether it was a binary frame.
    keep_content : bool, optional
        Keep the decoded content.
    """
    if not binary:
        channel, parts = parse_text(payload)
    else:
        try:
            channel, parts = parse_v1(payload)
        except ValueError:
            channel, parts = parse_legacy(payload)
    msg_type = str(json.loads(parts[_HEADER])["msg_type"])
    content: dict[str, Any] = {}
    if keep_content or msg_type.startswith("comm_"):
        content = json.loads(parts[_CONTENT])
    return KernelMessage(
        direction=direction,
        channel=channel,
        msg_type=msg_type,
        content_size=len(parts[_CONTENT]),
        buffer_sizes=tuple(len(part) for part in parts[_FIRST_BUFFER:]),
        frame_size=len(payload),
        binary=binary,
        comm_id=str(content.get("comm_id", "")),
        content=content if keep_content else {},
    )


class WebsocketFrames:
    """The kernel messages recorded in a block of ``websocket_frames``.

    Attributes
    ----------
    messages : list of KernelMessage
        Oldest first.
    unparsed : list of str
        A line for each frame that is no kernel message.
    """

    def __init__(self, session: CDPSession, *, keep_content: bool) -> None:
        self.messages: list[KernelMessage] = []
        self.unparsed: list[str] = []
        self._session = session
        self._keep_content = keep_content

    def start(self) -> None:
        """Begin to record."""
        self._session.on("Network.webSocketFrameSent", self._on_sent)
        self._session.on("Network.webSocketFrameReceived", self._on_received)
        self._session.send("Network.enable")

    def flush(self) -> None:
        """Take in all that the page sent and received up to now."""
        # Events come in order with answers, and are handled while this thread waits for one.
        self._session.send("Runtime.evaluate", {"expression": "0"})

    def _on_sent(self, event: dict[str, Any]) -> None:
        self._add(event, "sent")

    def _on_received(self, event: dict[str, Any]) -> None:
        self._add(event, "received")

    def _add(self, event: dict[str, Any], direction: Direction) -> None:
        frame = event["response"]
        text, binary = 1, 2
        if frame["opcode"] not in (text, binary):
            return
        is_binary = frame["opcode"] == binary
        payload = base64.b64decode(frame["payloadData"]) if is_binary else frame["payloadData"].encode()
        # The server's event bus has a websocket, too; its frames are JSON of another schema.
        if not is_binary and b'"schema_id"' in payload:
            return
        try:
            message = parse_frame(payload, direction, binary=is_binary, keep_content=self._keep_content)
        except (ValueError, KeyError, IndexError) as error:
            self.unparsed.append(f"{direction} frame of {len(payload)} bytes: {error!r}")
            return
        self.messages.append(message)

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self.flush()
        self.messages.clear()
        self.unparsed.clear()

    def comm(self, direction: Direction | None = None, *, comm_id: str | None = None) -> list[KernelMessage]:
        """Return the comm messages, oldest first.

        Parameters
        ----------
        direction : {"sent", "received"}, optional
            Only these.
        comm_id : str, optional
            Only those of this comm.
        """
        self.flush()
        return [
            message
            for message in self.messages
            if message.is_comm and direction in (None, message.direction) and comm_id in (None, message.comm_id)
        ]

    def of_type(self, msg_type: str, direction: Direction | None = None) -> list[KernelMessage]:
        """Return the messages of one type, oldest first."""
        self.flush()
        return [
            message
            for message in self.messages
            if message.msg_type == msg_type and direction in (None, message.direction)
        ]


@contextmanager
def websocket_frames(page: Page, *, keep_content: bool = False) -> Iterator[WebsocketFrames]:
    """Record the kernel messages that cross the page's websockets during the block.

    Recording costs: every frame travels to this process. Do not time anything inside the block.

    Parameters
    ----------
    page : Page
        The page; its websockets may be open already.
    keep_content : bool, optional
        Keep the decoded JSON content of each message.
    """
    with cdp(page) as session:
        frames = WebsocketFrames(session, keep_content=keep_content)
        frames.start()
        yield frames
        frames.flush()
