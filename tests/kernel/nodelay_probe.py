"""Tell of the websockets of a real kernel, opened as a page opens them: does the server send small messages at once?

Run as a program, with or without the argument ``extension``; prints JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from jupyter_server.serverapp import ServerApp
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect


async def probe(app: ServerApp) -> dict[str, Any]:
    kernel_id = await app.kernel_manager.start_kernel()
    url = f"ws://127.0.0.1:{app.port}/api/kernels/{kernel_id}/channels?session_id=probe&token=secret"
    client = await websocket_connect(HTTPRequest(url))
    connection_class = app.web_app.settings["kernel_websocket_connection_class"]
    await client.write_message(
        json.dumps(
            {
                "channel": "shell",
                "header": {
                    "msg_id": "1",
                    "msg_type": "kernel_info_request",
                    "username": "",
                    "session": "probe",
                    "version": "5.3",
                    "date": "",
                },
                "parent_header": {},
                "metadata": {},
                "content": {},
            }
        )
    )
    answers = set()
    while "kernel_info_reply" not in answers:
        message = await client.read_message()
        answers.add(json.loads(message)["header"]["msg_type"])
    [stream] = [open_.websocket_handler.ws_connection.stream for open_ in connection_class._open_sockets]
    found = {
        "nodelay": bool(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        "bases": [base.__name__ for base in connection_class.__mro__],
        "limit": connection_class(
            parent=app.kernel_manager.get_kernel(kernel_id), config=app.config
        ).iopub_msg_rate_limit,
    }
    client.close()
    await app.kernel_manager.shutdown_all()
    return found


def main() -> None:
    app = ServerApp()
    app.initialize(
        [
            "--no-browser",
            "--allow-root",
            "--ServerApp.port=0",
            "--IdentityProvider.token=secret",
            "--ZMQChannelsWebsocketConnection.iopub_msg_rate_limit=1234",
            f"--ServerApp.jpserver_extensions={{'bokeh_widget': {'extension' in sys.argv}}}",
        ]
    )
    # the server binds its port in the first step of its loop
    print(json.dumps(app.io_loop.run_sync(lambda: probe(app), timeout=60)))


if __name__ == "__main__":
    main()
