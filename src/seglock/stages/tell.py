"""What a lock's run is told of its result files: when they are written, and again where a store
lacks something. MLflow is a view of these files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.foreign import followed
from seglock.results.attack import AttackResult
from seglock.results.evaluation import Evaluation
from seglock.results.metrics import epoch_metrics, training_metrics
from seglock.results.training import Training, read_history
from seglock.stages.locks import WEIGHTS
from seglock.stages.tables import tell_attacks_table

if TYPE_CHECKING:
    from seglock.tracking import RunRecord, Tracker

_FIX = "run dvc repro"


def tell_training(tracker: Tracker, model: Path) -> None:
    """Tell a run of its training; ``model`` is data/models/LOCK."""
    for name in (WEIGHTS, "training.json", "history.csv"):
        tell_result(tracker, model / name, "training")


def tell_result(tracker: Tracker, path: Path, folder: str) -> None:
    """Tell a run a result file, and those of its figures that the run lacks.

    ``folder`` is that of its artifacts: training, evaluation or attacks. Raises what the file's
    type raises for one that is damaged.
    """
    if path.name == "training.json":
        training = Training.read(path, fix=_FIX)
        tracker.lasted = training.seconds
        tracker.log_metrics(training_metrics(training), again=True)
    elif path.name == "history.csv":
        for epoch in read_history(path, f"run dvc repro train@{path.parent.name}"):
            tracker.log_metrics(epoch_metrics(epoch._asdict()), epoch.epoch, again=True)
    elif path.name == "evaluation.json":
        _tell_evaluation(tracker, path, folder)
    tracker.log_artifact(path, folder)


def _tell_evaluation(tracker: Tracker, path: Path, folder: str) -> None:
    from seglock.report.lockfigure import draw_lock_figure
    from seglock.results.pictures import Pictures
    from seglock.stages.tables import tell_predictions, tell_tables

    found = Evaluation.read(path, fix=_FIX)
    tell_tables(tracker, found)
    pictures = path.with_name("pictures.npz")
    if pictures.exists():
        kept = Pictures.read(pictures, len(found.classes), _FIX)
        tell_predictions(tracker, found, kept)
    with tempfile.TemporaryDirectory(prefix="seglock-figure-") as scratch:
        figure = Path(scratch) / "access_control.png"
        draw_lock_figure(found, figure)
        tracker.log_artifact(figure, folder)


def tell_attacks(tracker: Tracker, folder: Path) -> None:
    """Tell a run of the attacks on its network; ``folder`` is data/attacks/LOCK."""
    paths = sorted(folder.glob("*.json"))
    for path in paths:
        tell_result(tracker, path, "attacks")
    tell_attacks_table(tracker, [AttackResult.read(path, fix=_FIX) for path in paths])


def tell_again(tracker: Tracker, record: RunRecord, root: Path) -> None:
    """Tell a run again the result files that its record lists, as far as they are as they were."""
    faults = changed_results(record, root)
    told = {name: folder for name, (folder, _) in record.results.items() if name not in faults}
    for name, folder in told.items():
        tell_result(tracker, root / name, folder)
    attacks = [root / name for name, folder in told.items() if folder == "attacks"]
    tell_attacks_table(tracker, [AttackResult.read(path, fix=_FIX) for path in attacks])
    tracker.whole = not faults


def changed_results(record: RunRecord, root: Path) -> dict[str, str]:
    """The result files of a run that are not as they were, each with what is wrong.

    Only files among the project's results count: the record may come from others.
    """
    within, faults = root / "data", {}
    for name, (_, sha256) in record.results.items():
        try:
            if files.sha256_file(followed(root / name, within)) != sha256:
                faults[name] = "which has changed"
        except FileNotFoundError:
            faults[name] = "which is gone"
        except OSError as error:
            faults[name] = (error.strerror or str(error)).lower()
    return faults
