"""Work-arounds for what Bokeh leaves behind of the code of applications, each with the test that tells when it goes."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import TYPE_CHECKING

import bokeh.io
from bokeh.application.handlers import CodeHandler
from bokeh.core.has_props import HasProps, _default_resolver
from bokeh.util.compiler import _bundle_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from bokeh.document import Document


def destroy_modules(document: Document) -> None:
    """Take the modules out of ``sys.modules`` in which the code of an application ran for one document.

    The classes of models that the code has defined go too, and what Bokeh has compiled for them: its registry would
    keep each of them, and describe the data models among them to every page, for each session that there ever was.

    Upstream: Bokeh's server destroys the modules and leaves the classes. The test is
    ``test_classes_of_a_closed_session_are_forgotten``.

    Parameters
    ----------
    document : bokeh.document.Document
        Of a session that has ended.
    """
    names = {module.__name__ for module in document.modules._modules}  # noqa: SLF001  # no public name
    if not names:
        return
    forget_classes(names)
    document.modules.destroy()


def forget_classes(names: set[str]) -> list[type[HasProps]]:
    """Take the models that modules have defined, and what was compiled for them, out of Bokeh's registry.

    Parameters
    ----------
    names : set of str
        Of the modules.

    Returns
    -------
    list of type
        The classes, for :func:`remember_classes`.
    """
    classes = [cls for cls in HasProps.model_class_reverse_map.values() if cls.__module__ in names]
    for cls in classes:
        _default_resolver.remove(cls)  # type: ignore[attr-defined]  # Bokeh's stub lacks it
    if any(hasattr(cls, "__implementation__") for cls in classes):  # the key is made of names, not of the code
        for key in [key for key, text in _bundle_cache.items() if any(name in text for name in names)]:
            del _bundle_cache[key]
    return classes


def remember_classes(classes: Iterable[type[HasProps]]) -> None:
    """Put classes back into Bokeh's registry, in the place of others of their names.

    Parameters
    ----------
    classes : iterable of type
        Of :func:`forget_classes`.
    """
    for cls in classes:
        _default_resolver._known_models[cls.__qualified_model__] = cls  # type: ignore[attr-defined]  # noqa: SLF001


def forget_modules(package: str) -> None:
    """Take a package of an application, and what was imported from it, out of ``sys.modules``.

    Upstream: Bokeh's server puts the package there and leaves it. The test is
    ``test_a_package_is_forgotten_when_it_is_unloaded``.

    Parameters
    ----------
    package : str
        Its name.
    """
    for name in [name for name in list(sys.modules) if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def forget_names(package: ModuleType) -> None:
    """Empty the package of an application before it is run again: its modules are imported anew.

    Upstream: Bokeh's server runs a package once. The test is ``test_a_package_is_run_anew_when_it_is_loaded_again``.

    Parameters
    ----------
    package : module
        Of a handler.
    """
    for name in [name for name in vars(package) if not (name.startswith("__") and name.endswith("__"))]:
        delattr(package, name)


@contextlib.contextmanager
def code_of_application() -> Iterator[None]:
    """Run the code of an application; what Bokeh's handlers have changed is as before, whatever the code raises.

    An interrupt or ``sys.exit`` would leave ``bokeh.io.show`` and its siblings without effect. Bokeh also logs what a
    handler records: here it is raised, once.

    Upstream: the context managers of Bokeh do not expect exceptions. The test is
    ``test_an_interrupted_script_leaves_nothing_behind``.
    """
    functions = {name: getattr(bokeh.io, name) for name in CodeHandler._io_functions}  # noqa: SLF001
    logger = logging.getLogger("bokeh.application.application")
    thread = threading.get_ident()

    def is_news(record: logging.LogRecord) -> bool:
        return record.thread != thread or not str(record.msg).startswith("Error running application handler")

    logger.addFilter(is_news)
    try:
        yield
    except BaseException:
        for name, function in functions.items():
            setattr(bokeh.io, name, function)
        raise
    finally:
        logger.removeFilter(is_news)
