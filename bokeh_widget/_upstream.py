"""Work-arounds for what Bokeh does in Python, each with the test that tells when it is no longer needed."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bokeh.core.property.wrappers import PropertyValueColumnData
from bokeh.document.callbacks import DocumentCallbackManager
from bokeh.document.models import DocumentModelManager

from ._columns import part_columns, stream_in_place

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from bokeh.document import Document
    from bokeh.document.events import DocumentChangedEvent

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

    def take_first(self, event: DocumentChangedEvent) -> None:
        """Take in a change before the document tells of it."""


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


def take_changes_first(guard_of: GuardOf) -> None:
    """Let a session have a change before callbacks of the user are called for it.

    Bokeh calls the callbacks of a property first, and then those of its document, by which a session gets the change.
    Where one of the first raises, the property has the new value and the pages are not told; when a document is no
    longer held, the changes that follow are lost, too. And where one changes the same property, the pages are told of
    its change first, and end at the older value, or with rows in another order.

    Upstream: no issue known. The tests are ``test_bokeh_itself_tells_nobody_of_a_change_whose_callback_fails`` and
    those beside it.

    Parameters
    ----------
    guard_of : callable
        Gives the session of a document, or None.
    """
    _replace(DocumentCallbackManager, "trigger_on_change", _taken_first(guard_of))
    _replace(DocumentCallbackManager, "unhold", _unheld(guard_of))


def _guard_of_callbacks(callbacks: DocumentCallbackManager, guard_of: GuardOf) -> Guard | None:
    document = callbacks._document()  # noqa: SLF001  # no public name
    return None if document is None else guard_of(document)


def _taken_first(guard_of: GuardOf) -> Callable[[Method], Method]:
    def make(method: Method) -> Method:
        def trigger_on_change(callbacks: DocumentCallbackManager, event: DocumentChangedEvent) -> None:
            guard = None if callbacks.hold_value is not None else _guard_of_callbacks(callbacks, guard_of)
            try:
                if guard is not None:
                    guard.take_first(event)
            except Exception:
                method(callbacks, event)  # the value is set, whether it can be sent or not
                raise
            method(callbacks, event)

        return trigger_on_change

    return make


def _unheld(guard_of: GuardOf) -> Callable[[Method], Method]:
    def make(method: Method) -> Method:
        def unhold(callbacks: DocumentCallbackManager) -> None:
            if callbacks.hold_value is None or _guard_of_callbacks(callbacks, guard_of) is None:
                method(callbacks)
                return
            held, callbacks._held_events = callbacks._held_events, []  # noqa: SLF001  # no public name
            method(callbacks)
            with contextlib.ExitStack() as telling:  # calls all of them, the last one first, whatever they raise
                for event in reversed(held):
                    telling.callback(callbacks.trigger_on_change, event)

        return unhold

    return make


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
