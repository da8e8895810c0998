"""What an evaluation leaves behind: the result files, and the figures in the lock's run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.stages.run import run_params

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.evaluation import AccessResult, Score
    from seglock.tracking import Tracker

_CURVE = {"lr": "lr", "train_loss": "train/loss", "val_loss": "val/loss", "val_miou": "val/miou"}


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


def _metrics(result: AccessResult) -> dict[str, float]:
    """The run's figures, under the names every run uses."""
    values = {
        "owner/miou": result.owner_miou,
        "floor/constant": result.floors.constant,
        "floor/prior": result.floors.prior,
        **_score_metrics("plain", result.plain),
    }
    if result.correct and result.plain_bn and result.incorrect:
        values |= _score_metrics("correct", result.correct)
        values |= _score_metrics("plain_bn", result.plain_bn)
        figures = result.incorrect.to_dict()
        values |= {f"incorrect/miou_{n}": figures[n] for n in ("mean", "std", "p95", "max", "min")}
        values["incorrect/keys"] = figures["keys"]
    if result.unauthorised is not None:
        values["unauthorised"] = result.unauthorised
    if result.regained is not None:
        values["regained"] = result.regained
    return values


def _score_metrics(access: str, score: Score) -> dict[str, float]:
    values = {f"{access}/miou": score.miou, f"{access}/per_image_mean": score.per_image_mean}
    for name, iou in score.iou.items():
        if iou is not None:
            values[f"{access}/iou/{name}"] = iou
    return values


def record_results(
    tracker: Tracker, folder: Path, about: dict[str, Any], result: AccessResult
) -> None:
    """Tell the lock's run its figures, each wrong key's score, evaluation.json and one figure."""
    from seglock.report.figures import draw_lock_figure

    tracker.log_metrics(_metrics(result))
    for number, miou in enumerate(result.incorrect.miou if result.incorrect else ()):
        tracker.log_metrics({"incorrect/key_miou": miou}, step=number)
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
        values = {metric: getattr(epoch, column) for column, metric in _CURVE.items()}
        tracker.log_metrics(values, step=epoch.epoch)
