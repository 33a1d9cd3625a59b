"""What the README says can be run, and what it points to is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Final

import pytest
from bokeh.events import RangesUpdate

from bokeh_widget import BokehWidget

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
MAX_PICTURE_BYTES: Final = 200_000


def _first_cell() -> str:
    found = re.search(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return found[1]


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


@pytest.mark.parametrize("name", DOCUMENTS)
def test_local_links_exist(name: str) -> None:
    missing = [target for target in _targets(name) if not (ROOT / target).exists()]
    assert missing == []


def test_the_readme_links_every_example_and_document() -> None:
    targets = set(_targets("README.md"))
    examples = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.ipynb")}
    assert targets >= {*examples, "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}


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
