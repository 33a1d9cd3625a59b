"""Which BokehJS bundles a document needs, and their source. Pure: files of the installed Bokeh.

Bokeh itself decides (``bokeh.embed.bundle``): its own components, extensions that packages
install, and custom models compiled from this process.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.embed.util import contains_tex_string
from bokeh.resources import Resources

from .errors import CustomModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bokeh.core.has_props import HasProps
    from bokeh.document import Document

CORE: Final = "bokeh"
MATHJAX: Final = "bokeh-mathjax"
GL: Final = "bokeh-gl"
COMPONENTS: Final = (CORE, "bokeh-widgets", "bokeh-tables", GL, MATHJAX)
"""Bokeh's own bundles, in the order in which they are loaded."""

_APPLICATION_MODULE: Final = re.compile(r"bokeh_app_[0-9a-f]{32}")
"""How Bokeh names a module in which the code of an application runs."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One script that a page evaluates.

    Parameters
    ----------
    name : str
        Bokeh's component name, or ``<extension>@<digest>``.
    source : pathlib.Path or str
        A file, or the text itself for models that were compiled in this process.
    """

    name: str
    source: Path | str

    def compressed(self) -> bytes:
        """Read the source and compress it with gzip; read and compressed once per process."""
        return _compressed(self.source)


@functools.cache
def _compressed(source: Path | str) -> bytes:
    raw = source.read_bytes() if isinstance(source, Path) else source.encode()
    return gzip.compress(raw, compresslevel=6, mtime=0)


@functools.cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def component(name: str) -> Bundle:
    """Give one of Bokeh's own bundles.

    Parameters
    ----------
    name : str
        One of :data:`COMPONENTS`.
    """
    [path] = (path for path in _all_components() if path.name.split(".")[0] == name)
    return Bundle(name, path)


@functools.cache
def _all_components() -> tuple[Path, ...]:
    resources = Resources("absolute", components=list(COMPONENTS))
    return tuple(Path(path) for path in resources.js_files)


def required_bundles(objs: Sequence[HasProps | Document]) -> list[Bundle]:
    """Find the bundles that are needed to show some models or documents.

    Parameters
    ----------
    objs : sequence of Model or Document
        With everything that they refer to.

    Returns
    -------
    list of Bundle
        In the order in which they must be loaded; Bokeh's core is the first.

    Raises
    ------
    CustomModelError
        If Bokeh cannot compile a custom model.
    """
    resources = Resources("absolute")
    try:
        bundle = bundle_for_objs_and_resources(objs, resources)
    except SystemExit as error:  # Bokeh's compiler has printed why, and would end the process
        raise CustomModelError(
            "Bokeh could not compile the implementation of a custom model: its messages are printed above. "
            "Mend the class's __implementation__ and run the cell that defines it again"
        ) from error
    found: list[Bundle] = []
    for path in (Path(str(url)) for url in bundle.js_files):
        name = path.name.split(".")[0]
        found.append(Bundle(name if name in COMPONENTS else f"{name}@{_file_digest(path)}", path))
    # what resources write themselves is the log level; what follows are the compiled models
    for text in bundle.js_raw[len(resources.js_raw) :]:
        digest, source = _same_for_all_sessions(text)
        found.append(Bundle(f"custom@{digest}", source))
    return found


def _same_for_all_sessions(text: str) -> tuple[str, str]:
    """Give a compiled bundle a digest and names that do not depend on the session.

    The code of an application defines its models anew in each session, in a module with a name of its own. A page
    never frees a script that it has evaluated, so that the same models must be the same script.
    """
    modules = list(dict.fromkeys(_APPLICATION_MODULE.findall(text)))
    anonymous = _APPLICATION_MODULE.sub(lambda found: f"application_{modules.index(found[0])}", text)
    digest = hashlib.sha256(anonymous.encode()).hexdigest()[:12]
    return digest, _APPLICATION_MODULE.sub(lambda found: f"application_{digest}_{modules.index(found[0])}", text)


def bundles_for_value(attr: str, value: object) -> list[str]:
    """Find components that a new value of a property calls for.

    Parameters
    ----------
    attr : str
        Name of the property.
    value : object
        Its new value.

    Returns
    -------
    list of str
        Component names, often none: mathematical text needs MathJax, WebGL its own bundle.
    """
    if isinstance(value, dict):
        return _merged(attr, value.values())
    if isinstance(value, (list, tuple)):
        return _merged(attr, value)
    needed = []
    if isinstance(value, str):
        if contains_tex_string(value):
            needed.append(MATHJAX)
        if attr == "output_backend" and value == "webgl":
            needed.append(GL)
    return needed


def _merged(attr: str, values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(name for value in values for name in bundles_for_value(attr, value)))
