"""training.json and history.csv: how a lock's weights came to be."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seglock.errors import ReportError
from seglock.foreign import read_plain
from seglock.results.record import Record, RunId

MODELS = Path("data/models")


class Training(Record):
    """training.json. ``best_epoch``, from 1, is the one whose weights were kept; ``rotated_from``
    the run of the network that this one went on from under another key."""

    lock: str | None = None
    run_id: RunId
    best_epoch: int
    epochs: int
    val_loss: float | None = None
    val_miou: float | None = None
    seconds: float | None = None
    device: str | None = None
    parameters: int | None = None
    weights_sha256: str
    key_id: str | None
    resumed_from: int | None = None
    rotated_from: RunId | None = None


class Epoch(NamedTuple):
    """One line of history.csv; losses may be nan where nothing was validated."""

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_miou: float


def write_history(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the rows of a curve, one an epoch, with the names of `Epoch`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=Epoch._fields, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def read_history(path: Path, fix: str) -> tuple[Epoch, ...]:
    """The lines of a history.csv; raises ReportError for a file that is missing or damaged."""
    try:
        text = io.StringIO(read_plain(path).decode(), newline="")
        epochs = tuple(
            Epoch(int(row["epoch"]), *(float(row[name] or "nan") for name in Epoch._fields[1:]))
            for row in csv.DictReader(text, restval="a line cut short")
        )
        if not epochs:
            raise ValueError("no epoch")
    except FileNotFoundError as error:
        raise ReportError(f"{path} must exist", got="no such file", fix=fix) from error
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        wanted = ", ".join(Epoch._fields)
        raise ReportError(
            f"{path} must have a line of {wanted} for each epoch", got=str(error), fix=fix
        ) from error
    return epochs
