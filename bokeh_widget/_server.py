"""Extension of Jupyter Server: what a kernel says leaves the machine at once. It runs in the server, not in a kernel.

A small message is held back by the operating system until the page has acknowledged the one before it (Nagle's
algorithm, RFC 896), and the page's system delays that acknowledgement by up to 40 ms: a slider's round trip and each
of 60 patches a second wait for it. Only the server can switch that off, and Jupyter Server (2.21) does not;
``tests/kernel/test_server.py`` says when it does. Nothing but the standard library is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_CONNECTION: Final = "kernel_websocket_connection_class"
"""Where the handler of kernel websockets looks up what connects it to a kernel."""


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Have every kernel websocket that is opened from here on send at once.

    Parameters
    ----------
    server : jupyter_server.serverapp.ServerApp
        Whose websockets. What its administrator configured for them stays in force.
    """
    settings: dict[str, Any] = server.web_app.settings
    configured = settings.get(_CONNECTION)
    if isinstance(configured, type):
        settings[_CONNECTION] = _prompt(configured)
        server.log.info("bokeh_widget: kernel websockets send small messages at once")
    else:
        server.log.warning("bokeh_widget: plots react up to 40 ms later, for want of %r in this server", _CONNECTION)


def _prompt(connection: Any) -> type:
    class PromptConnection(connection):  # type: ignore[misc]  # its base is what was configured
        """Connects a websocket to a kernel, and lets no message wait."""

        def connect(self) -> Any:
            self.websocket_handler.set_nodelay(True)
            return super().connect()

    return PromptConnection
