"""What arrives through our codec equals what arrives through a Bokeh server, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from bokeh.core.serialization import Serializable, Serializer
from bokeh.document import Document
from bokeh.document.events import MessageSentEvent
from bokeh.events import ButtonClick, Event, Tap
from bokeh.models import Button, ColumnDataSource, Div, FactorRange, Range1d, Slider
from bokeh.plotting import figure
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bokeh_widget._codec import PatchFrame, encode_document
from bokeh_widget.errors import ProtocolError
from tests.unit.comparing import assert_same, assert_same_documents
from tests.unit.values import COLUMNS, NAN, STREAMED, VALUES
from tests.unit.wires import (
    Recorder,
    apply_by_ours,
    document_of,
    frame_of,
    pulled_by_bokeh,
    serialized,
    transfer_by_bokeh,
    transfer_by_ours,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bokeh.document.events import DocumentPatchedEvent
    from bokeh.model import Model


def _source_document(value: Any) -> tuple[Document, ColumnDataSource]:
    source = ColumnDataSource(data={"column": value, "row": list(range(len(value)))})
    document = Document()
    document.add_root(source)
    return document, source


def _both(document: Document, change: Callable[[], object]) -> tuple[Document, Document]:
    """Change a document whose two copies follow it, one through our codec and one through Bokeh's protocol."""
    by_bokeh = pulled_by_bokeh(document)
    by_ours = document_of(encode_document(document))
    frames: list[PatchFrame] = []

    def transfer(event: Any) -> None:
        frames.append(frame_of([event]))  # before Bokeh counts new models as known
        transfer_by_bokeh([event], by_bokeh)
        frames[-1].seal()

    recorder = Recorder(document, transfer)
    change()
    document.callbacks.remove_on_change(recorder)
    assert frames
    for frame in frames:
        transfer_by_ours(frame, by_ours)
    return by_ours, by_bokeh


# --- whole documents --------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
def test_a_document_with_a_column(name: str) -> None:
    document, source = _source_document(COLUMNS[name]())
    by_ours, by_bokeh = document_of(encode_document(document)), pulled_by_bokeh(document)
    assert_same_documents(by_ours, by_bokeh)
    assert len(by_ours.models[source.id].data["column"]) == 4


@pytest.mark.parametrize("name", VALUES)
def test_a_document_with_a_value(name: str) -> None:
    document = Document()
    document.add_root(Div(tags=[VALUES[name]()]))
    assert_same_documents(document_of(encode_document(document)), pulled_by_bokeh(document))


def test_a_document_with_everything() -> None:
    document = Document(title="all")
    document.add_root(ColumnDataSource(data={name: make() for name, make in COLUMNS.items()}))
    factors = FactorRange(factors=[("a", "x", "1"), ("a", "x", "2"), ("b", "y", "1")])
    plot = figure(x_range=factors, title="plot", tags=[make() for make in VALUES.values()])
    plot.image([np.arange(6, dtype="uint8").reshape(2, 3)], x=0, y=0, dw=1, dh=1)
    document.add_root(plot)
    by_ours = document_of(encode_document(document))
    assert_same_documents(by_ours, pulled_by_bokeh(document))
    assert by_ours.models[factors.id].factors == [list(factor) for factor in factors.factors]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("int64 small", "int32"), ("int64 large", "object"), ("float32", "float32"), ("uint8", "uint8")],
)
def test_the_wire_has_the_dtype_that_bokeh_documents(name: str, dtype: str) -> None:
    # a guard for the pairs above: two equal mistakes would go unseen there
    document, source = _source_document(COLUMNS[name]())
    arrived = document_of(encode_document(document)).models[source.id].data["column"]
    assert arrived.dtype == dtype
    np.testing.assert_array_equal(arrived, COLUMNS[name]())


def test_arrays_travel_as_raw_bytes_in_c_order() -> None:
    image = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    document, _ = _source_document(image)
    encoded = encode_document(document)
    [raw] = encoded.buffers.values()
    assert bytes(raw) == image.tobytes(order="C")
    assert '"data":{"id":' in encoded.json.replace(" ", "")


def test_contiguous_memory_is_not_copied() -> None:
    array = np.arange(1000.0)
    document, _ = _source_document(array)
    [raw] = encode_document(document).buffers.values()
    assert isinstance(raw, memoryview)
    assert np.shares_memory(np.frombuffer(raw), array)


# --- events, from Python to the page ------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
def test_property(name: str) -> None:
    document = Document()
    div = Div()
    document.add_root(div)
    by_ours, by_bokeh = _both(document, lambda: setattr(div, "tags", [VALUES[name]()]))
    assert_same_documents(by_ours, by_bokeh)
    assert by_ours.models[div.id].tags != []


@pytest.mark.parametrize("name", COLUMNS)
def test_data(name: str) -> None:
    document, source = _source_document([0])
    by_ours, by_bokeh = _both(document, lambda: setattr(source, "data", {"column": COLUMNS[name](), "row": [1] * 4}))
    assert_same_documents(by_ours, by_bokeh)
    assert by_ours.models[source.id].data["row"] == [1, 1, 1, 1]


def test_one_column_is_sent_alone() -> None:
    document, source = _source_document([0, 1])
    by_ours, by_bokeh = _both(document, lambda: source.data.update(column=[5, 6]))
    assert_same_documents(by_ours, by_bokeh)
    assert by_ours.models[source.id].data["column"] == [5, 6]


@pytest.mark.parametrize("rollover", [None, 3])
@pytest.mark.parametrize("name", STREAMED)
def test_stream(name: str, rollover: int | None) -> None:
    document, source = _source_document(COLUMNS[name]())
    rows = {"column": COLUMNS[name](), "row": list(range(4))}
    by_ours, by_bokeh = _both(document, lambda: source.stream(rows, rollover))
    assert_same_documents(by_ours, by_bokeh)
    assert len(by_ours.models[source.id].data["row"]) == min(8, 8 if rollover is None else rollover)


@pytest.mark.parametrize("rollover", [0, 1, 4, 8, 100])
@pytest.mark.parametrize("name", ["nan list", "nan array", "strings"])
def test_stream_with_any_rollover(name: str, rollover: int) -> None:
    test_stream(name, rollover)


@pytest.mark.parametrize("name", STREAMED)
def test_stream_into_an_empty_source(name: str) -> None:
    document, source = _source_document([])
    rows = {"column": COLUMNS[name](), "row": [0, 1, 2, 3]}
    by_ours, by_bokeh = _both(document, lambda: source.stream(rows))
    assert_same_documents(by_ours, by_bokeh)


@pytest.mark.parametrize("make", [list, np.array], ids=["list", "array"])
@pytest.mark.parametrize(
    ("where", "what", "expected"),
    [
        (2, NAN, [0.0, 1.0, NAN, 3.0]),
        (0, np.float32(0.5), [0.5, 1.0, 2.0, 3.0]),
        (slice(0, 2), [7.0, 8.0], [7.0, 8.0, 2.0, 3.0]),
        (slice(1, None, 2), np.array([7.0, np.inf]), [0.0, 7.0, 2.0, np.inf]),
        (slice(None), [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_patch(make: Callable[[list[float]], Any], where: Any, what: Any, expected: list[float]) -> None:
    document, source = _source_document(make([0.0, 1.0, 2.0, 3.0]))
    by_ours, by_bokeh = _both(document, lambda: source.patch({"column": [(where, what)]}))
    assert_same_documents(by_ours, by_bokeh)
    np.testing.assert_array_equal(by_ours.models[source.id].data["column"], expected)


@pytest.mark.parametrize("kind", ["float64", "float32", "uint8"])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ([0, slice(0, 2), slice(1, 3)], [9, 8, 7, 6]),
        ([1, 2, slice(None)], [1, 2, 3, 4]),
        ([1, slice(None), 0], np.array([1, 2, 3])),
    ],
    ids=["region", "row", "column"],
)
def test_patch_of_an_image(kind: str, where: Any, what: Any) -> None:
    images = [np.arange(12, dtype=kind).reshape(3, 4) for _ in range(2)]
    document, source = _source_document(images)
    by_ours, by_bokeh = _both(document, lambda: source.patch({"column": [(where, what)]}))
    assert_same_documents(by_ours, by_bokeh)
    assert_same(by_ours.models[source.id].data["column"][where[0]], images[where[0]])


def test_roots_and_title() -> None:
    document = Document(title="before")
    first, second = Div(text="first"), Div(text="second")
    document.add_root(first)

    def change() -> None:
        plot = figure(name="new")
        plot.line([1, 2], np.array([1.0, np.nan]))
        document.add_root(plot)
        document.add_root(second)
        document.remove_root(first)
        document.title = "after"
        plot.title.text = "changed when it was known"
        document.remove_root(second)

    by_ours, by_bokeh = _both(document, change)
    assert_same_documents(by_ours, by_bokeh)
    assert_same_documents(by_ours, pulled_by_bokeh(document))
    assert [root.name for root in by_ours.roots] == ["new"]
    assert by_ours.title == "after"


def test_a_new_model_in_a_property() -> None:
    document = Document()
    plot = figure()
    document.add_root(plot)
    span = Range1d(0, float("inf"))
    by_ours, by_bokeh = _both(document, lambda: setattr(plot, "x_range", span))
    assert_same_documents(by_ours, by_bokeh)
    assert by_ours.models[plot.id].x_range.end == float("inf")


@pytest.mark.parametrize("data", [None, {"a": [NAN, b"raw"]}, np.arange(3, dtype="float32"), "text"])
def test_message(data: Any) -> None:
    document = Document()
    document.add_root(Div())
    by_ours, by_bokeh = pulled_by_bokeh(document), pulled_by_bokeh(document)
    received: list[list[Any]] = [[], []]
    for replica, values in zip((by_ours, by_bokeh), received, strict=True):
        replica.on_message("ours", values.append)
    event = MessageSentEvent(document, "ours", data)
    transfer_by_ours(frame_of([event]), by_ours)
    transfer_by_bokeh([event], by_bokeh)
    assert len(received[0]) == 1
    assert_same(received[0], received[1])


@pytest.mark.parametrize(
    ("model", "make"),
    [(Button, ButtonClick), (figure, lambda plot: Tap(plot, sx=1.5, sy=2, x=NAN, y=None))],
    ids=["click", "tap"],
)
def test_bokeh_event(model: type[Model], make: Callable[[Model], Event]) -> None:
    document = Document()
    button = model()
    document.add_root(button)
    by_ours, by_bokeh = pulled_by_bokeh(document), pulled_by_bokeh(document)
    sent = make(button)
    received: list[list[Event]] = [[], []]
    for replica, events in zip((by_ours, by_bokeh), received, strict=True):
        replica.on_message("bokeh_event", events.append)
    message = MessageSentEvent(document, "bokeh_event", _PageEvent(sent))
    apply_by_ours(by_ours, *serialized([message]))
    transfer_by_bokeh([message], by_bokeh)
    [ours], [theirs] = received
    assert type(ours) is type(theirs) is type(sent)
    assert ours.model is by_ours.models[button.id]
    assert_same(ours.__dict__, theirs.__dict__)


class _PageEvent(Serializable):
    """An event as BokehJS encodes it; Python has no representation for events of its own."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def to_serializable(self, serializer: Serializer) -> Any:
        values = serializer.encode_struct(**self._event.__dict__)
        return {"type": "event", "name": self._event.event_name, "values": values}


# --- events, from the page to Python --------------------------------------------------------------


def _both_inbound(document: Document, change: Callable[[Document], object]) -> tuple[Document, Document]:
    """Let a page change its replica; give the two Python documents that were told in the two ways."""
    page, by_ours, by_bokeh = pulled_by_bokeh(document), pulled_by_bokeh(document), pulled_by_bokeh(document)
    changes: list[tuple[list[Any], dict[str, bytes]]] = []

    def transfer(event: Any) -> None:
        changes.append(_unflushed(event))
        transfer_by_bokeh([event], by_bokeh)

    recorder = Recorder(page, transfer)
    change(page)
    page.callbacks.remove_on_change(recorder)
    assert changes
    for reps, buffers in changes:
        apply_by_ours(by_ours, reps, buffers)
    return by_ours, by_bokeh


def _unflushed(event: Any) -> tuple[list[Any], dict[str, bytes]]:
    models = event.document.models
    new = set(models._new_models)
    result = serialized([event])
    models._new_models |= new
    return result


@pytest.mark.parametrize("name", VALUES)
def test_property_from_the_page(name: str) -> None:
    document = Document()
    div = Div()
    document.add_root(div)
    by_ours, by_bokeh = _both_inbound(document, lambda page: setattr(page.models[div.id], "tags", [VALUES[name]()]))
    assert_same_documents(by_ours, by_bokeh)
    assert by_ours.models[div.id].tags != []


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("rollover", [None, 3])
def test_data_and_stream_from_the_page(name: str, rollover: int | None) -> None:
    document, source = _source_document([0])

    def change(page: Document) -> None:
        mine = page.models[source.id]
        mine.data = {"column": COLUMNS[name](), "row": [0, 1, 2, 3]}
        if name in STREAMED:
            mine.stream({"column": COLUMNS[name](), "row": [4, 5, 6, 7]}, rollover)

    assert_same_documents(*_both_inbound(document, change))


def test_patch_from_the_page() -> None:
    document, source = _source_document(np.arange(4.0))
    by_ours, by_bokeh = _both_inbound(
        document,
        lambda page: page.models[source.id].patch({"column": [(1, NAN), (slice(2, 4), [5, 6])], "row": [(0, 9)]}),
    )
    assert_same_documents(by_ours, by_bokeh)
    np.testing.assert_array_equal(by_ours.models[source.id].data["column"], [0, np.nan, 5, 6])


def test_roots_and_title_from_the_page() -> None:
    document = Document()
    document.add_root(Div(name="old"))

    def change(page: Document) -> None:
        page.add_root(Slider(start=0, end=1, value=0.5, name="new"))
        page.remove_root(page.roots[0])
        page.title = "of the page"

    by_ours, by_bokeh = _both_inbound(document, change)
    assert_same_documents(by_ours, by_bokeh)
    assert [root.name for root in by_ours.roots] == ["new"]
    assert by_ours.title == "of the page"


# --- arrays and sequences at random -----------------------------------------------------------------

_DTYPES = st.sampled_from(
    ["float64", "float32", "float16", "uint8", "int8", "uint16", "int16", "int32", "uint32", "bool"]
)
_ARRAYS = st.one_of(
    hnp.arrays(_DTYPES, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)),
    hnp.arrays("int64", st.integers(0, 5), elements=st.integers(-(2**53) + 1, 2**53 - 1)),
    hnp.arrays(
        "datetime64[ms]", st.integers(0, 5), elements=st.integers(-(2**40), 2**40).map(lambda n: np.datetime64(n, "ms"))
    ),
)


@hypothesis.given(array=_ARRAYS, is_transposed=st.booleans())
def test_any_array(array: np.ndarray, is_transposed: bool) -> None:
    value = array.T if is_transposed else array
    document = Document()
    div = Div()
    document.add_root(div)
    by_ours, by_bokeh = _both(document, lambda: setattr(div, "tags", [value, "changed"]))
    assert_same_documents(by_ours, by_bokeh)
    whole = document_of(encode_document(document))
    assert_same_documents(whole, by_bokeh)
    assert whole.models[div.id].tags[0].shape == value.shape


_NUMBERS = st.floats(width=32) | st.integers(-1000, 1000)
_OPERATIONS = st.one_of(
    st.tuples(st.just("stream"), st.lists(_NUMBERS, max_size=4), st.none() | st.integers(0, 6), st.booleans()),
    st.tuples(st.just("data"), st.lists(_NUMBERS, max_size=4), st.none(), st.booleans()),
    st.tuples(st.just("patch"), st.integers(0, 5), _NUMBERS, st.booleans()),
    st.tuples(st.just("property"), st.text(max_size=4), st.none(), st.booleans()),
    st.tuples(st.just("title"), st.text(max_size=4), st.none(), st.booleans()),
    st.tuples(st.just("add"), st.text(max_size=4), st.none(), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 5), st.none(), st.booleans()),
)


def _operate(document: Document, source: ColumnDataSource, operation: tuple[Any, ...]) -> None:
    kind, value, option, flag = operation
    length = len(source.data["x"])
    match kind:
        case "stream":
            column = np.array(value, dtype=float) if flag else list(value)
            source.stream({"x": column, "y": list(value)}, option)
        case "data":
            column = np.array(value, dtype=float) if flag else list(value)
            source.data = {"x": column, "y": list(value)}
        case "patch" if length > 0:
            at = value % length
            source.patch({"x": [(slice(at, at + 1), [option]) if flag else (at, option)], "y": [(at, option)]})
        case "property":
            source.name = value
        case "title":
            document.title = value
        case "add":
            document.add_root(Div(text=value, tags=[source] if flag else []))
        case "remove" if len(document.roots) > 1:
            document.remove_root(document.roots[1 + value % (len(document.roots) - 1)])


@hypothesis.given(operations=st.lists(_OPERATIONS, max_size=12), frame_size=st.integers(1, 5))
def test_any_sequence_of_events(operations: list[tuple[Any, ...]], frame_size: int) -> None:
    document = Document()
    source = ColumnDataSource(data={"x": np.array([1.0]), "y": [1.0]})
    document.add_root(source)
    by_ours = document_of(encode_document(document))
    frames = [PatchFrame(document)]

    def add(event: DocumentPatchedEvent) -> None:
        frames[-1].add(event)

    recorder = Recorder(document, add)
    for number, operation in enumerate(operations, 1):
        _operate(document, source, operation)
        if number % frame_size == 0:
            frames[-1].seal()
            frames.append(PatchFrame(document))
    document.callbacks.remove_on_change(recorder)
    frames[-1].seal()
    for frame in frames:
        transfer_by_ours(frame, by_ours)
    assert_same_documents(_normal(by_ours), _normal(document))


def _normal(document: Document) -> Document:
    """Copy a document; a list that equals an array is no change for Bokeh, and a NaN has many bits."""
    copied = pulled_by_bokeh(document)
    [source] = copied.select({"type": ColumnDataSource})
    columns = {name: np.asarray(column, dtype=float) for name, column in source.data.items()}
    source.data = {name: np.where(np.isnan(column), np.nan, column) for name, column in columns.items()}
    return copied


# --- frames ----------------------------------------------------------------------------------------


def test_a_column_that_is_replaced_and_streamed_in_one_frame_has_its_rows_once() -> None:
    document, source = _source_document([0])
    by_ours = document_of(encode_document(document))
    recorder = Recorder(document)
    frame = PatchFrame(document)
    recorder._handle = frame.add
    source.data = {"column": [1, 2], "row": [1, 2]}
    source.stream({"column": [3], "row": [3]})
    frame.seal()
    transfer_by_ours(frame, by_ours)
    assert by_ours.models[source.id].data["column"] == [1, 2, 3]


def test_a_frame_refuses_the_event_of_another_document() -> None:
    frame = PatchFrame(Document())
    with pytest.raises(ProtocolError, match="another document"):
        frame.add(MessageSentEvent(Document(), "x", None))


def test_a_sealed_model_is_sent_as_a_reference() -> None:
    document, _ = _source_document([0])
    encode_document(document)
    div = Div(text="new")
    recorder = Recorder(document)
    document.add_root(div)
    first = frame_of(recorder.events[-1:])
    first.seal()
    assert first.created == [div]
    document.remove_root(div)
    document.add_root(div)
    # the document forgot it when it was removed, so it is defined again
    again = frame_of(recorder.events[-1:])
    assert again.events[0]["model"]["type"] == "object"
    again.seal()
    div.tags = [div]
    assert frame_of(recorder.events[-1:]).events[0]["new"] == [div.ref]
