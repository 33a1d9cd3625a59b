"""The tables of a document's models: several threads, frozen documents, and what pages know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, Div

from bokeh_widget import BokehWidget
from tests.unit.comparing import assert_same_documents
from tests.unit.waiting import in_thread
from tests.unit.wires import Page, Wire

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from bokeh.model import Model


def is_followed(page: Page, wire: Wire) -> None:
    """Fail unless a page that applies all patches has what Python has."""
    page.acknowledge()
    for message in wire.customs(page.widget, "patch"):
        page.receive(message)
    copy = Page(page.widget, wire, "a copy")
    copy.show()
    assert_same_documents(page.replica, copy.replica)


def test_a_thread_adds_models_while_another_counts_them(wire: Wire, page_of: Callable[..., Page]) -> None:
    """As the clock does when it encodes changes, and counts the new models as known to the pages."""
    first, second = Div(), Div()
    with BokehWidget(column(first, second)) as widget:
        page = page_of(widget)
        threads: list[threading.Thread] = []

        def is_still_new(_model: Model) -> bool:
            if not threads:
                threads.append(in_thread(lambda: setattr(second, "tags", [Div(text="second")]), 0.2))
            return True

        with widget.session.batch():
            first.tags = [Div(text=f"{i}") for i in range(3)]
            widget.document.models.flush_synced(is_still_new)
        threads[0].join()
        second.tags[0].text = "changed"
        is_followed(page, wire)


def test_what_a_frozen_document_gets_is_sent_once_and_followed(wire: Wire, page_of: Callable[..., Page]) -> None:
    with BokehWidget(column(Div())) as widget:
        page = page_of(widget)
        document, added = widget.document, Div(tags=[ColumnDataSource({"x": [1]})])
        with document.models.freeze():
            document.add_root(added)
            assert wire.customs(widget, "patch") == []
        added.text = "changed"
        added.tags[0].stream({"x": [2]})
        is_followed(page, wire)


def test_another_thread_sends_nothing_of_a_frozen_document(wire: Wire, page_of: Callable[..., Page]) -> None:
    root, added = column(Div()), Div()
    with BokehWidget(root) as widget:
        page = page_of(widget)
        with widget.document.models.freeze():
            root.children.append(added)
            thread = in_thread(widget.session.flush, 0.1)
            assert wire.customs(widget, "patch") == []
        thread.join()
        added.text = "changed"
        is_followed(page, wire)


def test_an_exception_leaves_no_document_frozen(wire: Wire, page_of: Callable[..., Page]) -> None:
    root, added = column(Div()), Div()
    with BokehWidget(root) as widget:
        page = page_of(widget)
        with pytest.raises(LookupError), widget.document.models.freeze():
            raise LookupError
        root.children.append(added)
        assert added.id in widget.document.models
        is_followed(page, wire)


def test_a_document_without_a_session_is_as_ever() -> None:
    root = column(Div())
    with BokehWidget(root) as widget:
        document = widget.document
    with document.models.freeze():
        document.add_root(root)
        assert len(document.models) == 0
    assert len(document.models) == 2
