"""Work-arounds for what Bokeh does in Python, each with the test that tells when it is no longer needed."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bokeh.core.property.wrappers import PropertyValueColumnData
from bokeh.document.models import DocumentModelManager

from ._columns import part_columns, stream_in_place

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from bokeh.document import Document

    Method: TypeAlias = Callable[..., Any]
    GuardOf: TypeAlias = Callable[[Document], "Guard | None"]

_MARK = "_bokeh_widget_locked"


class Guard(Protocol):
    """Who keeps a document: a session."""

    @property
    def lock(self) -> threading.RLock:
        """Held while the document is changed or encoded."""

    def holding(self) -> contextlib.AbstractContextManager[None]:
        """Hold the lock, and send no changes before the end."""


def lock_column_data(guard_of: GuardOf) -> None:
    """Let one thread at a time stream to or patch the sources of a document, and have their columns grow in place.

    Bokeh changes one column after the other and tells of it at the end. Two threads that stream to one source
    lose rows in between, and who encodes the data meanwhile sends rows that it is told of once more.

    Upstream: Bokeh leaves locking to its server. The test is ``test_threads_stream_to_one_source``. And bokeh#11424:
    it copies the whole column for each stream; the test is ``test_bokeh_itself_copies_the_column``.

    Parameters
    ----------
    guard_of : callable
        Gives the session of a document, or None.
    """
    for name, first in (("_stream", stream_in_place), ("_patch", part_columns)):
        make = _locked(lambda _data, document, *_args: guard_of(document), first)
        _replace(PropertyValueColumnData, name, make)


def lock_models(guard_of: GuardOf) -> None:
    """Let one thread at a time look up and count the models of a document, and send nothing while that is put off.

    A thread that adds models changes tables which another one walks through to encode a change: that change is lost
    with an error, or a new model counts as known to the pages. While a document is frozen, its tables lack what was
    added, so what is sent then would be sent once more; and an exception would leave it frozen for ever.

    Upstream: Bokeh leaves locking to its server, and ``freeze()`` has no ``finally``. The tests are
    ``test_a_thread_adds_models_while_another_counts_them`` and those of frozen documents beside it.

    Parameters
    ----------
    guard_of : callable
        Gives the session of a document, or None.
    """

    def guard_of_models(models: DocumentModelManager, *_args: object) -> Guard | None:
        document = models._document()  # noqa: SLF001  # no public name
        return None if document is None else guard_of(document)

    for name in ("destroy", "flush_synced", "invalidate", "recompute", "update_name"):
        _replace(DocumentModelManager, name, _locked(guard_of_models))
    _replace(DocumentModelManager, "freeze", _held_freeze(guard_of_models))


def _replace(owner: type, name: str, make: Callable[[Method], Method]) -> None:
    method = getattr(owner, name)
    if not hasattr(method, _MARK):
        made = functools.wraps(method)(make(method))
        setattr(made, _MARK, True)
        setattr(owner, name, made)


def _locked(
    guard_of: Callable[..., Guard | None], first: Callable[..., bool] | None = None
) -> Callable[[Method], Method]:
    """Make a method hold the lock, and call ``first``; it is not called itself if that has done all of it."""

    def make(method: Method) -> Method:
        def call(*args: Any, **kwargs: Any) -> Any:
            guard = guard_of(*args)
            if guard is None:
                return method(*args, **kwargs)
            with guard.lock:
                done = first is not None and first(*args, **kwargs)
                return None if done else method(*args, **kwargs)

        return call

    return make


def _held_freeze(guard_of: Callable[..., Guard | None]) -> Callable[[Method], Method]:
    def make(_method: Method) -> Method:
        @contextlib.contextmanager
        def freeze(models: DocumentModelManager) -> Iterator[None]:
            guard = guard_of(models)
            with contextlib.nullcontext() if guard is None else guard.holding():
                models._push_freeze()  # noqa: SLF001
                try:
                    yield
                finally:
                    models._pop_freeze()  # noqa: SLF001

        return freeze

    return make
