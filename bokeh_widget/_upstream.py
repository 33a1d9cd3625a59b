"""Work-arounds for what Bokeh does in Python, each with the test that tells when it is no longer needed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from bokeh.core.property.wrappers import PropertyValueColumnData

from ._columns import stream_in_place

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from bokeh.document import Document

_MARK = "_bokeh_widget_locked"


def lock_column_data(lock_of: Callable[[Document], threading.RLock | None]) -> None:
    """Let one thread at a time stream to or patch the sources of a document, and have their columns grow in place.

    Bokeh changes one column after the other and tells of it at the end. Two threads that stream to one source
    lose rows in between, and who encodes the data meanwhile sends rows that it is told of once more.

    Upstream: Bokeh leaves locking to its server. The test is ``test_threads_stream_to_one_source``. And bokeh#11424:
    it copies the whole column for each stream; the test is ``test_bokeh_itself_copies_the_column``.

    Parameters
    ----------
    lock_of : callable
        Gives the lock of a document that has a session, else None.
    """
    for name, instead in (("_stream", stream_in_place), ("_patch", None)):
        method = getattr(PropertyValueColumnData, name)
        if not hasattr(method, _MARK):
            setattr(PropertyValueColumnData, name, _locked(method, lock_of, instead))


def _locked(
    method: Callable[..., None],
    lock_of: Callable[[Document], threading.RLock | None],
    instead: Callable[..., bool] | None,
) -> Callable[..., None]:
    @functools.wraps(method)
    def call(self: PropertyValueColumnData, doc: Document, *args: Any, **kwargs: Any) -> None:
        lock = None if doc is None else lock_of(doc)
        if lock is None:
            method(self, doc, *args, **kwargs)
            return
        with lock:
            if instead is None or not instead(self, doc, *args, **kwargs):
                method(self, doc, *args, **kwargs)

    setattr(call, _MARK, True)
    return call
