"""What the user gives is brought to a document; what is refused leaves no trace."""

from __future__ import annotations

import gc
import weakref

import pytest
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div

from bokeh_widget._content import resolve_content
from bokeh_widget.errors import BokehWidgetError


def test_loose_models_get_a_document_of_ours() -> None:
    divs = [Div(), Div()]
    content = resolve_content(divs)
    assert content.is_own
    assert content.root_ids is None
    assert content.document.roots == divs
    # and it is found again
    again = resolve_content(divs)
    assert again.document is content.document
    assert again.is_own
    assert resolve_content(content.document).is_own


def test_attached_models_keep_their_document() -> None:
    document = Document()
    first, second = Div(), Div()
    document.add_root(first)
    document.add_root(second)
    content = resolve_content(first)
    assert (content.document, content.is_own, content.root_ids) == (document, False, [first.id])
    assert resolve_content([first, second]).root_ids is None
    assert resolve_content([second, first]).root_ids == [second.id, first.id]
    assert resolve_content(document).root_ids is None


def test_a_child_of_a_root() -> None:
    inner = Div()
    Document().add_root(column(inner))
    assert resolve_content(inner).root_ids == [inner.id]


def test_what_is_refused_leaves_no_trace() -> None:
    taken = Div()
    document = Document()
    document.add_root(taken)
    loose = Div()
    with pytest.raises(BokehWidgetError):
        resolve_content([loose, column(taken)])
    assert loose.document is None
    assert taken.document is document
    source = ColumnDataSource()
    with pytest.raises(BokehWidgetError):
        resolve_content([loose, source])
    assert loose.document is None


def test_documents_of_ours_are_not_kept_alive() -> None:
    ref = weakref.ref(resolve_content(Div()).document)
    gc.collect()
    assert ref() is None
