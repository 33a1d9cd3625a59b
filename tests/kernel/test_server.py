"""The extension of Jupyter Server, in a real one with a real kernel and a websocket as a page opens it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

PROBE: Final = Path(__file__).with_name("nodelay_probe.py")


def _probe(*arguments: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-P", str(PROBE), *arguments], check=True, capture_output=True, text=True, timeout=120
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, done.stderr


def test_small_messages_of_a_kernel_are_sent_at_once() -> None:
    found, log = _probe("extension")
    assert found["nodelay"] is True
    assert "bokeh_widget: kernel websockets send small messages at once" in log
    # it is still what was there before, with what was configured for it
    assert found["bases"][1] == "ZMQChannelsWebsocketConnection"
    assert found["limit"] == 1234


def test_the_server_does_not_do_so_by_itself() -> None:
    # when this fails, a release of Jupyter Server needs the extension no longer
    found, _ = _probe()
    assert found["bases"][0] == "ZMQChannelsWebsocketConnection"
    assert found["nodelay"] is False


def test_a_server_that_connects_kernels_otherwise_goes_on() -> None:
    from types import SimpleNamespace

    from bokeh_widget._server import _load_jupyter_server_extension

    warnings: list[str] = []
    log = SimpleNamespace(warning=lambda text, *values: warnings.append(text % values))
    server: Any = SimpleNamespace(web_app=SimpleNamespace(settings={}), log=log)
    _load_jupyter_server_extension(server)
    assert server.web_app.settings == {}
    [warning] = warnings
    assert "kernel_websocket_connection_class" in warning


def test_the_wheel_turns_it_on() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"], check=True, capture_output=True, text=True
    )
    lines = [line for line in (listed.stdout + listed.stderr).splitlines() if "bokeh_widget" in line]
    assert any("enabled" in line for line in lines), lines
    assert any("OK" in line for line in lines), lines
