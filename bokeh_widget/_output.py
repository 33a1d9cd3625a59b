"""What callbacks print, display and raise: kept per session, and sent to the pages that show the session's document.

A kernel publishes it under the header of whatever message it takes to be the parent: what a periodic callback prints
goes to the cell that made it, also when another cell shows the plot; what a change of a page prints goes nowhere; a
page that was reloaded gets none of it. Here it belongs to the session whose callback runs, which a context variable
names, and thus to every place that shows its document.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import re
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._protocol import DisplayBlock, ErrorBlock, OutputBlock, StreamBlock
from ._waker import waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ._flow import Connection

MAX_LINES: Final = 1000
"""Of the last lines about so many are kept; they go by blocks, from the top."""

MAX_CHARS: Final = 100_000
"""No more text than that is kept, either."""

MAX_LINE_CHARS: Final = 4000
"""The rest of a longer line is left out."""

MAX_DISPLAYS: Final = 10
MAX_DISPLAY_CHARS: Final = 2_000_000
"""Length of a displayed object as JSON; a larger one is only named."""

_BLOCK_LINES: Final = 50
_BLOCK_CHARS: Final = 5000
_SEND_AFTER_MS: Final = 50.0

_ANSI: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True, slots=True)
class OutputChange:
    """What a page has to do to show the output as it is now.

    Attributes
    ----------
    blocks : list of OutputBlock
        Those that are new, or other than before.
    first : int
        Blocks with a lower number are gone.
    cut : int
        How many lines went because there were too many.
    """

    blocks: list[OutputBlock]
    first: int
    cut: int


class CellPrints:
    """The cell that runs when this is made: what is printed for it later, when no cell runs, can be printed there."""

    def __init__(self) -> None:
        self._header: Any = None
        self.note()

    def note(self) -> None:
        """Take the cell that runs now, if one does."""
        header = getattr(sys.stdout, "parent_header", None)
        if _is_of_cell(header):
            self._header = header

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Print in the cell what is printed inside, unless another cell runs: then it is that one's.

        What a message of a page runs would otherwise be printed in the log of the front end.
        """
        with captured_by(None), contextlib.ExitStack() as streams:
            stream: Any  # what a kernel has there is no plain file
            for stream in (sys.stdout, sys.stderr):
                set_parent = getattr(stream, "set_thread_parent", None)  # older kernels have none
                if set_parent is None or self._header is None or _is_of_cell(getattr(stream, "parent_header", None)):
                    continue
                streams.callback(stream.reset_thread_parent, set_parent(self._header))
            yield


def _is_of_cell(header: object) -> bool:
    return isinstance(header, dict) and header.get("msg_type") == "execute_request"


class Output:
    """The output of the callbacks of one session. Threads may write to it.

    Parameters
    ----------
    connections : callable
        Gives the connections of the session, which it must not hold: contexts hold the output.
    """

    def __init__(self, connections: Callable[[], Iterable[Connection]]) -> None:
        self._connections = connections
        self._lock = threading.RLock()
        self._blocks: dict[int, OutputBlock] = {}  # oldest first
        self._changed: set[int] = set()
        self._next_id = 0
        self._cut = 0
        self._is_clear_due = False
        self._display_ids: dict[str, int] = {}
        self._alarm = waker.alarm(_weak_flush(self))
        self._is_closed = False
        self.cell: Final = CellPrints()
        """Where what is said belongs when nothing shows the document any more."""

    # --- what callbacks do -----------------------------------------------------------------

    def write(self, name: str, text: str) -> bool:
        """Take in what was printed.

        Parameters
        ----------
        name : str
            ``"stdout"`` or ``"stderr"``.
        text : str
            In whatever pieces it was written.

        Returns
        -------
        bool
            Whether somebody sees it; else it is to go where it would go without us, too.
        """
        with self._lock:
            if self._is_closed:
                return False
            self._clear_if_due()
            pieces = re.findall(r"[^\n]*\n|[^\n]+", _ANSI.sub("", text).replace("\r\n", "\n"))
            if len(pieces) > MAX_LINES:
                self._cut += len(pieces) - MAX_LINES
                del pieces[:-MAX_LINES]
            for piece in pieces:
                self._stream_block(name)["text"] += piece
                self._shorten_last_line()
            self._end_change()
            return self._is_shown

    def display(
        self, data: dict[str, Any], metadata: dict[str, Any], *, display_id: str | None = None, update: bool = False
    ) -> bool:
        """Take in what was displayed.

        Parameters
        ----------
        data, metadata : dict
            The MIME bundle: what JSON can write.
        display_id : str, optional
            Names what is displayed, to be replaced later.
        update : bool, default False
            Whether it replaces what has this name.

        Returns
        -------
        bool
            As for :meth:`write`; False for an update of what is not here, too.
        """
        size = len(json.dumps([data, metadata]))
        if size > MAX_DISPLAY_CHARS:
            limit = f"{MAX_DISPLAY_CHARS / 1e6:.0f} MB"
            data = {
                "text/plain": f"An object of {size / 1e6:.1f} MB was displayed; objects up to {limit} are shown here."
            }
            metadata = {}
        with self._lock:
            known = None if display_id is None else self._display_ids.get(display_id)
            if self._is_closed or (update and known not in self._blocks):
                return False
            self._clear_if_due()
            block_id = known if update and known is not None else self._new_id()
            self._blocks[block_id] = DisplayBlock(id=block_id, kind="display", data=data, metadata=metadata)
            self._changed.add(block_id)
            if display_id is not None:
                self._display_ids[display_id] = block_id
            self._end_change()
            return self._is_shown

    def error(self, text: str, detail: str) -> bool:
        """Take in an error; one that is shown already is counted.

        Parameters
        ----------
        text : str
            A line.
        detail : str
            The traceback.

        Returns
        -------
        bool
            As for :meth:`write`.
        """
        with self._lock:
            if self._is_closed:
                return False
            self._clear_if_due()
            for block in self._blocks.values():
                if block["kind"] == "error" and (block["text"], block["detail"]) == (text, detail):
                    block["count"] += 1
                    self._changed.add(block["id"])
                    break
            else:
                self._add(ErrorBlock(id=self._new_id(), kind="error", text=text, detail=detail, count=1))
            self._end_change()
            return self._is_shown

    def clear(self, *, wait: bool = False) -> None:
        """Forget everything, or do so when something new comes."""
        with self._lock:
            if self._is_closed:
                return
            self._is_clear_due = wait
            if not wait:
                self._clear()

    def close(self) -> None:
        """Forget everything; nothing is taken in or sent from here on."""
        with self._lock:
            self._is_closed = True
            self._alarm.cancel()
            self._clear()
            self._alarm.cancel()

    # --- what is kept ----------------------------------------------------------------------

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _add(self, block: OutputBlock) -> None:
        self._blocks[block["id"]] = block
        self._changed.add(block["id"])

    def _stream_block(self, name: str) -> StreamBlock:
        """Give the block that text of a stream is added to."""
        last = self._blocks.get(self._next_id - 1)
        if last is not None and last["kind"] == "stream" and last["name"] == name and not _is_full(last["text"]):
            self._changed.add(last["id"])
            return last
        block = StreamBlock(id=self._new_id(), kind="stream", name=name, text="")
        self._add(block)
        return block

    def _shorten_last_line(self) -> None:
        block = self._blocks[self._next_id - 1]
        if block["kind"] == "stream":
            end = len(block["text"]) - 1 if block["text"].endswith("\n") else len(block["text"])
            begin = block["text"].rfind("\n", 0, end) + 1
            block["text"] = block["text"][:begin] + _shortened(block["text"][begin:end]) + block["text"][end:]

    def _clear_if_due(self) -> None:
        if self._is_clear_due:
            self._is_clear_due = False
            self._clear()

    def _clear(self) -> None:
        self._blocks.clear()
        self._changed.clear()
        self._display_ids.clear()
        self._cut = 0
        self._alarm.within(_SEND_AFTER_MS)

    def _end_change(self) -> None:
        blocks = list(self._blocks.values())
        lines, chars = sum(map(_lines_of, blocks)), sum(map(_chars_of, blocks))
        displays = sum(block["kind"] == "display" for block in blocks)
        for block in blocks[:-1]:
            if lines <= MAX_LINES and chars <= MAX_CHARS and displays <= MAX_DISPLAYS:
                break
            lines -= _lines_of(block)
            chars -= _chars_of(block)
            displays -= block["kind"] == "display"
            self._cut += _lines_of(block)
            del self._blocks[block["id"]]
            self._changed.discard(block["id"])
        self._alarm.within(_SEND_AFTER_MS)

    # --- towards the pages -----------------------------------------------------------------

    @property
    def _is_shown(self) -> bool:
        return any(connection.is_shown for connection in self._connections())

    def _change(self, ids: Iterable[int]) -> OutputChange:
        blocks = [_as_seen(self._blocks[block_id]) for block_id in ids]
        return OutputChange(blocks, next(iter(self._blocks), self._next_id), self._cut)

    def flush(self) -> None:
        """Send what is new to every page."""
        with self._lock:  # while it is sent, so that an older state never follows a newer one
            changed, self._changed = sorted(self._changed), set()
            if self._is_closed:
                return
            change = self._change(changed)
            for connection in self._connections():
                if connection.is_shown:
                    connection.send_output(change)

    def tell(self, send: Callable[[OutputChange], object]) -> None:
        """Send all that is there to one page, if there ever was anything.

        Parameters
        ----------
        send : callable
            Takes the change.
        """
        with self._lock:
            if self._next_id > 0:
                send(self._change(self._blocks))


def _is_full(text: str) -> bool:
    return text.endswith("\n") and (len(text) > _BLOCK_CHARS or text.count("\n") >= _BLOCK_LINES)


def _lines_of(block: OutputBlock) -> int:
    return block["text"].count("\n") + (not block["text"].endswith("\n")) if block["kind"] == "stream" else 1


def _chars_of(block: OutputBlock) -> int:
    if block["kind"] == "error":
        return len(block["text"]) + len(block["detail"])
    return len(block["text"]) if block["kind"] == "stream" else 0


def _shortened(line: str) -> str:
    """Cut a line that is too long, and drop what its carriage returns have overwritten."""
    *overwritten, last = line.split("\r")
    kept = ""
    for part in overwritten:
        kept = part + kept[len(part) :]
    line = f"{kept}\r{last}" if overwritten else last
    return line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + "…"


def _as_seen(block: OutputBlock) -> OutputBlock:
    if block["kind"] == "display":
        return block
    copy = block.copy()
    if copy["kind"] == "stream" and "\r" in copy["text"]:
        copy["text"] = "\n".join(map(_overwritten, copy["text"].split("\n")))
    return copy


def _overwritten(line: str) -> str:
    kept, found, last = line.rpartition("\r")
    return last + kept[len(last) :] if found else line


def _weak_flush(output: Output) -> Callable[[], None]:
    ref = weakref.ref(output)

    def flush() -> None:
        found = ref()
        if found is not None:
            found.flush()

    return flush


# --- whose callback runs -----------------------------------------------------------------------


class _Silence:
    """Takes in what is shown already."""

    def write(self, _name: str, _text: str) -> bool:
        return True


_current: Final[contextvars.ContextVar[Output | _Silence | None]] = contextvars.ContextVar(
    "bokeh_widget_output", default=None
)


_prepare: Callable[[], None] | None = None


def prepare_with(prepare: Callable[[], None]) -> None:
    """Call ``prepare`` from now on before anything is to be taken in."""
    global _prepare  # noqa: PLW0603  # a process has one kernel
    _prepare = prepare


@contextlib.contextmanager
def captured_by(output: Output | None) -> Iterator[None]:
    """Hand what is printed and displayed inside to an output; None lets it go where it would go without us.

    Tasks that are made inside, and threads of ``asyncio.to_thread``, inherit it.

    Parameters
    ----------
    output : Output or None
        Of the session whose callback runs.
    """
    if output is not None and _prepare is not None:
        _prepare()
    token = _current.set(output)
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Print nothing: what is logged inside is shown in another way."""
    token = _current.set(_Silence())
    try:
        yield
    finally:
        _current.reset(token)


_interrupted: Final[contextvars.ContextVar[tuple[tuple[int, Output | _Silence | None], ...]]] = contextvars.ContextVar(
    "bokeh_widget_interrupted", default=()
)
"""Who takes something in instead of an output. Of a coroutine that is so until it says otherwise: between two of its
steps others run, and before each step its output is named anew."""


def _taking() -> Output | _Silence | None:
    current = _current.get()
    return None if any(output is current for _, output in _interrupted.get()) else current


def take_text(name: str, text: str) -> bool:
    """Take in what a stream is given in the current context; False if it is the stream's own business."""
    current = _taking()
    return current is not None and current.write(name, text)


def current_output() -> Output | None:
    """Give the output that takes in what is displayed in the current context."""
    current = _taking()
    return current if isinstance(current, Output) else None


def take_nothing(owner: object) -> None:
    """Let what is printed in the current context go where it would go without us, until :func:`take_again`.

    Parameters
    ----------
    owner : object
        Who takes it in instead.
    """
    _interrupted.set((*_interrupted.get(), (id(owner), _current.get())))


def take_again(owner: object) -> None:
    """Undo the last :func:`take_nothing` of ``owner`` in the current context."""
    found = list(_interrupted.get())
    for index in reversed(range(len(found))):
        if found[index][0] == id(owner):
            del found[index]
            break
    _interrupted.set(tuple(found))
