"""Good messages of a page get their types; what is bad is in test_bad_input.py."""

from __future__ import annotations

import contextlib
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from bokeh_widget._protocol import (
    Acknowledgement,
    Attach,
    ClientError,
    ClientGone,
    ClientPatch,
    ViewGone,
    ViewShown,
    parse_client_message,
    short,
)
from bokeh_widget.errors import ProtocolError

VIEWS: dict[str, Any] = {"views": ["v", "w"], "tick": 4}
GOOD: list[tuple[dict[str, Any], Any]] = [
    (
        {"kind": "attach", "client": "c", "session": None, "revision": None, "protocol": 2, "seq": 0, **VIEWS},
        Attach(client="c", session=None, revision=None, protocol=2, seq=0, views=["v", "w"], tick=4),
    ),
    (
        {"kind": "attach", "client": "c", "session": "s", "revision": 3, "protocol": 2, "seq": 7, **VIEWS},
        Attach(client="c", session="s", revision=3, protocol=2, seq=7, views=["v", "w"], tick=4),
    ),
    ({"kind": "hi", "client": "c", "view": "v", **VIEWS}, ViewShown("c", "v", ["v", "w"], 4)),
    ({"kind": "gone", "client": "c", "view": "v", **VIEWS}, ViewGone("c", "v", ["v", "w"], 4)),
    (
        {"kind": "ack", "client": "c", "session": "s", "revision": 5, "cost_ms": 1.5, **VIEWS},
        Acknowledgement("c", "s", 5, 1.5, ["v", "w"], 4),
    ),
    ({"kind": "bye", "client": "c", "tick": 4}, ClientGone("c", 4)),
    (
        {"kind": "patch", "client": "c", "session": "s", "seq": 1, "revision": 2, "events": [{}], "buffers": []},
        ClientPatch("c", "s", 1, 2, [{}], {}),
    ),
    (
        {"kind": "error", "client": "c", "context": "render", "message": "m", "stack": "s"},
        ClientError("c", "render", "m", "s"),
    ),
]


@pytest.mark.parametrize(("content", "expected"), GOOD, ids=lambda value: getattr(value, "kind", ""))
def test_good_messages(content: dict[str, Any], expected: Any) -> None:
    assert parse_client_message(content) == expected
    # a later release may add fields
    assert parse_client_message({**content, "later": 1}) == expected


def test_buffers_get_their_names_and_are_copied() -> None:
    data = bytearray(b"12")
    content = {"kind": "patch", "client": "c", "session": "s", "seq": 1, "revision": 2, "events": []}
    patch = parse_client_message({**content, "buffers": ["a", "b"]}, [memoryview(data), b"34"])
    data[:] = b"xx"
    assert isinstance(patch, ClientPatch)
    assert patch.buffers == {"a": b"12", "b": b"34"}


@pytest.mark.parametrize(("content", "_expected"), GOOD)
def test_each_field_is_needed(content: dict[str, Any], _expected: Any) -> None:
    optional = {"session", "revision"} if content["kind"] == "attach" else set()
    for name in set(content) - optional:
        with pytest.raises(ProtocolError):
            parse_client_message({key: value for key, value in content.items() if key != name})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_FIELDS = st.sampled_from(
    ["client", "view", "session", "revision", "protocol", "seq", "events", "buffers", "message", "tick"]
)


@hypothesis.given(
    kind=st.sampled_from(["attach", "hi", "gone", "ack", "bye", "patch", "error", "x"]) | _JSON,
    fields=st.dictionaries(_FIELDS, _JSON | st.just("c")),
)
def test_any_object_is_parsed_or_refused(kind: Any, fields: dict[str, Any]) -> None:
    parsed = None
    with contextlib.suppress(ProtocolError):  # and no other error
        parsed = parse_client_message({"kind": kind, **fields})
    assert parsed is None or parsed.client == fields["client"]


def test_what_is_large_or_deep_is_shown_short() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert len(short(deep)) < 100
    assert len(short("x" * 10**6)) < 100
    assert len(short(list(range(10**6)))) < 100
    assert short({"a": [1, None]}) == "{'a': [1, None]}"
