"""What the README says can be run, and what it points to is there."""

from __future__ import annotations

import ast
import asyncio
import re
import time
from pathlib import Path
from typing import Any, Final

import pytest
from bokeh.events import RangesUpdate
from bokeh.models import Div
from tornado.ioloop import IOLoop

from bokeh_widget import BokehSession, BokehWidget, _kernel

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
GUIDES: Final = ("docs/protocol.md", "docs/sessions.md")
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
    missing = [target for target in _targets(name) if not (ROOT / target).exists()]
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
