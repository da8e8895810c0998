"""What an evaluation leaves behind: the result files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.results.evaluation import Evaluation

if TYPE_CHECKING:
    from seglock.results.pictures import Pictures


def write_results(target: Path, found: Evaluation, pictures: Pictures) -> Path:
    """Write evaluation.json, metrics.json, keys.csv and pictures.npz into ``target``, as a whole.

    Returns ``target``.
    """
    keys = found.scores.incorrect.miou if found.scores.incorrect else ()
    table = "key,miou\n" + "".join(f"{number},{miou!r}\n" for number, miou in enumerate(keys))
    with files.replacing_folder(target) as out:
        found.write(out / "evaluation.json")
        files.write_json(out / "metrics.json", _summary(found))
        files.write_text(out / "keys.csv", table)
        pictures.write(out / "pictures.npz")
    return target


def _summary(found: Evaluation) -> dict[str, Any]:
    """metrics.json, for ``dvc metrics``: mean IoU by access; what a lock has not is left out."""
    scores = found.scores
    values = {
        "run_id": found.run_id,
        "owner": scores.owner_miou,
        "correct": scores.correct and scores.correct.miou,
        "plain": scores.plain.miou,
        "plain_bn": scores.plain_bn and scores.plain_bn.miou,
        "incorrect": scores.incorrect and scores.incorrect.mean,
        "incorrect_p95": scores.incorrect and scores.incorrect.p95,
        "floor": scores.floors.floor,
        "floor_constant": scores.floors.constant,
        "floor_prior": scores.floors.prior,
        "unauthorised": scores.unauthorised,
        "regained": scores.regained,
    }
    return {name: value for name, value in values.items() if value is not None}
