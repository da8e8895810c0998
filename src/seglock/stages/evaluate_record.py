"""What an evaluation leaves behind: the result files, and the figures in the lock's run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.results.evaluation import Evaluation
from seglock.results.metrics import WRONG_KEY, epoch_metrics, evaluation_metrics
from seglock.results.training import read_history
from seglock.stages.run import run_params

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.results.pictures import Pictures
    from seglock.tracking import Tracker


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


def record_results(tracker: Tracker, folder: Path, found: Evaluation) -> None:
    """Tell the lock's run its figures, each wrong key's score, evaluation.json and one figure."""
    from seglock.report.lockfigure import draw_lock_figure

    incorrect = found.scores.incorrect
    tracker.log_metrics(evaluation_metrics(found.document()))
    for number, miou in enumerate(incorrect.miou if incorrect else ()):
        tracker.log_metrics({WRONG_KEY: miou}, step=number)
    tracker.log_artifact(folder / "evaluation.json", "evaluation")
    with tempfile.TemporaryDirectory(prefix="seglock-figure-") as scratch:
        figure = Path(scratch) / "access_control.png"
        draw_lock_figure(found, figure)
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
    for epoch in read_history(curve, f"run dvc repro train@{lock}"):
        tracker.log_metrics(epoch_metrics(epoch._asdict()), step=epoch.epoch)
