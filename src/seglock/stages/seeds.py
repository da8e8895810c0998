"""A lock trained and judged once more under another seed, for error bars: data/seeds."""

from __future__ import annotations

import shutil
from pathlib import Path

from seglock import files
from seglock.config import PARAMS_FILE, load_params
from seglock.results.evaluation import EVALUATIONS

SEEDS = Path("data/seeds")
_SHARED = ("prepared", "weights", "keys", "encrypted")


def train_seed(lock: str, seed: int, root: Path) -> Path:
    """Train and judge a lock as params.yaml says but for ``train.seed``, under the same key, and
    write data/seeds/LOCK-SEED.json, its headline; it has a run of its own in MLflow.

    What is in data/models and data/evaluations stays as it is. A run that was stopped goes on.
    Raises what training and evaluating raise.
    """
    from seglock.stages.evaluate import evaluate_locks
    from seglock.stages.train import train_locks

    params = load_params(root / PARAMS_FILE)
    params = params.model_copy(update={"train": params.train.model_copy(update={"seed": seed})})
    work = root / ".seglock" / "seeds" / f"{lock}-{seed}"
    files.private_folder(work / "data")
    for name in _SHARED:
        link = work / "data" / name
        if not link.is_symlink():
            link.symlink_to((root / "data" / name).resolve(), target_is_directory=True)
    # JSON is YAML, and params.yaml's comments are for people.
    files.write_json(work / PARAMS_FILE, params.model_dump(mode="json"))
    train_locks([lock], work)
    evaluate_locks([lock], work)
    out = root / SEEDS / f"{lock}-{seed}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(out, (work / EVALUATIONS / lock / "metrics.json").read_bytes())
    shutil.rmtree(work)
    return out
