"""Bokeh applications from what the user gives: by Bokeh's own handlers, with errors instead of failures on record."""

from __future__ import annotations

import inspect
import os
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bokeh
from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler, Handler
from bokeh.command.util import build_single_handler_application
from bokeh.document import Document
from bokeh.model import Model

from .errors import ApplicationError, InputTypeError, InputValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORMS: Final = "a script (.py), a notebook (.ipynb), or a directory with a main.py or main.ipynb"
_FRAME: Final = re.compile(r'^  File "(?P<file>[^"]*)", line \d+.*\n(?:^    .*\n?|^  (?!File ).*\n?)*', re.MULTILINE)
_HIDDEN: Final = tuple(
    str(path) for path in (Path(bokeh.__file__).parent, Path(__file__).parent, Path(inspect.__file__).parent / "ast.py")
)


def is_application(obj: object) -> bool:
    """Tell whether something is taken as an application, rather than as what it shows.

    Parameters
    ----------
    obj : object
        What the user gave.
    """
    if isinstance(obj, (str, os.PathLike, Application, Handler)):
        return True
    return callable(obj) and not isinstance(obj, (type, Model, Document))


def checked_argv(argv: object) -> list[str]:
    """Check the arguments of a script.

    Parameters
    ----------
    argv : sequence of str or None
        They become ``sys.argv[1:]``.

    Raises
    ------
    InputTypeError
        If it is anything else.
    """
    if argv is None:
        return []
    if not isinstance(argv, (list, tuple)) or not all(isinstance(word, str) for word in argv):
        raise InputTypeError(f'argv must be a list of strings, such as ["--points", "100"], but got {argv!r:.200}')
    return list(argv)


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Check the path of an application; it is relative to the working directory, and ``~`` is the home directory.

    Parameters
    ----------
    path : str or os.PathLike
        As the user wrote it.

    Returns
    -------
    pathlib.Path
        The absolute path.

    Raises
    ------
    InputValueError
        If nothing is there that Bokeh can run.
    """
    written = os.fspath(path)
    found = Path(os.path.abspath(os.path.expanduser(written)))  # noqa: PTH100, PTH111  # as Bokeh does: links stay
    if not found.exists():
        raise InputValueError(
            f"there is no file or directory {str(written)!r} (looked for {found}); "
            f"give the path of {_FORMS}, relative to {Path.cwd()}"
        )
    if found.is_dir():
        if not ((found / "main.py").exists() or (found / "main.ipynb").exists()):
            raise InputValueError(f"the directory {found} has no main.py or main.ipynb; an application is {_FORMS}")
        if (found / "app_hooks.py").exists() and (found / "server_lifecycle.py").exists():
            raise InputValueError(f"the directory {found} has both app_hooks.py and server_lifecycle.py; keep one")
    elif found.suffix not in (".py", ".ipynb"):
        raise InputValueError(f"{found} is no application; give the path of {_FORMS}")
    return found


def application_from_path(path: Path, argv: Sequence[str]) -> Application:
    """Make an application of a script, notebook or directory.

    Parameters
    ----------
    path : pathlib.Path
        Of :func:`checked_path`.
    argv : sequence of str
        Its arguments.

    Raises
    ------
    ApplicationError
        If its code cannot be read, compiled or, in the case of hooks, run.
    """
    _check_package(path)
    try:
        return build_single_handler_application(str(path), list(argv))
    except RuntimeError as error:  # Bokeh's words, with the traceback of the code in them
        said = _script_traceback(str(error)).removeprefix(f"Error loading {path}:").strip()
        raise ApplicationError(
            f"the application {path} could not be loaded: {said}\n\nMend it and run the cell again."
        ) from None
    except Exception as error:
        raise ApplicationError(
            f"the application {path} could not be loaded: {_said(error)}. Mend it and run the cell again"
        ) from error


def _check_package(path: Path) -> None:
    init = path / "__init__.py"
    if not init.is_file():
        return
    try:
        compile(init.read_text(encoding="utf-8"), str(init), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # Bokeh would fail at an assertion
        raise ApplicationError(f"the application {path} could not be loaded: {_said(error)}") from error


def application_from_function(function: Any) -> Application:
    """Make an application of a function that fills a document.

    Parameters
    ----------
    function : callable
        Takes the document.

    Raises
    ------
    InputTypeError
        If it is a coroutine function.
    InputValueError
        If it takes other arguments.
    """
    if _is_coroutine_function(function):
        raise _not_at_once(f"{name_of(function)} is a coroutine function")
    try:
        return Application(_FunctionHandler(function))
    except (ValueError, TypeError) as error:
        raise InputValueError(
            f"an application is a function of one argument, the document, but {name_of(function)} is not: {error}"
        ) from error


class _FunctionHandler(FunctionHandler):
    """Fills a document by a function, and looks at what that returns: Bokeh does not."""

    def modify_document(self, doc: Document) -> None:
        fill: Any = self._func  # it may give what its type says that it does not
        result = fill(doc)
        self._safe_to_fork = False
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()  # nobody awaits it, and Python would say so later, somewhere else
            raise _not_at_once(f"{name_of(self._func)} returns a coroutine")


def check_is_plain(application: Application) -> None:
    """Refuse handlers that fill the document by a coroutine: Bokeh would not await it.

    Parameters
    ----------
    application : bokeh.application.Application
        Of the user.

    Raises
    ------
    InputTypeError
        If there is one.
    """
    for handler in application.handlers:
        function = getattr(handler, "_func", None) or handler.modify_document
        if _is_coroutine_function(function):
            raise _not_at_once(f"{name_of(function)} is a coroutine function")


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # not whether there is one


def _not_at_once(what: str) -> InputTypeError:
    return InputTypeError(
        f"{what}, and a document must be filled at once; give a plain function, and start the coroutine in it with "
        "doc.add_next_tick_callback()"
    )


def name_of(function: object) -> str:
    """Name a function for people."""
    name = getattr(function, "__qualname__", None)
    return f"{name}()" if isinstance(name, str) else f"{function!r:.80}"


def application_name(application: Application) -> str:
    """Name an application for people, by what it was made of.

    Parameters
    ----------
    application : bokeh.application.Application
        The application.
    """
    for handler in application.handlers:
        for path in (getattr(handler, "_path", None), getattr(getattr(handler, "_runner", None), "path", None)):
            if path is not None:
                return str(path)
        function = getattr(handler, "_func", None)
        if function is not None:
            return name_of(function)
    return " + ".join(type(handler).__name__ for handler in application.handlers) or "without handlers"


def folders_of(application: Application) -> list[str]:
    """Give the folders from which handlers of the user run code, and let it import.

    Parameters
    ----------
    application : bokeh.application.Application
        The application.
    """
    folders = []
    for handler in application.handlers:
        folder, file = getattr(handler, "_path", None), getattr(getattr(handler, "_runner", None), "path", None)
        if folder is not None:
            folders.append(os.fspath(folder))
        elif file is not None:
            folders.append(os.path.dirname(os.fspath(file)))  # noqa: PTH120  # empty: where the kernel works
    return folders


def forget_failures(application: Application) -> None:
    """Let handlers forget the failure of the last time; only those of code do so by themselves.

    Parameters
    ----------
    application : bokeh.application.Application
        Before its code runs.
    """
    for handler in application.handlers:
        if isinstance(handler, FunctionHandler):
            handler._failed = False  # noqa: SLF001  # no public name


def check_handlers(application: Application) -> None:
    """Raise what a handler has on record.

    Parameters
    ----------
    application : bokeh.application.Application
        After its code ran.

    Raises
    ------
    ApplicationError
        With the file, the line and the traceback of the code.
    """
    for handler in application.handlers:
        _check(application, handler)


def check_packages(application: Application) -> None:
    """Raise what the ``__init__.py`` of a directory has on record.

    Parameters
    ----------
    application : bokeh.application.Application
        After it was loaded.

    Raises
    ------
    ApplicationError
        As :func:`check_handlers`.
    """
    for handler in application.handlers:
        package = getattr(handler, "_package_runner", None)
        if package is not None:
            _check(application, package)


def _check(application: Application, ran: Any) -> None:
    if ran.failed:
        raise ApplicationError(
            f"the application {application_name(application)} failed: {ran.error}\n\n"
            f"{_script_traceback(ran.error_detail or '')}\n\nMend it and run the cell again."
        )


def failure(what: str, error: BaseException) -> ApplicationError:
    """Make the error that says where the code of an application raised one.

    Parameters
    ----------
    what : str
        Such as ``"on_session_created of myapp"``.
    error : BaseException
        What was raised; it becomes the cause.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_hidden(frame.filename)]
    where = f" (File {frames[-1].filename!r}, line {frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    made = ApplicationError(f"{what} raised {_said(error)}{where}")
    made.__cause__ = error
    return made


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _is_hidden(file: str) -> bool:
    return file.startswith(_HIDDEN)


def _script_traceback(text: str) -> str:
    """Take the frames of Bokeh out of the text of a traceback: those of the code stay."""
    return _FRAME.sub(lambda found: "" if _is_hidden(found["file"]) else found[0], text).strip()
