"""What the user asks to show, checked and brought to a document."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import Plot
from bokeh.models.annotations import Title
from bokeh.models.ui import UIElement

from .errors import EmptyDocumentError, InputTypeError, InputValueError, MixedDocumentsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._contexts import SessionContext

_TAKES: Final = (
    "BokehWidget takes a Bokeh model to show (figure, layout, widget, table …), a list of them, "
    "a bokeh.document.Document, or an application (a function of the document, the path of a script, directory or "
    "notebook, a bokeh.application.Application)"
)

_made: Final[weakref.WeakSet[Document]] = weakref.WeakSet()
"""Documents that were made here, for models that were in none."""


@dataclass(frozen=True, slots=True)
class Content:
    """A document and the part of it that is shown.

    Parameters
    ----------
    document : bokeh.document.Document
        Where the models are.
    is_own : bool
        Whether the document was made here, now or before, for models that were in none.
    root_ids : list of str or None
        Models to show, by id; None shows every root, those that are added later too.
    context : SessionContext, optional
        What the code of an application was given while it filled the document.
    """

    document: Document
    is_own: bool
    root_ids: list[str] | None
    context: SessionContext | None = None


def resolve_content(obj: object) -> Content:
    """Bring what the user gave to a document.

    Parameters
    ----------
    obj : UIElement, sequence of UIElement, or Document
        Models that are in no document get a new one.

    Returns
    -------
    Content
        The document and what to show of it.

    Raises
    ------
    InputTypeError
        For anything else.
    EmptyDocumentError
        If there is nothing to show.
    MixedDocumentsError
        If models are of different documents.
    InputValueError
        If a model is given twice.
    """
    if isinstance(obj, Document):
        if not obj.roots:
            raise EmptyDocumentError(
                "the document has no roots, so there is nothing to show; add one first: document.add_root(figure)"
            )
        return Content(obj, is_own=obj in _made, root_ids=None)
    if isinstance(obj, (list, tuple)):
        if not obj:
            raise EmptyDocumentError("the sequence of models is empty, so there is nothing to show; give at least one")
        return _resolve_models([_checked(item, f"item {i} of the sequence") for i, item in enumerate(obj)])
    return _resolve_models([_checked(obj, "the argument")])


def own_document() -> Document:
    """Make a document that is emptied when its session is closed, which sets its models free."""
    document = Document()
    _made.add(document)
    return document


def label_of(roots: Sequence[Model]) -> str:
    """Give what is said of what is shown: the titles of the plots in it, as they are now."""
    plots = [plot for root in roots for plot in root.select({"type": Plot}) if isinstance(plot, Plot)]
    plots.sort(key=lambda plot: (len(plot.id), plot.id))  # as they were made
    titles = [plot.title.text for plot in plots if isinstance(plot.title, Title) and isinstance(plot.title.text, str)]
    return ", ".join(dict.fromkeys(filter(None, titles))) or ("Plot" if plots else "Bokeh document")


def add_roots(document: Document, found: object, maker: str) -> None:
    """Add what a function of the user has made to a document.

    Parameters
    ----------
    document : bokeh.document.Document
        Gets the roots.
    found : Model, sequence of Model, or None
        One root, several, or none.
    maker : str
        The name of the function.

    Raises
    ------
    InputTypeError
        If it is something else.
    MixedDocumentsError
        If a model, or a part of it, is in another document.
    """
    for root in found if isinstance(found, (list, tuple)) else [] if found is None else [found]:
        if not isinstance(root, Model):
            raise InputTypeError(
                f"{maker} must return a Bokeh model (figure, layout, widget …) or a list of them, but got {root!r:.80}"
            )
        try:
            document.add_root(root)
        except RuntimeError as error:  # a model deep inside may be the one
            raise MixedDocumentsError(
                f"{maker} returned {root}, of which a part already is in another document ({error}); make new models "
                "each time, or close what shows them first"
            ) from error


def _checked(item: object, what: str) -> UIElement:
    if isinstance(item, UIElement):
        return item
    if isinstance(item, type):
        got = f"the class {item.__name__}; make an instance of it"
    elif isinstance(item, Model):
        got = f"{item}, a model that has no view of its own; show the figure or widget that uses it"
    else:
        got = f"{type(item).__name__}: {item!r:.80}"
    raise InputTypeError(f"{_TAKES}, but {what} is {got}")


def _resolve_models(models: list[UIElement]) -> Content:
    if len({model.id for model in models}) < len(models):
        raise InputValueError(f"the same model is given twice in {models!r:.200}; show it in a second widget instead")
    documents = {id(model.document): model.document for model in models if model.document is not None}
    if len(documents) > 1:
        raise MixedDocumentsError(
            f"the models are of {len(documents)} different documents, and a widget shows one; "
            "make one widget for each and combine them with ipywidgets.VBox"
        )
    if documents:
        [document] = documents.values()
        if document is None:  # narrows the type; documents hold no None
            raise EmptyDocumentError(f"{_TAKES}, but the models are of no document")
        strangers = [model for model in models if model.document is None]
        if strangers:
            raise MixedDocumentsError(
                f"{strangers[0]} is in no document, while others of the sequence are; add it first: "
                "document.add_root(model)"
            )
        shows_all = [model.id for model in models] == [root.id for root in document.roots]
        root_ids = None if shows_all else [str(model.id) for model in models]
        return Content(document, is_own=document in _made, root_ids=root_ids)
    document = own_document()
    try:
        for model in models:
            document.add_root(model)
    except RuntimeError as error:  # a model deep inside is in another document
        document.clear()
        raise MixedDocumentsError(
            f"a part of {models[0]} already is in another document ({error}); show the model that contains both"
        ) from error
    return Content(document, is_own=True, root_ids=None)
