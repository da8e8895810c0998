"""A terminal in a tiny project, in which the lines of a page are typed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.e2e.project import Project, shrink


def tiny(values: dict[str, Any]) -> None:
    """As `shrink`, and with less of everything that has a test of its own."""
    shrink(values)
    values["locks"] = {"baseline": {"steps": []}, "shf-4": {"steps": ["shf-4"]}}
    values["train"] |= {"epochs": 1, "warmup_epochs": 0}
    values["attack"]["names"] = ["known-plaintext"]
    values["search"] |= {"trials": 1, "confirm": 0, "warmup_epochs": 0}
    values["search"]["thief"] |= {"queries": 4, "seconds": 1.0, "attacks": ["finetune"]}


class Terminal:
    """A folder in which lines are typed; servers go on beside it, each on a port of its own."""

    def __init__(self, project: Project) -> None:
        self.at = project
        self.servers: list[tuple[subprocess.Popen[str], str]] = []
        self.said = ""
        self.typed: set[tuple[Path, str]] = set()

    def type(self, line: str) -> str:
        """Run one line as a shell would, or start a server; its output."""
        self.typed.add((self.at.root, line))
        if line.startswith("cd "):
            self.at = Project(self.at.root / line[3:], self.at.environment)
            return ""
        for _, port in self.servers:
            line = re.sub(r"(?<=127\.0\.0\.1:)\d+", port, line)
        if line.startswith("seglock serve"):
            self.start(line)
            return ""
        self.said = self.at.run("bash", "-ec", line)
        return self.said

    def start(self, line: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        words = [*line.split(), "--port", port]
        self.servers.append((self.at.start(*words), port))
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health") as answer:
                assert answer.status == 200
                return
            assert self.servers[-1][0].poll() is None, self.servers[-1][0].communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def close(self) -> None:
        """End the servers."""
        while self.servers:
            process, _ = self.servers.pop()
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
