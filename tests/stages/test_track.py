"""``seglock track``: what MLflow could not take is told later, once, from the result files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seglock import files
from seglock.address import tracking_uri
from seglock.cli.track import app
from seglock.errors import TrackingError
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.track import find_run, list_runs, sync_run
from seglock.stages.train import train_locks
from seglock.tracking import RunRecord, RunTracker
from tests.stages.test_train import change, root  # noqa: F401
from tests.tracking.conftest import Server, client_of, server, server_process  # noqa: F401


def track(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.exception
    return done.output


@pytest.fixture
def dies(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:  # noqa: F811
    """A server that is killed between the first and the second epoch of the next training."""
    log_metrics = RunTracker.log_metrics

    def killing(self: RunTracker, figures: Any, step: int | None = None, **how: Any) -> None:
        if step == 2:
            server.kill()
            monkeypatch.setattr(RunTracker, "log_metrics", log_metrics)
        log_metrics(self, figures, step, **how)

    monkeypatch.setattr(RunTracker, "log_metrics", killing)
    return server


def test_a_server_that_dies_in_a_training_costs_nothing_and_is_told_the_rest(
    root: Path,  # noqa: F811
    dies: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_locks(["np-4"], root)
    said = capsys.readouterr().err
    training = files.read_json(root / "data/models/np-4/training.json")
    run_id = training["run_id"]
    assert training["epochs"] == 3
    assert said.count("goes on without") == 1
    assert f"seglock track sync {run_id}" in said
    assert run_id in track("list")
    with pytest.raises(TrackingError, match="the tracking store must answer"):
        sync_run("np-4", root)

    dies.start()
    assert find_run(run_id[:6], root) == find_run("np-4", root) == find_run(run_id, root)
    assert "has all of it now" in track("sync", "np-4")
    client = client_of(dies.uri)

    def there() -> list[Any]:
        run = client.get_run(run_id)
        names = ("train/lr", "train/loss", "val/loss", "val/miou", "kept/epoch")
        curves = [client.get_metric_history(run_id, name) for name in names]
        return [run.info.status, run.info.end_time, run.data.params, run.data.metrics, curves]

    status, end_time, params, metrics, curves = first = there()
    assert status == "FINISHED"
    assert end_time == find_run("np-4", root).ended
    assert end_time - client.get_run(run_id).info.start_time == round(1000 * training["seconds"])
    assert params["train.lr"] == "0.1"
    assert [[point.step for point in curve] for curve in curves] == [[1, 2, 3]] * 4 + [[0]]
    assert metrics["kept/val_miou"] == training["val_miou"]
    path = client.download_artifacts(run_id, "training/model.safetensors")
    assert files.sha256_file(Path(path)) == training["weights_sha256"]

    assert "had all of it already" in track("sync", run_id)
    record = find_run(run_id, root)
    record.changed(complete=False).save(root)  # as if that had not been noted
    sync_run(run_id, root)
    assert repr(there()) == repr(first)
    assert "MLflow lacks nothing; 1 run on record" in track("list")
    assert run_id in track("list", "--all")


def test_a_changed_result_file_is_refused_by_its_digest(root: Path, dies: Server) -> None:  # noqa: F811
    train_locks(["np-4"], root)
    dies.start()
    history = root / "data/models/np-4/history.csv"
    before = history.read_text()
    history.write_text(before.replace("3,", "3,9", 1))
    (root / "data/models/np-4/model.safetensors").unlink()
    with pytest.raises(TrackingError) as refused:
        sync_run("np-4", root)
    said = str(refused.value)
    assert "data/models/np-4/history.csv, which has changed" in said
    assert "model.safetensors, which is gone" in said
    assert "dvc checkout" in said
    run_id = find_run("np-4", root).run_id
    client = client_of(dies.uri)
    assert {m.step for m in client.get_metric_history(run_id, "val/loss")} <= {1}


def test_a_record_of_others_gets_nothing_else_uploaded(root: Path, server: Server) -> None:  # noqa: F811
    secret = root / "secret.txt"
    secret.write_text("not theirs")
    (root / "data" / "link").symlink_to(secret)
    name = "0" * 32
    for path in ("data/../secret.txt", "secret.txt", str(secret), "data/link"):
        RunRecord(
            run_id=name, name="x", experiment="seglock", started=1, status="FINISHED",
            results={path: ("", files.sha256_file(secret))},
        ).save(root)  # fmt: skip
        with pytest.raises(TrackingError, match="a link that leads elsewhere"):
            sync_run(name, root)


def test_the_evaluation_tells_what_the_training_could_not(root: Path, dies: Server) -> None:  # noqa: F811
    train_locks(["baseline"], root)
    dies.start()
    (found,) = evaluate_locks(["baseline"], root)
    client = client_of(dies.uri)
    run = client.get_run(str(found.run_id))
    curve = client.get_metric_history(str(found.run_id), "val/loss")
    assert [point.step for point in curve] == [1, 2, 3]
    assert run.data.metrics["access/owner"] == found.scores.owner_miou
    assert run.data.metrics["kept/val_loss"] > 0
    assert find_run("baseline", root).complete


STORY = """
import os, signal, sys
from pathlib import Path
import seglock.stages.train as stage
from seglock.tracking import RunTracker
log_metrics = RunTracker.log_metrics
def killing(self, figures, step=None, **how):
    log_metrics(self, figures, step, **how)
    if step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
RunTracker.log_metrics = killing
stage.train_locks(["np-4"], Path.cwd())
"""


def test_a_killed_trainings_run_ends_at_the_next_command_and_goes_on(root: Path) -> None:  # noqa: F811
    change(root, train={"checkpoint_seconds": 0.0})
    died = subprocess.run([sys.executable, "-c", STORY], cwd=root, check=False, timeout=240)
    assert died.returncode == -signal.SIGKILL
    client = client_of(tracking_uri(root))
    (record,) = RunRecord.every(root)
    assert record.status == "RUNNING"
    assert client.get_run(record.run_id).info.status == "RUNNING"
    assert list_runs(root)[0].status == "KILLED"
    assert client.get_run(record.run_id).info.status == "KILLED"
    train_locks(["np-4"], root)
    training = files.read_json(root / "data/models/np-4/training.json")
    assert training["run_id"] == record.run_id
    assert training["resumed_from"] == 1
    assert client.get_run(record.run_id).info.status == "FINISHED"
    curve = client.get_metric_history(record.run_id, "val/loss")
    assert sorted({point.step for point in curve}) == [1, 2, 3]
    assert find_run("np-4", root).complete
