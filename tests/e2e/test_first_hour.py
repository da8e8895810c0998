"""The first hour as its pages have it: every command in order, on fewer and smaller images."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from seglock.config import SyntheticParams
from seglock.data import write_synthetic
from tests.docs.pages import commands
from tests.e2e.project import ROOT, Project, make_project, shrink

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ELSEWHERE = ("source ", "seglock playground", "mlflow ui")
"""The environment is there; tests/stages and tests/tracking start these servers."""


def tiny(values: dict[str, Any]) -> None:
    """As `shrink`, and with less of everything that has a test of its own."""
    shrink(values)
    values["locks"] = {"baseline": {"steps": []}, "shf-4": {"steps": ["shf-4"]}}
    values["train"] |= {"epochs": 1, "warmup_epochs": 0}
    values["attack"]["names"] = ["known-plaintext"]
    values["search"] |= {"trials": 1, "confirm": 0, "warmup_epochs": 0}


class Terminal:
    """A folder in which lines are typed; servers go on beside it, each on a port of its own."""

    def __init__(self, project: Project) -> None:
        self.at = project
        self.servers: list[tuple[subprocess.Popen[str], str]] = []
        self.said = ""

    def type(self, line: str) -> str:
        """Run one line as a shell would, or start a server; its output."""
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
        for process, _ in self.servers:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


@pytest.fixture
def terminal(tmp_path: Path, forks: Path) -> Iterator[Terminal]:
    """In a fresh project, whose ``seglock`` and ``dvc`` start at once."""
    project = make_project(tmp_path / "home", tmp_path / "keys")
    project.fork_from(forks)
    opened = Terminal(project)
    try:
        yield opened
    finally:
        opened.close()


def test_the_quick_start(terminal: Terminal) -> None:
    terminal.at.change(tiny)
    terminal.at.commit("small")
    makefile = (ROOT / "Makefile").read_text()
    demo = re.search(r"^demo:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    assert demo
    for line in commands(Path("docs/quick-start.md")):
        if line == "make demo":
            for step in demo[1].splitlines():
                terminal.type(step.strip("\t@"))
            assert "shf-4" in terminal.said
        elif not line.startswith(ELSEWHERE):
            terminal.type(line)
    assert "shf-4" in terminal.said
    assert (terminal.at.root / "data/reports/report.html").is_file()


def test_from_photos_to_a_served_model(terminal: Terminal) -> None:
    home = terminal.at.root.parent
    terminal.at = Project(home, terminal.at.environment)
    write_synthetic(SyntheticParams(train=48, test=8, side=32, classes=4), home / "photos")
    said: dict[str, str] = {}
    for line in commands(Path("docs/photos.md")):
        typed = line.replace("PUBLIC-KEY", said.get("seglock key recipient", "").strip())
        said[line] = terminal.type(typed)
        if line == "cd mine":
            terminal.at.change(tiny)
    root = terminal.at.root
    assert len(list((root / "answers/masks").glob("*.png"))) == 56
    scored = [text for line, text in said.items() if "--masks" in line]
    assert [len(re.findall(r"mean IoU 0\.\d{4} of 56 photos", text)) for text in scored] == [1, 1]
    assert (root / "main.key").stat().st_mode & 0o077 == 0
    assert "nothing found" in said["seglock audit"]


@pytest.mark.filterwarnings("ignore")  # the kernel's packages warn of each other
def test_the_notebook(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    for name in set(os.environ) - set(terminal.at.environment):
        monkeypatch.delenv(name)
    for name, value in terminal.at.environment.items():
        monkeypatch.setenv(name, value)
    book = nbformat.read(ROOT / "docs/first-hour.ipynb", as_version=4)
    after = next(i for i, cell in enumerate(book.cells) if "%cd hour" in cell.source)
    smaller = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.e2e.project import Project\n"
        "from tests.e2e.test_first_hour import tiny\n"
        "Project(Path.cwd(), {}).change(tiny)\n"
    )
    book.cells.insert(after + 1, nbformat.v4.new_code_cell(smaller))
    NotebookClient(
        book, timeout=300, kernel_name="python3",
        resources={"metadata": {"path": str(terminal.at.root.parent)}},
    ).execute()  # fmt: skip
    shown = [out for cell in book.cells for out in cell.get("outputs", [])]
    assert [out for out in shown if "image/png" in out.get("data", {})]
