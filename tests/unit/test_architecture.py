"""The house: imports run one way, public names are documented, the version is the same everywhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import bokeh_widget
from bokeh_widget import Applications, BokehSession, BokehWidget, Session, errors
from bokeh_widget._contexts import ServerContext, SessionContext

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "bokeh_widget"

# each module imports only from those before it; a new module gets its place here
ORDER: Final = (
    "_version",
    "_server",
    "errors",
    "_protocol",
    "_transfer",
    "_outbox",
    "_coalescing",
    "_waker",
    "_stats",
    "_columns",
    "_tracebacks",
    "_output",
    "_curdoc",
    "_upstream",
    "_upstream_code",
    "_local_modules",
    "_bundles",
    "_validation",
    "_codec",
    "_content",
    "_hooks",
    "_loop_callbacks",
    "_callbacks",
    "_server_callbacks",
    "_locked_calls",
    "_contexts",
    "_flow",
    "_heartbeat",
    "_ranges",
    "_reports",
    "_page_changes",
    "_session",
    "_themes",
    "_clients",
    "_wire",
    "_pictures",
    "_pages",
    "_export",
    "_fallback",
    "_kernel",
    "_application",
    "_hosting",
    "_resolving",
    "_options",
    "_cells",
    "_capture",
    "_weak",
    "_bokehjs",
    "_connected",
    "widget",
    "_opening",
    "session",
    "diagnostics",
    "serving",
    "__init__",
)
EDGES: Final = {"_kernel", "_options", "_capture", "_weak", "_bokehjs", "_connected", "widget", "session", "serving"}
FRONT: Final = {"ipywidgets", "IPython", "ipykernel", "comm", "traitlets", "jupyter_client"}


def _imports(path: Path) -> tuple[set[str], set[str]]:
    """Give what a module imports when it runs: modules of the package, and other packages."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for part in block.body
        for node in ast.walk(part)
    }
    own: set[str] = set()
    other: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            own |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            other.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            other |= {alias.name.split(".")[0] for alias in node.names}
    return own, other


def test_every_module_has_its_place() -> None:
    assert sorted(ORDER) == sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("name", ORDER)
def test_imports_run_one_way(name: str) -> None:
    own, _ = _imports(PACKAGE / f"{name}.py")
    assert own <= set(ORDER[: ORDER.index(name)])


@pytest.mark.parametrize("name", ORDER)
def test_only_edges_import_the_front(name: str) -> None:
    _, other = _imports(PACKAGE / f"{name}.py")
    assert "bokeh_widget" not in other, "modules of the package are imported relatively"
    assert name in EDGES or not other & FRONT


def test_the_check_sees_imports() -> None:
    # a guard for the tests above
    own, other = _imports(PACKAGE / "widget.py")
    assert {"_kernel", "_session", "errors"} <= own
    assert {"IPython", "bokeh"} <= other


# --- public names --------------------------------------------------------------------------------


PUBLIC: Final = [
    "Applications",
    "BokehSession",
    "BokehWidget",
    "ClientStats",
    "Info",
    "Session",
    "SessionStats",
    "Sessions",
    "State",
    "WidgetStats",
    "__version__",
    "close_all",
    "errors",
    "info",
    "serve",
    "sessions",
    "show",
]
ERRORS: Final = {name for name, value in vars(errors).items() if isinstance(value, type)}


def test_all_is_what_is_exported() -> None:
    assert sorted(PUBLIC) == sorted(bokeh_widget.__all__)
    assert sorted(dir(bokeh_widget)) == sorted(PUBLIC)
    assert {name for name in PUBLIC if not hasattr(bokeh_widget, name)} == set()
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bokeh_widget.no_such_name  # type: ignore[attr-defined]


def test_a_server_that_loads_the_extension_does_not_load_bokeh() -> None:
    code = "import sys, bokeh_widget._server; print(*{'bokeh', 'ipywidgets', 'numpy', 'traitlets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"([A-Z]\w*Error)\b(?:\((\w+)\))?", str(errors.__doc__))
    assert {name for name, _ in drawn} == ERRORS
    for name, builtin in drawn:
        error = getattr(errors, name)
        assert issubclass(error, errors.BokehWidgetError)
        if builtin:
            assert builtin in {base.__name__ for base in error.__mro__}


def _public_callables() -> dict[str, object]:
    functions = (
        bokeh_widget.show,
        bokeh_widget.close_all,
        bokeh_widget.serve,
        bokeh_widget.info,
        bokeh_widget.sessions,
    )
    found: dict[str, object] = {function.__name__: function for function in functions}
    contexts = (SessionContext, ServerContext)
    for owner in (
        BokehWidget,
        BokehSession,
        Session,
        Applications,
        *contexts,
        bokeh_widget.State,
        *(getattr(errors, name) for name in sorted(ERRORS)),
    ):
        found[owner.__name__] = owner
        for name, member in vars(owner).items():
            if name[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                found[f"{owner.__name__}.{name}"] = member
    return found


@pytest.mark.parametrize("name", _public_callables())
def test_docstring(name: str) -> None:
    member = _public_callables()[name]
    doc = inspect.getdoc(member)
    assert doc, f"{name} has no docstring"
    assert re.match(r"[A-Z`].*[.:]", doc.splitlines()[0]), doc.splitlines()[0]
    function = vars(member).get("__init__") if isinstance(member, type) else member
    if not inspect.isfunction(function):
        return
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    if len(parameters) == 1 and f"``{parameters[0].name}``" in doc:
        return  # said in the sentence
    if parameters:
        assert "Parameters\n----------\n" in doc, f"{name} does not describe {parameters}"
        section = doc.split("Parameters\n----------\n")[1]
        for parameter in parameters:
            shown = {inspect.Parameter.VAR_POSITIONAL: r"\*", inspect.Parameter.VAR_KEYWORD: r"\*\*"}
            pattern = rf"^{shown.get(parameter.kind, '')}{parameter.name}( : .+)?$"
            assert re.search(pattern, section, re.MULTILINE), f"{name} does not describe {parameter}"


# --- versions --------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    version = bokeh_widget.__version__
    assert json.loads((ROOT / "js/package.json").read_text("utf-8"))["version"] == version
    [front_end] = re.findall(r'VERSION = "(.+)"', (ROOT / "js/src/version.ts").read_text("utf-8"))
    assert front_end == version


def test_the_protocol_is_the_same_in_both_languages() -> None:
    from bokeh_widget._protocol import PROTOCOL_VERSION

    [front_end] = re.findall(r"PROTOCOL_VERSION = (\d+);", (ROOT / "js/src/protocol.ts").read_text("utf-8"))
    assert int(front_end) == PROTOCOL_VERSION
