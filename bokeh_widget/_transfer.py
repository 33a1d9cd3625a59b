"""Messages that are too large for one frame: their buffers, cut into pieces that are not copied. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._protocol import Buffer

DEFAULT_FRAME_LIMIT_BYTES: Final = 8_000_000
"""Below the limits that proxies commonly set for one message of a websocket (nginx and cloud balancers: 10 MB)."""

_BYTES_PER_ELEMENT: Final = 12
"""About what one number of a list takes in JSON: to guess the length of text without making it."""

MIN_FRAME_LIMIT_BYTES: Final = 64_000
"""A smaller frame would be mostly the header of its message."""


_PIECE_BYTES: Final = 256_000
"""Of what is cut, a piece has so many bytes. Chromium 156 hands 32 MB to a page in 310 ms as 125 websocket messages,
in 410 ms as 64, in 500 ms as 32; in 200 ms as a single one, but is then busy with it for 150 ms more (two cores)."""

_WINDOW_MS: Final = 3000.0
_PIECES_PER_WINDOW: Final = 1500
"""Jupyter Server drops messages of a kernel above 1000 a second, counted over 3 s: half of them are for others."""


def total_bytes(buffers: Sequence[Buffer]) -> int:
    """Count the bytes of all buffers."""
    return sum(memoryview(buffer).nbytes for buffer in buffers)


class PieceBudget:
    """Tells how large pieces are to be, such that all that are sent of one kernel are not too many."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()

    def piece_bytes(self, total_bytes: int, limit_bytes: int, now_ms: float) -> int:
        """Tell how large the pieces should be of what is larger than a frame may be, and count them as sent.

        Parameters
        ----------
        total_bytes : int
            Size of it.
        limit_bytes : int
            Largest size of a frame.
        now_ms : float
            Time of a clock that does not go back.

        Returns
        -------
        int
            Bytes of a piece: as few as are taken in fast, more where many were sent lately, at most ``limit_bytes``.
        """
        while self._sent and now_ms - self._sent[0][0] >= _WINDOW_MS:
            self._sent.popleft()
        left = _PIECES_PER_WINDOW - sum(count for _, count in self._sent)
        count = max(1, min(-(-total_bytes // _PIECE_BYTES), left // 2))
        piece_bytes = min(limit_bytes, -(-total_bytes // count))
        self._sent.append((now_ms, -(-total_bytes // piece_bytes)))
        return piece_bytes


def pieces(buffers: Sequence[Buffer], limit_bytes: int) -> Iterator[list[memoryview]]:
    """Cut buffers into runs of at most ``limit_bytes``.

    Parameters
    ----------
    buffers : sequence of bytes or memoryview
        C-contiguous.
    limit_bytes : int
        Largest total of one run, at least 1.

    Yields
    ------
    list of memoryview
        Views of the buffers; all of them in their order are all bytes of the buffers in theirs.
    """
    run: list[memoryview] = []
    room = limit_bytes
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        while view.nbytes > 0:
            taken, view = view[:room], view[room:]
            run.append(taken)
            room -= taken.nbytes
            if room == 0:
                yield run
                run, room = [], limit_bytes
    if run:
        yield run


def json_bytes(value: Any) -> int:
    """Guess how long the JSON text of a value is, from the lengths of what it contains.

    Parameters
    ----------
    value : JSON value
        Of a long list some elements stand for all.
    """
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(json_bytes(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        if len(value) > 100:  # noqa: PLR2004  # columns: all elements are like the first ones
            sample = value[:: max(1, len(value) // 50)]
            return len(value) * max(_BYTES_PER_ELEMENT, sum(map(json_bytes, sample)) // len(sample))
        return sum(map(json_bytes, value))
    return _BYTES_PER_ELEMENT
