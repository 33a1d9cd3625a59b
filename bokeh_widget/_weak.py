"""A DOM widget that garbage collection can free.

ipywidgets keeps every widget in a module-global table, and its comm keeps a bound method of
it, so that a widget lives until somebody closes it (ipywidgets#1345). Here both hold it weakly:
the table gets an entry that stands for the widget while it lives, and for an empty one in the
moment between its death and the closing of its comm. A reload of the page and references from
other widgets go on finding it.

The ``Layout`` of a widget is a widget too, with a comm of its own that nobody closes: it is made
only when somebody asks for it, and closed with its owner.
"""

from __future__ import annotations

import collections
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

import traitlets
from ipywidgets import DOMWidget, Layout, widget_serialization
from ipywidgets.widgets import widget as ipywidgets_registry
from ipywidgets.widgets.trait_types import InstanceDict

from . import _kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_dead: Final[collections.deque[tuple[Any, _OwnLayout]]] = collections.deque()


class _OwnLayout:
    """Holds the layout that a widget made for itself, apart from the widget."""

    __slots__ = ("layout",)

    def __init__(self) -> None:
        self.layout: Layout | None = None

    def close(self) -> None:
        layout, self.layout = self.layout, None
        if layout is not None:
            layout.close()


class _Entry:
    """Stands for a widget in the table of ipywidgets without keeping it alive."""

    __slots__ = ("_model_id", "_type", "_widget")

    def __init__(self, widget: CollectableDOMWidget) -> None:
        self._widget = weakref.ref(widget)
        self._model_id = widget.model_id
        self._type = type(widget)

    @property  # type: ignore[misc]  # read-only, and traits check with isinstance()
    def __class__(self) -> type:
        return self._type

    @property
    def model_id(self) -> str:
        return self._model_id

    def __getattr__(self, name: str) -> Any:  # stands for any attribute
        widget = self._widget()
        return getattr(_GONE if widget is None else widget, name)


class _Gone:
    """What the table shows of a widget that died and is not yet taken out."""

    _model_name = "WidgetModel"
    _model_module = "@jupyter-widgets/base"
    _model_module_version = "2.0.0"

    def get_state(self, key: object = None, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        return {}

    def _get_embed_state(self, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        return {
            "model_name": self._model_name,
            "model_module": self._model_module,
            "model_module_version": self._model_module_version,
            "state": {},
        }

    def close(self) -> None:
        """Do nothing: the comm is closed by the next :func:`close_dead`."""


_GONE: Final = _Gone()


def close_dead() -> None:
    """Close the comms of widgets that garbage collection has freed."""
    while _dead:
        try:
            comm, own_layout = _dead.popleft()
        except IndexError:  # another thread was faster
            return
        ipywidgets_registry._instances.pop(comm.comm_id, None)  # noqa: SLF001  # ipywidgets#1345
        comm.close()
        own_layout.close()


def _bury(comm: Any, own_layout: _OwnLayout) -> None:  # comms have no common type
    # runs inside garbage collection, in any thread: no I/O and no change of any shared dict here
    _dead.append((comm, own_layout))
    # without a loop (plain Python) the next widget or the next cell takes care of it
    with contextlib.suppress(RuntimeError):
        _kernel.call_soon(close_dead)


def _weakly(method: Callable[[Any], object]) -> Callable[[Any], object]:
    ref = weakref.WeakMethod(method)

    def call(message: Any) -> object:
        found = ref()
        return None if found is None else found(message)

    return call


def _layout_to_json(value: Layout | None, owner: object) -> object:
    return None if value is None else widget_serialization["to_json"](value, owner)


class CollectableDOMWidget(DOMWidget):
    """Base of our widgets: held weakly by everything but the user, and closed completely."""

    layout = InstanceDict(Layout, allow_none=True).tag(
        sync=True, to_json=_layout_to_json, from_json=widget_serialization["from_json"]
    )

    def __init__(self, **kwargs: Any) -> None:  # traits by name
        close_dead()
        self._own_layout = _OwnLayout()
        self._finalizer: weakref.finalize[..., Any] | None = None
        given = kwargs.get("layout")
        if given is None:
            kwargs.pop("layout", None)
        if given is not None and not isinstance(given, Layout):
            kwargs["layout"] = self._own_layout.layout = Layout(**given)
        try:
            super().__init__(**kwargs)
        except BaseException:
            self._own_layout.close()
            raise

    def __del__(self) -> None:
        """Do nothing: ipywidgets would send messages here, in the middle of collection."""

    @traitlets.default("layout")
    def _make_layout(self) -> Layout | None:
        if self.comm is None:
            return None
        layout = self._own_layout.layout = Layout()
        self._send({"method": "update", "state": {"layout": f"IPY_MODEL_{layout.model_id}"}, "buffer_paths": []})
        return layout

    def get_state(
        self,
        key: str | Iterable[str] | None = None,
        drop_defaults: bool = False,  # noqa: FBT001, FBT002  # ipywidgets' signature
    ) -> dict[str, Any]:
        """Give the synced state; a layout that nobody asked for stays unmade."""
        if "layout" in self._trait_values:
            return super().get_state(key, drop_defaults)  # type: ignore[no-any-return]
        keys = self.keys if key is None else [key] if isinstance(key, str) else list(key)
        state: dict[str, Any] = super().get_state([k for k in keys if k != "layout"], drop_defaults)
        if "layout" in keys:
            state["layout"] = None
        return state

    def _get_embed_state(self, drop_defaults: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002
        # whole: a page may have other defaults, such as those of another version
        return super()._get_embed_state(drop_defaults=False)  # type: ignore[no-any-return]

    @traitlets.observe("comm")
    def _comm_changed(self, change: Any) -> None:
        comm = change["new"]
        if comm is None:
            return
        self._model_id = comm.comm_id
        comm.on_msg(_weakly(self._handle_msg))
        ipywidgets_registry._instances[comm.comm_id] = _Entry(self)  # noqa: SLF001
        self._finalizer = weakref.finalize(self, _bury, comm, self._own_layout)
        self._finalizer.atexit = False

    @property
    def model_id(self) -> str:
        """Id of the model; still readable after close, when reloads may ask for it."""
        return self.comm.comm_id if self.comm is not None else str(self._model_id)

    def close(self) -> None:
        """Close the comm and that of the layout, and leave every container. Idempotent."""
        if self.comm is None:
            return
        if self._finalizer is not None:
            self._finalizer.detach()
        self._leave_parents()
        super().close()
        # ipywidgets hides the class's method behind an instance attribute; ours raises instead
        self.__dict__.pop("_repr_mimebundle_", None)
        self._own_layout.close()

    def _leave_parents(self) -> None:
        # a closed child in a live container makes the next reload of the page hang all widgets
        for other in list(ipywidgets_registry._instances.values()):  # noqa: SLF001
            children = getattr(other, "children", None)
            if isinstance(children, tuple) and any(child is self for child in children):
                _remove_child(other, self)


def _remove_child(container: Any, child: object) -> None:
    """Take a child out; a ``Tab`` or ``Accordion`` keeps the titles and the selection of the others."""
    children = container.children
    kept = [index for index, other in enumerate(children) if other is not child]
    titles, selected = getattr(container, "titles", None), getattr(container, "selected_index", None)
    container.children = tuple(children[index] for index in kept)
    if isinstance(titles, tuple):
        # ipywidgets cuts superfluous titles off at the end
        container.titles = tuple(titles[index] for index in kept if index < len(titles))
    if selected is not None:
        container.selected_index = kept.index(selected) if selected in kept else (0 if kept else None)
