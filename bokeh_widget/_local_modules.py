"""The helper modules of an application: what its code imports from its own folder is its own, and goes with it.

A Bokeh server leaves them in ``sys.modules``: there a helper is loaded once in the life of the process, and two
applications with helpers of one name share the first of them. A server can be started anew; a kernel is not to be.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib.util
import os
import sys
import sysconfig
import weakref
from typing import TYPE_CHECKING, Final

from ._upstream_code import forget_classes, remember_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from bokeh.core.has_props import HasProps

_INSTALLED: Final = tuple(
    os.path.join(sysconfig.get_path(name), "")  # noqa: PTH118  # to be compared with what modules have
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_SESSION_MODULE: Final = "bokeh_app_"
"""So begin the names under which Bokeh runs scripts, one for each session, and those of packages."""

_all: Final[weakref.WeakSet[LocalModules]] = weakref.WeakSet()
_running: Final[contextvars.ContextVar[LocalModules | None]] = contextvars.ContextVar(
    "bokeh_widget_local_modules", default=None
)


class LocalModules:
    """The modules that an application has imported from its folders.

    They are in ``sys.modules`` as in any program, so that callbacks can pickle what they define, until the application
    is unloaded. Where several applications have modules of one name, those are there whose code has run last. A module
    that the kernel had imported before from the same file is shared with it.

    Parameters
    ----------
    folders : iterable of str
        Where the application is.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._folders: Final = frozenset(os.path.abspath(folder) for folder in folders)  # noqa: PTH100  # links stay
        self._modules: dict[str, ModuleType] = {}
        self._files: dict[str, object] = {}
        self._classes: dict[str, list[type[HasProps]]] = {}
        """Models of modules that are not in their place now, by the name of the module's package."""
        _all.add(self)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Run code of the application: what it imports from its folders is its own."""
        if not self._folders:
            yield
            return
        displaced = self._make_place()
        self._put()
        before = dict(sys.modules)
        outer = _running.get()
        _running.set(self)
        try:
            yield
        finally:
            self._take_note(before)
            _running.set(outer)
            for name, module, classes in displaced:
                if "." not in name:
                    self._take_away(name)
                sys.modules[name] = module
                remember_classes(classes)
            if outer is not None and outer is not self:
                outer._make_place()  # noqa: SLF001  # one class
                outer._put()  # noqa: SLF001

    def has_changed(self) -> bool:
        """Tell whether a file of which a module was made has changed."""
        return any(_state_of(file) != state for file, state in self._files.items())

    def forget_compiled(self) -> None:
        """Delete what Python keeps of files that have changed: it tells changes of one second by their size alone."""
        for file, state in self._files.items():
            if _state_of(file) != state:
                with contextlib.suppress(OSError, NotImplementedError):
                    os.unlink(importlib.util.cache_from_source(file))  # noqa: PTH108

    def take_away(self) -> None:
        """Take them out of ``sys.modules`` until code of the application runs again."""
        for name in {_top(name) for name in self._modules}:
            self._take_away(name)

    def forget(self) -> None:
        """Free them."""
        self.take_away()
        self._modules.clear()
        self._classes.clear()
        self._files.clear()

    # --- what is where -----------------------------------------------------------------------

    def _make_place(self) -> list[tuple[str, ModuleType, list[type[HasProps]]]]:
        """Take away what has a name of ours; give what of it is the kernel's own, and is to be put back."""
        displaced = []
        for name in self._names():
            found = sys.modules.get(name)
            if found is None or found is self._modules.get(name):
                continue
            owner = _owner_of(name, found)
            if owner is not None:
                owner._take_away(name)  # noqa: SLF001  # one class
            elif not self._is_shared(found):
                parts = _parts_of(name, list(sys.modules))
                displaced += [(part, sys.modules.pop(part), forget_classes({part})) for part in parts]
        return displaced

    def _names(self) -> set[str]:
        """Give the names of modules that the application has, or that its folders have for it."""
        found = {_top(name) for name in self._modules}
        for folder in self._folders:
            importer = sys.path_importer_cache.get(folder)
            if importer is not None and hasattr(importer, "invalidate_caches"):
                importer.invalidate_caches()  # a file that was written just now
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                found |= {entry.name.removesuffix(".py") for entry in entries}
        return (found & sys.modules.keys()) - {"__main__"}

    def _is_shared(self, module: ModuleType) -> bool:
        """Tell whether a module that the kernel has imported is that of the application, too, or not a user's."""
        file = getattr(module, "__file__", None)
        paths = list(getattr(module, "__path__", ())) if file is None else [file]  # a folder may have no file
        return not paths or any(path.startswith(_INSTALLED) for path in paths) or self._is_local(module)

    def _is_local(self, module: ModuleType) -> bool:
        return not self._folders.isdisjoint(_folders_of(module))

    def _put(self) -> None:
        sys.modules.update(self._modules)
        while self._classes:
            remember_classes(self._classes.popitem()[1])

    def _take_note(self, before: dict[str, ModuleType]) -> None:
        for name, module in sorted(sys.modules.items()):  # packages before what is in them
            if before.get(name) is module or _owner_of(name, module) is not None:
                continue
            top = _top(name)
            is_own = top in self._modules if top != name else self._is_local(module)
            if is_own:
                self._modules[name] = module
                file = getattr(module, "__file__", None)
                if file is not None:
                    self._files[file] = _state_of(file)

    def _take_away(self, top: str) -> None:
        names = {name for name in _parts_of(top, self._modules) if sys.modules.get(name) is self._modules[name]}
        if names:
            self._classes[top] = [*self._classes.get(top, ()), *forget_classes(names)]
        for name in names:
            del sys.modules[name]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _parts_of(top: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if _top(name) == top]


def _owner_of(name: str, module: ModuleType) -> LocalModules | None:
    return next((owner for owner in list(_all) if owner._modules.get(name) is module), None)  # noqa: SLF001


def _folders_of(module: ModuleType) -> set[str]:
    """Give the folders from which a module, not one in a package, is imported."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if name.startswith(_SESSION_MODULE):  # that of a package is in it; the others are their sessions'
        return {os.path.dirname(file)} if file is not None and module.__package__ == name else set()  # noqa: PTH120
    if file is not None and not hasattr(module, "__path__"):
        return {os.path.dirname(os.path.abspath(file))}  # noqa: PTH100, PTH120
    return {os.path.dirname(os.path.abspath(path)) for path in getattr(module, "__path__", ())}  # noqa: PTH100, PTH120


def _state_of(file: str) -> object:
    try:
        stat = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
