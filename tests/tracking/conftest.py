"""A real MLflow server on this machine, which tests may take away and bring back."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seglock.config import TrackingParams

# Of what a server starts beside itself nothing is tested: each job's process imports mlflow again.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Gate:
    """Hands on what comes to a port, until it is shut: as if who is behind it had been killed."""

    def __init__(self, port: int, behind: int) -> None:
        self._behind = behind
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._ends.append(client)
                server = socket.create_connection(("127.0.0.1", self._behind))
                self._ends.append(server)
                for ends in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=hand_on, args=ends, daemon=True))
                    self._threads[-1].start()

    def shut(self) -> None:
        """Nobody listens any more, and who was connected is cut off."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()


def hand_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := one.recv(1 << 16):
            other.sendall(content)
        other.shutdown(socket.SHUT_WR)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``mlflow server`` with a SQLite store in a folder of its own, behind a gate: to start it once
    more would take seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._behind = unused_port(), unused_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.gate: Gate | None = None

    def start(self) -> None:
        """It answers, with all that it had before."""
        if self.process is None:
            self._start()
        if self.gate is None:
            self.gate = Gate(self.port, self._behind)

    def kill(self) -> None:
        """It is gone for its clients."""
        if self.gate is not None:
            self.gate.shut()
            self.gate = None

    def _start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self._behind), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, **QUIET},
            )  # fmt: skip
        health = f"http://127.0.0.1:{self._behind}/health"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with contextlib.suppress(OSError), urllib.request.urlopen(health) as got:
                if got.status == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        pytest.fail((self.folder / "server.log").read_text()[-4000:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """kill -9 the server and its workers."""
        self.kill()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(server_process: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that answers, and that MLFLOW_TRACKING_URI names."""
    server_process.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server_process.uri)
    return server_process


@pytest.fixture
def params() -> TrackingParams:
    """Patient enough for a server on a busy machine."""
    return TrackingParams(timeout_seconds=60.0)


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return unused_port()


def client_of(uri: str) -> Any:
    """An MLflow client of the test's own, to see what really arrived."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        return _Quiet(MlflowClient(uri))


class _Quiet:
    """A client whose own deprecation warnings fail no test."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return getattr(self._client, name)(*arguments, **named)

        return call
