"""What a study is a function of: its fingerprint, the name made from it, and its folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.config.rules import singles
from seglock.errors import ConfigError, ModelError
from seglock.files import read_object
from seglock.search.space import search_space
from seglock.search.thief import attacker_rows, thief_attacks
from seglock.tracking.limits import flatten

if TYPE_CHECKING:
    from seglock.config import Params

FOLDER = Path(".seglock") / "search"
_STUDY = ("space", "objective", "weight", "split", "wrong_keys", "baseline_seeds")
_MACHINE = {"device", "channels_last", "compile", "data_on_device", "checkpoint_seconds"}
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Settings:
    """A study's name, all it is a function of, and what the outputs say of its data.

    ``fingerprint`` holds plain values as JSON gives them back. Trials, sampler, limits, pruner,
    workers, storage and the device are not in it: they may change while a study goes on. The
    precision is in it: bfloat16 and float32 give other figures.
    """

    name: str
    fingerprint: dict[str, Any]
    about: dict[str, Any]

    def check(self, earlier: dict[str, Any]) -> None:
        """Raise ConfigError, showing each value that differs, unless ``earlier`` is the same."""
        changed = differences(earlier, self.fingerprint)
        if changed:
            lines = "\n".join(f"  {line}" for line in changed)
            raise ConfigError(
                f"study {self.name} must go on with what it was begun with",
                got=f"(then -> now)\n{lines}",
                fix="undo the change, or name another search.study; null gives each choice its own",
            )


def study_settings(params: Params, root: Path) -> Settings:
    """Read what is prepared in ``root`` and name the study.

    Raises DataError when ``data/prepared`` is missing or has too few images for ``search.thief``,
    ConfigError when that names an attack that cannot be one of its tier, TrainingError when its
    networks cannot be trained on batches of one image.
    """
    from seglock.data import PreparedData

    data = PreparedData.open(Path(root) / "data" / "prepared", verify=False)
    _require_trainable(params, len(data.train))
    search = params.search.model_dump(mode="json", include=set(_STUDY))
    if params.search.space.refuse is None:  # as in a study of before locks could refuse
        del search["space"]["refuse"]
    thief = params.search.thief
    if thief.tier is not None:  # else a study of before there were thieves could not go on
        # By name: a suite that has got another attack makes another study of ``all``.
        names = [attack.name for attack in thief_attacks(thief)]
        search["thief"] = thief.model_dump(mode="json") | {"attacks": names}
        judged = {"val": data.val, "test": data.test}[params.search.split]
        attacker_rows(data, judged, thief.labelled)
    fingerprint = {
        "data": {"dataset": data.dataset, "digest": data.digest},
        "search": search,
        "parameters": {  # a study cannot go on when Optuna may choose from another list
            name: choices if isinstance(choices, list) else choices.model_dump()
            for name, choices in search_space(params).items()
        },
        "model": params.model.model_dump(mode="json"),
        "train": params.train.model_dump(mode="json", exclude=_MACHINE),
        "weights": {"sha256": _weights(Path(root))},
    }
    text = json.dumps(fingerprint, sort_keys=True)
    named = f"tradeoff-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    fingerprint = json.loads(json.dumps(fingerprint))  # as the study gives it back
    about = {
        "dataset": data.dataset,
        "dataset_digest": data.digest,
        "image_side": params.data.image_side,
        "classes": list(data.classes),
        "model": params.model.name,
        "split": params.search.split,
        "epochs": params.train.epochs,
        "wrong_keys": params.search.wrong_keys,
        "thief": search.get("thief"),
    }
    return Settings(params.search.study or named, fingerprint, about)


def _require_trainable(params: Params, images: int) -> None:
    """Every side of the space: a study is not begun for trials that cannot be trained."""
    if singles(dict(params.train), images) is None:
        return
    from seglock.training import require_variance

    for side in params.search.space.image_side or [params.data.image_side]:
        data = params.data.model_copy(update={"image_side": side})
        require_variance(params.model_copy(update={"data": data}), images)


def differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each value that is not the same, by its dotted name.

    >>> differences({"space": {"block_size": [2, 4]}}, {"space": {"block_size": [2, 8]}})
    ['space.block_size: [2, 4] -> [2, 8]']
    """
    before, after = flatten(earlier), flatten(now)
    return [
        f"{name}: {before.get(name, _ABSENT)} -> {after.get(name, _ABSENT)}"
        for name in before | after
        if before.get(name) != after.get(name)
    ]


def study_folder(root: Path, name: str) -> Path:
    """Where a study keeps its file, results on their way, and scratch folders."""
    return Path(root) / FOLDER / name


def _weights(root: Path) -> str | None:
    """The digest of the initial weights, None where training starts from fresh ones."""
    about = root / "data" / "weights" / "weights.json"
    if not about.is_file():
        return None
    wanted = {"sha256": str | None}
    found = read_object(about, wanted, error=ModelError, fix="run dvc repro weights")
    return found["sha256"] or None
