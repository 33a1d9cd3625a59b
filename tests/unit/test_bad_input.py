"""Bad input ends in the right error, leaves the document as it was and the widget working."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import Button, ColumnDataSource, CustomJS, Div, Line, Plot, Scatter, Slider, Title
from bokeh.plotting import figure
from ipywidgets import HTML

import bokeh_widget
from bokeh_widget import BokehWidget, Session
from bokeh_widget._protocol import parse_client_message
from bokeh_widget.errors import (
    BokehWidgetError,
    EmptyDocumentError,
    FrameTooLargeError,
    InputTypeError,
    InputValueError,
    MixedDocumentsError,
    ProtocolError,
    SessionClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.wires import Page, Wire

pytestmark = pytest.mark.usefixtures("wire")


# --- the constructor ----------------------------------------------------------------------------


def _attached(*models: Any) -> Any:
    document = Document()
    for model in models:
        document.add_root(model)
    return models[0]


def _same_twice() -> list[Any]:
    div = Div()
    return [div, div]


def _child_of_another() -> Any:
    from bokeh.layouts import column

    return column(_attached(Div()))


# what is given, the error, what the message names, and the remedy in it
CONSTRUCTOR: dict[str, tuple[Callable[[], Any], type[BokehWidgetError], str, str]] = {
    "none": (lambda: None, InputTypeError, "NoneType: None", "BokehWidget takes a Bokeh model"),
    "path of nothing": (lambda: "figure", InputValueError, "'figure'", "a script (.py), a notebook"),
    "number": (lambda: 3.5, InputTypeError, "float: 3.5", "BokehWidget takes a Bokeh model"),
    "dict": (lambda: {"a": 1}, InputTypeError, "dict: {'a': 1}", "BokehWidget takes a Bokeh model"),
    "set of models": (lambda: {Div()}, InputTypeError, "set: {Div(", "a list of them"),
    "generator": (lambda: (Div() for _ in range(2)), InputTypeError, "generator", "a list of them"),
    "array": (lambda: np.zeros(3), InputTypeError, "ndarray: array([0., 0., 0.])", "BokehWidget takes a Bokeh model"),
    "ipywidget": (lambda: HTML("x"), InputTypeError, "HTML", "BokehWidget takes a Bokeh model"),
    "class of a model": (lambda: Div, InputTypeError, "the class Div", "make an instance of it"),
    "class of a document": (lambda: Document, InputTypeError, "the class Document", "make an instance of it"),
    "model without a view": (ColumnDataSource, InputTypeError, "ColumnDataSource(", "show the figure"),
    "callback": (lambda: CustomJS(code=""), InputTypeError, "CustomJS(", "show the figure or widget that uses it"),
    "string in a list": (lambda: [Div(), "x"], InputTypeError, "item 1 of the sequence is str: 'x'", "takes"),
    "none in a list": (lambda: [None], InputTypeError, "item 0 of the sequence is NoneType", "takes"),
    "class in a tuple": (lambda: (Div, Div()), InputTypeError, "item 0 of the sequence is the class Div", "instance"),
    "document in a list": (lambda: [Document()], InputTypeError, "item 0 of the sequence is Document", "takes"),
    "nested list": (lambda: [[Div()]], InputTypeError, "item 0 of the sequence is list", "takes"),
    "empty list": (list, EmptyDocumentError, "the sequence of models is empty", "give at least one"),
    "empty tuple": (lambda: (), EmptyDocumentError, "the sequence of models is empty", "give at least one"),
    "twice the same": (_same_twice, InputValueError, "Div(id=", "show it in a second widget"),
    "document without roots": (Document, EmptyDocumentError, "no roots", "document.add_root(figure)"),
    "two documents": (
        lambda: [_attached(Div()), _attached(Div())],
        MixedDocumentsError,
        "2 different documents",
        "combine them with ipywidgets.VBox",
    ),
    "attached and loose": (
        lambda: [_attached(Div()), Slider(start=0, end=1, value=0)],
        MixedDocumentsError,
        "Slider(",
        "document.add_root(model)",
    ),
    "a child of another document": (
        _child_of_another,
        MixedDocumentsError,
        "a part of Column(",
        "show the model that contains both",
    ),
}


def _is_helpful(error: BaseException | None, *parts: str) -> None:
    for part in parts:
        assert part in str(error), f"{part!r} is not in: {error}"


@pytest.mark.parametrize("case", CONSTRUCTOR)
def test_constructor(case: str, wire: Wire) -> None:
    make, kind, offender, remedy = CONSTRUCTOR[case]
    given = make()
    wire.messages.clear()
    with pytest.raises(kind) as caught:
        BokehWidget(given)
    assert type(caught.value) is kind
    _is_helpful(caught.value, offender, remedy)
    assert wire.messages == []


@pytest.mark.parametrize("case", CONSTRUCTOR)
def test_show(case: str) -> None:
    make, kind, offender, remedy = CONSTRUCTOR[case]
    with pytest.raises(kind) as caught:
        bokeh_widget.show(make())
    _is_helpful(caught.value, offender, remedy)


@pytest.mark.parametrize("case", CONSTRUCTOR)
def test_update(case: str) -> None:
    widget = BokehWidget(Div(text="old"))
    session, before = widget.session, widget.document.to_json(deferred=False)
    make, kind, offender, remedy = CONSTRUCTOR[case]
    with pytest.raises(kind) as caught:
        widget.update(make())
    _is_helpful(caught.value, offender, remedy)
    assert widget.session is session
    assert widget.document.to_json(deferred=False) == before
    widget.update(Div(text="new"))
    assert widget.roots[0].text == "new"


@pytest.mark.parametrize(
    ("option", "value", "kind", "remedy"),
    [
        ("theme", 3, InputTypeError, "name of a built-in theme or a bokeh.themes.Theme"),
        ("theme", [3], InputTypeError, "name of a built-in theme or a bokeh.themes.Theme"),
        ("theme", "darkest", InputValueError, "dark_minimal"),
        ("layout", "50%", InputTypeError, "ipywidgets.Layout or a dict"),
        ("layout", ["50%"], InputTypeError, "ipywidgets.Layout or a dict"),
        ("argv", "3", InputTypeError, "list of strings"),
        ("argv", ["3"], InputValueError, "scripts, directories and notebooks"),
        ("pause_when_hidden", 1, InputTypeError, "True or False"),
        ("pause_when_hidden", None, InputTypeError, "True or False"),
        ("fallback", True, InputTypeError, '"png" or None'),
        ("fallback", "svg", InputValueError, '"png" or None'),
    ],
)
def test_options(option: str, value: Any, kind: type[BokehWidgetError], remedy: str) -> None:
    plot = figure()
    with pytest.raises(kind) as caught:
        BokehWidget(plot, **{option: value})
    _is_helpful(caught.value, option, repr(value), remedy)
    assert plot.document is None
    assert BokehWidget(plot).roots == [plot]


@pytest.mark.parametrize("make", [BokehWidget, bokeh_widget.show])
def test_unknown_keyword(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'hight'"):
        make(Div(), hight=300)


def test_positional_options() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        BokehWidget(Div(), "caliber")  # type: ignore[misc]


@pytest.mark.parametrize("callback", [None, "print", 3])
def test_on_error_takes_callables(callback: Any) -> None:
    widget = BokehWidget(Div())
    with pytest.raises(InputTypeError) as caught:
        widget.on_error(print, callback)
    _is_helpful(caught.value, repr(callback), "one argument, the exception")
    assert widget.session._reports.callbacks == []


# --- what is closed -------------------------------------------------------------------------------


USES: dict[str, Callable[[BokehWidget], object]] = {
    "session": lambda w: w.session,
    "document": lambda w: w.document,
    "roots": lambda w: w.roots,
    "update": lambda w: w.update(Div()),
    "on_error": lambda w: w.on_error(print),
    "with": lambda w: w.__enter__(),  # what a with statement calls
    "display": lambda w: w._repr_mimebundle_(),
}


@pytest.mark.parametrize("how", ["widget", "session"])
@pytest.mark.parametrize("use", USES)
def test_closed_widget(use: str, how: str) -> None:
    widget = BokehWidget(Div())
    (widget if how == "widget" else widget.session).close()
    with pytest.raises(SessionClosedError) as caught:
        USES[use](widget)
    _is_helpful(caught.value, "closed", "make a new")
    assert widget.closed


def test_closed_widget_can_still_be_asked(wire: Wire) -> None:
    widget = BokehWidget(Div())
    model_id = widget.model_id
    widget.close()
    wire.messages.clear()
    assert widget.closed
    assert widget.state is bokeh_widget.State.CLOSED
    assert repr(widget) == "<BokehWidget closed>"
    assert widget.model_id == model_id
    assert widget.layout is None
    widget.close()
    bokeh_widget.close_all()
    assert wire.messages == []


def test_closed_widget_is_nothing_to_show() -> None:
    widget = BokehWidget(Div())
    widget.close()
    with pytest.raises(InputTypeError, match="<BokehWidget closed>"):
        bokeh_widget.show(widget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.document,
        lambda s: s.encode_state(),
        lambda s: s.on_error(print),
        lambda s: s.batch().__enter__(),
        lambda s: s.connect(object()),
    ],
    ids=["document", "encode_state", "on_error", "batch", "connect"],
)
def test_closed_session(use: Callable[[Session], object]) -> None:
    session = Session(Document())
    session.close()
    with pytest.raises(SessionClosedError) as caught:
        use(session)
    _is_helpful(caught.value, "session is closed", "make a new BokehWidget")


# --- what comes from a page: its form --------------------------------------------------------------

_PATCH = {"kind": "patch", "client": "c", "session": "s", "seq": 1, "revision": 0, "events": [], "buffers": []}

FORM: dict[str, tuple[Any, str]] = {
    "none": (None, "None"),
    "list": ([1, 2], "[1, 2]"),
    "string": ("patch", "'patch'"),
    "no kind": ({"client": "c"}, "None"),
    "unknown kind": ({"kind": "pach", "client": "c"}, "'pach'"),
    "kind is no string": ({"kind": ["patch"], "client": "c"}, "['patch']"),
    "no client": ({"kind": "bye"}, "'client' must be str, but got None"),
    "client is a number": ({"kind": "bye", "client": 3}, "'client' must be str, but got 3"),
    "no view": ({"kind": "hi", "client": "c"}, "'view' must be str, but got None"),
    "gone without a view": ({"kind": "gone", "client": "c", "view": None}, "'view' must be str, but got None"),
    "no protocol": (
        {"kind": "attach", "client": "c", "session": None, "revision": None},
        "'protocol' must be int, but got None",
    ),
    "revision is a string": (
        {
            "kind": "attach",
            "client": "c",
            "session": None,
            "revision": "1",
            "protocol": 2,
            "seq": 0,
            "views": [],
            "tick": 1,
        },
        "'revision' must be int or null, but got '1'",
    ),
    "revision is true": ({**_PATCH, "revision": True}, "'revision' must be int, but got True"),
    "seq is a float": ({**_PATCH, "seq": 1.5}, "'seq' must be int, but got 1.5"),
    "events is an object": ({**_PATCH, "events": {"0": 1}}, "'events' must be list, but got {'0': 1}"),
    "buffers is null": ({**_PATCH, "buffers": None}, "'buffers' must be list, but got None"),
    "too many names": ({**_PATCH, "buffers": ["a"]}, "1 buffers ['a'], but 0 came"),
    "same name twice": ({**_PATCH, "buffers": ["a", "a"]}, "distinct strings, but got ['a', 'a']"),
    "name is a number": ({**_PATCH, "buffers": [1]}, "distinct strings, but got [1]"),
    "no session": ({**_PATCH, "session": None}, "'session' must be str, but got None"),
    "error without a message": (
        {"kind": "error", "client": "c", "context": "x", "stack": ""},
        "'message' must be str, but got None",
    ),
}


@pytest.mark.parametrize("case", FORM)
def test_form(case: str, page_of: Any) -> None:
    content, offender = FORM[case]
    with pytest.raises(ProtocolError) as caught:
        parse_client_message(content)
    _is_helpful(caught.value, "from the page", offender, "reload the page")
    _refused_and_working(page_of, lambda page: page.send(content), ProtocolError, offender, is_patch=False)


def test_more_buffers_than_names(page_of: Any) -> None:
    def send(page: Page) -> None:
        page.send(page.patch_message([{"kind": "TitleChanged", "title": "bad"}]), [b"1234"])

    _refused_and_working(page_of, send, ProtocolError, "names 0 buffers [], but 1 came")


def test_oversized_frame(page_of: Any) -> None:
    def send(page: Page) -> None:
        page.send(page.patch_message([{"kind": "TitleChanged", "title": "bad"}], ["a"]), [bytes(2**28 + 1)])

    _refused_and_working(page_of, send, FrameTooLargeError, "268435457 bytes", "send the data in smaller pieces")


@pytest.mark.parametrize(("size_bytes", "is_accepted"), [(10, True), (11, False)])
def test_limit_of_a_frame(size_bytes: int, is_accepted: bool) -> None:
    content = {**_PATCH, "buffers": ["a", "b"]}
    buffers = [bytes(4), memoryview(np.zeros(size_bytes - 4, dtype="uint8"))]
    if is_accepted:
        message = parse_client_message(content, buffers, limit_bytes=10)
        assert message.buffers == {"a": bytes(4), "b": bytes(6)}  # type: ignore[union-attr]
    else:
        with pytest.raises(FrameTooLargeError, match="carries 11 bytes, more than the limit of 10"):
            parse_client_message(content, buffers, limit_bytes=10)


# --- what comes from a page: how it fits the document -------------------------------------------------


def _document() -> tuple[Document, dict[str, Any]]:
    source = ColumnDataSource(
        data={"x": np.arange(4.0), "y": [1, 2, 3, 4], "image": [np.zeros((2, 3)) for _ in range(4)]}
    )
    # a figure without its tools and axes, since each case encodes it four times
    plot = Plot(width=300, title=Title(text="plot"))
    plot.add_glyph(source, Line(x="x", y="y"))
    slider, button = Slider(start=0, end=10, value=1), Button()
    document = Document(title="good")
    for root in (plot, slider, button):
        document.add_root(root)
    return document, {"source": source, "plot": plot, "slider": slider, "button": button}


def _refused_and_working(
    page_of: Any, send: Callable[[Page], None], kind: type[ProtocolError], *parts: str, is_patch: bool = True
) -> None:
    """Send something bad: nothing changes, it is reported and refused, and the next good patch is applied."""
    document, models = _document()
    widget = BokehWidget(document)
    page = page_of(widget)
    errors: list[BaseException] = []
    widget.on_error(errors.append)
    before, revision = document.to_json(deferred=False), widget.session.revision
    send(page)
    [error] = errors
    assert type(error) is kind
    _is_helpful(error, *parts, *([] if kind is FrameTooLargeError else ["reload the page"]))
    assert widget.session.last_error is error
    assert document.to_json(deferred=False) == before
    assert widget.session.revision == revision
    if is_patch:
        [refused] = page.wire.customs(widget, "refused")
        assert refused.content == {
            "kind": "refused",
            "client": page.client,
            "seq": page.seq,
            "message": str(error),
        }
    assert page.wire.customs(widget, "patch") == []
    page.patch({"kind": "ModelChanged", "model": models["slider"].ref, "attr": "value", "new": 7})
    assert models["slider"].value == 7
    assert widget.session.revision == revision + 1
    assert len(errors) == 1


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


_RAW = {"type": "bytes", "data": {"id": "a"}}
_ZEROS = base64.b64encode(gzip.compress(bytes(10**6))).decode()


def _array(**fields: Any) -> dict[str, Any]:
    return {"type": "ndarray", "array": _RAW, "shape": [2], "dtype": "float64", "order": "little", **fields}


def _changed(name: str, attr: Any, new: Any) -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": name, "attr": attr, "new": new}


def _streamed(data: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "ColumnsStreamed", "model": "source", "attr": "data", "data": data, "rollover": None, **fields}


def _patched(patches: Any, **fields: Any) -> dict[str, Any]:
    return {"kind": "ColumnsPatched", "model": "source", "attr": "data", "patches": patches, **fields}


def _sent(msg_data: Any) -> dict[str, Any]:
    return {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": msg_data}


def _map(**columns: Any) -> dict[str, Any]:
    return {"type": "map", "entries": [[name, column] for name, column in columns.items()]}


_ROW = {"x": [1.0], "y": [1], "image": [[1]]}

# the event, with names in the place of models, and what the message names
FIT: dict[str, tuple[Any, str]] = {
    "event is a number": (3, "3"),
    "event is null": (None, "None"),
    "event is a list": ([], "[]"),
    "event is a model": ("source", "must be an object"),
    "event without a kind": ({"title": "bad"}, "unknown kind of event None"),
    "unknown kind": ({"kind": "Explode"}, "unknown kind of event 'Explode'"),
    "kind is a list": ({"kind": ["TitleChanged"]}, "unknown kind of event ['TitleChanged']"),
    "unknown field": ({"kind": "TitleChanged", "title": "bad", "setter": 1}, "TitleChanged has no field ['setter']"),
    "unknown model": ({**_changed("slider", "value", 3), "model": {"id": "nobody"}}, "unknown model 'nobody'"),
    "unknown model inside": (_changed("plot", "tags", [{"id": "nobody"}]), "unknown model 'nobody'"),
    "model is a string": ({**_changed("", "value", 3), "model": "p1"}, "needs a model, but got 'p1'"),
    "model is missing": ({"kind": "ModelChanged", "attr": "value", "new": 3}, "needs a model, but got None"),
    "id is a list": ({**_changed("", "value", 3), "model": {"id": [1]}}, "unhashable"),
    "unknown property": (_changed("slider", "valu", 3), "has no property 'valu'"),
    "attribute of Python": (_changed("slider", "document", None), "has no property 'document'"),
    "private attribute": (_changed("slider", "_callbacks", {}), "has no property '_callbacks'"),
    "dunder attribute": (_changed("slider", "__class__", 3), "has no property '__class__'"),
    "method": (_changed("slider", "on_change", 3), "has no property 'on_change'"),
    "property is no string": (_changed("slider", ["value"], 3), "has no property ['value']"),
    "no new value": ({"kind": "ModelChanged", "model": "slider", "attr": "value"}, "value has no new value"),
    "value of another type": (_changed("slider", "value", "high"), "got high of type str ('high')"),
    "value is null": (_changed("slider", "value", None), "None"),
    "value outside of an enumeration": (_changed("slider", "orientation", "diagonal"), "'diagonal'"),
    "model of another class": (_changed("plot", "title", "slider"), "Slider("),
    "data is a list": (_changed("source", "data", [1, 2]), "[1, 2]"),
    "column data is null": (
        {"kind": "ColumnDataChanged", "model": "source", "attr": "data", "data": None, "cols": None},
        "needs columns by name, but got None",
    ),
    "column data of different lengths": (
        {"kind": "ColumnDataChanged", "model": "source", "attr": "data", "data": _map(x=[1], y=[]), "cols": None},
        "{'x': 1, 'y': 0}",
    ),
    "column data of no source": (
        {"kind": "ColumnDataChanged", "model": "slider", "attr": "value", "data": _map(x=[1]), "cols": None},
        "'x': [1]",
    ),
    "streamed column is a number": (_streamed(_map(**{**_ROW, "x": 3})), "column 'x' of ColumnsStreamed"),
    "streamed column is a string": (_streamed(_map(**{**_ROW, "x": "z"})), "is no sequence, but 'z'"),
    "streamed column is a set": (_streamed(_map(**{**_ROW, "x": {"type": "set", "entries": [3]}})), "{3}"),
    "streamed column is missing": (_streamed(_map(x=[1])), "['x'] are not the columns ['image', 'x', 'y']"),
    "streamed column is unknown": (_streamed(_map(**_ROW, z=[1])), "'z'"),
    "streamed column has another length": (_streamed(_map(**{**_ROW, "x": [1, 2]})), "'x': 2"),
    "streamed column has a number as name": (
        _streamed({"type": "map", "entries": [[3, [1]]]}),
        "needs columns by name, but got {3: [1]}",
    ),
    "negative rollover": (_streamed(_map(**_ROW), rollover=-1), "number of rows or null, but got -1"),
    "rollover is true": (_streamed(_map(**_ROW), rollover=True), "number of rows or null, but got True"),
    "rollover is a string": (_streamed(_map(**_ROW), rollover="3"), "number of rows or null, but got '3'"),
    "stream to a non-source": (_streamed(_map(**_ROW), model="slider", attr="value"), "Slider("),
    "stream to a name": (_streamed(_map(**_ROW), attr="name"), ".name"),
    "stream to a non-source's data": (_streamed(_map(**_ROW), model="slider"), "has no property 'data'"),
    "patches is a list": (_patched([[0, 1]]), "must be by column, but got [[0, 1]]"),
    "patches of a column is a number": (_patched(_map(x=3)), "must be a list, but got 3"),
    "patch is no pair": (_patched(_map(x=[[0]])), "must be a pair, but got [0]"),
    "patch of an unknown column": (_patched(_map(z=[[0, 1]])), "has no column 'z'"),
    "patch beyond the end": (_patched(_map(x=[[4, 1]])), "4 rows, index 4 is outside"),
    "patch before the start": (_patched(_map(x=[[-1, 1]])), "4 rows, index -1 is outside"),
    "patch at a string": (_patched(_map(x=[["0", 1]])), "index '0' is outside"),
    "patch at nothing": (_patched(_map(x=[[[], 1]])), "index [] is outside"),
    "patch of a slice beyond the end": (
        _patched(_map(y=[[{"type": "slice", "start": 3, "stop": 5, "step": None}, [1, 2]]])),
        "slice(3, 5, None) is outside",
    ),
    "patch of a slice with too many rows": (
        _patched(_map(y=[[{"type": "slice", "start": 0, "stop": 2, "step": None}, [1, 2, 3]]])),
        "is 2 rows, but got [1, 2, 3]",
    ),
    "patch of a slice with a number": (
        _patched(_map(x=[[{"type": "slice", "start": 0, "stop": 2, "step": None}, 5]])),
        "is 2 rows, but got 5",
    ),
    "patch of numbers with a string": (_patched(_map(x=[[0, "high"]])), "cannot take 'high' at 0"),
    "patch of an image with too few": (
        _patched(_map(image=[[[0, {"type": "slice", "start": 0, "stop": 2, "step": None}], [1]]])),
        "cannot take [1]",
    ),
    "patch beyond an image": (_patched(_map(image=[[[0, 2, 0], [1]]])), "cannot take [1] at [0, 2, 0]"),
    "patch within a number": (_patched(_map(y=[[[0, 1], [1]]])), "cannot take [1] at [0, 1]"),
    "patch of a non-source": (_patched(_map(x=[[0, 1]]), model="slider", attr="value"), "Slider("),
    "title is a number": ({"kind": "TitleChanged", "title": 3}, "title must be a string, but got 3"),
    "title is missing": ({"kind": "TitleChanged"}, "title must be a string, but got None"),
    "root is a string": ({"kind": "RootAdded", "model": "x"}, "root must be a model, but got 'x'"),
    "root is null": ({"kind": "RootAdded", "model": None}, "root must be a model, but got None"),
    "removed root is none": ({"kind": "RootRemoved", "model": "source"}, "is not a root of the document"),
    "message without a type": ({"kind": "MessageSent", "msg_data": 1}, "needs a type and data, but got None"),
    "message without data": ({"kind": "MessageSent", "msg_type": "x"}, "needs a type and data, but got 'x'"),
    "event is no event": (_sent({"a": 1}), "must carry an event, but got {'a': 1}"),
    "unknown event": (_sent({"type": "event", "name": "explode", "values": {}}), "explode"),
    "event without values": (_sent({"type": "event", "name": "tap"}), "invalid representation"),
    "event with unknown values": (
        _sent({"type": "event", "name": "tap", "values": {"model": "plot", "sz": 1}}),
        "'sz'",
    ),
    "event of an unknown model": (
        _sent({"type": "event", "name": "tap", "values": {"model": {"id": "nobody"}, "sx": 1}}),
        "unknown model 'nobody'",
    ),
    "event of a number": (_sent({"type": "event", "name": "tap", "values": {"model": 3}}), "{'model': 3}"),
    "event of a model outside": (
        _sent({"type": "event", "name": "tap", "values": {"model": {"type": "object", "name": "Plot", "id": "new"}}}),
        "must be of a model of the document",
    ),
    "event of the wrong model": (
        _sent({"type": "event", "name": "button_click", "values": {"model": "plot"}}),
        "ButtonClick",
    ),
    "unknown type": (_changed("plot", "tags", [{"type": "pickle", "data": "x"}]), "'pickle'"),
    "unknown class": (_changed("plot", "title", {"type": "object", "name": "os.system", "id": "x"}), "'os.system'"),
    "class that is no model": (
        _changed("plot", "title", {"type": "object", "name": "bokeh.document.Document", "id": "x"}),
        "'bokeh.document.Document'",
    ),
    "object without an id": (_changed("plot", "title", {"type": "object", "name": "Title"}), "NotImplementedError"),
    "new model with a bad value": (
        _changed("plot", "title", {"type": "object", "name": "Title", "id": "x", "attributes": {"text": 3}}),
        "3",
    ),
    "named symbol": (_changed("slider", "value", {"type": "symbol", "name": "pi"}), "'pi'"),
    "number that is none": (_changed("slider", "value", {"type": "number", "value": "two"}), "two"),
    "missing buffer": (_changed("plot", "tags", [{"type": "bytes", "data": {"id": "b"}}]), "buffer 'b'"),
    "binary as text": (_changed("plot", "tags", [{"type": "bytes", "data": _ZEROS}]), "came as text 'H4sI"),
    "array of another length": (_changed("plot", "tags", [_array(shape=[3, 5])]), "reshape"),
    "array of half a number": (
        _changed("plot", "tags", [_array(array={"type": "bytes", "data": {"id": "odd"}})]),
        "multiple of element size, in the event {'attr': 'tags'",
    ),
    "array of objects from bytes": (_changed("plot", "tags", [_array(dtype="object")]), "OBJECT"),
    "array of an unknown type": (_changed("plot", "tags", [_array(dtype="float7")]), "float7"),
    "array of impossible numbers": (_changed("plot", "tags", [_array(array=[300], dtype="int8")]), "300"),
    "very deep nesting": (_changed("plot", "tags", _nested(5000)), "RecursionError"),
}


def _with_models(value: Any, refs: dict[str, Any], depth: int = 0) -> Any:
    if isinstance(value, str) and value in refs and depth > 0:
        return refs[value]
    if isinstance(value, dict):
        return {
            key: refs[item]
            if key in ("model", "new") and isinstance(item, str) and item in refs
            else _with_models(item, refs)
            if isinstance(item, dict)
            else item
            for key, item in value.items()
        }
    return value


@pytest.mark.parametrize("is_second", [False, True], ids=["alone", "after a good one"])
@pytest.mark.parametrize("case", FIT)
def test_fit(case: str, is_second: bool, page_of: Any) -> None:
    event, offender = FIT[case]

    def send(page: Page) -> None:
        roots = page.widget.roots
        refs = {name: root.ref for name, root in zip(("plot", "slider", "button"), roots, strict=True)}
        [source] = page.widget.document.select({"type": ColumnDataSource})
        refs["source"] = source.ref
        bad = refs[event] if isinstance(event, str) else _with_models(event, refs)
        good = [
            {"kind": "TitleChanged", "title": "half a patch"},
            {"kind": "ModelChanged", "model": refs["slider"], "attr": "value", "new": 5},
        ]
        page.patch(*(good if is_second else []), bad, a=np.arange(2.0).tobytes(), odd=b"1234567")

    _refused_and_working(page_of, send, ProtocolError, "refused", offender, "Nothing of it was applied")


def test_what_exists_in_python_only(page_of: Any) -> None:
    plot = Plot()
    marker = Scatter(x="x", y="y")
    plot.add_glyph(ColumnDataSource(data={"x": [1], "y": [1]}), marker)
    widget = BokehWidget(plot)
    page = page_of(widget)
    page.patch({"kind": "ModelChanged", "model": marker.ref, "attr": "angle_units", "new": "deg"})
    assert marker.angle_units == "rad"
    _is_helpful(widget.session.last_error, "angle_units exists in Python only", "reload the page")


def test_what_only_the_page_sets_is_taken(page_of: Any) -> None:
    plot, slider = Plot(), Slider(start=0, end=9, value=1)
    widget = BokehWidget([plot, slider])
    page = page_of(widget)
    page.patch(
        {"kind": "ModelChanged", "model": plot.ref, "attr": "inner_width", "new": 280},
        {"kind": "ModelChanged", "model": slider.ref, "attr": "value_throttled", "new": 3},
    )
    assert widget.session.last_error is None
    assert (plot.inner_width, slider.value_throttled) == (280, 3)
