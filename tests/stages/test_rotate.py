"""A leaked key is replaced whole, or nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seglock import files
from seglock.config import load_params, set_lock_key
from seglock.errors import ConfigError, EvaluationError
from seglock.results.training import Training
from seglock.stages import rotate
from seglock.stages.locks import open_lock, read_training
from seglock.tracking import MemoryTracker
from tests.stages.conftest import RUN


def judged(old: float, others: tuple[float, ...]) -> Any:
    """The real judgement, with other figures for the old key and the others."""
    real = rotate.judge_rotation

    def judge(*args: Any) -> Any:
        owner, scores = real(*args)
        assert len(scores.miou) == 1 + 4
        return owner, scores.model_copy(update={"miou": (old, *others)})

    return judge


def stopped(*args: Any) -> Any:
    raise KeyboardInterrupt


def test_key_and_network_change_together(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = project / "params.yaml"
    before, old = params.read_bytes(), open_lock("np-2", load_params(params), project)
    model = project / "data/models/np-2"
    weights = (model / "model.safetensors").read_bytes()
    monkeypatch.setattr(rotate, "judge_rotation", judged(0.5, (0.1, 0.4)))
    with pytest.raises(EvaluationError, match=r"got 0\.5000 of 0\.4000 after 2 epochs"):
        rotate.rotate_lock("np-2", project)
    assert (params.read_bytes(), (model / "model.safetensors").read_bytes()) == (before, weights)
    monkeypatch.undo()
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(project / "store"))
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.setattr("seglock.tracking.open_run", lambda *args, **kwargs: MemoryTracker(RUN))
    monkeypatch.setattr(rotate, "judge_rotation", judged(0.1, (0.1, 0.4)))
    monkeypatch.setattr(rotate, "set_lock_key", stopped)
    with pytest.raises(KeyboardInterrupt):
        rotate.rotate_lock("np-2", project, epochs=1)
    monkeypatch.setattr(rotate, "set_lock_key", set_lock_key)
    monkeypatch.setattr(rotate, "train_on", stopped)  # it is not done again
    done = rotate.rotate_lock("np-2", project, epochs=1)
    assert (done.old_key, done.new_key, done.epochs, done.retired) == ("main", "main-2", 1, ())
    new = open_lock("np-2", load_params(params), project)
    assert new.key_id != old.key_id
    training = read_training(new, project)
    assert (training.rotated_from, training.epochs) == (RUN, 1)
    assert load_params(params).locks["np-4"].key == "main"
    assert files.read_json(project / "data/keys/locks/np-2.json")["key"] == "main-2"
    assert not [*(project / ".seglock/rotations").iterdir()]


def test_what_cannot_be_rotated_is_one_message(project: Path) -> None:
    with pytest.raises(ConfigError, match="a lock to rotate must have a key"):
        rotate.rotate_lock("baseline", project)


def test_a_training_of_an_earlier_version_has_no_lineage(project: Path) -> None:
    found = Training.read(project / "data/models/np-2/training.json", fix="")
    assert found.rotated_from is None
