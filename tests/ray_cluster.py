"""The fixture ``ray_cluster``: two real Ray nodes on 127.0.0.1, one for the whole test run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from tests.processes import in_session, kill_with_all_below
from tests.search.fakes import wait_for

ROOT = Path(__file__).parents[1]

# Keeps Ray on the loopback address: nodes, and the process that connects to them. A token that
# this user's Ray made some time is not asked for.
LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
}

# A node that died is given up after two seconds, not fifteen.
IMPATIENT = {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}


@dataclass
class Node:
    """A node: its id in Ray, and its raylet's process number."""

    id: str
    raylet: int

    @property
    def worker(self) -> str:
        """What a trial that ran there says of its worker."""
        return f"ray-{self.id[:8]}"

    def kill(self) -> None:
        """End all its processes at once, as when its machine loses power."""
        kill_with_all_below(self.raylet)


class Nodes:
    """A cluster whose nodes have one CPU each."""

    def __init__(self, **environment: str) -> None:
        # A short path: a socket's has at most 107 characters.
        self._folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
        names = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        own = {"PYTHONPATH": str(ROOT), "RAY_TMPDIR": self._folder}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by ``stop``
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.ray_nodes", self._folder],
            cwd=ROOT,
            env=kept | LOOPBACK | IMPATIENT | own | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
            text=True,
        )
        self.address = ""
        self.nodes: list[Node] = []

    def add(self, **environment: str) -> Node:
        """Start a node; its workers have ``environment`` too. The first is the head."""
        answer = self._ask(do="add", environment=environment)
        self.address = answer["address"]
        self.nodes.append(Node(answer["node"], answer["raylet"]))
        return self.nodes[-1]

    def kill(self, node: Node) -> None:
        """Kill a node as a whole."""
        node.kill()
        self._ask(do="reap", node=node.id)
        self.nodes.remove(node)

    def processes(self) -> list[int]:
        """All living processes of this cluster."""
        return in_session(self._process.pid)

    def stop(self) -> None:
        """End the cluster at once; no process of it is left."""
        # All of them are in the session of the one that started them, and it is not reaped yet.
        wait_for(lambda: not self._kill_all(), "the end of all Ray processes")
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill_all(self) -> list[int]:
        found = self.processes()
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return found

    def _ask(self, **command: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            pytest.fail(f"the Ray cluster did not start:\n{self._said.read()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


@pytest.fixture(scope="session")
def _ray() -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs ray: pip install 'seglock[ray]'")


@pytest.fixture(scope="session")
def _two_nodes(_ray: None) -> Iterator[Nodes]:
    with Nodes() as cluster:
        cluster.add()
        cluster.add()
        yield cluster


@pytest.fixture
def ray_loopback(_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started in this test connects to Ray on the loopback address, and finds tests."""
    for name, value in {**LOOPBACK, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ray_cluster(_two_nodes: Nodes, ray_loopback: None) -> Nodes:
    """Two living nodes with one CPU each; a test may kill the second."""
    while len(_two_nodes.nodes) < 2:
        _two_nodes.add()
    return _two_nodes
