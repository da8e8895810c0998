"""Stage ``train``: a lock's outputs, its run, its checkpoints, and every way to be stopped."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ruamel.yaml import YAML

from seglock import files, tracking
from seglock.config import load_params
from seglock.data import PreparedData
from seglock.errors import (
    BusyError,
    ConfigError,
    DataError,
    KeyRefusedError,
    StorageError,
    TrackingError,
    TrainingError,
)
from seglock.keys import KeyStore, load_key
from seglock.models import read_metadata
from seglock.stages.outputs import sole_writer
from seglock.stages.train import train_locks, train_plain, training_digest
from seglock.stages.weights import get_weights
from seglock.tracking import MemoryTracker
from tests.stages.conftest import PARAMS
from tests.training.torchrun import torchrun

# Batch normalisation cannot be trained by several CPU processes.
VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(PARAMS) | {
    "model": {"width": 4, "norm": "group"}
}


@pytest.fixture
def root(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which everything before the training has run."""
    shutil.rmtree(project / "data" / "models")
    change(project)
    get_weights(load_params(project / "params.yaml"), project)
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.chdir(project)
    return project


def change(root: Path, **sections: Mapping[str, Any]) -> None:
    """Write params.yaml with some values changed."""
    merged = {name: {**values, **sections.get(name, {})} for name, values in VALUES.items()}
    with (root / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(merged, file)


def run_id(number: int) -> str:
    """As MLflow's runs are called."""
    return f"{number:032x}"


class Runs:
    """Stands in for ``open_run``: keeps the trackers, may stop one of them."""

    def __init__(self) -> None:
        self.trackers: list[MemoryTracker] = []
        self.asked: list[dict[str, Any]] = []
        self.stop_at: int | None = None

    def open_run(self, params: Any, **about: Any) -> MemoryTracker:
        runs = self

        class Tracker(MemoryTracker):
            def log_metrics(
                self, metrics: Mapping[str, float], step: int | None = None, *, again: bool = False
            ) -> None:
                if step is not None and step == runs.stop_at:
                    runs.stop_at = None
                    os.kill(os.getpid(), signal.SIGTERM)
                super().log_metrics(metrics, step, again=again)

        tracker = Tracker(about["run_id"] or run_id(len(self.trackers)))
        tracker.set_tags(about["tags"])
        self.trackers.append(tracker)
        self.asked.append(about)
        return tracker


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    made = Runs()
    monkeypatch.setattr(tracking, "open_run", made.open_run)
    return made


def outputs(root: Path, lock: str = "np-4") -> dict[str, bytes]:
    folder = root / "data" / "models" / lock
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def folders(root: Path) -> list[Path]:
    return list((root / ".seglock" / "checkpoints").glob("*"))


def test_outputs_run_and_nothing_left_behind(root: Path, runs: Runs) -> None:
    told: list[str] = []
    train_locks(["np-4"], root, tell=told.append)
    assert re.fullmatch(r"np-4: \d+ images of 16x16, 3 epochs", told[0])
    assert re.fullmatch(r"np-4: validation mean IoU 0\.\d{4}, of epoch \d; .* s", told[1])
    assert set(outputs(root)) == {
        "history.csv",
        "model.safetensors",
        "training.json",
    }
    model = root / "data" / "models" / "np-4" / "model.safetensors"
    training = json.loads(outputs(root)["training.json"])
    key = load_key("main")
    assert training["weights_sha256"] == files.sha256_file(model)
    assert (training["lock"], training["key_id"], training["epochs"]) == ("np-4", key.id, 3)
    assert (training["run_id"], training["resumed_from"]) == (run_id(0), None)
    assert set(training) == {
        "lock", "run_id", "best_epoch", "epochs", "val_loss", "val_miou", "seconds", "device",
        "parameters", "weights_sha256", "key_id", "resumed_from", "rotated_from",
    }  # fmt: skip
    about = read_metadata(model)
    assert (about["lock"], about["key_id"]) == ("np-4", key.id)
    assert about["nonce"] == key.nonce("weights/np-4").hex()
    rows = list(csv.DictReader(outputs(root)["history.csv"].decode().splitlines()))
    assert list(rows[0]) == ["epoch", "lr", "train_loss", "val_loss", "val_miou"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = rows[training["best_epoch"] - 1]
    assert float(best["val_loss"]) == training["val_loss"]
    assert folders(root) == []


def test_the_run_says_what_was_trained_and_how(root: Path, runs: Runs) -> None:
    train_locks(["np-4"], root)
    (tracker,), (asked,) = runs.trackers, runs.asked
    record = KeyStore().record("main")
    assert asked["name"] == "np-4 · synthetic · seed 0"
    wanted = {
        "lock": "np-4", "method": "np", "block_size": "4", "steps": "np-4", "key_name": "main",
        "key_id": record.id, "key_hash": record.hash, "dataset": "synthetic", "model": "fcn_small",
        "dataset_digest": PreparedData.open(root / "data" / "prepared").digest,
    }  # fmt: skip
    assert wanted.items() <= tracker.tags.items()
    assert {"git_commit", "env.torch", "env.python"} <= tracker.tags.keys()
    assert tracker.tags["initial_weights_sha256"] == "none"
    assert tracker.params["train"]["lr"] == 0.1
    assert tracker.params["lock"]["steps"] == ["np-4"]
    assert {path.name for path, _ in tracker.artifacts} == {
        "model.safetensors",
        "history.csv",
        "training.json",
    }
    assert tracker.status == "FINISHED"


def test_the_baseline_has_no_key(root: Path, runs: Runs) -> None:
    shutil.rmtree(os.environ["SEGLOCK_KEY_DIR"])
    train_locks(["baseline"], root)
    assert json.loads(outputs(root, "baseline")["training.json"])["key_id"] is None
    about = read_metadata(root / "data" / "models" / "baseline" / "model.safetensors")
    assert not {"nonce", "key_id"} & about.keys()
    assert runs.trackers[0].tags["method"] == "baseline"
    assert runs.trackers[0].tags["key_id"] == "none"


def test_equal_projects_give_equal_files(root: Path, runs: Runs) -> None:
    train_locks(["np-4"], root)
    first = outputs(root)
    train_locks(["np-4"], root)
    assert outputs(root)["model.safetensors"] == first["model.safetensors"]
    assert outputs(root)["history.csv"] == first["history.csv"]


def test_a_stop_keeps_the_checkpoint_and_the_run(
    root: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    train_locks(["np-4"], root)
    whole = outputs(root)
    runs.stop_at = 3
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        train_locks(["np-4"], root)
    assert stopped.value.code == 130
    assert signal.getsignal(signal.SIGTERM) is before
    said = capsys.readouterr().err
    assert said.count("stopped; its checkpoint stays in") == 1
    assert "run the same command to continue" in said
    assert runs.trackers[1].status == "KILLED"
    assert outputs(root) == whole
    train_locks(["np-4"], root)
    assert [asked["run_id"] for asked in runs.asked] == [None, None, run_id(1)]
    training = json.loads(outputs(root)["training.json"])
    assert (training["resumed_from"], training["run_id"]) == (2, run_id(1))
    assert outputs(root)["model.safetensors"] == whole["model.safetensors"]
    assert folders(root) == []


def test_a_full_disk_loses_neither_the_training_nor_the_old_outputs(
    root: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_locks(["np-4"], root)
    whole = outputs(root)

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(StorageError, match="no space left on device"):
            train_locks(["np-4"], root)
    assert outputs(root) == whole
    assert runs.trackers[1].status == "FAILED"
    train_locks(["np-4"], root)
    assert json.loads(outputs(root)["training.json"])["resumed_from"] == 3


def test_a_failed_training_closes_its_run_and_keeps_the_old_outputs(root: Path, runs: Runs) -> None:
    train_locks(["np-4"], root)
    whole = outputs(root)
    change(root, train={"lr": 1e20, "schedule": "constant"}, model={"norm": "frozen"})
    with pytest.raises(TrainingError, match="loss must stay finite"):
        train_locks(["np-4"], root)
    assert runs.trackers[1].status == "FAILED"
    assert outputs(root) == whole


def test_a_second_process_is_kept_out(root: Path, runs: Runs) -> None:
    params = load_params(root / "params.yaml")
    digest = training_digest(
        params,
        params.locks["np-4"],
        PreparedData.open(root / "data" / "prepared").digest,
        root / "data" / "weights",
        load_key("main").id,
    )
    folder = root / ".seglock" / "checkpoints" / f"np-4-{digest}"
    with files.exclusive(folder, what="it"), pytest.raises(BusyError, match="lock np-4"):
        train_locks(["np-4"], root)
    assert runs.trackers == []


def test_an_orphan_with_other_params_is_kept_off_the_same_output(root: Path, runs: Runs) -> None:
    with (
        sole_writer(root, "models", "np-4"),  # as a trainer holds it, whatever its params
        pytest.raises(BusyError, match="data/models/np-4"),
    ):
        train_locks(["np-4"], root)
    assert runs.trackers == []


def test_an_unreachable_server_is_an_error_before_training(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> NoReturn:
        raise TrackingError("the tracking server must answer")

    monkeypatch.setattr(tracking, "open_run", away)
    with pytest.raises(TrackingError):
        train_locks(["np-4"], root)
    assert not (root / "data" / "models").exists()
    assert not [p for folder in folders(root) for p in folder.glob("*.safetensors")]


def test_a_refused_key_is_found_before_torch_is_loaded(root: Path) -> None:
    shutil.rmtree(os.environ["SEGLOCK_KEY_DIR"])
    KeyStore().new("main")  # another one than data/keys records
    code = (
        "import sys; from pathlib import Path; from seglock.errors import KeyRefusedError\n"
        "from seglock.stages.train import train_locks\n"
        "try: train_locks(['np-4'], Path.cwd())\n"
        "except KeyRefusedError as error: print(error)\n"
        "print({'torch', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert "the secret key must be the one its record describes" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"
    with pytest.raises(KeyRefusedError, match="ask its owner for key"):
        train_locks(["np-4"], root)


def test_several_locks_are_trained_in_turn(root: Path, runs: Runs) -> None:
    train_locks(["np-4"], root)
    alone = outputs(root)["model.safetensors"]
    train_locks(["baseline", "np-4"], root)
    assert [run.tags["lock"] for run in runs.trackers] == ["np-4", "baseline", "np-4"]
    assert outputs(root)["model.safetensors"] == alone
    assert outputs(root, "baseline").keys() == outputs(root).keys()


def test_every_key_is_checked_before_the_first_lock_is_trained(root: Path, runs: Runs) -> None:
    shutil.rmtree(os.environ["SEGLOCK_KEY_DIR"])
    with pytest.raises(KeyRefusedError):
        train_locks(["baseline", "np-4"], root)
    assert runs.trackers == []


def test_bad_input_has_its_one_message(root: Path, runs: Runs) -> None:
    with pytest.raises(ConfigError, match="did you mean 'np-4'"):
        train_locks(["np4"], root)
    array = root / "data" / "prepared" / "train_images.npy"
    array.write_bytes(array.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train_images\.npy"):
        train_locks(["np-4"], root)
    assert runs.trackers == []


def test_the_digest_names_everything_a_training_depends_on(root: Path) -> None:
    params = load_params(root / "params.yaml")
    lock, weights = params.locks["np-4"], root / "data" / "weights"

    def digest(**changed: Any) -> str:
        parts = {"params": params, "lock": lock, "data": "d", "weights": weights, "key": "k"}
        parts |= changed
        return training_digest(*parts.values())

    def with_section(name: str, **values: Any) -> Any:
        section = getattr(params, name).model_copy(update=values)
        return params.model_copy(update={name: section})

    other = root / "other"
    other.mkdir()
    (other / "weights.json").write_text("{}")
    found = [
        digest(),
        digest(params=with_section("train", lr=0.3)),
        digest(params=with_section("model", width=8)),
        digest(params=with_section("data", split_seed=1)),
        digest(lock=lock.model_copy(update={"steps": ["np-2"]})),
        digest(lock=lock.model_copy(update={"ffx_password": "fixed"})),
        digest(data="e"),
        digest(weights=other),
        digest(key="l"),
    ]
    assert len(set(found)) == len(found)
    assert all(len(one) == 16 for one in found)
    unchanged = [
        digest(params=with_section("evaluate", wrong_keys=3)),
        digest(params=with_section("tracking", experiment="other")),
        digest(lock=lock.model_copy(update={"key": "renamed"})),
    ]
    assert set(unchanged) == {found[0]}


def test_locks_can_start_from_the_trained_baseline(root: Path, runs: Runs) -> None:
    change(root, model={"initial_weights": "baseline"})
    params = load_params(root / "params.yaml")
    out = train_plain(params, root, root / "plain.safetensors")
    assert "nonce" not in read_metadata(out)
    assert folders(root) == []
    assert runs.trackers == []  # it is a start, not a result
    get_weights(params, root)
    assert json.loads((root / "data/weights/weights.json").read_text())["source"] == "baseline"
    train_locks(["np-4"], root)
    assert (root / "data" / "models" / "np-4" / "model.safetensors").is_file()
    started = files.sha256_file(root / "data" / "weights" / "weights.safetensors")
    assert runs.trackers[0].tags["initial_weights_sha256"] == started


def test_torchrun_trains_one_lock_in_one_real_run(root: Path) -> None:
    torchrun("seglock", "train", "--lock", "np-4", folder=root)
    training = json.loads(outputs(root)["training.json"])
    # Read without mlflow: importing it would double the test's time.
    with contextlib.closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as store:
        assert store.execute("select run_uuid, status from runs").fetchall() == [
            (training["run_id"], "FINISHED")
        ]
        curve = "select step from metrics where key = 'val/miou' order by step"
        assert store.execute(curve).fetchall() == [(1,), (2,), (3,)]
        rate = "select value from params where key = 'train.lr'"
        assert store.execute(rate).fetchall() == [("0.1",)]
