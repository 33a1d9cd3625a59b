"""Plays a page of a widget that a kernel shows: what the front end says, and what it makes of the output."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Final

from bokeh_widget._protocol import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.kernels import Kernel, Run

_ticks: Final = itertools.count(1)


class Page:
    """A page that shows one widget.

    Parameters
    ----------
    kernel : Kernel
        Where the widget is.
    widget : str
        Expression of it.
    client : str
        Id of the page.
    """

    def __init__(self, kernel: Kernel, widget: str = "w", client: str = "page") -> None:
        self.kernel = kernel
        self.widget = widget
        self.client = client
        self.seq = 0
        self.comm_id: str = kernel.value(f"{widget}.model_id")
        self.since = len(kernel.published)
        self.show()

    def show(self) -> Run:
        """Display the widget."""
        views = {"client": self.client, "views": ["view"]}
        self.kernel.custom(self.comm_id, {"kind": "hi", "view": "view", "tick": next(_ticks), **views})
        asked = {"session": None, "revision": None, "protocol": PROTOCOL_VERSION, "seq": self.seq}
        return self.kernel.custom(self.comm_id, {"kind": "attach", "tick": next(_ticks), **asked, **views})

    def hide(self) -> None:
        """Remove the view; the page lives on."""
        gone = {"kind": "gone", "client": self.client, "view": "view", "views": [], "tick": next(_ticks)}
        self.kernel.custom(self.comm_id, gone)

    def patch(self, *events: Any) -> Run:
        """Change the document."""
        self.seq += 1
        session, revision = self.kernel.value(f"[{self.widget}.session.id, {self.widget}.session.revision]")
        message = {"session": session, "revision": revision, "events": list(events), "buffers": []}
        return self.kernel.custom(self.comm_id, {"kind": "patch", "client": self.client, "seq": self.seq, **message})

    def set_value(self, model: str, value: Any) -> Run:
        """Change the value of a model, given by an expression."""
        ref = self.kernel.value(f"{model}.ref")
        return self.patch({"kind": "ModelChanged", "model": ref, "attr": "value", "new": value})

    def click(self, button: str) -> Run:
        """Click a button, given by an expression."""
        ref = self.kernel.value(f"{button}.ref")
        event = {"type": "event", "name": "button_click", "values": {"type": "map", "entries": [["model", ref]]}}
        return self.patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event})

    def output(self) -> list[dict[str, Any]]:
        """Give the blocks of output that the page shows now."""
        blocks: dict[int, dict[str, Any]] = {}
        for message in self.kernel.published[self.since :]:
            content = message.custom
            if message.content.get("comm_id") != self.comm_id or content is None or content["kind"] != "output":
                continue
            if content["client"] in (None, self.client):
                blocks.update((block["id"], block) for block in content["blocks"])
                blocks = {block_id: block for block_id, block in blocks.items() if block_id >= content["first"]}
        return [blocks[block_id] for block_id in sorted(blocks)]

    def text(self) -> str:
        """Give what was printed, as the page shows it now."""
        return "".join(block["text"] for block in self.output() if block["kind"] == "stream")

    def wait_text(self, expected: str) -> None:
        """Wait until the page shows what was printed."""
        self.wait(lambda: self.text() == expected, expected)

    def wait_kinds(self, *expected: str) -> None:
        """Wait until the page shows blocks of these kinds."""
        self.wait(lambda: [block["kind"] for block in self.output()] == list(expected), expected)

    def wait(self, is_there: Callable[[], bool], expected: object) -> None:
        """Wait until something holds of what the page shows."""
        deadline = time.monotonic() + 30
        while not is_there():
            assert time.monotonic() < deadline, f"{self.output()} is not {expected!r}"
            self.kernel.pump(0.05)
