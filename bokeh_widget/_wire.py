"""What a widget says to its pages: messages of the protocol, cut into frames that stay below a limit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from bokeh.core.json_encoder import serialize_json

from ._protocol import (
    Buffer,
    ChunkMessage,
    DocumentMessage,
    DocumentState,
    ExportMessage,
    KernelMessage,
    NoticeMessage,
    OutputMessage,
    PatchMessage,
    RefusedMessage,
    SyncMessage,
    Transfer,
)
from ._transfer import pieces, total_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._flow import Patch
    from ._output import OutputChange

PACKED: Final = "json"
"""Name of the buffer that carries JSON text which is too long for the content of a message."""


class Wire:
    """Sends the messages of one widget.

    Parameters
    ----------
    send : callable
        Takes the content of a custom message and its buffers.
    frame_limit_bytes : int
        Largest total of the buffers of one message.
    """

    def __init__(self, send: Callable[[KernelMessage, list[Buffer]], None], frame_limit_bytes: int) -> None:
        self.frame_limit_bytes: Final = frame_limit_bytes
        self.frames_sent = 0
        self.bytes_sent = 0
        self._send = send

    def fits(self, state: DocumentState) -> bool:
        """Tell whether a document can be sent as one frame."""
        return total_bytes(list(state["buffers"].values())) + len(state["json"]) <= self.frame_limit_bytes

    def patch(self, patch: Patch, requires: list[str]) -> None:
        """Send one revision to every client.

        Parameters
        ----------
        patch : Patch
            The revision, encoded. Without events it is the acknowledgement for its origin.
        requires : list of str
            Bundles to load before.
        """
        is_acknowledgement = patch.origin is not None and not patch.events
        buffers = dict(patch.buffers)
        packed = None
        if patch.json_bytes > self.frame_limit_bytes // 2:
            packed = _name_beside(buffers)
            buffers[packed] = serialize_json(patch.events).encode()
        content = PatchMessage(
            kind="patch",
            session=patch.session,
            revision=patch.revision,
            origin=patch.origin,
            seq=patch.seq,
            events=None if is_acknowledgement else [] if packed else patch.events,
            packed=packed,
            buffers=list(buffers),
            transfer=None,
            requires=requires,
        )
        self.bytes_sent += 0 if packed else patch.json_bytes
        self._message(content, list(buffers.values()), client=None)

    def document(self, state: DocumentState, client: str | None, seq: int | None) -> None:
        """Send the whole document.

        Parameters
        ----------
        state : DocumentState
            The document, encoded.
        client : str or None
            For whom it is; None for all.
        seq : int or None
            The last patch of this client that is in it.
        """
        buffers = dict(state["buffers"])
        packed = None
        if len(state["json"]) > self.frame_limit_bytes // 2:
            packed = _name_beside(buffers)
            buffers[packed] = state["json"].encode()
        content = DocumentMessage(
            kind="document",
            client=client,
            seq=seq,
            session=state["session"],
            revision=state["revision"],
            json="" if packed else state["json"],
            packed=packed,
            buffers=list(buffers),
            transfer=None,
            requires=state["requires"],
        )
        self.bytes_sent += len(content["json"])
        self._message(content, list(buffers.values()), client=client)

    def sync(self, session_id: str, revision: int) -> None:
        """Ask the clients where they are."""
        self._frame(SyncMessage(kind="sync", session=session_id, revision=revision), [])

    def refused(self, client: str, seq: int, message: str) -> None:
        """Tell a client that its patch was not applied."""
        self._frame(RefusedMessage(kind="refused", client=client, seq=seq, message=message), [])

    def export(self, message: ExportMessage) -> None:
        """Ask one client for a picture."""
        self._frame(message, [])

    def notice(self, text: str) -> None:
        """Show an error under the plot."""
        self._frame(NoticeMessage(kind="notice", level="error", text=text), [])

    def output(self, change: OutputChange, session_id: str, client: str | None) -> None:
        """Say what callbacks of the document printed, displayed and raised, to one client or to all of them."""
        self._frame(
            OutputMessage(
                kind="output",
                client=client,
                session=session_id,
                first=change.first,
                cut=change.cut,
                blocks=change.blocks,
            ),
            [],
        )

    def _message(self, content: PatchMessage | DocumentMessage, buffers: list[Buffer], *, client: str | None) -> None:
        if total_bytes(buffers) <= self.frame_limit_bytes:
            self._frame(content, buffers)
            return
        transfer_id = uuid.uuid4().hex
        sizes = [memoryview(buffer).nbytes for buffer in buffers]
        chunks = list(pieces(buffers, self.frame_limit_bytes))
        offset = 0
        for index, chunk in enumerate(chunks):
            self._frame(
                ChunkMessage(
                    kind="chunk",
                    client=client,
                    transfer=transfer_id,
                    index=index,
                    count=len(chunks),
                    offset=offset,
                    sizes=sizes,
                ),
                chunk,
            )
            offset += total_bytes(chunk)
        content["transfer"] = Transfer(id=transfer_id, count=len(chunks))
        self._frame(content, [])

    def _frame(self, content: KernelMessage, buffers: Sequence[Buffer]) -> None:
        self._send(content, list(buffers))
        self.frames_sent += 1
        self.bytes_sent += total_bytes(buffers)


def _name_beside(buffers: dict[str, Buffer]) -> str:
    name = PACKED
    while name in buffers:
        name += "_"
    return name
