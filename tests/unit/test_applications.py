"""Applications in all their forms: what is opened, what fails and how that is said, and what is left afterwards."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bokeh.io
import bokeh.io.doc as bokeh_doc
import pytest
from bokeh.application import Application
from bokeh.application.handlers import DirectoryHandler, FunctionHandler, Handler, ScriptHandler
from bokeh.core.has_props import HasProps
from bokeh.document import Document
from bokeh.io import curdoc
from bokeh.models import Div
from bokeh.themes import Theme
from bokeh.util.compiler import _bundle_cache

import bokeh_widget
from bokeh_widget import BokehWidget, serve
from bokeh_widget._hosting import shut_down
from bokeh_widget._resolving import application_of
from bokeh_widget._session import all_sessions
from bokeh_widget.errors import (
    ApplicationError,
    BokehWidgetError,
    EmptyDocumentError,
    InputTypeError,
    InputValueError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from tests.unit.wires import Page

pytestmark = pytest.mark.usefixtures("wire", "applications_end")

APPS: Final = Path(__file__).parents[1] / "apps"


def make_document(doc: Document) -> None:
    doc.add_root(Div(text="of a function"))


class _OneDiv(Handler):
    def modify_document(self, doc: Document) -> None:
        doc.add_root(Div(text="of a handler"))


class _Maker:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, doc: Document) -> None:
        make_document(doc)

    def method(self, doc: Document) -> None:
        make_document(doc)


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_py", ".py").replace("_yaml", ".yaml")).write_text(text, "utf-8")
    return folder


def _text(widget: BokehWidget) -> str:
    [div] = widget.document.select({"type": Div})
    return str(div.text)


# --- every form ------------------------------------------------------------------------------------


FORMS: dict[str, tuple[Callable[[], Any], str]] = {
    "function": (lambda: make_document, "of a function"),
    "lambda": (lambda: lambda doc: doc.add_root(Div(text="of a lambda")), "of a lambda"),
    "method": (lambda: _Maker().method, "of a function"),
    "object that is called": (_Maker, "of a function"),
    "handler": (_OneDiv, "of a handler"),
    "application": (lambda: Application(_OneDiv()), "of a handler"),
    "notebook": (lambda: APPS / "notebook.ipynb", "of a notebook"),
    "package": (lambda: APPS / "packaged", "from the neighbour"),
    "path as text": (lambda: str(APPS / "packaged"), "from the neighbour"),
}


@pytest.mark.parametrize("form", FORMS)
def test_form(form: str) -> None:
    make, text = FORMS[form]
    widget = BokehWidget(make())
    assert _text(widget) == text
    assert widget.session.context.application is not None


def test_a_script_has_argv_and_gives_the_title() -> None:
    before = list(sys.argv), list(sys.path), Path.cwd()
    assert BokehWidget(APPS / "script.py").document.title == "3 points"
    assert BokehWidget(APPS / "script.py", argv=["7"]).document.title == "7 points"
    assert (sys.argv, sys.path, Path.cwd()) == before


def test_a_path_is_relative_to_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(APPS)
    assert BokehWidget("script.py").document.title == "3 points"
    monkeypatch.setenv("HOME", str(APPS))
    assert BokehWidget("~/script.py").document.title == "3 points"


def test_a_directory_has_its_data_and_its_theme(capsys: pytest.CaptureFixture[str]) -> None:
    widget = BokehWidget(APPS / "themed")
    [plot] = widget.document.select({"name": "plot"})
    [button] = widget.document.select({"name": "button"})
    assert plot.background_fill_color == "#102030"
    assert button.label == "Press me"
    assert "loaded" in capsys.readouterr().out
    other = BokehWidget(APPS / "themed", theme=Theme(json={"attrs": {"Plot": {"background_fill_color": "#aabbcc"}}}))
    [plot] = other.document.select({"name": "plot"})
    assert plot.background_fill_color == "#aabbcc"


def test_a_callback_of_a_script_uses_its_globals(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(APPS / "themed")
    [button] = widget.document.select({"name": "button"})
    [counter] = widget.document.select({"name": "counter"})
    page = page_of(widget)
    click = {"event_name": "button_click", "event_values": {"type": "map", "entries": [["model", button.ref]]}}
    click_event = {"type": "event", "name": "button_click", "values": click["event_values"]}
    for _ in range(2):
        page.patch({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": click_event})
    assert counter.text == "2 clicks"


def test_several_handlers_fill_one_document() -> None:
    application = Application(_OneDiv(), FunctionHandler(make_document))
    assert [root.text for root in BokehWidget(application).roots] == ["of a handler", "of a function"]


def test_curdoc_is_the_document_while_it_is_filled() -> None:
    seen: list[Any] = []
    widget = BokehWidget(lambda doc: (seen.append(curdoc() is doc), make_document(doc)))
    assert seen == [True]
    assert curdoc() is not widget.document
    assert bokeh_doc._PATCHED_CURDOCS == []


def test_roots_may_come_later(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(lambda doc: doc.add_next_tick_callback(lambda: None))
    page_of(widget)
    widget.document.add_root(Div(text="later"))
    assert _text(widget) == "later"


def test_each_widget_has_a_session_of_its_own() -> None:
    one, two = BokehWidget(make_document), BokehWidget(make_document)
    assert one.document is not two.document
    assert one.session.context.server_context is two.session.context.server_context
    assert two.session.context.server_context.sessions == [one.session.context, two.session.context]


def test_update_shows_an_application_and_goes_on_from_it() -> None:
    widget = BokehWidget(Div(text="before"))
    widget.update(APPS / "script.py", argv=["5"])
    assert widget.document.title == "5 points"
    document = weakref.ref(widget.document)
    widget.update(make_document)
    assert _text(widget) == "of a function"
    gc.collect()
    assert document() is None
    widget.update(Div(text="after"))
    assert widget.session.context.application is None


# --- changes of the files ------------------------------------------------------------------------------


def test_the_same_files_are_the_same_application(tmp_path: Path) -> None:
    folder = _write(tmp_path / "app", main_py="pass", helper_py="")
    first = application_of(folder)
    assert application_of(str(folder)) is first
    assert application_of(folder, ["a"]) is not first
    (folder / "notes.txt").write_text("no code")
    assert application_of(folder) is first
    (folder / "helper.py").write_text("changed = True")
    assert application_of(folder) is not first


def test_a_script_that_was_mended_runs_anew(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='a'))")
    assert _text(BokehWidget(script)) == "a"
    script.write_text("syntax error")
    with pytest.raises(ApplicationError):
        BokehWidget(script)
    script.write_text("from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='bb'))")
    assert _text(BokehWidget(script)) == "bb"


# --- what fails ------------------------------------------------------------------------------------------


def _broken(doc: Document) -> None:
    make_document(doc)
    raise KeyError("no such key")


def _two(doc: Document, x: int) -> None: ...


def _nothing(doc: Document) -> None: ...


class _Late:
    async def __call__(self, doc: Document) -> None:
        make_document(doc)


async def _method(_self: object, doc: Document) -> None:
    make_document(doc)


async def _coroutine(doc: Document) -> None:
    make_document(doc)


BAD_INPUT: dict[str, tuple[Callable[[Path], Any], dict[str, Any], type[BokehWidgetError], list[str]]] = {
    "no such path": (lambda path: path / "app.py", {}, InputValueError, ["app.py", "no file or directory", ".ipynb"]),
    "another extension": (
        lambda path: _write(path, **{"app.txt": ""}) / "app.txt",
        {},
        InputValueError,
        ["app.txt", "no application", "main.py"],
    ),
    "empty directory": (lambda path: path, {}, InputValueError, ["has no main.py or main.ipynb"]),
    "both kinds of hooks": (
        lambda path: _write(path, main_py="", app_hooks_py="", server_lifecycle_py=""),
        {},
        InputValueError,
        ["both app_hooks.py and server_lifecycle.py", "keep one"],
    ),
    "argv is text": (lambda _: APPS / "script.py", {"argv": "7"}, InputTypeError, ["list of strings", "'7'"]),
    "argv has numbers": (lambda _: APPS / "script.py", {"argv": [7]}, InputTypeError, ["list of strings", "[7]"]),
    "argv for a function": (lambda _: make_document, {"argv": ["7"]}, InputValueError, ["make_document()", "['7']"]),
    "argv for a model": (lambda _: Div(), {"argv": ["7"]}, InputValueError, ["['7']", "Div("]),
    "no parameter": (lambda _: lambda: None, {}, InputValueError, ["one argument, the document", "func()"]),
    "two parameters": (lambda _: _two, {}, InputValueError, ["one argument", "func(doc: "]),
    "no signature": (lambda _: max, {}, InputValueError, ["max() is not", "one argument, the document"]),
    "handler that is a coroutine": (
        lambda _: type("Late", (Handler,), {"modify_document": _method})(),
        {},
        InputTypeError,
        ["_method()", "at once"],
    ),
    "application of a coroutine": (
        lambda _: Application(FunctionHandler(_coroutine)),
        {},
        InputTypeError,
        ["_coroutine()", "at once"],
    ),
    "object that is a coroutine": (lambda _: _Late(), {}, InputTypeError, ["_Late", "at once"]),
    "function that returns a coroutine": (
        lambda _: lambda doc: _coroutine(doc),  # noqa: PLW0108  # that is how it comes about
        {},
        ApplicationError,
        ["<lambda>() returns a coroutine", "at once", "add_next_tick_callback"],
    ),
    "nothing to show": (lambda _: _nothing, {}, EmptyDocumentError, ["doc.add_root(figure)", "_nothing()"]),
    "no handlers": (lambda _: Application(), {}, EmptyDocumentError, ["without handlers", "doc.add_root"]),
}


BAD_INPUT["coroutine function"] = (lambda _: _coroutine, {}, InputTypeError, ["_coroutine()", "add_next_tick_callback"])


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case: str, tmp_path: Path) -> None:
    make, options, kind, parts = BAD_INPUT[case]
    with pytest.raises(kind) as caught:
        BokehWidget(make(tmp_path), **options)
    assert type(caught.value) is kind
    for part in parts:
        assert part in str(caught.value)
    assert all_sessions() == []


CODE: dict[str, tuple[dict[str, str], list[str]]] = {
    "script": ({"main_py": "x = 1\n1 / 0"}, ["division by zero", "main.py", "line 2, in <module>", "1 / 0"]),
    "syntax": ({"main_py": "x = 1\nx ="}, ["Invalid syntax", "main.py", "line 2", "SyntaxError"]),
    "import": ({"main_py": "import no_such_module"}, ["No module named 'no_such_module'", "line 1"]),
    "hooks": ({"main_py": "", "app_hooks_py": "\n\n{}['k']"}, ["'k'", "app_hooks.py", "line 3", "KeyError"]),
    "lifecycle": ({"main_py": "", "server_lifecycle_py": "raise OSError('no')"}, ["server_lifecycle.py", "OSError"]),
    "signature of a hook": (
        {"main_py": "", "app_hooks_py": "def on_session_created(a, b): ..."},
        ["on_session_created must have signature func(session_context)", "func(a, b)"],
    ),
    "syntax of the package": ({"main_py": "", "__init___py": "x ="}, ["__init__.py", "line 1", "SyntaxError"]),
    "package": ({"main_py": "", "__init___py": "\n1 / 0"}, ["__init__.py", "line 2", "ZeroDivisionError"]),
    "theme": ({"main_py": "", "theme_yaml": "attrs: 3"}, ["could not be loaded", "attrs"]),
    "server loaded": (
        {"main_py": "", "app_hooks_py": "def on_server_loaded(c):\n  raise OSError('no')"},
        ["on_server_loaded", "OSError: no", "app_hooks.py", "line 2"],
    ),
    "session created": (
        {"main_py": "", "app_hooks_py": "def on_session_created(c):\n  raise OSError('no')"},
        ["on_session_created", "OSError: no", "app_hooks.py", "line 2"],
    ),
    "exit": ({"main_py": "import sys\n\nsys.exit(3)"}, ["SystemExit: 3", "main.py", "line 3"]),
    "exit of a hook": (
        {"main_py": "", "app_hooks_py": "def on_session_created(c):\n  raise SystemExit('no')"},
        ["on_session_created", "SystemExit: no", "app_hooks.py", "line 2"],
    ),
    "exit when loaded": (
        {"main_py": "", "app_hooks_py": "def on_server_loaded(c):\n  raise SystemExit('no')"},
        ["on_server_loaded", "SystemExit: no", "app_hooks.py", "line 2"],
    ),
    "coroutine": (
        {"main_py": "", "app_hooks_py": "async def on_session_created(c):\n  raise OSError('no')"},
        ["on_session_created", "OSError: no", "app_hooks.py", "line 2"],
    ),
}


@pytest.mark.parametrize("case", CODE)
def test_code_that_fails(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files, parts = CODE[case]
    folder = _write(tmp_path / "app", **files)
    modules = set(sys.modules)
    with pytest.raises(ApplicationError) as caught:
        BokehWidget(folder)
    for part in [*parts, str(folder)]:
        assert part in str(caught.value)
    assert "code_runner.py" not in str(caught.value)
    assert all_sessions() == []
    assert {name for name in set(sys.modules) - modules if "bokeh_app" in name} == set()
    assert caplog.records == []  # the cell has it already


def test_a_function_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ApplicationError) as caught:
        BokehWidget(_broken)
    assert "_broken() raised KeyError: 'no such key'" in str(caught.value)
    assert f"File {__file__!r}, line {_broken.__code__.co_firstlineno + 2}" in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)
    assert bokeh_doc._PATCHED_CURDOCS == []
    assert caplog.records == []


def test_links_that_editors_leave_are_passed_over(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "app", main_py="from bokeh.io import curdoc\ncurdoc().add_root(__import__('bokeh').models.Div())"
    )
    (folder / ".#main.py").symlink_to("somebody@somewhere")
    BokehWidget(folder).close()


def test_a_handler_of_the_user_that_fails() -> None:
    with pytest.raises(ApplicationError, match="division by zero"):
        BokehWidget(Application(ScriptHandler(filename=APPS / "failing.py")))
    with pytest.raises(ApplicationError, match="division by zero"):
        BokehWidget(Application(FunctionHandler(lambda _doc: 1 / 0, trap_exceptions=True)))


@pytest.mark.parametrize("form", ["function", "script"])
def test_a_failure_is_forgotten_when_it_goes_well(form: str, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text=__import__('pathlib').Path('x').read_text()))"
    )
    flag = tmp_path / "x"

    def function(doc: Document) -> None:
        doc.add_root(Div(text=flag.read_text()))

    application = Application(
        FunctionHandler(function, trap_exceptions=True) if form == "function" else ScriptHandler(filename=script)
    )
    with contextlib.chdir(tmp_path):
        with pytest.raises(ApplicationError, match="No such file"):
            BokehWidget(application)
        shut_down()  # it is loaded anew
        flag.write_text("there")
        assert _text(BokehWidget(application)) == "there"


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(1)"])
def test_an_interrupted_script_leaves_nothing_behind(raised: str, tmp_path: Path) -> None:
    show = bokeh.io.show
    script = tmp_path / "app.py"
    script.write_text(f"from bokeh.io import curdoc, show\nprint(show.__name__)\nraise {raised}")
    with pytest.raises((KeyboardInterrupt, ApplicationError)):
        BokehWidget(script)
    assert bokeh.io.show is show
    assert bokeh_doc._PATCHED_CURDOCS == []
    assert not any("bokeh_app" in name for name in sys.modules)
    assert logging.getLogger("bokeh.application.application").filters == []


def test_update_that_fails_leaves_what_is_shown() -> None:
    widget = BokehWidget(make_document)
    session = widget.session
    with pytest.raises(ApplicationError):
        widget.update(APPS / "failing.py")
    assert widget.session is session
    assert all_sessions() == [session]


def test_what_has_no_use_in_a_cell_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _write(tmp_path / "app", main_py="from bokeh.io import curdoc\ncurdoc().title = 'x'")
    (folder / "templates").mkdir()
    (folder / "templates" / "index.html").write_text("<p>page</p>")
    apps = serve(folder)
    for _ in range(2):
        with pytest.raises(EmptyDocumentError):
            apps["/"]
    [record] = caplog.records
    assert "templates/index.html" in record.getMessage()


# --- what is left -------------------------------------------------------------------------------------------


def _left() -> dict[str, int]:
    gc.collect()
    objects = gc.get_objects()
    return {
        "documents": sum(isinstance(obj, Document) for obj in objects),
        "models": sum(isinstance(obj, HasProps) for obj in objects),
        "contexts": sum(type(obj).__name__ == "SessionContext" for obj in objects),
        "sessions": len(all_sessions()),
        "modules": sum("bokeh_app" in name for name in sys.modules),
        "classes": len(HasProps.model_class_reverse_map),
    }


LEAKY: Final = """
from bokeh.core.properties import Int
from bokeh.io import curdoc
from bokeh.model import DataModel
from bokeh.models import Div, Button

class State(DataModel):
    count = Int(0)

state, div, button = State(), Div(), Button()
def click(event=None):
    state.count += 1
button.on_click(click)
curdoc().add_root(div)
curdoc().add_root(button)
curdoc().add_periodic_callback(click, 1000)
curdoc().on_session_destroyed(lambda context: click())
"""


@pytest.mark.parametrize("how", ["closed", "dropped"])
@pytest.mark.parametrize("form", ["function", "script", "directory", "application"])
def test_twenty_sessions_leave_nothing(form: str, how: str, tmp_path: Path, page_of: Callable[..., Page]) -> None:
    script = tmp_path / "leaky.py"
    script.write_text(LEAKY)
    applications = {
        "function": make_document,
        "script": script,
        "directory": APPS / "themed",
        "application": Application(_OneDiv()),
    }
    BokehWidget(applications[form]).close()
    before = _left()
    for index in range(20):
        widget = BokehWidget(applications[form])
        page_of(widget, f"page {index}")
        if how == "closed":
            widget.close()
        del widget
    assert _left() == before


def test_a_dropped_session_empties_its_document() -> None:
    widget = BokehWidget(make_document)
    [div] = widget.roots
    del widget
    gc.collect()
    assert div.document is None
    assert _text(BokehWidget(div)) == "of a function"


def test_classes_of_a_closed_session_are_forgotten(tmp_path: Path) -> None:
    script = tmp_path / "leaky.py"
    script.write_text(LEAKY)
    widget = BokehWidget(script)
    names = [name for name in HasProps.model_class_reverse_map if name.endswith(".State")]
    assert len(names) == 1
    widget.close()
    assert not any(name.endswith(".State") for name in HasProps.model_class_reverse_map)


def test_models_of_its_own_are_one_script_for_all_sessions(page_of: Callable[..., Page]) -> None:
    widget = BokehWidget(APPS / "custom")
    page_of(widget)
    [badge] = widget.roots
    name = badge.__module__
    [custom] = [bundle for bundle in widget.session.encode_state()[0]["requires"] if bundle.startswith("custom@")]
    carried = list(widget._bokehjs.extensions)
    assert custom in carried
    widget.close()
    assert not any(name in text for text in _bundle_cache.values())
    assert "Badge" not in HasProps.model_class_reverse_map
    other = BokehWidget(APPS / "custom")
    assert other.roots[0].__module__ != name
    page_of(other, "other page")
    assert custom in other.session.encode_state()[0]["requires"]
    assert list(other._bokehjs.extensions) == carried


def test_an_application_that_nobody_holds_is_collected() -> None:
    application = Application(_OneDiv())
    ref = weakref.ref(application)
    widget = BokehWidget(application)
    del application
    gc.collect()
    assert ref() is not None
    widget.close()
    del widget
    gc.collect()
    assert ref() is None


def test_a_package_is_forgotten_when_it_is_unloaded() -> None:
    application_of(APPS / "packaged")
    assert not any("bokeh_app" in name for name in sys.modules)
    widget = BokehWidget(APPS / "packaged")
    assert any(name.endswith(".parts") and "bokeh_app" in name for name in sys.modules)
    shut_down()
    assert widget.closed
    assert not any("bokeh_app" in name for name in sys.modules)


def test_a_directory_handler_of_the_user_works_again_after_the_end() -> None:
    application = Application(DirectoryHandler(filename=APPS / "packaged"))
    assert _text(BokehWidget(application)) == "from the neighbour"
    shut_down()
    assert _text(BokehWidget(application)) == "from the neighbour"


# --- cells ----------------------------------------------------------------------------------------------------


def _run(shell: InteractiveShell, code: str, cell_id: str) -> None:
    shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()


def _open_texts() -> list[str]:
    gc.collect()
    return [_text(widget) for widget in bokeh_widget.widget.open_widgets()]


PRELUDE: Final = """
opened = []
def make(doc):
    opened.append(doc)
    doc.add_root(Div(text=f"session {len(opened)}"))
"""


def test_each_cell_that_displays_it_opens_a_session(shell: InteractiveShell) -> None:
    _run(shell, PRELUDE + "w = BokehWidget(make, pause_when_hidden=False, theme='caliber')", "a")
    assert _open_texts() == ["session 1"]
    _run(shell, "w", "b")
    _run(shell, "display(w)\nw", "b2")
    assert _open_texts() == ["session 1", "session 2"]
    _, other = bokeh_widget.widget.open_widgets()
    assert other.pause_when_hidden is False
    assert other.document.theme is shell.user_ns["w"].document.theme
    _run(shell, "1", "b2")
    assert other.closed  # although a variable holds it
    del other
    _run(shell, "w", "b2")
    _run(shell, "w", "c")
    assert _open_texts() == ["session 1", "session 3", "session 4"]
    _run(shell, "w", "c")
    assert _open_texts() == ["session 1", "session 3", "session 5"]
    _run(shell, "1", "c")
    assert _open_texts() == ["session 1", "session 3"]


def test_another_session_tells_the_same_error_callbacks(shell: InteractiveShell) -> None:
    _run(shell, PRELUDE + "errors = []\nw = BokehWidget(make)\nw.on_error(errors.append)\nw", "a")
    _run(shell, "w", "b")
    _, other = bokeh_widget.widget.open_widgets()
    error = ValueError("once")
    other.session.report_error(error)
    assert shell.user_ns["errors"] == [error]


def test_a_container_shows_the_widget_itself(shell: InteractiveShell) -> None:
    _run(shell, PRELUDE + "from ipywidgets import HBox\nw = BokehWidget(make)\nbox = HBox([w])\nbox", "a")
    _run(shell, "box", "b")
    assert _open_texts() == ["session 1"]
    shell.user_ns["box"].close()


def test_show_opens_one_session_in_each_run(shell: InteractiveShell) -> None:
    _run(shell, PRELUDE, "prelude")
    for count in range(1, 4):
        _run(shell, "show(make)", "a")
        assert _open_texts() == [f"session {count}"]


def test_a_model_is_displayed_again_as_it_is(shell: InteractiveShell) -> None:
    _run(shell, "w = BokehWidget(Div(text='same'))\nw", "a")
    _run(shell, "w", "b")
    assert _open_texts() == ["same"]


def test_a_failure_is_told_in_the_cell_that_displays(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(
        shell,
        "def make(doc):\n    doc.add_root(Div(text=texts.pop()))\ntexts = ['only']\nw = BokehWidget(make)\nw",
        "a",
    )
    capsys.readouterr()
    _run(shell, "w", "b")
    printed = "".join(capsys.readouterr())
    assert "ApplicationError" in printed
    assert "make() raised IndexError" in printed
    assert _open_texts() == ["only"]
