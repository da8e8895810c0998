"""Output that a terminal, a pipe or a file cannot show: no command ends by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglock.cli.terminal import plain_text

ENCODINGS = ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"]
SAY = (
    (
        "import typer; from rich.console import Console; from rich.table import Table\n"
        "from rich import box\n"
        "from seglock.cli import main\n"
        "def say(*_):\n"
        "    table = Table(box=box.SIMPLE_HEAD, title='Größe \N{EN DASH} 中 \\udcff')\n"
        "    table.add_column('±…')\n"
        "    Console().print(table); Console(stderr=True).print('10⁶¹ ≤ 1')\n"
        "    typer.echo('Größe \N{EN DASH} 10⁶¹ \\udcff'); typer.echo('…', err=True)\n"
        "import seglock.cli.app; seglock.cli.app.app = say\n"
        "main()\n"
    )
    .encode("ascii", "backslashreplace")
    .decode()
)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="latin-1",
        env=os.environ | environment, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_that_an_encoding_lacks_is_said_in_plain_characters(encoding: str) -> None:
    done = run(SAY, PYTHONIOENCODING=encoding)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "\\udcff" in done.stdout
    if encoding == "ascii":
        assert "Gr\\xf6\\xdfe - 10^61" in done.stdout
        assert "10^61 <= 1" in done.stderr


def test_a_plain_locale_is_enough() -> None:
    done = run(SAY, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_takes_anything(closed: str) -> None:
    redirection = {"stdout": ">&-", "stderr": "2>&-"}[closed]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, SAY],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_has_gone_is_no_fault_to_tell(lines: int) -> None:
    code = (
        "import typer, seglock.cli.app; from seglock.cli import main\n"
        f"seglock.cli.app.app = lambda: typer.echo('x\\n' * {lines})\n"
        "main()\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_plain_text_keeps_what_it_can() -> None:
    assert plain_text("a\N{EN DASH}b … 10⁶¹, 0.5 ± 0.1") == "a-b ... 10^61, 0.5 +- 0.1"


def test_help_is_readable_everywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seglock", "--help"], capture_output=True, cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "20", "NO_COLOR": "1"},
        check=True,
    )  # fmt: skip
    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout
