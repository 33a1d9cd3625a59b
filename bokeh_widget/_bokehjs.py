"""The hidden runtime model: BokehJS from the installed Bokeh, sent to each page once.

One per kernel. Its traits carry the compressed bundles, so that a page that reloads and a static
embed find them as they find any widget's state; each is sent when the first document needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bokeh
import traitlets
from ipywidgets import Widget
from packaging.version import Version

from . import _bundles
from ._version import SUPPORTED_BOKEH, __version__

if TYPE_CHECKING:
    from collections.abc import Iterable


def _component_trait() -> traitlets.Bytes:
    return traitlets.Bytes(None, allow_none=True).tag(sync=True)


class BokehJSModel(Widget):
    """Carries BokehJS to the pages of a kernel. Never displayed."""

    _model_name = traitlets.Unicode("BokehJSModel").tag(sync=True)
    _model_module = traitlets.Unicode("bokeh-widget").tag(sync=True)
    _model_module_version = traitlets.Unicode("*").tag(sync=True)

    version = traitlets.Unicode(bokeh.__version__, help="Version of the installed Bokeh.").tag(sync=True)
    warning = traitlets.Unicode("", help="Shown in the cell where Bokeh is not supported.").tag(sync=True)
    core = _component_trait()
    widgets_ = _component_trait()
    tables = _component_trait()
    gl = _component_trait()
    mathjax = _component_trait()
    extensions = traitlets.Dict(
        key_trait=traitlets.Unicode(), value_trait=traitlets.Bytes(), help="Bundles by name."
    ).tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:  # traits by name
        super().__init__(core=_bundles.component(_bundles.CORE).compressed(), warning=_warning(), **kwargs)

    def _get_embed_state(self, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        # whole: what is the default here is none in a page
        return super()._get_embed_state(drop_defaults=False)  # type: ignore[no-any-return]

    def provide(self, bundles: Iterable[_bundles.Bundle]) -> list[str]:
        """Make sure that pages have some bundles.

        Parameters
        ----------
        bundles : iterable of Bundle
            What a document or a patch needs.

        Returns
        -------
        list of str
            Their names, for the ``requires`` field of a message.
        """
        names = []
        for bundle in bundles:
            names.append(bundle.name)
            trait = _COMPONENT_TRAITS.get(bundle.name)
            if trait is None:
                if bundle.name not in self.extensions:
                    self.extensions = {**self.extensions, bundle.name: bundle.compressed()}
            elif getattr(self, trait) is None:
                setattr(self, trait, bundle.compressed())
        return names


_COMPONENT_TRAITS = {
    _bundles.CORE: "core",
    "bokeh-widgets": "widgets_",
    "bokeh-tables": "tables",
    _bundles.GL: "gl",
    _bundles.MATHJAX: "mathjax",
}
_runtime: BokehJSModel | None = None


def runtime() -> BokehJSModel:
    """Give the runtime model of this kernel, made anew if somebody closed it."""
    global _runtime  # noqa: PLW0603  # one per kernel
    if _runtime is None or _runtime.comm is None:
        _runtime = BokehJSModel()
    return _runtime


def _warning() -> str:
    first, beyond = (Version(version) for version in SUPPORTED_BOKEH)
    if first <= Version(bokeh.__version__) < beyond:
        return ""
    return (
        f"bokeh_widget {__version__} supports Bokeh {first} up to, not including, {beyond}, but "
        f"{bokeh.__version__} is installed. Plots may leave memory behind in this page. "
        f'Run: pip install "bokeh>={first},<{beyond}"'
    )
