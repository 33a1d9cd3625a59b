"""What the README says can be run, and what it points to is there."""

from __future__ import annotations

import ast
import asyncio
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from bokeh.events import RangesUpdate
from bokeh.models import ColumnDataSource, Div
from bokeh.plotting import figure
from tornado.ioloop import IOLoop

import bokeh_widget
from bokeh_widget import BokehSession, BokehWidget, _kernel
from bokeh_widget._hosting import shut_down

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/applications.md",
    "docs/sessions.md",
    "docs/saving.md",
    "docs/from_bokeh_server.md",
    "docs/export.md",
)
GUIDES: Final = (
    "docs/protocol.md",
    "docs/sessions.md",
    "docs/saving.md",
    "docs/applications.md",
    "docs/from_bokeh_server.md",
    "docs/appearance.md",
    "docs/state.md",
    "docs/export.md",
)
MAX_PICTURE_BYTES: Final = 200_000


def _python_blocks(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _first_cell() -> str:
    return _python_blocks("README.md")[0]


def _targets(name: str) -> list[str]:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    return [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]


def test_the_first_cell_runs_and_its_callback_works() -> None:
    source = _first_cell()
    assert len([line for line in source.splitlines() if line]) == 8
    *body, last = ast.parse(source).body
    assert isinstance(last, ast.Expr)
    namespace: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), "README.md", "exec"), namespace)
    widget = eval(compile(ast.Expression(last.value), "README.md", "eval"), namespace)
    fig = namespace["fig"]
    with widget:
        assert isinstance(widget, BokehWidget)
        assert widget.roots == [fig]
        fig._trigger_event(RangesUpdate(fig, x0=1, x1=2.5, y0=0, y1=1))
        assert fig.title.text == "1.0 to 2.5"


@pytest.mark.usefixtures("wire")
@pytest.mark.parametrize("name", ["README.md", "docs/applications.md"])
def test_the_application_runs(
    name: str, shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = "from bokeh.io import curdoc\nfrom bokeh.models import Div\ncurdoc().add_root(Div(text='stats'))"
    (tmp_path / "stats.py").write_text(script)
    shell.user_ns |= {"ColumnDataSource": ColumnDataSource, "figure": figure, "random": random.random}
    [block, *more] = [block for block in _python_blocks(name) if "make_document" in block]
    shell.run_cell(block, cell_id="first").raise_error()
    [widget] = bokeh_widget.widget.open_widgets()
    [callback] = widget.document.session_callbacks
    callback.callback()
    [source] = widget.document.select({"type": ColumnDataSource})
    assert len(source.data["x"]) == 1
    for index, following in enumerate(more):
        shell.run_cell(following, cell_id=str(index)).raise_error()
    shut_down()


@pytest.mark.usefixtures("wire")
def test_the_producer_of_the_guide_feeds_all_sessions(tmp_path: Path) -> None:
    [hooks] = [block for block in _python_blocks("docs/applications.md") if "def produce" in block]
    (tmp_path / "app_hooks.py").write_text(f"def read_sensor():\n    return {{'x': [3]}}\n{hooks}")
    main = "from bokeh.io import curdoc\nfrom bokeh.models import ColumnDataSource, Div\n"
    main += "curdoc().add_root(Div(tags=[ColumnDataSource(name='source', data={'x': []})]))"
    (tmp_path / "main.py").write_text(main)

    async def body() -> None:
        loop = IOLoop.current()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("bokeh_widget._kernel.io_loop", lambda: loop)
            widgets = [BokehWidget(tmp_path) for _ in range(2)]
            sources = [widget.document.get_model_by_name("source") for widget in widgets]
            while not all(source.data["x"] for source in sources):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            bokeh_widget.close_all()
            shut_down()

    asyncio.run(asyncio.wait_for(body(), 30))


def test_the_session_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = [code for code in _python_blocks("README.md") if "class Clock" in code]

    async def main() -> None:
        loop = IOLoop.current()
        monkeypatch.setattr(_kernel, "io_loop", lambda: loop)
        namespace: dict[str, Any] = {"BokehSession": BokehSession, "Div": Div, "time": time}
        exec(compile(source.replace("0.5  #", "0.001  #"), "README.md", "exec"), namespace)
        clock = namespace["clock"]
        clock.widget.pause_when_hidden = False
        ticked = asyncio.Event()
        clock.div.on_change("text", lambda _attr, _old, _new: ticked.set())
        await asyncio.wait_for(ticked.wait(), 20)
        clock.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_local_links_exist(name: str) -> None:
    missing = [target for target in _targets(name) if not (ROOT / name).parent.joinpath(target).exists()]
    assert missing == []


def test_the_readme_links_every_example_and_document() -> None:
    targets = set(_targets("README.md"))
    examples = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.ipynb")}
    assert targets >= {*examples, *GUIDES, "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}


def test_pictures_are_small() -> None:
    pictures = [ROOT / target for target in _targets("README.md") if target.endswith(".png")]
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > MAX_PICTURE_BYTES] == []


def test_the_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        command
        for name in DOCUMENTS
        for command in re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"))
    }
    assert named >= {"demo", "test", "bench"}
    assert [command for command in sorted(named) if not re.search(rf"^{command}:", makefile, re.MULTILINE)] == []


def test_contributing_has_a_line_for_each_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = [*(ROOT / "bokeh_widget").glob("*.py"), *(ROOT / "js" / "src").glob("*.ts")]
    known = {"_version.py", "version.ts"}
    assert sorted(path.name for path in modules if path.name not in known and path.name not in text) == []
