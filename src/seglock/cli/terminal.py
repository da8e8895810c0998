"""What a terminal, a pipe or a log file is shown: tables, bars or lines, JSON. What they cannot
show, or no longer read, never ends a command."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

INTERRUPTED, STOPPED = 130, "stopped; run the same command again to continue"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_PLAIN = {
    "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{MIDDLE DOT}": "-", "\N{LESS-THAN OR EQUAL TO}": "<=", "\N{PLUS-MINUS SIGN}": "+-",
}  # fmt: skip
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))


def make_output_safe() -> None:
    """Let standard output and error take any text, whatever their encoding, and be closed.

    A character that the encoding lacks becomes a plain one of the same meaning, or its code.
    """
    codecs.register_error("seglock.plain", _encodable)
    codecs.register(_ascii_by_another_name)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            encoding = "seglock_ascii" if ascii_only else stream.encoding
            stream.reconfigure(encoding=encoding, errors="seglock.plain")


def plain_text(text: str) -> str:
    r"""Text in ASCII that says the same.

    >>> print(plain_text("about 10⁶¹, \u4e2d"))
    about 10^61, \u4e2d
    """
    words = []
    for before, character in zip(" " + text, text, strict=False):
        if character in _RAISED:
            words.append(("" if before in _RAISED else "^") + _RAISED[character])
        else:
            plain = _PLAIN.get(character, character)
            words.append(plain.encode("ascii", "backslashreplace").decode())
    return "".join(words)


def print_table(
    words: Sequence[str],
    numbers: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
) -> None:
    """Print a table with columns of words, then of numbers.

    A number cut short would be a wrong number: rather let the terminal wrap the line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    needed = console.measure(table, options=console.options.update_width(1000)).maximum
    console.width = max(console.width, needed)
    console.print(table)


def number(text: str) -> float | str:
    """What an option's text stands for; one with a % is for params.yaml's rules to read.

    >>> number("0.02"), number("2%")
    (0.02, '2%')
    """
    try:
        return float(text)
    except ValueError:
        return text


def told_once(message: str) -> None:
    """Print a line; of the processes that ``torchrun`` starts, the first one does."""
    if os.environ.get("RANK", "0") == "0":
        typer.echo(message)


def print_json(value: Any) -> None:
    """Print what a command found as JSON; paths and what else it lacks as text."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Bars with the time left for what is done; in a pipe lines, where something takes long."""
    if not sys.stderr.isatty():
        from seglock.progress import ProgressLines

        yield ProgressLines()
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.stop()


class _Bar:
    """A bar for one thing at a time, with the time left; it goes when that is done."""

    def __init__(self) -> None:
        self._what = ""
        self._shown: Progress | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what != self._what:
            self.stop()
            self._what = what
        if self._shown is None:
            from rich.console import Console
            from rich.progress import Progress

            # What a library takes for standard output now, it may still write to at the end.
            self._shown = Progress(
                console=Console(stderr=True), transient=True,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._task = self._shown.add_task(what)
            self._shown.start()
        self._shown.update(self._task, completed=done, total=total)
        if done == total:
            self.stop()

    def stop(self) -> None:
        """Take it off the terminal."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


def _encodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain_text(error.object[error.start : error.end]), error.end


def _ascii_by_another_name(name: str) -> codecs.CodecInfo | None:
    """Click takes a stream in ASCII for a mistake, and writes UTF-8 to it."""
    if name != "seglock_ascii":
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(
        known.encode,
        known.decode,
        incrementalencoder=known.incrementalencoder,
        incrementaldecoder=known.incrementaldecoder,
        name=name,
    )
