"""What ``curdoc()`` gives, for each context by itself: a thread, or a task, does not see the document of another one.

Bokeh 3.9 keeps one list for all threads: code that a thread runs with one document is seen by the callbacks of others.

Upstream: bokeh#15239 makes the list a context variable in a later release. The tests are those of ``curdoc()`` in
``tests/unit/test_contexts.py``, and ``test_bokeh_itself_leaves_curdoc_behind``.
"""

from __future__ import annotations

import contextlib
import contextvars
import weakref
from collections.abc import Iterator, MutableSequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import bokeh.application.handlers.code as bokeh_code
import bokeh.io.doc as bokeh_doc

if TYPE_CHECKING:
    from bokeh.document import Document
    from bokeh.document.locking import UnlockedDocumentProxy

Entry: TypeAlias = "weakref.ref[Document | UnlockedDocumentProxy]"

_entries: Final[contextvars.ContextVar[tuple[Entry, ...]]] = contextvars.ContextVar("bokeh_widget.curdoc", default=())


class _Entries(MutableSequence[Entry]):
    """What Bokeh, and who else looks there, takes for its list: that of the context in which they look."""

    def __len__(self) -> int:
        return len(_entries.get())

    def __getitem__(self, index: Any) -> Any:
        return _entries.get()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = list(_entries.get())
        changed[index] = value
        _entries.set(tuple(changed))

    def __delitem__(self, index: Any) -> None:
        changed = list(_entries.get())
        del changed[index]
        _entries.set(tuple(changed))

    def insert(self, index: int, value: Entry) -> None:
        changed = list(_entries.get())
        changed.insert(index, value)
        _entries.set(tuple(changed))

    def __eq__(self, other: object) -> bool:
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __repr__(self) -> str:
        return repr(list(self))


@contextlib.contextmanager
def patch_curdoc(doc: Document | UnlockedDocumentProxy) -> Iterator[None]:
    """Make ``curdoc()`` a document, and what it was at the end, whatever is raised.

    Bokeh's own leaves the document behind when a callback raises.

    Parameters
    ----------
    doc : bokeh.document.Document or UnlockedDocumentProxy
        The document.
    """
    before = _entries.get()
    _entries.set((*before, weakref.ref(doc)))
    del doc  # what is raised would keep it
    try:
        yield
    finally:
        _entries.set(before)


@contextlib.contextmanager
def default_curdoc() -> Iterator[None]:
    """Make ``curdoc()`` what it is in a plain cell: what is scheduled in a callback inherits its document."""
    before = _entries.get()
    _entries.set(())
    try:
        yield
    finally:
        _entries.set(before)


# when this is imported, since applications run code before there is a session
_entries.set(tuple(bokeh_doc._PATCHED_CURDOCS))  # noqa: SLF001  # this may be imported by an application
bokeh_doc._PATCHED_CURDOCS = _Entries()  # type: ignore[assignment]  # noqa: SLF001  # no public name
for _module in (bokeh_doc, bokeh_code):
    setattr(_module, patch_curdoc.__name__, patch_curdoc)
