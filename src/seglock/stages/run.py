"""What every stage says of a lock's MLflow run: its name, its tags and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.data import PreparedData
    from seglock.keys import PublicRecord


def run_name(lock: str, params: Params, data: PreparedData) -> str:
    """A name that reads well in a list: lock, dataset, seed."""
    return f"{lock} · {data.dataset} · seed {params.train.seed}"


def lock_tags(
    lock: str, params: Params, data: PreparedData, record: PublicRecord | None
) -> dict[str, str]:
    """Tags to group runs by; of the key its public record only, "none" for the baseline."""
    definition = params.locks[lock]
    return {
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
    }


def run_params(lock: str, params: Params) -> dict[str, Any]:
    """The settings a training is a function of, as nested values."""
    settings = params.model_dump(mode="json", include={"data", "model", "train"})
    return {"lock": {"name": lock, **params.locks[lock].model_dump(mode="json")}, **settings}
