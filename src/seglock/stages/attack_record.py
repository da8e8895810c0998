"""What attacks leave behind: one JSON each, a summary for ``dvc metrics``, and the lock's run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.errors import AttackError
from seglock.results.metrics import attack_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.tracking import Tracker

ATTACKS_FOLDER = Path("data/attacks")
_NOTE = "README.txt"


def write_results(
    root: Path, lock: str, run_id: str | None, results: Sequence[dict[str, Any]], *, keep: bool
) -> Path:
    """Write data/attacks/LOCK/NAME.json and data/attacks/LOCK.json; returns the folder.

    keep: the results of other attacks that are there stay.
    """
    target = root / ATTACKS_FOLDER / lock
    before = sorted(target.glob("*.json")) if keep else []
    with files.replacing_folder(target) as out:
        for path in before:
            shutil.copyfile(path, out / path.name)
        for result in results:
            files.write_json(out / f"{result['attack']}.json", result)
        if not any(out.iterdir()):
            files.write_text(out / _NOTE, "No attack of params.yaml applies to this lock.\n")
    whole = [read_result(path) for path in sorted(target.glob("*.json"))]
    about: dict[str, Any] = {"run_id": run_id} if run_id else {}
    about |= {result["attack"]: _figures(result) for result in whole}
    files.write_json(root / ATTACKS_FOLDER / f"{lock}.json", about)
    return target


def read_result(path: Path) -> dict[str, Any]:
    """One attack's result; raises AttackError for a file that is damaged."""
    from seglock.attacks.figures import FIGURES

    fields = {"attack": str} | dict.fromkeys(FIGURES, bool | int | float | None)
    return files.read_object(path, fields, error=AttackError, fix="run dvc repro")


def record_results(tracker: Tracker, folder: Path, results: Sequence[dict[str, Any]]) -> None:
    """Tell the lock's run each attack's figures and its JSON."""
    for result in results:
        name = result["attack"]
        tracker.log_metrics(attack_metrics(name, result))
        tracker.log_artifact(folder / f"{name}.json", "attacks")


def _figures(result: dict[str, Any]) -> dict[str, float]:
    from seglock.attacks.figures import figures  # its room imports torch

    return figures(result)
