"""Messages that are too large for one frame: their buffers, cut into pieces that are not copied. Pure."""

from __future__ import annotations

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


def total_bytes(buffers: Sequence[Buffer]) -> int:
    """Count the bytes of all buffers."""
    return sum(memoryview(buffer).nbytes for buffer in buffers)


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
