"""Every error that bokeh_widget raises on purpose.

::

    BokehWidgetError(Exception)
    ├── InputTypeError(TypeError)        an argument of the wrong type
    ├── InputValueError(ValueError)      the right type, an impossible value
    │   ├── MixedDocumentsError          models of several documents in one widget
    │   └── EmptyDocumentError           nothing to show
    ├── SessionClosedError(RuntimeError) use of what was closed
    ├── SessionOpenError(RuntimeError)   opening of what is open already
    ├── ProtocolError(ValueError)        a message from the page that must not be applied
    │   └── FrameTooLargeError           … because it is larger than the limit
    ├── CustomModelError                 Bokeh cannot compile a custom model
    ├── ApplicationError                 an application, or one of its hooks, failed
    │   └── SessionRefusedError          … or a hook wants no session
    ├── ExportError                      no page gives a picture of the plot
    └── BrowserError                     something failed in the page

Each message says what happened, names the offending value and says what to do.
"""

from __future__ import annotations


class BokehWidgetError(Exception):
    """Base of all errors of this package."""


class InputTypeError(BokehWidgetError, TypeError):
    """An argument has a type that is not accepted."""


class InputValueError(BokehWidgetError, ValueError):
    """An argument has an accepted type and an impossible value."""


class MixedDocumentsError(InputValueError):
    """Models that belong to different documents cannot share one widget."""


class EmptyDocumentError(InputValueError):
    """There is no root to show."""


class SessionClosedError(BokehWidgetError, RuntimeError):
    """A closed widget or session was used."""


class SessionOpenError(BokehWidgetError, RuntimeError):
    """A session that is open was to be opened once more."""


class ProtocolError(BokehWidgetError, ValueError):
    """A message from the page is malformed or does not fit the document.

    Nothing of such a message was applied.
    """


class FrameTooLargeError(ProtocolError):
    """A message is larger than the limit for one frame."""


class CustomModelError(BokehWidgetError):
    """Bokeh's compiler refuses the implementation of a custom model."""


class ApplicationError(BokehWidgetError):
    """The code of an application failed, so that there is no session to show.

    The message has the file, the line and the traceback of the code itself.
    """


class SessionRefusedError(ApplicationError):
    """A hook or the application itself destroyed the session before it was open."""


class ExportError(BokehWidgetError):
    """No page gives a picture: none shows the plot, it went away, it failed, or it took too long."""


class BrowserError(BokehWidgetError):
    """Something failed in the page: the message is the browser's own.

    Parameters
    ----------
    message : str
        What the browser reported.
    context : str
        What the page was doing, such as ``"render"`` or ``"apply patch"``.
    stack : str, default ""
        The JavaScript stack, where there is one.
    """

    def __init__(self, message: str, *, context: str, stack: str = "") -> None:
        super().__init__(f"in the browser, while it tried to {context}: {message}")
        if stack:
            self.add_note(stack)  # logged with the traceback
        self.context = context
        self.stack = stack
