"""The messages on the comm, as types, and the validation of what comes in.

``docs/protocol.md`` is the specification; ``js/src/protocol.ts`` is the same in TypeScript,
and both are tested with the frames in ``tests/protocol``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypedDict

from .errors import FrameTooLargeError, ProtocolError

PROTOCOL_VERSION: Final = 2
"""Rises when a page and a kernel of different releases can no longer talk."""

DEFAULT_INBOUND_LIMIT_BYTES: Final = 256 * 2**20
"""Largest message accepted from a page. A guard against a runaway page, not a tuning knob."""

_REMEDY: Final = (
    "reload the page; if it happens again, install the same version of bokeh_widget in the environments of "
    "Jupyter and of the kernel"
)

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 4

Buffer: TypeAlias = bytes | memoryview
Scheme: TypeAlias = Literal["light", "dark"]
"""Raw bytes beside the JSON of a message."""


# --- from Python to the page ---------------------------------------------------------------


class DocumentState(TypedDict):
    """The whole document, as the synced trait carries it."""

    session: str
    revision: int
    json: str
    buffers: dict[str, Buffer]
    requires: list[str]


class Transfer(TypedDict):
    """How the buffers of a message came before it: in so many chunks."""

    id: str
    count: int


class PatchMessage(TypedDict):
    """One step of the document from ``revision - 1`` to ``revision``.

    ``events`` is None when the only page that shows the document is the origin of the change:
    for that page the message is the acknowledgement of its ``seq``.
    """

    kind: Literal["patch"]
    session: str
    revision: int
    origin: str | None
    seq: int | None
    events: list[Any] | None
    packed: str | None
    buffers: list[str]
    transfer: Transfer | None
    requires: list[str]


class DocumentMessage(TypedDict):
    """The whole document for one client, or for all of them if ``client`` is None.

    ``seq`` is the last patch of the client that the document contains.
    """

    kind: Literal["document"]
    client: str | None
    seq: int | None
    session: str
    revision: int
    json: str
    packed: str | None
    buffers: list[str]
    transfer: Transfer | None
    requires: list[str]


class ChunkMessage(TypedDict):
    """A part of the buffers of a message that is too large for one frame.

    ``offset`` is its first byte among those of all buffers, and ``sizes`` are the bytes of each buffer: the page puts
    a part into its place when it comes, and keeps no second copy.
    """

    kind: Literal["chunk"]
    client: str | None
    transfer: str
    index: int
    count: int
    offset: int
    sizes: list[int]


class SyncMessage(TypedDict):
    """The question to all clients where they are."""

    kind: Literal["sync"]
    session: str
    revision: int


class RefusedMessage(TypedDict):
    """The client's patch ``seq`` was not applied; the client must fetch the document again."""

    kind: Literal["refused"]
    client: str
    seq: int
    message: str


class NoticeMessage(TypedDict):
    """A line for the user about the connection, shown under the plot; it goes when the next document is built."""

    kind: Literal["notice"]
    level: Literal["error", "warning"]
    text: str


class StreamBlock(TypedDict):
    """Text that callbacks printed in a row."""

    id: int
    kind: Literal["stream"]
    name: str
    text: str


class DisplayBlock(TypedDict):
    """An object that a callback displayed: a MIME bundle."""

    id: int
    kind: Literal["display"]
    data: dict[str, Any]
    metadata: dict[str, Any]


class ErrorBlock(TypedDict):
    """An error: a line, the traceback, and how often it came."""

    id: int
    kind: Literal["error"]
    text: str
    detail: str
    count: int


OutputBlock: TypeAlias = StreamBlock | DisplayBlock | ErrorBlock


class OutputMessage(TypedDict):
    """Output of callbacks: blocks that are new or other than before, for one client or for all of them."""

    kind: Literal["output"]
    client: str | None
    session: str
    first: int
    cut: int
    blocks: list[OutputBlock]


PictureType: TypeAlias = Literal["png", "svg"]


class ExportMessage(TypedDict):
    """The question to one client for a picture of the document at this revision, or a later one."""

    kind: Literal["export"]
    client: str
    request: str
    session: str
    revision: int
    type: PictureType
    timeout_ms: int


KernelMessage: TypeAlias = (
    PatchMessage
    | DocumentMessage
    | ChunkMessage
    | SyncMessage
    | RefusedMessage
    | NoticeMessage
    | OutputMessage
    | ExportMessage
)


# --- from the page to Python ---------------------------------------------------------------

# ``views`` are all views that the client has; ``tick`` is the number of the message among those that
# speak of views, so that of two that change places the newer one counts


@dataclass(frozen=True, slots=True)
class Attach:
    """A client has built (or wants) its replica. ``revision`` is None if it has no document."""

    client: str
    session: str | None
    revision: int | None
    protocol: int
    seq: int
    views: list[str]
    tick: int


@dataclass(frozen=True, slots=True)
class ViewShown:
    """A view appeared in a page, or the page turned light or dark (``scheme``; None if it does not say)."""

    client: str
    view: str
    views: list[str]
    tick: int
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class ViewGone:
    """A view was removed while its page lives on."""

    client: str
    view: str
    views: list[str]
    tick: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A client has applied everything up to ``revision``, and had the time to paint it.

    ``cost_ms`` is for how long the costliest patch since the last acknowledgement kept the page busy, without painting.
    """

    client: str
    session: str
    revision: int
    cost_ms: float
    views: list[str]
    tick: int


@dataclass(frozen=True, slots=True)
class ClientGone:
    """A page unloads, or the whole notebook was closed in it: nothing is to be unpinned."""

    client: str
    tick: int


@dataclass(frozen=True, slots=True)
class ClientPatch:
    """Changes that a client made to its replica."""

    client: str
    session: str
    seq: int
    revision: int
    events: list[Any]
    buffers: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class ClientError:
    """Something failed in the page."""

    client: str
    context: str
    message: str
    stack: str


@dataclass(frozen=True, slots=True)
class ClearOutput:
    """The user wants to see the output of callbacks no more."""

    client: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The picture that a client was asked for, as its only buffer; or why there is none."""

    client: str
    request: str
    width: int
    height: int
    omitted: list[str]
    error: str | None
    buffers: dict[str, bytes]


ClientMessage: TypeAlias = (
    Attach | ViewShown | ViewGone | Acknowledgement | ClientGone | ClientPatch | ClientError | ClearOutput | Exported
)


def short(value: object) -> str:
    """Show a value of a stranger in a message: neither its size nor its depth can do harm."""
    return _SHORT.repr(value)


def _field(
    content: Mapping[str, object], name: str, kind: type | tuple[type, ...]
) -> Any:  # caller knows the type it asked for
    value = content.get(name)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # bool is an int in Python, never on this wire
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
        raise ProtocolError(
            f"message {content.get('kind')!r} from the page: field {name!r} must be {expected}, "
            f"but got {short(value)}; {_REMEDY}"
        )
    return value


def _names(content: Mapping[str, object], field: str) -> list[str]:
    names: list[object] = _field(content, field, list)
    if not all(isinstance(name, str) for name in names):
        raise ProtocolError(
            f"message {content.get('kind')!r} from the page: field {field!r} must be a list of str, "
            f"but got {short(names)}; {_REMEDY}"
        )
    return [str(name) for name in names]


def _scheme(content: Mapping[str, object]) -> Scheme | None:
    match content.get("scheme"):
        case None:
            return None
        case "light":
            return "light"
        case "dark":
            return "dark"
        case other:
            raise ProtocolError(
                f"message {content.get('kind')!r} from the page: field 'scheme' must be 'light', 'dark' or null, "
                f"but got {short(other)}; {_REMEDY}"
            )


def _named_buffers(content: Mapping[str, object], buffers: Sequence[Buffer], limit_bytes: int) -> dict[str, bytes]:
    names: list[object] = _field(content, "buffers", list)
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ProtocolError(
            f"{content['kind']} from the page: the names of buffers must be distinct strings, "
            f"but got {short(names)}; {_REMEDY}"
        )
    if len(names) != len(buffers):
        raise ProtocolError(
            f"{content['kind']} from the page names {len(names)} buffers {short(names)}, "
            f"but {len(buffers)} came with it; {_REMEDY}"
        )
    size_bytes = sum(memoryview(buffer).nbytes for buffer in buffers)
    if size_bytes > limit_bytes:
        raise FrameTooLargeError(
            f"{content['kind']} from the page carries {size_bytes} bytes, more than the limit of {limit_bytes}; "
            "send the data in smaller pieces"
        )
    return {str(name): bytes(buffer) for name, buffer in zip(names, buffers, strict=True)}


def parse_client_message(  # noqa: C901, PLR0911  # one for each kind
    content: object,
    buffers: Sequence[Buffer] = (),
    *,
    limit_bytes: int = DEFAULT_INBOUND_LIMIT_BYTES,
) -> ClientMessage:
    """Check one message of the page and give it its type.

    Parameters
    ----------
    content : object
        The JSON content, as it came.
    buffers : sequence of bytes or memoryview
        The raw buffers beside it, in the order that the message names them.
    limit_bytes : int
        Largest total size of the buffers.

    Returns
    -------
    ClientMessage
        One of the message types of this module.

    Raises
    ------
    ProtocolError
        If the message is of no known kind, or a field is missing or of the wrong type.
    FrameTooLargeError
        If the buffers are larger than ``limit_bytes``.
    """
    if not isinstance(content, Mapping):
        raise ProtocolError(f"a message from the page must be an object, but got {short(content)}; {_REMEDY}")
    kind = content.get("kind")
    if kind not in ("attach", "hi", "gone", "ack", "bye", "patch", "error", "clear_output", "exported"):
        raise ProtocolError(f"unknown kind of message from the page: {short(kind)}; {_REMEDY}")
    client: str = _field(content, "client", str)
    match kind:
        case "attach" if content.get("protocol") != PROTOCOL_VERSION:  # its other fields may be others
            protocol = _field(content, "protocol", int)
            return Attach(client=client, session=None, revision=None, protocol=protocol, seq=0, views=[], tick=0)
        case "attach":
            return Attach(
                client=client,
                session=_field(content, "session", (str, type(None))),
                revision=_field(content, "revision", (int, type(None))),
                protocol=_field(content, "protocol", int),
                seq=_field(content, "seq", int),
                views=_names(content, "views"),
                tick=_field(content, "tick", int),
            )
        case "hi":
            return ViewShown(
                client=client,
                view=_field(content, "view", str),
                views=_names(content, "views"),
                tick=_field(content, "tick", int),
                scheme=_scheme(content),
            )
        case "gone":
            return ViewGone(
                client=client,
                view=_field(content, "view", str),
                views=_names(content, "views"),
                tick=_field(content, "tick", int),
            )
        case "ack":
            return Acknowledgement(
                client=client,
                session=_field(content, "session", str),
                revision=_field(content, "revision", int),
                cost_ms=_field(content, "cost_ms", (int, float)),
                views=_names(content, "views"),
                tick=_field(content, "tick", int),
            )
        case "clear_output":
            return ClearOutput(client=client)
        case "exported":
            return Exported(
                client=client,
                request=_field(content, "request", str),
                width=_field(content, "width", int),
                height=_field(content, "height", int),
                omitted=_names(content, "omitted"),
                error=_field(content, "error", (str, type(None))),
                buffers=_named_buffers(content, buffers, limit_bytes),
            )
        case "bye":
            return ClientGone(client=client, tick=_field(content, "tick", int))
        case "patch":
            return ClientPatch(
                client=client,
                session=_field(content, "session", str),
                seq=_field(content, "seq", int),
                revision=_field(content, "revision", int),
                events=_field(content, "events", list),
                buffers=_named_buffers(content, buffers, limit_bytes),
            )
        case _:
            return ClientError(
                client=client,
                context=_field(content, "context", str),
                message=_field(content, "message", str),
                stack=_field(content, "stack", str),
            )
