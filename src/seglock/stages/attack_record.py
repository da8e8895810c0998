"""What attacks leave behind: one JSON each, and a summary for ``dvc metrics``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.errors import AttackError
from seglock.results.attack import ATTACKS, AttackResult

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOTE = "README.txt"


def write_results(
    root: Path, lock: str, run_id: str | None, results: Sequence[AttackResult], *, keep: bool
) -> Path:
    """Write data/attacks/LOCK/NAME.json and data/attacks/LOCK.json; returns the folder.

    keep: the results of other attacks that are there stay.
    """
    target = root / ATTACKS / lock
    before = sorted(target.glob("*.json")) if keep else []
    with files.replacing_folder(target) as out:
        for path in before:
            shutil.copyfile(path, out / path.name)
        for result in results:
            result.write(out / f"{result.attack}.json")
        if not any(out.iterdir()):
            files.write_text(out / _NOTE, "No attack of params.yaml applies to this lock.\n")
    about: dict[str, Any] = {"run_id": run_id} if run_id else {}
    for path in sorted(target.glob("*.json")):
        result = AttackResult.read(path, error=AttackError, fix="run dvc repro")
        about[result.attack] = result.figures
    files.write_json(root / ATTACKS / f"{lock}.json", about)
    return target
