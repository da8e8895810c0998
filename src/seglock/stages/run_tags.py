"""What every stage says of a lock's MLflow run: its name, its tags and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.errors import ModelError

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.data import PreparedData
    from seglock.keys import PublicRecord


def run_name(lock: str, params: Params, data: PreparedData) -> str:
    """A name that reads well in a list: lock, dataset, seed."""
    return f"{lock} · {data.dataset} · seed {params.train.seed}"


def lock_tags(
    lock: str, params: Params, data: PreparedData, record: PublicRecord | None, root: Path
) -> dict[str, str]:
    """Tags to group runs by; of the key its public record only, "none" for the baseline.

    ``initial_weights_sha256`` is "none" for fresh weights, and no tag where data/weights is absent,
    so that an evaluation elsewhere leaves the tag of the training as it is.
    """
    definition = params.locks[lock]
    return {
        "kind": "lock",
        "lock": lock,
        "method": definition.method,
        "block_size": str(definition.block_size or "none"),
        "steps": " ".join(definition.steps) or "none",
        "key_name": definition.key if record else "none",
        "key_id": record.id if record else "none",
        "key_hash": record.hash if record else "none",
        "dataset": data.dataset,
        "dataset_digest": data.digest,
        "model": params.model.name,
        **_initial_weights(root / "data" / "weights" / "weights.json"),
    }


def _initial_weights(about: Path) -> dict[str, str]:
    if not about.is_file():
        return {}
    values = files.read_json(about, error=ModelError, fix="run dvc repro weights")
    digest = values.get("sha256") if isinstance(values, dict) else None
    return {"initial_weights_sha256": str(digest or "none")}


def machine_tags(root: Path) -> dict[str, str]:
    """The code and the machine of this process: ``git_commit`` and ``env.*``.

    They belong to the process that makes a run, not to one that takes it up.
    """
    from seglock.machine import describe_environment, git_commit

    environment = {f"env.{name}": value for name, value in describe_environment().items()}
    return {"git_commit": git_commit(root) or "none", **environment}


def run_params(lock: str, params: Params) -> dict[str, Any]:
    """The settings a training is a function of, as nested values."""
    settings = params.model_dump(mode="json", include={"data", "model", "train"})
    return {"lock": {"name": lock, **params.locks[lock].model_dump(mode="json")}, **settings}
