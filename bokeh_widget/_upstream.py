"""Work-arounds for what Bokeh does in Python, each with the test that tells when it is no longer needed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from bokeh.core.property.wrappers import PropertyValueColumnData

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from bokeh.document import Document

_MARK = "_bokeh_widget_locked"


def lock_column_data(lock_of: Callable[[Document], threading.RLock | None]) -> None:
    """Let one thread at a time stream to or patch the sources of a document.

    Bokeh changes one column after the other and tells of it at the end. Two threads that stream to one source
    lose rows in between, and who encodes the data meanwhile sends rows that it is told of once more.

    Upstream: Bokeh leaves locking to its server. The test is ``test_threads_stream_to_one_source``.

    Parameters
    ----------
    lock_of : callable
        Gives the lock of a document that has a session, else None.
    """
    for name in ("_stream", "_patch"):
        method = getattr(PropertyValueColumnData, name)
        if not hasattr(method, _MARK):
            setattr(PropertyValueColumnData, name, _locked(method, lock_of))


def _locked(method: Callable[..., None], lock_of: Callable[[Document], threading.RLock | None]) -> Callable[..., None]:
    @functools.wraps(method)
    def call(self: PropertyValueColumnData, doc: Document, *args: Any, **kwargs: Any) -> None:
        lock = None if doc is None else lock_of(doc)
        if lock is None:
            method(self, doc, *args, **kwargs)
            return
        with lock:
            method(self, doc, *args, **kwargs)

    setattr(call, _MARK, True)
    return call
