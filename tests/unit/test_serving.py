"""Several applications under prefixes: one by one, as tabs, and the end of them all."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from bokeh.application import Application
from bokeh.models import Div
from ipywidgets import HTML, Accordion, Tab, VBox
from ipywidgets.widgets import widget as registry

import bokeh_widget
from bokeh_widget import Applications, BokehWidget, serve
from bokeh_widget._cells import cells
from bokeh_widget._session import all_sessions
from bokeh_widget._weak import close_dead
from bokeh_widget.errors import (
    ApplicationError,
    BokehWidgetError,
    InputTypeError,
    InputValueError,
    SessionClosedError,
)
from tests.unit.test_hooks import Recorder
from tests.unit.wires import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from bokeh.document import Document
    from IPython.core.interactiveshell import InteractiveShell

    from tests.unit.wires import Wire

pytestmark = pytest.mark.usefixtures("wire", "applications_end")

APPS: Final = Path(__file__).parents[1] / "apps"


def one(doc: Document) -> None:
    doc.add_root(Div(text="one"))


def two(doc: Document) -> None:
    doc.add_root(Div(text="two"))


def _texts() -> list[str]:
    return [widget.roots[0].text for widget in bokeh_widget.widget.open_widgets()]


def _shown(apps: Applications) -> Any:
    """Display all of it, and give the container."""
    bundle = apps._repr_mimebundle_()
    model_id = bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
    return registry._instances[model_id]


# --- one by one ----------------------------------------------------------------------------------------------


def test_it_is_like_a_mapping() -> None:
    apps = serve({"/": one, "/stats": two})
    assert list(apps) == ["/", "/stats"]
    assert len(apps) == 2
    assert "/stats" in apps
    assert "/other" not in apps
    assert repr(apps) == "<Applications /, /stats>"
    assert all_sessions() == []  # nothing of this opened one


def test_each_look_up_opens_a_session() -> None:
    apps = serve({"/": one, "/stats": two}, pause_when_hidden=False)
    first, second = apps["/stats"], apps["/stats"]
    assert [first.roots[0].text, second.roots[0].text] == ["two", "two"]
    assert first.document is not second.document
    assert first.pause_when_hidden is False
    assert first.session.context.server_context.sessions == [first.session.context, second.session.context]


def test_applications_share_nothing() -> None:
    apps = serve({"/": one, "/stats": two})
    first, second = apps["/"], apps["/stats"]
    assert first.session.context.server_context is not second.session.context.server_context


def test_paths_have_the_prefixes_of_a_server() -> None:
    apps = serve([APPS / "script.py", str(APPS / "themed"), APPS / "notebook.ipynb"])
    assert list(apps) == ["/script", "/themed", "/notebook"]
    assert apps["/script"].document.title == "3 points"


def test_one_application_is_at_the_root() -> None:
    assert list(serve(one)) == ["/"]
    assert serve(APPS / "script.py")["/"].document.title == "3 points"


def test_argv_is_for_paths() -> None:
    apps = serve({"/": one, "/script": APPS / "script.py"}, argv=["4"])
    assert apps["/script"].document.title == "4 points"
    apps = serve({"/a": APPS / "script.py", "/b": APPS / "script.py"}, argv={"/a": ["5"], "/b": ["6"]})
    assert [apps["/a"].document.title, apps["/b"].document.title] == ["5 points", "6 points"]


BAD: dict[str, tuple[Callable[[], object], type[BokehWidgetError], list[str]]] = {
    "unknown prefix": (lambda: serve({"/": one, "/b": two})["/stats"], InputValueError, ["'/stats'", "'/', '/b'"]),
    "unknown to open": (lambda: serve({"/": one}).open("stats"), InputValueError, ["'stats'", "'/'"]),
    "no slash": (lambda: serve({"stats": one}), InputValueError, ["'stats'", 'begins with "/"']),
    "no text": (lambda: serve({3: one}), InputValueError, ["got 3"]),
    "nothing": (lambda: serve({}), InputValueError, ["no application", "at least one"]),
    "a function in a list": (lambda: serve([one]), InputTypeError, ["one", "give a dict"]),
    "the same name twice": (lambda: serve(["a/app.py", "b/app.py"]), InputValueError, ["'/app'", "give a dict"]),
    "no such file": (lambda: serve({"/": "nowhere.py"}), InputValueError, ["'nowhere.py'"]),
    "a model": (lambda: serve({"/": Div()}), InputTypeError, ["Div(", "function of the document"]),
    "arrangement": (lambda: serve(one, arrangement="rows"), InputValueError, ["'rows'", "tabs, accordion, column"]),  # type: ignore[arg-type]
    "theme": (lambda: serve(one, theme="darkest"), InputValueError, ["darkest"]),
    "argv without paths": (lambda: serve({"/": one}, argv=["3"]), InputValueError, ["['3']", "scripts"]),
    "argv of another": (lambda: serve({"/": one}, argv={"/b": []}), InputValueError, ["'/b'", "'/'"]),
    "argv for a function": (lambda: serve({"/": one}, argv={"/": ["3"]}), InputValueError, ["one()", "['3']"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    make, kind, parts = BAD[case]
    with pytest.raises(kind) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)
    assert all_sessions() == []


def test_an_option_that_is_none() -> None:
    with pytest.raises(TypeError, match="hight"):
        serve(one, hight=3)


# --- displayed together -----------------------------------------------------------------------------------------


def test_a_tab_opens_its_session_when_it_is_selected() -> None:
    container = _shown(serve({"/": one, "/stats": two, "/more": one}))
    assert isinstance(container, Tab)
    assert container.titles == ("/", "/stats", "/more")
    assert _texts() == ["one"]
    container.selected_index = 1
    opened = bokeh_widget.widget.open_widgets()
    assert _texts() == ["one", "two"]
    container.selected_index = 0
    container.selected_index = 1
    assert bokeh_widget.widget.open_widgets() == opened


def test_an_accordion_opens_what_is_unfolded() -> None:
    container = _shown(serve({"/": one, "/stats": two}, arrangement="accordion"))
    assert isinstance(container, Accordion)
    assert _texts() == []
    container.selected_index = 1
    container.selected_index = None
    assert _texts() == ["two"]


def test_a_column_opens_all() -> None:
    container = _shown(serve({"/": one, "/stats": two}, arrangement="column"))
    assert type(container) is VBox
    assert _texts() == ["one", "two"]


def test_each_display_opens_sessions() -> None:
    apps = serve({"/": one})
    assert _shown(apps) is not _shown(apps)
    assert _texts() == ["one", "one"]


def test_a_failure_is_written_in_its_tab_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["fine <now>"]

    def failing(doc: Document) -> None:
        if texts:
            raise ValueError(texts.pop())
        two(doc)

    container = _shown(serve({"/": failing, "/stats": two}))
    [place, _] = container.children
    [message] = place.children
    assert isinstance(message, HTML)
    assert "ApplicationError: " in message.value
    assert "fine &lt;now&gt;" in message.value
    assert len(caplog.records) == 1
    container.selected_index = 1
    container.selected_index = 0
    assert isinstance(place.children[0], BokehWidget)
    assert message.comm is None
    texts.append("again")
    with pytest.raises(ApplicationError):
        _ = serve({"/": failing})["/"]


# --- the end -------------------------------------------------------------------------------------------------------


def _models() -> int:
    gc.collect()
    close_dead()
    return len(registry._instances)


@pytest.mark.parametrize("arrangement", ["tabs", "accordion", "column"])
def test_close_leaves_nothing(arrangement: Any) -> None:
    BokehWidget(Div()).close()  # the runtime model stays
    before = _models()
    apps = serve({"/": one, "/stats": two}, arrangement=arrangement)
    container = _shown(apps)
    container.selected_index = 1
    kept = [apps["/"], apps.open("/stats")]
    apps.close()
    apps.close()
    assert all(widget.closed for widget in kept)
    assert container.comm is None
    del container, kept
    assert _models() == before
    assert all_sessions() == []
    assert repr(apps) == "<Applications /, /stats closed>"
    uses: list[Callable[[], object]] = [
        lambda: apps["/"],
        lambda: apps.open("/"),
        apps._repr_mimebundle_,
        apps.__enter__,
    ]
    for use in uses:
        with pytest.raises(SessionClosedError, match=r"serve\(\) again"):
            use()


def test_close_closes_sessions_that_other_cells_have_opened(shell: InteractiveShell) -> None:
    shell.user_ns["apps"] = apps = serve({"/": one, "/b": two})
    run = lambda code, cell_id: shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()  # noqa: E731
    run("w = apps['/b']\nw", "a")
    run("w", "b")
    run("del w\n1", "a")
    run("gc.collect()", "c")
    assert _texts() == ["two"]
    apps.close()
    assert _texts() == []


def test_close_unloads_as_a_server_does() -> None:
    recorder = Recorder()
    application = Application(recorder)
    with serve({"/": application}) as apps:
        _ = apps["/"], apps["/"]
    assert recorder.calls[-3:] == ["destroyed", "destroyed", "unloaded"]
    BokehWidget(application)
    assert recorder.calls.count("loaded") == 2


def test_what_is_open_elsewhere_is_unloaded_later() -> None:
    recorder = Recorder()
    application = Application(recorder)
    elsewhere = BokehWidget(application)
    with serve({"/": application}) as apps:
        _ = apps["/"]
    assert "unloaded" not in recorder.calls
    elsewhere.close()
    assert recorder.calls[-1] == "unloaded"


def test_what_is_opened_again_stays_loaded() -> None:
    recorder = Recorder()
    application = Application(recorder)
    elsewhere = BokehWidget(application)
    serve({"/": application}).close()
    again = BokehWidget(application)
    elsewhere.close()
    again.close()
    assert "unloaded" not in recorder.calls


def test_a_cell_that_runs_again_closes_its_tabs(shell: InteractiveShell) -> None:
    shell.user_ns["make"] = one
    run = lambda code, cell_id: shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()  # noqa: E731
    run("from bokeh_widget import serve\napps = serve({'/': make, '/b': make})", "a")
    for _ in range(3):
        run("apps", "b")
        assert _texts() == ["one"]
        run("apps.open('/b')", "c")
        assert _texts() == ["one", "one"]
        run("1", "c")
    run("1", "b")
    assert _texts() == []


def test_tabs_whose_output_is_cleared_are_closed(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[Callable[[], None]] = []
    monkeypatch.setattr("bokeh_widget._kernel.call_later", lambda _ms, callback: timers.append(callback))
    container = _shown(serve({"/": one, "/stats": two}))
    container.selected_index = 1
    pages = [Page(widget, wire, f"page {index}") for index, widget in enumerate(bokeh_widget.widget.open_widgets())]
    for page in pages:
        page.show()
    pages[0].presence("gone", view=pages[0].views.pop())
    timers.pop()()
    assert container.comm is not None  # the other part is still there
    pages[1].presence("gone", view=pages[1].views.pop())
    timers.pop()()
    assert container.comm is None
    assert _texts() == []
    assert not cells._pins


def test_tabs_that_all_failed_are_closed_when_their_output_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[Callable[[], None]] = []
    monkeypatch.setattr("bokeh_widget._kernel.call_later", lambda _ms, callback: timers.append(callback))
    container = _shown(serve({"/": lambda _doc: 1 / 0}))
    for count in (1, 0, 1):  # it is moved
        container.set_state({"_view_count": count})
    timers.pop()()
    assert container.comm is not None
    container.set_state({"_view_count": 0})
    timers.pop()()
    assert container.comm is None
    assert not cells._pins
    assert timers == []


def test_tabs_that_were_closed_are_free_though_the_history_holds_the_applications(shell: InteractiveShell) -> None:
    shell.user_ns["make"] = one
    run = lambda code, cell_id: shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()  # noqa: E731
    before = _tabs()
    for _ in range(3):
        run("from bokeh_widget import serve\nserve({'/': make, '/b': make})", "a")
        assert _tabs() == before + 1
    run("1", "a")
    assert _tabs() == before


def _tabs() -> int:
    gc.collect()
    return sum(type(obj) is Tab for obj in gc.get_objects())
