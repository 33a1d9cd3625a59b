"""Documents as files: standalone HTML and JSON, by Bokeh's own means; the live document is only read."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from bokeh.core.serialization import Serializer
from bokeh.embed import file_html
from bokeh.embed.bundle import bundle_for_objs_and_resources
from bokeh.embed.elements import html_page_for_render_items
from bokeh.embed.util import RenderItem, submodel_has_python_callbacks
from bokeh.resources import Resources
from bokeh.util.serialization import make_globally_unique_css_safe_id, make_globally_unique_id

from .errors import InputTypeError, InputValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bokeh.document import Document
    from bokeh.model import Model

    from ._session import Session

log = logging.getLogger("bokeh_widget")

_CALLBACKS_WARNING: Final = (
    "the page that is made has no Python: what on_change and on_event call does nothing there. CustomJS works; "
    "suppress_callback_warning=True says that you know"
)


class Exported(Protocol):
    """What has a document and shows some of its roots."""

    @property
    def session(self) -> Session:
        """The session of the document; raises after the end."""

    @property
    def roots(self) -> list[Model]:
        """The models that are shown."""


class FileExports:
    """The methods of a widget that make files of what it shows."""

    def to_html(
        self: Exported,
        *,
        resources: str | Resources | None = None,
        title: str | None = None,
        suppress_callback_warning: bool = False,
    ) -> str:
        """Give a standalone page of what the widget shows, as it is now, by Bokeh's ``file_html``.

        ``CustomJS`` works in it. The theme of the document is in it.

        Parameters
        ----------
        resources : {"cdn", "inline", ...} or bokeh.resources.Resources, optional
            Where the page has BokehJS from, as for Bokeh: from its CDN by default; with ``"inline"``
            it is part of the page (4 MB), which works without a network.
        title : str, optional
            Of the page; by default the document's.
        suppress_callback_warning : bool, default False
            Whether nothing is logged where the document has Python callbacks, which the page cannot call.

        Returns
        -------
        str
            The HTML.

        Raises
        ------
        InputTypeError, InputValueError
            If Bokeh knows no such resources, or the title is no text.
        SessionClosedError
            After ``close()``.
        """
        return html_of(
            self.session,
            self.roots,
            resources=resources,
            title=title,
            suppress_callback_warning=suppress_callback_warning,
        )

    def save(
        self: Exported,
        path: str | os.PathLike[str],
        *,
        resources: str | Resources | None = None,
        title: str | None = None,
        suppress_callback_warning: bool = False,
    ) -> Path:
        """Write a standalone page of what the widget shows, as it is now.

        Parameters
        ----------
        path : str or os.PathLike
            Of the file; one that is there is replaced.
        resources, title, suppress_callback_warning
            As for :meth:`to_html`.

        Returns
        -------
        pathlib.Path
            The absolute path of the file.

        Raises
        ------
        InputTypeError, InputValueError
            As for :meth:`to_html`; or if ``path`` is no path, or a directory.
        OSError
            If the file cannot be written.
        SessionClosedError
            After ``close()``.
        """
        file = _checked_path(path)
        html = FileExports.to_html(
            self, resources=resources, title=title, suppress_callback_warning=suppress_callback_warning
        )
        file.write_bytes(html.encode(errors="xmlcharrefreplace"))  # before the file that is there is touched
        return file

    def to_json(self: Exported) -> dict[str, Any]:
        """Give the whole document, as it is now, by Bokeh's ``Document.to_json``.

        Returns
        -------
        dict
            What ``json.dumps`` writes and ``Document.from_json`` reads; arrays are base64.

        Raises
        ------
        SessionClosedError
            After ``close()``.
        """
        return json_of(self.session)


def json_of(session: Session) -> dict[str, Any]:
    """Give the JSON of a session's document, without buffers beside it."""
    with session.lock:
        session.flush()  # or models that wait to be sent would count as known to the pages
        return dict(session.document.to_json(deferred=False))


def html_of(
    session: Session,
    roots: Sequence[Model],
    *,
    resources: str | Resources | None,
    title: str | None,
    suppress_callback_warning: bool,
) -> str:
    """Make a page of some roots of a session's document; the parameters are those of ``FileExports.to_html``."""
    if title is not None and not isinstance(title, str):
        raise InputTypeError(f"title must be a str, but got {title!r:.80}")
    built = _checked_resources(resources)
    with session.lock:
        session.flush()
        document = session.document
        if submodel_has_python_callbacks(roots) and not suppress_callback_warning:
            log.warning(_CALLBACKS_WARNING)
        if list(roots) == list(document.roots):
            return file_html(document, built, title, suppress_callback_warning=True)
        return _html_of_some(document, roots, built, document.title if title is None else title)


def _html_of_some(document: Document, roots: Sequence[Model], resources: Resources, title: str) -> str:
    # file_html would move them to another document meanwhile, which gets what threads change then
    serializer = Serializer(deferred=False)
    json = dict(document.to_json(deferred=False))
    json["roots"] = serializer.encode(list(roots))
    if "callbacks" in json:
        json["callbacks"] = serializer.encode(document.callbacks.js_event_callbacks)
    docid = make_globally_unique_id()
    item = RenderItem(docid, roots={root: make_globally_unique_css_safe_id() for root in roots})
    bundle = bundle_for_objs_and_resources(list(roots), resources)
    return html_page_for_render_items(bundle, {docid: json}, [item], title=title)  # type: ignore[dict-item]  # a DocJson


def _checked_resources(resources: object) -> Resources:
    if resources is not None and not isinstance(resources, (str, Resources)):
        raise InputTypeError(
            f'resources must be "cdn", "inline" or a bokeh.resources.Resources, but got {resources!r:.80}'
        )
    try:
        return Resources.build(resources)  # type: ignore[arg-type]  # a text is checked by it
    except ValueError as error:
        raise InputValueError(
            f'resources must be such as "cdn" or "inline", but got {resources!r:.80}: {error}'
        ) from None


def _checked_path(path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise InputTypeError(f"path must be a str or an os.PathLike, but got {path!r:.80}")
    file = Path(path).absolute()
    if file.is_dir():
        raise InputValueError(f"path must be that of a file to write, but {str(file)!r} is a directory")
    return file
