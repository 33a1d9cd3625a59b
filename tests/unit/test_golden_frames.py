"""The golden frames: what the kernel sends is exactly them, what a page sends is read from them.

js/tests/golden.test.ts reads the same files from the other side.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import comm
import numpy as np
import pytest
from bokeh.models import BuiltinIcon, Div
from comm.base_comm import BaseComm
from ipywidgets import DOMWidget

from bokeh_widget import BokehWidget, errors
from bokeh_widget._bokehjs import BokehJSModel
from bokeh_widget._codec import encode_document
from bokeh_widget._pictures import Asked
from bokeh_widget._protocol import (
    PROTOCOL_VERSION,
    Acknowledgement,
    Attach,
    ChunkMessage,
    ClearOutput,
    ClientError,
    ClientGone,
    ClientPatch,
    DocumentMessage,
    DocumentState,
    Exported,
    ExportMessage,
    NoticeMessage,
    OutputMessage,
    PatchMessage,
    RefusedMessage,
    SyncMessage,
    ViewGone,
    ViewShown,
    parse_client_message,
)
from bokeh_widget._validation import PatchChecker
from bokeh_widget._wire import Wire
from tests.protocol.described import Described, described_document, named, outcome, plain
from tests.protocol.frames import Frame, InvalidCase, frame_names, load, load_invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENT: Final = "client-1"
OTHER_CLIENT: Final = "client-2"


class RecordingComm(BaseComm):
    """A comm without a kernel: it keeps what is published."""

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **_):  # noqa: ARG002  # comm calls by name
        self.__dict__.setdefault("published", []).append((msg_type, data, buffers or []))


class Pages:
    """A widget of the described document, and the pages that its comm leads to."""

    def __init__(self) -> None:
        self.described: Described = described_document()
        self.widget = BokehWidget(self.described.document)

    def receive(self, content: Any, buffers: list[bytes] | None = None) -> None:
        if content.get("kind") == "patch":  # all patches before it have been acknowledged
            self.widget._pages.clients.get(content["client"]).seq = content["seq"] - 1
        data = {"method": "custom", "content": content}
        self.widget.comm.handle_msg({"content": {"data": data}, "buffers": buffers or []})

    def attach(self, client: str = CLIENT, revision: int | None = 0) -> None:
        session = None if revision is None else self.widget.session.id
        self.receive(
            {
                "kind": "attach",
                "client": client,
                "session": session,
                "revision": revision,
                "protocol": PROTOCOL_VERSION,
                "seq": 0,
                "views": ["view-1"],
                "tick": 1,
            }
        )

    def send(self, frame: Frame) -> None:
        """Send a frame of a page; its session is the one of the widget."""
        content = frame.content
        if content.get("session") == "session-1":
            content = {**content, "session": self.widget.session.id}
        self.receive(content, list(frame.buffers.values()))

    def messages(self, kind: str) -> list[tuple[dict[str, Any], list[bytes]]]:
        published = self.widget.comm.published
        contents = [(data["content"], buffers) for _, data, buffers in published if data.get("method") == "custom"]
        return [(content, buffers) for content, buffers in contents if content["kind"] == kind]

    def opened(self) -> tuple[dict[str, Any], list[list[str]], list[bytes]]:
        [(data, buffers)] = [
            (data, buffers) for kind, data, buffers in self.widget.comm.published if kind == "comm_open"
        ]
        return data["state"], data["buffer_paths"], buffers

    def normal(self, content: dict[str, Any], names: list[str]) -> dict[str, Any]:
        """Write a message as the files do: fixed names, and the JSON of a document as an object."""
        if content.get("kind") == "chunk":
            content = {**content, "transfer": "transfer-1"}
        if "json" in content:
            content = {**content, "json": {**json.loads(content["json"]), "version": "3.9.2"}}
        text = json.dumps(content, allow_nan=False).replace(f'"{self.widget.session.id}"', '"session-1"')
        for i, name in enumerate(names):
            text = text.replace(f'"{name}"', f'"b{i}"')
        normal: dict[str, Any] = json.loads(text)
        return normal


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(comm, "create_comm", RecordingComm)
    made = Pages()
    yield made
    made.widget.close()


# --- what the kernel sends ------------------------------------------------------------------------


def _replace_columns(d: Described) -> None:
    d.source.data = {"x": np.array([2.5, -np.inf]), "n": np.array([7, 8], dtype=np.int32), "label": ["p", "q"]}


def _stream(d: Described) -> None:
    d.source.stream({"x": np.array([3.0]), "n": np.array([4], dtype=np.int32), "label": ["d"]}, rollover=3)


def _patch_columns(d: Described) -> None:
    d.source.patch({"label": [(0, "z")], "x": [(slice(0, 2), [7.0, 8.0]), (2, np.inf)]})


def _many_at_once(pages: Pages) -> None:
    d = pages.described
    with pages.widget.session.batch():
        _replace_columns(d)
        d.source.stream({"x": np.array([4.5]), "n": np.array([9], dtype=np.int32), "label": ["r"]})
        d.slider.value = 9
        d.document.title = "many"


def _pass_on(pages: Pages) -> None:
    pages.attach(OTHER_CLIENT)
    pages.send(load("client_patch_model_changed_data"))


def _send_in_chunks(pages: Pages) -> None:
    # the limit of a user is larger: here the buffers alone are to be cut
    message: Any = {**load("kernel_patch_columns_streamed").content}
    x, n = np.array([0.0, 1.5, np.nan]), np.array([1, 2], dtype=np.int32)
    Wire(pages.widget.send, frame_limit_bytes=24)._message(message, [x.data, n.data], client=None)


def _cannot_be_shown(pages: Pages) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pages.widget.session, "encode_state", [].pop)
        pages.attach(OTHER_CLIENT, revision=None)


def _ask_for_picture(pages: Pages) -> None:
    asked = Asked("png", pages.widget.session.id, 0, timeout_ms=30_000, request="request-1")
    pages.widget._pages.pictures.ask(asked, pages.widget._pages.clients)


def _output(pages: Pages) -> None:
    output = pages.widget.session.output
    output.write("stdout", "before\n")
    output.clear()
    output.write("stdout", "step 1\nstep 2\n")
    output.write("stderr", "careful\n")
    output.display({"text/plain": "<b>", "text/html": "<b>bold</b>"}, {"text/html": {"isolated": True}})
    output.error("ValueError: no", "Traceback (most recent call last):\nValueError: no")
    output.error("ValueError: no", "Traceback (most recent call last):\nValueError: no")
    output.flush()


def _described(change: Callable[[Described], object]) -> Callable[[Pages], None]:
    return lambda pages: (change(pages.described), None)[1]


CHANGES: Final[dict[str, Callable[[Pages], None]]] = {
    "kernel_chunk": _send_in_chunks,
    "kernel_document": lambda pages: pages.attach(revision=None),
    "kernel_export": _ask_for_picture,
    "kernel_notice": _cannot_be_shown,
    "kernel_output": _output,
    "kernel_patch_acknowledgement": lambda pages: pages.send(load("client_patch_model_changed")),
    "kernel_patch_column_data_changed": _described(_replace_columns),
    "kernel_patch_column_data_changed_cols": _described(lambda d: d.source.data.update(label=["p", "q", "r"])),
    "kernel_patch_columns_patched": _described(_patch_columns),
    "kernel_patch_columns_streamed": _described(_stream),
    "kernel_patch_many": _many_at_once,
    "kernel_patch_message_sent": _described(lambda d: d.file.clear()),
    "kernel_patch_model_changed": _described(lambda d: setattr(d.slider, "value", 7)),
    "kernel_patch_new_model": _described(
        lambda d: setattr(d.button, "icon", named(BuiltinIcon, "icon", icon_name="settings", size=20))
    ),
    "kernel_patch_of_another_client": _pass_on,
    "kernel_patch_requires": _described(lambda d: setattr(d.slider, "title", r"$$\alpha$$")),
    "kernel_patch_root_added": _described(lambda d: d.document.add_root(named(Div, "div", text="added"))),
    "kernel_patch_root_removed": _described(lambda d: d.document.remove_root(d.button)),
    "kernel_patch_title_changed": _described(lambda d: setattr(d.document, "title", "renamed")),
    "kernel_sync": lambda pages: (setattr(pages.described.slider, "value", 7), pages.widget.send_sync(1))[1],
    "kernel_refused": lambda pages: pages.receive(
        {
            "kind": "patch",
            "client": CLIENT,
            "session": pages.widget.session.id,
            "seq": 2,
            "revision": 0,
            "events": [{"kind": "ModelChanged", "model": {"id": "nowhere"}, "attr": "value", "new": 1}],
            "buffers": [],
        }
    ),
}
"""What each frame of the kernel comes from."""


def test_every_kernel_frame_is_made_here() -> None:
    assert sorted([*CHANGES, "kernel_state"]) == frame_names("to_client")


@pytest.mark.parametrize("name", CHANGES)
def test_the_kernel_sends_exactly_the_golden_frame(pages: Pages, name: str) -> None:
    frame = load(name)
    pages.attach()

    CHANGES[name](pages)

    (content, buffers), *others = pages.messages(frame.content["kind"])
    assert [other["index"] for other, _ in others] == ([1] if name == "kernel_chunk" else [])
    assert pages.normal(content, content.get("buffers", [])) == frame.content
    assert [bytes(buffer) for buffer in buffers] == list(frame.buffers.values())
    assert outcome(pages.described.document, frame.result) == frame.result


def test_the_synced_trait_is_the_golden_state(pages: Pages) -> None:
    frame = load("kernel_state")
    state, paths, buffers = pages.opened()

    names = [path[-1] for path in paths]
    assert [path[:-1] for path in paths] == [[frame.trait, "buffers"]] * len(frame.buffers)
    assert pages.normal(state["_document"], names) == frame.content
    assert [bytes(buffer) for buffer in buffers] == list(frame.buffers.values())


def test_no_frame_carries_base64_or_whole_buffers_in_its_json() -> None:
    for name in frame_names("to_client") + frame_names("to_kernel"):
        for entry in _objects_of_type(load(name).content, "bytes"):
            assert set(entry["data"]) == {"id"}, name


def _objects_of_type(value: object, kind: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("type") == kind:
            yield value
        for item in value.values():
            yield from _objects_of_type(item, kind)
    elif isinstance(value, list):
        for item in value:
            yield from _objects_of_type(item, kind)


# --- what a page sends ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", frame_names("to_kernel"))
def test_a_frame_of_a_page_is_read_field_by_field(name: str) -> None:
    frame = load(name)
    message = parse_client_message(frame.content, list(frame.buffers.values()))

    fields = {**frame.content}
    del fields["kind"]
    if isinstance(message, (ClientPatch, Exported)):
        assert fields["buffers"] == list(frame.buffers)
        fields["buffers"] = frame.buffers
    assert dataclasses.asdict(message) == fields


@pytest.mark.parametrize("name", [name for name in frame_names("to_kernel") if "_patch_" in name])
def test_a_patch_of_a_page_does_to_the_document_what_it_says(pages: Pages, name: str) -> None:
    frame = load(name)
    described = pages.described
    pages.attach()

    pages.send(frame)

    assert outcome(described.document, frame.result) == {k: v for k, v in frame.result.items() if k != "heard"}
    assert described.heard == frame.result.get("heard", [])
    assert pages.widget.session.last_error is None
    [(acknowledgement, _)] = pages.messages("patch")
    assert acknowledgement["origin"] == CLIENT
    assert acknowledgement["seq"] == frame.content["seq"]
    assert acknowledgement["events"] is None
    assert acknowledgement["revision"] == pages.widget.session.revision == 1


# --- what must be refused -------------------------------------------------------------------------


def _described_cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case.description) for case in load_invalid(name)]


@pytest.mark.parametrize("case", _described_cases("client_messages"))
def test_a_malformed_message_of_a_page_is_refused(case: InvalidCase) -> None:
    with pytest.raises(errors.ProtocolError) as caught:
        parse_client_message(case.content, case.buffers, limit_bytes=64)
    assert type(caught.value).__name__ == case.error_type
    assert case.error in str(caught.value)


@pytest.mark.parametrize("case", _described_cases("client_patches"))
def test_a_patch_that_does_not_fit_is_refused_whole(pages: Pages, case: InvalidCase) -> None:
    document = pages.described.document
    pages.attach()
    before = plain(encode_document(document).json)

    names = [f"b{i}" for i in range(len(case.buffers))]
    good = {"kind": "ModelChanged", "model": {"id": "slider"}, "attr": "value", "new": 9}
    pages.receive(
        {
            "kind": "patch",
            "client": CLIENT,
            "session": pages.widget.session.id,
            "seq": 5,
            "revision": 0,
            "events": [good, *case.content],  # the good one is not to be applied either
            "buffers": names,
        },
        case.buffers,
    )

    [(refused, _)] = pages.messages("refused")
    assert {**refused, "message": ""} == {"kind": "refused", "client": CLIENT, "seq": 5, "message": ""}
    assert case.error in refused["message"]
    assert type(pages.widget.session.last_error).__name__ == case.error_type
    assert pages.messages("patch") == []
    assert pages.widget.session.revision == 0
    assert pages.described.slider.value == 1
    assert _without_buffer_names(encode_document(document).json) == _without_buffer_names(before)


def _without_buffer_names(text: str) -> Any:
    content = json.loads(text)
    for entry in _objects_of_type(content, "bytes"):
        entry["data"] = None
    return content


# --- the document of the protocol -----------------------------------------------------------------

DOCUMENTED: Final = {
    "kernel: `patch`": PatchMessage.__annotations__,
    "kernel: `document`": DocumentMessage.__annotations__,
    "kernel: `chunk`": ChunkMessage.__annotations__,
    "kernel: `sync`": SyncMessage.__annotations__,
    "kernel: `refused`": RefusedMessage.__annotations__,
    "kernel: `notice`": NoticeMessage.__annotations__,
    "kernel: `output`": OutputMessage.__annotations__,
    "kernel: `export`": ExportMessage.__annotations__,
    "client: `attach`": Attach.__annotations__,
    "client: `hi`": ViewShown.__annotations__,
    "client: `gone`": ViewGone.__annotations__,
    "client: `ack`": Acknowledgement.__annotations__,
    "client: `bye`": ClientGone.__annotations__,
    "client: `patch`": ClientPatch.__annotations__,
    "client: `error`": ClientError.__annotations__,
    "client: `clear_output`": ClearOutput.__annotations__,
    "client: `exported`": Exported.__annotations__,
}
SPECIFICATION: Final = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def _first_column(table: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)


def test_the_specification_has_every_message_and_field() -> None:
    sections = re.findall(
        r"^### ((?:kernel|client): `\w+`)\n(.*?)(?=^##)", SPECIFICATION, flags=re.MULTILINE | re.DOTALL
    )
    assert {title: set(_first_column(text)) for title, text in sections} == {
        title: set(fields) - {"kind"} for title, fields in DOCUMENTED.items()
    }
    assert f"Version {PROTOCOL_VERSION}." in SPECIFICATION


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("`BokehWidgetModel`", {*BokehWidget.class_trait_names(sync=True)} - {*DOMWidget.class_trait_names(sync=True)}),
        ("`BokehJSModel`", {*BokehJSModel.class_trait_names(sync=True)} - {*DOMWidget.class_trait_names(sync=True)}),
        ("`_document`", {*DocumentState.__annotations__}),
        ("`kind`", {name.removeprefix("_check_") for name in dir(PatchChecker) if re.match("_check_[A-Z]", name)}),
    ],
)
def test_the_specification_has_every_trait_and_event(title: str, names: set[str]) -> None:
    [table] = re.findall(rf"^\| {title} \|[^\n]*\n((?:\|[^\n]*\n)+)", SPECIFICATION, flags=re.MULTILINE)
    assert set(_first_column(table)) == names
