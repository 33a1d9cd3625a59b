"""Helper modules of applications: each application has its own, fresh ones, and they go with it."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

import pytest
from bokeh.application import Application
from bokeh.application.handlers import DirectoryHandler, Handler, ScriptHandler
from bokeh.core.has_props import HasProps
from bokeh.models import Div

import bokeh_widget
from bokeh_widget import BokehWidget, _hosting, _resolving, serve
from bokeh_widget._hosting import shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bokeh.document import Document

pytestmark = pytest.mark.usefixtures("wire", "applications_end")

MAIN: Final = """
import helper_of_test as helper
from bokeh.io import curdoc
from bokeh.models import Div
curdoc().add_root(Div(text=helper.text))
"""
HELPER: Final = "helper_of_test"


@pytest.fixture(autouse=True)
def _no_helpers() -> Iterator[None]:
    yield
    bokeh_widget.close_all()
    shut_down()
    left = [name for name in sys.modules if name.startswith((HELPER, "bokeh_app_"))]
    for name in left:
        del sys.modules[name]
    assert left == []


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    return folder


def _text(widget: BokehWidget) -> str:
    [div] = widget.roots
    assert isinstance(div, Div)
    return div.text


def _helper(widget: BokehWidget) -> Any:
    [main] = widget.document.modules._modules
    return main.helper  # type: ignore[attr-defined]


def _form(folder: Path, form: str) -> Any:
    """Give an application of a folder that has a ``main.py``."""
    forms: dict[str, Callable[[], Any]] = {
        "directory": lambda: folder,
        "script": lambda: (folder / "main.py").rename(folder / "app.py"),
        "directory handler": lambda: Application(DirectoryHandler(filename=folder)),
        "script handler": lambda: Application(ScriptHandler(filename=(folder / "main.py").rename(folder / "app.py"))),
    }
    return forms[form]()


@pytest.mark.parametrize("form", ["directory", "script", "directory handler", "script handler"])
def test_helpers_of_one_name_are_of_their_application(form: str, tmp_path: Path) -> None:
    one = _form(_write(tmp_path / "one", main=MAIN, helper_of_test="text = 'one'"), form)
    two = _form(_write(tmp_path / "two", main=MAIN, helper_of_test="text = 'two'"), form)
    widgets = [BokehWidget(application) for application in (one, two, one)]
    assert [_text(widget) for widget in widgets] == ["one", "two", "one"]
    first, _, third = map(_helper, widgets)
    assert first is third  # one module for all sessions of an application
    assert sys.modules[HELPER] is third


@pytest.mark.parametrize("form", ["directory", "script"])
def test_a_helper_that_has_changed_is_imported_anew(form: str, tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "app", main=MAIN, helper_of_test="from helper_of_test_2 import text", helper_of_test_2="text = 'old'"
    )
    application = _form(folder, form)
    old = BokehWidget(application)
    _write(folder, helper_of_test_2="text = 'newer'")
    assert _text(BokehWidget(application)) == "newer"
    assert _text(old) == "old"


def test_a_change_that_python_would_not_notice_is_seen(tmp_path: Path) -> None:
    folder = _write(tmp_path / "app", main=MAIN, helper_of_test="text = 'old'")
    os.utime(folder / "helper_of_test.py", ns=(10**18, 10**18))
    old = BokehWidget(folder)
    _write(folder, helper_of_test="text = 'new'")
    os.utime(folder / "helper_of_test.py", ns=(10**18, 10**18 + 1000))
    assert [_text(widget) for widget in (old, BokehWidget(folder))] == ["old", "new"]


def test_packages_and_folders_are_helpers(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = _write(tmp_path / name, main=MAIN)
        _write(
            folder / HELPER,
            __init__="from helper_of_test.inner import text\nfrom helper_of_test_folder.far import far\ntext += far",
        )
        _write(folder / HELPER, inner=f"text = '{name}'")
        _write(folder / "helper_of_test_folder", far=f"far = ' {name}'")
    assert [_text(BokehWidget(tmp_path / name)) for name in ("one", "two", "one")] == ["one one", "two two", "one one"]
    _write(tmp_path / "one" / "helper_of_test_folder", far="far = ' and new'")
    assert _text(BokehWidget(tmp_path / "one")) == "one and new"


def test_a_module_of_the_kernel_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "app", main=MAIN, helper_of_test="text = 'of the application'")
    monkeypatch.syspath_prepend(str(_write(tmp_path / "notebook", helper_of_test="text = 'of the notebook'")))
    mine = __import__(HELPER)
    assert _text(BokehWidget(folder)) == "of the application"
    assert sys.modules[HELPER] is mine
    assert _text(BokehWidget(folder)) == "of the application"
    bokeh_widget.close_all()
    assert sys.modules.pop(HELPER) is mine


def test_a_file_that_the_kernel_has_imported_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "app", main=MAIN, helper_of_test="text = 'as it was'")
    monkeypatch.syspath_prepend(str(folder))
    mine: Any = __import__(HELPER)
    mine.text = "set in a cell"
    assert _text(BokehWidget(folder)) == "set in a cell"
    bokeh_widget.close_all()
    assert sys.modules.pop(HELPER) is mine


def test_installed_modules_are_those_of_the_kernel(tmp_path: Path) -> None:
    folder = _write(
        tmp_path / "app", main="import json, numpy\n" + MAIN, helper_of_test="text = 'x'", json="1 / 0", numpy="1 / 0"
    )
    before = sys.modules["json"]
    BokehWidget(folder)
    assert sys.modules["json"] is before


def test_what_a_helper_defines_can_be_pickled(tmp_path: Path) -> None:
    code = "class Thing: ...\ndef work(): ...\ntext = 'x'"
    widget = BokehWidget(_write(tmp_path / "app", main=MAIN, helper_of_test=code))
    helper = _helper(widget)
    assert pickle.loads(pickle.dumps(helper.work)) is helper.work
    assert type(pickle.loads(pickle.dumps(helper.Thing()))) is helper.Thing


def test_an_application_opens_another_one_with_such_a_helper(tmp_path: Path) -> None:
    inner = _write(tmp_path / "inner", main=MAIN, helper_of_test="text = 'inner'")
    code = (
        f"import helper_of_test\nfrom bokeh_widget import BokehWidget\nother = BokehWidget({str(inner)!r})\n"
        "import helper_of_test as again\nassert again is helper_of_test, again\n"
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text=again.text))"
    )
    outer = _write(tmp_path / "outer", main=code, helper_of_test="text = 'outer'")
    assert _text(BokehWidget(outer)) == "outer"


MODEL: Final = """
from bokeh.core.properties import Int
from bokeh.model import DataModel
class State(DataModel):
    {0} = Int(1)
text = ' '.join(sorted(State.properties() - DataModel.properties()))
"""


def test_models_of_helpers_go_with_them(tmp_path: Path) -> None:
    name = f"{HELPER}.State"
    folders = [_write(tmp_path / word, main=MAIN, helper_of_test=MODEL.format(word)) for word in ("one", "two")]
    widgets = [BokehWidget(folder) for folder in (*folders, folders[0])]  # a warning of a duplicate is an error
    assert [_text(widget) for widget in widgets] == ["one", "two", "one"]
    assert "one" in HasProps.model_class_reverse_map[name].properties()
    bokeh_widget.close_all()
    assert name not in HasProps.model_class_reverse_map


def test_helpers_are_free_when_the_application_is_unloaded(tmp_path: Path) -> None:
    widget = BokehWidget(_write(tmp_path / "app", main=MAIN, helper_of_test="text = 'x'"))
    helper = _helper(widget)
    ref = weakref.ref(helper)
    widget.close()
    del widget, helper
    gc.collect()
    assert HELPER not in sys.modules
    assert ref() is None


# --- packages ----------------------------------------------------------------------------------------


PACKAGE: Final = {
    "__init__": "runs = []\nruns.append(1)",
    "data": "loads = []",
    "app_hooks": "from .data import loads\ndef on_server_loaded(c): loads.append(1)",
    "main": (
        "from . import data, runs\nfrom .data import loads\nassert data.loads is loads\n"
        "from bokeh.io import curdoc\nfrom bokeh.models import Div\n"
        "curdoc().add_root(Div(text=f'{len(runs)} {len(loads)}'))"
    ),
}


def test_hooks_and_main_of_a_package_share_its_modules(tmp_path: Path) -> None:
    folder = _write(tmp_path / "app", **PACKAGE)
    assert [_text(BokehWidget(folder)) for _ in range(2)] == ["1 1", "1 1"]
    bokeh_widget.close_all()
    assert not any(name.startswith("bokeh_app_") for name in sys.modules)
    assert _text(BokehWidget(folder)) == "1 1"


def test_a_package_is_run_anew_when_it_is_loaded_again(tmp_path: Path) -> None:
    folder = _write(tmp_path / "app", **PACKAGE)
    (folder / "app_hooks.py").unlink()
    application = Application(DirectoryHandler(filename=folder))
    for _ in range(2):
        assert _text(BokehWidget(application)) == "1 0"
        shut_down()


# --- how long an application stays loaded ---------------------------------------------------------------


HOOKS: Final = """
def on_server_loaded(c): print("loaded")
def on_server_unloaded(c): print("unloaded")
"""


@pytest.fixture
def hooked(tmp_path: Path) -> Path:
    return _write(tmp_path / "app", main=MAIN, helper_of_test="text = 'x'", app_hooks=HOOKS)


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.split()


def test_a_path_stays_loaded_for_a_while(
    hooked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        BokehWidget(hooked).close()
        BokehWidget(hooked).close()
        gc.collect()
        assert _said(capsys) == ["loaded"]
        monkeypatch.setattr(bokeh_widget.widget, "unused_session_lifetime_ms", 1)
        widget = BokehWidget(hooked)
        widget.close()
        async with asyncio.timeout(30):
            while not (said := _said(capsys)):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.001)
        assert said == ["unloaded"]

    asyncio.run(body())


def test_close_all_unloads(hooked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        widget = BokehWidget(hooked)
        other = BokehWidget(hooked, argv=["other"])
        apps = serve(hooked, argv=["served"])
        _ = apps["/"]
        bokeh_widget.close_all()
        assert widget.closed
        assert other.closed
        assert _said(capsys) == ["loaded"] * 3 + ["unloaded"] * 3
        _ = apps["/"]
        assert _said(capsys) == ["loaded"]

    asyncio.run(body())


def test_what_is_served_stays_loaded(hooked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apps = serve(hooked)
    for _ in range(2):
        apps["/"].close()
    BokehWidget(hooked).close()
    assert _said(capsys) == ["loaded"]
    del apps
    gc.collect()
    assert _said(capsys) == ["unloaded"]
    with serve(hooked) as served:
        BokehWidget(hooked).close()
        assert _said(capsys) == ["loaded"]
    assert _said(capsys) == ["unloaded"]
    BokehWidget(hooked).close()
    assert served is not None  # it is closed, and holds nothing
    assert _said(capsys) == ["loaded", "unloaded"]


def test_changed_files_are_seen_by_all_that_open_sessions(hooked: Path, shell: Any) -> None:
    shell.user_ns["folder"] = str(hooked)
    run = lambda code, cell_id: shell.run_cell(code, store_history=True, cell_id=cell_id).raise_error()  # noqa: E731
    texts = "[w.roots[0].text for w in bokeh_widget.widget.open_widgets()]"
    run("import bokeh_widget\nfrom bokeh_widget import serve\napps = serve(folder)\nw = BokehWidget(folder)\nw", "a")
    _write(hooked, helper_of_test="text = 'new'")
    run("x = apps['/']", "b")
    _write(hooked, helper_of_test="text = 'newer'")
    run("w", "c")
    _write(hooked, helper_of_test="text = 'newest'")
    run("apps", "d")
    assert shell.ev(texts) == ["x", "new", "newer", "newest"]


def test_an_application_that_is_made_again_is_unloaded_before(capsys: pytest.CaptureFixture[str]) -> None:
    class Once(Handler):
        def modify_document(self, doc: Document) -> None:
            doc.add_root(Div())

        def on_server_loaded(self, server_context: object) -> None:  # noqa: ARG002
            print("loaded")

        def on_server_unloaded(self, server_context: object) -> None:  # noqa: ARG002
            print("unloaded")

    async def body() -> None:
        handler = Once()
        BokehWidget(handler).close()
        gc.collect()
        widget = BokehWidget(handler)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not widget.closed
        assert _said(capsys) == ["loaded", "unloaded", "loaded"]

    asyncio.run(body())


def test_nothing_is_left_of_applications_of_paths(hooked: Path) -> None:
    for number in range(3):
        BokehWidget(hooked, argv=[str(number)]).close()
    gc.collect()
    assert list(_resolving._by_path) == []
    assert not any(context._is_loaded for context in _hosting._contexts)
