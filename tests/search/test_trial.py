"""One real trial: what it is judged by, what it leaves behind, and how it fails."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglock import evaluation, training
from seglock.config import RefuseParams
from seglock.data import PreparedData
from seglock.errors import (
    AttackError,
    ConfigError,
    DataError,
    EvaluationError,
    ModelError,
    StorageError,
    TrainingError,
    TransformError,
)
from seglock.evaluation import AccessResult
from seglock.keys import DERIVATION_VERSION, PublicRecord, SecretKey
from seglock.search.executor import TrialJob, TrialResult
from seglock.search.trial import failure, run_trial, unlabelled
from seglock.training import EpochRow, TrainJob
from seglock.transforms import compose, incorrect_transforms
from tests.search.project import make_job, make_root

SECRET = bytes.fromhex("5d1e0fb7a92c6834e1f07d3b95c28a4610fe63d9b78425ac0d9f31e67bc4582a")
KEY = SecretKey.from_bytes(SECRET)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("project")
    return root, make_root(root)


class Judge:
    """Calls the real ``judge_lock``, and keeps what it was given and what lay in scratch."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.given: list[dict[str, Any]] = []
        self.found: list[AccessResult] = []
        self.files: dict[str, bytes] = {}

    def __call__(self, *trained: Any, **given: Any) -> AccessResult:
        files = [path for path in self.scratch.rglob("*") if path.is_file()]
        self.files = {str(path.relative_to(self.scratch)): path.read_bytes() for path in files}
        self.given.append(given)
        self.found.append(judge_lock(*trained, **given))
        return self.found[-1]


judge_lock = evaluation.judge_lock


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    made = Judge(tmp_path / "scratch")
    monkeypatch.setattr(evaluation, "judge_lock", made)
    return made


def run(job: TrialJob, judge: Judge, stop_at: int | None = None) -> TrialResult:
    rows = []

    def on_epoch(row: EpochRow) -> bool:
        rows.append(row)
        return row["epoch"] == stop_at

    result = run_trial(job, scratch=judge.scratch, on_epoch=on_epoch, worker="here")
    assert result.curve == tuple(rows)
    assert not list(judge.scratch.iterdir())
    return result


@pytest.mark.parametrize(("split", "count"), [("val", 4), ("test", 2)])
def test_a_locks_trial_is_judged_as_the_pipeline_judges_it(
    project: tuple[Path, str],
    judge: Judge,
    monkeypatch: pytest.MonkeyPatch,
    split: str,
    count: int,
) -> None:
    monkeypatch.setattr(SecretKey, "generate", lambda: KEY)
    steps = ("np-4", "shf-4-f25")
    search = {"split": split, "wrong_keys": 9}
    result = run(make_job(*project, "trial-3-1", *steps, search=search), judge)
    (given,) = judge.given
    data = PreparedData.open(project[0] / "data" / "prepared")
    assert given["test"].name == split
    assert len(given["test"]) == count
    assert np.array_equal(given["unlabelled"], data.train.images)
    assert given["transform"].same_plan(compose(steps, KEY))
    expected = incorrect_transforms(steps, KEY, 9)
    assert len(given["wrong"]) == 9
    assert all(a.same_plan(b) for a, b in zip(given["wrong"], expected, strict=True))
    assert "encrypted" not in given
    assert result.scores == judge.found[0].scores.document()
    assert (
        result.scores["floors"]
        == evaluation.floors(data.train.masks, getattr(data, split).masks, 3).document()
    )
    assert result.scores["unauthorised"] is not None
    assert result.key_space_bits == compose(steps, KEY).key_space_bits
    assert (result.job, result.worker, result.device) == ("trial-3-1", "here", "cpu")
    assert [row["epoch"] for row in result.curve] == [1, 2, 3]
    assert result.best_epoch in (1, 2, 3)
    assert result.stopped_at is None
    assert result.train_seconds > 0
    assert result.evaluate_seconds > 0


def test_a_key_is_fresh_and_only_its_id_and_hash_are_kept(
    project: tuple[Path, str], judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "keys"))
    job = make_job(*project, "trial-0-1", "np-4", train={"epochs": 1})
    one, other = run(job, judge), run(job, judge)
    assert one.key_id != other.key_id
    monkeypatch.setattr(SecretKey, "generate", lambda: KEY)
    known = run(job, judge)
    assert known.key_id == KEY.id
    record = PublicRecord(
        KEY.id, str(known.key_hash), "2026-01-01T00:00:00+00:00", DERIVATION_VERSION
    )
    record.verify(KEY)
    assert not (tmp_path / "keys").exists()
    assert list(judge.files) == ["trial-0-1/model.safetensors"]
    told = [json.dumps(dataclasses.asdict(known)).encode(), *judge.files.values()]
    for shape in (SECRET, SECRET.hex().encode(), base64.b64encode(SECRET)[:40]):
        assert not any(shape in content for content in told)


def test_a_lock_with_a_weight_is_taught_to_refuse(
    project: tuple[Path, str], judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SecretKey, "generate", lambda: KEY)
    plain = make_job(*project, "trial-0-1", "np-4")
    jobs: list[TrainJob] = []
    trained = training.train
    monkeypatch.setattr(
        training, "train", lambda job, **given: (jobs.append(job), trained(job, **given))[1]
    )
    without = run(plain, judge)
    refusing = run(dataclasses.replace(plain, refuse=0.5), judge)
    assert jobs[0].unauthorised is None
    drawn = jobs[1].unauthorised
    assert drawn is not None
    assert drawn.key == KEY
    assert drawn.right.same_plan(compose(["np-4"], KEY))
    assert drawn.refuse == RefuseParams(weight=0.5)
    assert without.curve != refusing.curve


def test_a_baseline_has_no_key_and_repeats_itself(project: tuple[Path, str], judge: Judge) -> None:
    job = make_job(*project, "baseline-e3-s16-0")
    first, again = run(job, judge), run(job, judge)
    other = run(make_job(*project, "baseline-e3-s16-1", train={"seed": 1}), judge)
    assert first.scores is not None
    assert first.scores["owner_miou"] == first.scores["plain"]["miou"]
    assert (first.scores["correct"], first.scores["unauthorised"]) == (None, None)
    assert (first.key_id, first.key_hash, first.key_space_bits) == (None, None, None)
    assert (first.scores, first.curve) == (again.scores, again.curve)
    assert first.curve != other.curve


def test_a_trial_that_is_stopped_is_not_judged(project: tuple[Path, str], judge: Judge) -> None:
    result = run(make_job(*project, "trial-0-1", "np-4"), judge, stop_at=2)
    assert (result.scores, result.stopped_at, result.best_epoch) == (None, 2, None)
    assert [row["epoch"] for row in result.curve] == [1, 2]
    assert result.key_id is not None
    assert not judge.given


def test_what_a_killed_attempt_left_changes_nothing(
    project: tuple[Path, str], judge: Judge
) -> None:
    job = make_job(*project, "baseline-e3-s16-0")
    before = run(job, judge)
    left = judge.scratch / job.id
    left.mkdir()
    (left / "epoch-00002-0123456789abcdef.safetensors").write_bytes(b"half")
    (left / "deeper").mkdir()
    assert run(job, judge).curve == before.curve
    assert list(judge.files) == ["baseline-e3-s16-0/model.safetensors"]


def test_a_training_that_cannot_go_on_fails_for_good_and_leaves_nothing(
    project: tuple[Path, str], judge: Judge
) -> None:
    job = make_job(*project, "trial-0-1", "np-4", train={"lr": 1e30, "schedule": "constant"})
    with pytest.raises(TrainingError) as raised:
        run(job, judge)
    reason, permanent = failure(raised.value)
    assert "finite" in reason
    assert permanent
    assert not list(judge.scratch.iterdir())


def test_what_on_epoch_raises_gets_out(project: tuple[Path, str], judge: Judge) -> None:
    def away(row: EpochRow) -> bool:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError, match="away"):
        run_trial(make_job(*project), scratch=judge.scratch, on_epoch=away, worker="here")
    assert not list(judge.scratch.iterdir())


def test_batch_norm_is_reestimated_from_256_images_spread_evenly() -> None:
    class Train:
        images = np.arange(1000, dtype=np.float32).reshape(1000, 1, 1, 1)

        def __len__(self) -> int:
            return 1000

    class Data:
        train = Train()

    chosen = unlabelled(Data()).ravel()  # type: ignore[arg-type]
    assert len(chosen) == 256
    assert chosen.min() < 4
    assert chosen.max() > 995
    assert set(np.diff(chosen)) <= {3, 4}


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (TrainingError("x"), True),
        (EvaluationError("x"), True),
        (ModelError("x"), True),
        (ConfigError("x"), True),
        (TransformError("x"), True),
        (AttackError("x"), True),
        (DataError("x"), False),
        (StorageError("x"), False),
        (OSError(28, "x"), False),
        (MemoryError(), False),
        (torch.cuda.OutOfMemoryError("x"), False),
        (KeyError("x"), False),
    ],
)
def test_blame(error: Exception, permanent: bool) -> None:
    reason, found = failure(error)
    assert found is permanent
    assert reason
    assert "\n" not in reason


def test_a_reason_is_one_bounded_line_without_credentials() -> None:
    told = "cannot read\nhttps://ann:hunter2@example.org/x " + "y" * 9999
    reason, _ = failure(OSError(told))
    assert reason.startswith("OSError: cannot read https://example.org/x yyy")
    assert len(reason) <= 1000
    remedy = failure(TrainingError("x" * 9999, fix="lower train.lr"))[0]
    assert remedy.endswith("x; lower train.lr")
    assert failure(MemoryError())[0] == "MemoryError"


def test_an_unknown_error_near_a_plan_keeps_its_words_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leak(*_: object) -> None:
        raise IndexError(json.dumps(list(SECRET)))

    monkeypatch.setattr("seglock.transforms.build.plan_sequence", leak)
    with pytest.raises(IndexError) as raised:
        compose(["np-4"], KEY)
    assert failure(raised.value)[0] == "IndexError while a key or a transform was at work"


@pytest.mark.parametrize("password", ["from_key", "fixed"])
def test_ffx_is_locked_with_the_password_that_the_space_names(
    password: Any, judge: Judge, project: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SecretKey, "generate", classmethod(lambda cls: KEY))
    job = make_job(*project, "trial-0-1", "ffx-2", search={"space": {"ffx_password": password}})
    found = run(job, judge)
    own = compose(["ffx-2"], KEY, password)
    assert found.key_space_bits == own.key_space_bits
    (given,) = judge.given
    assert given["transform"].same_plan(own)
    first = incorrect_transforms(["ffx-2"], KEY, 8, password)[0]
    assert given["wrong"][0].same_plan(first)
