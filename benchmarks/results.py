"""What a benchmark measured, as data: one JSON per benchmark and device under docs/results."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from seglock.files import write_json
from seglock.machine import describe_environment

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "docs" / "results"


@dataclass(frozen=True)
class Row:
    """One figure beside what it is compared with, both measured in the same run.

    ``reference``: what people would otherwise use; ``ratio``: how many times as good as it this
    is, above 1 better, whatever the unit. ``limit``: what the machine could do at most;
    ``share_of_limit``: how much of that is reached, 1 all of it.
    """

    name: str
    value: float
    unit: str
    reference: str | None = None
    ratio: float | None = None
    limit: str | None = None
    share_of_limit: float | None = None

    def __post_init__(self) -> None:
        if (self.reference is None) != (self.ratio is None):
            raise ValueError(f"{self.name}: a reference and its ratio go together")
        if (self.limit is None) != (self.share_of_limit is None):
            raise ValueError(f"{self.name}: a limit and the share of it go together")


def device_slug() -> str:
    """The device in a file's name: ``cpu``, ``h200``, ...

    >>> _slug("1 x NVIDIA H100 80GB HBM3"), _slug("cpu")
    ('h100', 'cpu')
    """
    return _slug(describe_environment()["device"])


def _slug(device: str) -> str:
    if device == "cpu":
        return device
    words = re.findall(r"[A-Za-z0-9]+", device.partition(" x ")[2])
    model = next((word for word in words if re.fullmatch(r"[A-Z]+[0-9]+[A-Z]*", word)), words[-1])
    return model.lower()


def processor() -> str:
    """The processor's name as the system gives it, or an empty string."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found[1].strip() if found else ""


def write_rows(
    benchmark: str,
    rows: Iterable[Row],
    *,
    settings: Mapping[str, Any],
    folder: Path = RESULTS,
) -> Path:
    """Write ``folder/BENCHMARK-DEVICE.json``, whole or not at all.

    ``settings``: sizes, networks and whatever else the figures depend on. The command is the one
    that this process was started with, as ``python -m benchmarks.BENCHMARK``.
    """
    path = folder / f"{benchmark}-{device_slug()}.json"
    document = describe_run(f"benchmarks.{benchmark}") | {
        "benchmark": benchmark,
        "settings": dict(settings),
        "rows": [asdict(row) for row in rows],
    }
    write_json(path, document)
    return path


def describe_run(module: str) -> dict[str, Any]:
    """The command of this process, its device and versions, as every result file begins.

    Without where the files and the work went, and in how many parts it was done.
    """
    environment = describe_environment()
    return {
        "command": shlex.join(["python", "-m", module, *_without(sys.argv[1:], _PLACES)]),
        "device": environment["device"],
        "processor": processor(),
        "environment": environment,
    }


def _without(arguments: Sequence[str], options: Container[str]) -> list[str]:
    """The arguments but for some options and their values.

    >>> _without(["--quick", "--out", "here", "--batch", "4", "--minutes=9"], _PLACES)
    ['--quick', '--batch', '4']
    """
    kept, skipped = list[str](), False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if skipped:
            skipped = False
        elif name in options:
            skipped = not equals
        else:
            kept.append(argument)
    return kept


def show_rows(title: str, rows: Iterable[Row]) -> None:
    """The rows as a table on standard output."""
    table = Table(title=title)
    for column in HEADER:
        table.add_column(column, justify="left" if column in LEFT else "right")
    for row in rows:
        table.add_row(*cells(asdict(row)))
    Console().print(table)


_PLACES = frozenset({"--out", "--folder", "--minutes"})
HEADER = ("what", "measured", "times", "the reference", "share", "of the limit")
LEFT = ("what", "the reference", "of the limit")


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One row of a table in the order of `HEADER`.

    >>> cells(asdict(Row("start", 0.31, "s", "importing torch", 20.1)))
    ('start', '0.310 s', '20.1', 'importing torch', '', '')
    """
    return (
        row["name"],
        f"{number(row['value'])} {row['unit']}".rstrip(),
        "" if row["ratio"] is None else number(row["ratio"]),
        row["reference"] or "",
        "" if row["share_of_limit"] is None else f"{row['share_of_limit']:.2f}",
        row["limit"] or "",
    )


def number(value: float) -> str:
    """Three digits that count, never in powers of ten.

    >>> [number(v) for v in (0.01234, 1.5, 12.34, 123.4, 12345.6, 0)]
    ['0.0123', '1.50', '12.3', '123', '12346', '0']
    """
    if value == 0:
        return "0"
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    if size < 0.1:
        places = 4
    return f"{value:.{places}f}"
