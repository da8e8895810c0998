"""What a terminal, a pipe or a log file cannot show, or no longer reads, never ends a command."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

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


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """A bar for each thing that is done, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


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
