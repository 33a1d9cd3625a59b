"""Start and stop a Jupyter server of our own: JupyterLab, Notebook 7 and Voila on one port."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import nbformat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

DEFAULT_KERNEL: Final = "python3"

# What a fresh JupyterLab does on its own accord (news, update checks, autosave) would ask the network or change the
# page in the middle of a test.
_LAB_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
_DISABLED_LAB_PLUGINS: Final = ("@jupyterlab/apputils-extension:announcements",)

_SERVER_EXTENSIONS: Final = {
    "bokeh_widget": True,
    "jupyter_lsp": True,
    "jupyter_server_terminals": True,
    "jupyterlab": True,
    "notebook": True,
    "notebook_shim": True,
    "voila.server_extension": True,
}


class ServerError(RuntimeError):
    """The Jupyter server did not start, died, or refused a request; the message ends with its log's tail."""


class JupyterServer:
    """One Jupyter server that knows nothing of the user's own configuration.

    JupyterLab, Notebook 7 and Voila run as extensions of the same server, so they share its kernels and files.

    Parameters
    ----------
    python : str, optional
        Interpreter of the server and of its default kernel.
    kernels : mapping of str to str, optional
        Further kernels: name -> interpreter (which needs ipykernel).
    config : mapping, optional
        Traitlets configuration of the server, merged over the harness's own: ``{"ServerApp": {...}}``.
    settings : mapping, optional
        JupyterLab setting overrides, merged over the harness's own: ``{plugin id: {key: value}}``.
    labextensions : sequence of Path, optional
        Directories searched for prebuilt extensions before those of the environment.
    env : mapping of str to str, optional
        Variables added to the server's (and its kernels') environment.
    start_timeout : float, optional
        Seconds until the server must answer.
    """

    def __init__(
        self,
        *,
        python: str = sys.executable,
        kernels: Mapping[str, str] | None = None,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        labextensions: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        start_timeout: float = 60,
    ) -> None:
        self.token: Final = secrets.token_hex(16)
        self.home: Final = Path(tempfile.mkdtemp(prefix="jupyter-harness-"))
        self.root_dir: Final = self.home / "root"
        self.runtime_dir: Final = self.home / "runtime"
        self._python = python
        self._log_file: Final = self.home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._user_settings: dict[str, dict[str, Any]] = {}
        self.url = ""
        for directory in (self.root_dir, self.runtime_dir, self.home / "config" / "labconfig", self.home / "user"):
            directory.mkdir(parents=True)
        # Not every user of it is a with block, and a server in its own process group outlives us.
        atexit.register(self.close)
        self._write_kernels({DEFAULT_KERNEL: python, **(kernels or {})})
        self._write_config(config or {}, settings or {}, labextensions)
        try:
            self._start(env or {}, start_timeout)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.close()

    def _write_kernels(self, kernels: Mapping[str, str]) -> None:
        """Write one kernel spec per interpreter where the server looks first."""
        for name, python in kernels.items():
            directory = self.home / "data" / "kernels" / name
            directory.mkdir(parents=True)
            spec = {
                "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": name,
                "language": "python",
                "metadata": {"debugger": True},
            }
            (directory / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")

    def _write_config(
        self,
        config: Mapping[str, Mapping[str, Any]],
        settings: Mapping[str, Mapping[str, Any]],
        labextensions: Sequence[Path],
    ) -> None:
        """Write the server's and JupyterLab's configuration files."""
        extra = [str(path) for path in labextensions]
        own: dict[str, dict[str, Any]] = {
            "ServerApp": {
                "ip": "127.0.0.1",
                "port_retries": 100,
                "open_browser": False,
                "allow_root": True,
                "root_dir": str(self.root_dir),
                "jpserver_extensions": _SERVER_EXTENSIONS,
            },
            "IdentityProvider": {"token": self.token},
            "FileContentsManager": {"delete_to_trash": False},
            # "readonly" keeps the extension manager from asking PyPI.
            "LabApp": {"expose_app_in_browser": True, "extension_manager": "readonly", "news_url": None},
            "JupyterNotebookApp": {"expose_app_in_browser": True},
        }
        if extra:
            for app in ("LabApp", "JupyterNotebookApp", "VoilaConfiguration"):
                own.setdefault(app, {})["extra_labextensions_path"] = extra
        for section, values in config.items():
            own[section] = {**own.get(section, {}), **values}
        overrides = dict(_LAB_SETTINGS)
        for plugin, entries in settings.items():
            overrides[plugin] = {**overrides.get(plugin, {}), **entries}
        page_config = {
            "disabledExtensions": dict.fromkeys(_DISABLED_LAB_PLUGINS, True),
            # Asking whether JupyterLab should be rebuilt blocks the server for most of a second at each page load.
            "buildAvailable": False,
            "buildCheck": False,
        }
        directory = self.home / "config"
        files = {
            directory / "jupyter_server_config.json": own,
            directory / "labconfig" / "default_setting_overrides.json": overrides,
            directory / "labconfig" / "page_config.json": page_config,
        }
        for path, content in files.items():
            path.write_text(json.dumps(content), encoding="utf-8")

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which nothing of the user's Jupyter or IPython is found."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY_", "IPYTHON", "VOILA"))
        }
        return {
            **inherited,
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "user" / "data"),
            "JUPYTER_PATH": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.runtime_dir),
            "JUPYTERLAB_SETTINGS_DIR": str(self.home / "user" / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "user" / "workspaces"),
            "IPYTHONDIR": str(self.home / "user" / "ipython"),
            # The debugger's notice about frozen modules would land in the log of every kernel.
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **extra,
        }

    def _start(self, env: Mapping[str, str], timeout: float) -> None:
        """Start the process and wait until it answers."""
        command = [self._python, "-m", "jupyterlab", "--no-browser", f"--port={_free_port()}"]
        self._log = self._log_file.open("wb")
        self._process = subprocess.Popen(
            command,
            cwd=self.root_dir,
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # The server states its real port in this file: the one asked for may have been taken meanwhile.
        info_file = self.runtime_dir / f"jpserver-{self._process.pid}.json"
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(self._with_log(f"Jupyter exited with code {self._process.returncode} at its start"))
            with contextlib.suppress(OSError, ValueError):
                self.url = json.loads(info_file.read_text(encoding="utf-8"))["url"]
                self.request("GET", "api/status")
                return
            time.sleep(0.05)
        raise ServerError(self._with_log(f"Jupyter did not answer within {timeout} s"))

    def _with_log(self, message: str) -> str:
        return f"{message}. The end of its log:\n{self.log_tail()}"

    def log_tail(self, lines: int = 60) -> str:
        """Return the last lines of what the server and its kernels printed."""
        return "\n".join(self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def check_alive(self) -> None:
        """Raise ServerError with the log's tail if the server process is gone."""
        if self._process is None or self._process.poll() is not None:
            raise ServerError(self._with_log("The Jupyter server is not running"))

    def close(self) -> None:
        """Stop the server with its kernels and remove its files; safe to repeat."""
        atexit.unregister(self.close)
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
        # Kernels write into their directories until the last moment.
        shutil.rmtree(self.home, ignore_errors=True)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Call the server's REST API.

        Parameters
        ----------
        method : str
            ``"GET"``, ``"DELETE"``, ...
        path : str
            Below the base URL: ``"api/kernels"``.
        body : object, optional
            Sent as JSON.

        Returns
        -------
        object
            The decoded JSON answer, None if it is empty.

        Raises
        ------
        ServerError
            If the server is gone or answers with an error status.
        """
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read().decode(errors="replace")[:500]
            message = f"{method} {path} answered {error.code}: {detail}"
            raise ServerError(message) from error
        return json.loads(content) if content else None

    def page_url(self, path: str) -> str:
        """Return the address of a page of this server, with the token that logs a fresh browser in."""
        separator = "&" if "?" in path else "?"
        return f"{self.url}{quote(path, safe='/?=&')}{separator}token={self.token}"

    def set_settings(self, plugin: str, values: Mapping[str, Any]) -> None:
        """Set the user settings of a JupyterLab plugin for pages loaded from now on; empty ones restore the defaults.

        Parameters
        ----------
        plugin : str
            ``"@jupyterlab/notebook-extension:tracker"``.
        values : mapping
            Replace all user settings of the plugin.
        """
        if self._user_settings.get(plugin, {}) != values:
            self.request("PUT", f"lab/api/settings/{plugin}", {"raw": json.dumps(values)})
            self._user_settings[plugin] = dict(values)

    def write_notebook(self, cells: Sequence[str], *, name: str | None = None, kernel: str = DEFAULT_KERNEL) -> str:
        """Write a notebook of code cells into the server's root.

        Parameters
        ----------
        cells : sequence of str
            Sources of the cells.
        name : str, optional
            File name; a unique one if omitted.
        kernel : str, optional
            Name of the kernel.

        Returns
        -------
        str
            Path of the notebook relative to the root.
        """
        # Untyped in nbformat.
        notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
            cells=[nbformat.v4.new_code_cell(source) for source in cells],  # type: ignore[no-untyped-call]
            metadata={
                "kernelspec": {"name": kernel, "display_name": kernel, "language": "python"},
                "language_info": {"name": "python"},
            },
        )
        path = name or f"notebook-{uuid.uuid4().hex[:10]}.ipynb"
        target = self.root_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)  # type: ignore[no-untyped-call]
        return path

    def kernel_ids(self) -> list[str]:
        """Return the ids of all running kernels."""
        return [kernel["id"] for kernel in self.request("GET", "api/kernels")]

    def kernel_of(self, path: str) -> str | None:
        """Return the id of the kernel that runs the notebook at ``path``, if one does."""
        for session in self.request("GET", "api/sessions"):
            if session["path"] == path and session["kernel"] is not None:
                kernel_id: str = session["kernel"]["id"]
                return kernel_id
        return None

    def shutdown_kernel(self, kernel_id: str) -> None:
        """Shut a kernel down; one that is already gone is no error."""
        with contextlib.suppress(ServerError):
            self.request("DELETE", f"api/kernels/{kernel_id}")

    def shutdown_sessions(self, path: str) -> None:
        """Shut down the sessions (and so the kernels) of the notebook at ``path``."""
        for session in self.request("GET", "api/sessions"):
            if session["path"] == path:
                with contextlib.suppress(ServerError):
                    self.request("DELETE", f"api/sessions/{session['id']}")

    def connection_file(self, kernel_id: str) -> Path:
        """Return the connection file of a running kernel."""
        return self.runtime_dir / f"kernel-{kernel_id}.json"


def _free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
