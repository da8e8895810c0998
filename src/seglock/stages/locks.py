"""A lock of params.yaml with its key and what was trained under it: one place that opens them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import RefuseParams, find_lock
from seglock.errors import KeyRefusedError, ModelError
from seglock.keys import PublicRecord, SecretKey, load_key
from seglock.results.training import MODELS, Training

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn

    from seglock.config import LockParams, ModelParams, Params
    from seglock.transforms import Transform, Unauthorised

WEIGHTS = "model.safetensors"
_UNLEARN = 0.2
"""The weight with which a lock without ``refuse`` unlearns a key that leaked."""


@dataclass(frozen=True)
class OpenLock:
    """A lock with its key, which has been checked against ``record``; the baseline has neither.

    ``model`` is its network. ``retired`` is the same lock under a key that leaked, which training
    is to unlearn.
    """

    name: str
    params: LockParams
    model: ModelParams
    key: SecretKey | None = None
    record: PublicRecord | None = None
    retired: OpenLock | None = None

    @property
    def key_id(self) -> str | None:
        """The public id of the lock's key."""
        return self.key.id if self.key else None

    def transform(self) -> Transform:
        """The lock's transform under its key; the baseline's is the identity.

        Raises ConfigError for a feature step of a layer that the network has not.
        """
        from seglock.transforms import compose

        lock = self.params
        return compose(
            lock.steps, self.key, lock.ffx_password, lock.ffx_divisor,
            self.model.normalisation, self._channels(),
        )  # fmt: skip

    def _channels(self) -> dict[str, int] | None:
        if not self.params.feature_steps:
            return None
        from seglock.models import feature_maps

        return feature_maps(self.model)

    def unauthorised(self) -> Unauthorised | None:
        """What its network is taught to refuse; None for a lock with neither ``refuse`` nor a key
        that leaked."""
        from seglock.transforms import Unauthorised

        refuse, leaked = self.params.refuse, self.retired
        if self.key is None or (refuse is None and leaked is None):
            return None
        if leaked is None:
            assert refuse is not None
            return Unauthorised(self.transform(), self.key, refuse)
        share = 0.5 if refuse else 1.0
        own = refuse or RefuseParams(weight=_UNLEARN)
        return Unauthorised(self.transform(), self.key, own, leaked.transform(), share)

    def folding(self) -> Callable[[nn.Module], None] | None:
        """What is done to a network with initial weights before it is trained; None: nothing."""
        if self.params.fold is None:
            return None
        if self.params.fold == "redrawn":
            from seglock.models import redraw_stem

            return partial(redraw_stem, block_size=self.params.parsed_steps[0].block_size)
        from seglock.training import fold

        return partial(fold, lock=self.transform())

    def check_network(self) -> None:
        """Raises what `transform` and training would of a layer that the network has not, and of
        blocks that cannot be folded into it."""
        if self.params.feature_steps or self.params.fold:
            from seglock.models import build_model

            self.transform()
            if fold := self.folding():
                fold(build_model(self.model, 2))

    def wrong_transforms(self, count: int) -> Sequence[Transform]:
        """The same lock under ``count`` other keys, each planned when it is asked for.

        None for the baseline. Raises EvaluationError for a lock that has one plan only.
        """
        from seglock.transforms import incorrect_transforms

        if self.key is None:
            return ()
        lock = self.params
        return incorrect_transforms(
            lock.steps,
            self.key,
            count,
            lock.ffx_password,
            lock.ffx_divisor,
            self.model.normalisation,
            self._channels(),
        )

    def encryption_nonce(self) -> bytes:
        """32 bytes that begin an encrypted split, so that its digest is no oracle for the plan.

        Another plan has another nonce: who was sent a split of an earlier one knows that one's.
        """
        assert self.key is not None
        steps = "+".join(self.params.steps)
        return self.key.nonce(f"encrypted/{self.name}/{steps}/{self.params.ffx_password}")


def open_lock(name: str, params: Params, root: Path) -> OpenLock:
    """A lock of ``params`` with its secret, checked against the record in data/keys.

    Raises ConfigError for an unknown name, KeyRefusedError when the secret is missing or does not
    match its record; nothing heavy is imported.
    """
    lock = find_lock(params, name)
    if not lock.steps:
        return OpenLock(name, lock, params.model)
    record = PublicRecord.from_file(root / "data" / "keys" / f"{lock.key}.json")
    return OpenLock(name, lock, params.model, load_key(lock.key, record=record), record)


def read_training(lock: OpenLock, root: Path) -> Training:
    """training.json of a lock, checked against its key and the weights beside it."""
    folder = root / MODELS / lock.name
    fix = f"run dvc repro train@{lock.name}"
    training = Training.read(folder / "training.json", error=ModelError, fix=fix)
    own, trained = lock.key_id, training.key_id
    if own != trained:
        raise KeyRefusedError(
            f"lock {lock.name} must be evaluated with the key its model was trained under",
            got=f"key {own or 'none'}, model of key {trained or 'none'}",
            fix=f"use key {trained}, or train again with dvc repro train@{lock.name}"
            if trained
            else f"train it again with dvc repro train@{lock.name}",
        )
    path = folder / WEIGHTS
    try:
        found = files.sha256_file(path)
    except FileNotFoundError as error:
        pull = f"{fix}, or dvc pull it"
        raise ModelError(f"{path} must exist", got="no such file", fix=pull) from error
    if found != training.weights_sha256:
        raise ModelError(
            f"{path} must be the weights that training.json tells of",
            got="other bytes",
            fix=f"restore it with dvc checkout, or {fix}",
        )
    return training
