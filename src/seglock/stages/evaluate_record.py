"""What an evaluation leaves behind: the result files, and the figures in the lock's run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.results.metrics import WRONG_KEY, epoch_metrics, evaluation_metrics
from seglock.stages.run import run_params

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.evaluation import AccessResult
    from seglock.tracking import Tracker


def write_results(target: Path, about: dict[str, Any], result: AccessResult) -> Path:
    """Write evaluation.json, metrics.json, keys.csv and pictures.npz into ``target``, as a whole.

    ``about`` is evaluation.json. Returns ``target``.
    """
    import numpy as np

    pictures: dict[str, Any] = dict(result.pictures)
    keys = result.incorrect.miou if result.incorrect else ()
    table = "key,miou\n" + "".join(f"{number},{miou!r}\n" for number, miou in enumerate(keys))
    with files.replacing_folder(target) as out:
        files.write_json(out / "evaluation.json", about)
        files.write_json(out / "metrics.json", _summary(about["run_id"], result))
        files.write_text(out / "keys.csv", table)
        np.savez_compressed(out / "pictures.npz", **pictures)
    return target


def _summary(run_id: str, result: AccessResult) -> dict[str, Any]:
    """metrics.json, for ``dvc metrics``: mean IoU by access; what a lock has not is left out."""
    values = {
        "owner": result.owner_miou,
        "correct": result.correct and result.correct.miou,
        "plain": result.plain.miou,
        "plain_bn": result.plain_bn and result.plain_bn.miou,
        "incorrect": result.incorrect and result.incorrect.mean,
        "incorrect_p95": result.incorrect and result.incorrect.p95,
        "floor": result.floors.floor,
        "floor_constant": result.floors.constant,
        "floor_prior": result.floors.prior,
        "unauthorised": result.unauthorised,
        "regained": result.regained,
    }
    return {"run_id": run_id} | {name: v for name, v in values.items() if v is not None}


def record_results(tracker: Tracker, folder: Path, about: dict[str, Any]) -> None:
    """Tell the lock's run its figures, each wrong key's score, evaluation.json and one figure."""
    from seglock.report.figures import draw_lock_figure

    incorrect = about["scores"]["incorrect"]
    tracker.log_metrics(evaluation_metrics(about))
    for number, miou in enumerate(incorrect["miou"] if incorrect else ()):
        tracker.log_metrics({WRONG_KEY: miou}, step=number)
    tracker.log_artifact(folder / "evaluation.json", "evaluation")
    with tempfile.TemporaryDirectory(prefix="seglock-figure-") as scratch:
        figure = Path(scratch) / "access_control.png"
        draw_lock_figure(about, figure)
        tracker.log_artifact(figure, "evaluation")


def retell_training(tracker: Tracker, params: Params, lock: str, model: Path) -> None:
    """Give a new run the settings and the curve of a training that another store recorded.

    A model from DVC's cache may name a run that this store has never met; ``model`` is
    data/models/LOCK.
    """
    tracker.log_params(run_params(lock, params))
    curve = model / "history.csv"
    if not curve.is_file():
        return
    from seglock.report.results import read_history

    for epoch in read_history(curve, f"run dvc repro train@{lock}"):
        tracker.log_metrics(epoch_metrics(epoch._asdict()), step=epoch.epoch)
