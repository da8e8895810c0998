"""Runs in the project's own SQLite store: what is logged is what MLflow has."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seglock import files
from seglock.address import tracking_uri
from seglock.config import TrackingParams
from seglock.errors import TrackingError
from seglock.tracking import (
    MemoryTracker,
    RunRecord,
    RunTracker,
    Store,
    Tracker,
    end_killed,
    open_run,
    send,
)
from seglock.tracking.limits import safe_name
from tests.tracking.conftest import client_of

ODD = "a b#c%20d?\N{LATIN SMALL LETTER E WITH ACUTE}@x"
TAGS = {"lock": "np-4", "key_id": "0123456789abcdef"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project") / ODD


def begin(root: Path, run_id: str | None = None) -> RunTracker:
    return open_run(
        TrackingParams(), name="np-4 · synthetic · seed 0", tags=TAGS, root=root, run_id=run_id
    )


def history(root: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    found = client_of(tracking_uri(root)).get_metric_history(run_id, name)
    return sorted((metric.step, metric.value) for metric in found)


def use(tracker: Tracker, file: Path) -> None:
    tracker.log_params({"train": {"lr": 0.2, "clip_grad_norm": None}, "steps": ["np-4"]})
    for epoch in range(3):
        tracker.log_metrics({"val/loss": 1 / (epoch + 1), "val/miou": epoch / 10}, step=epoch)
    tracker.set_tags({"stage": "train"})
    tracker.log_artifact(file, "training")
    tracker.log_dataset("synthetic", "ab" * 32, use="training")


@pytest.mark.parametrize("kind", ["memory", "store"])
def test_every_tracker_takes_every_call_and_ends_as_its_block_did(
    kind: str, root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    file.write_text("{}")
    for error, status in [
        (None, "FINISHED"),
        (ValueError, "FAILED"),
        (KeyboardInterrupt, "KILLED"),
    ]:
        tracker: Tracker = MemoryTracker() if kind == "memory" else begin(root)
        try:
            with tracker:
                use(tracker, file)
                if error:
                    raise error
        except (ValueError, KeyboardInterrupt):
            pass
        tracker.close("FINISHED")  # a second end changes nothing
        tracker.log_metrics({"after": 1.0})
        if isinstance(tracker, MemoryTracker):
            assert tracker.status == status
        else:
            run = client_of(tracking_uri(root)).get_run(tracker.run_id)
            assert run.info.status == status
            assert "after" not in run.data.metrics


def test_what_is_logged_arrives(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    with begin(root) as tracker:
        use(tracker, file)
    client = client_of(tracking_uri(root))
    run = client.get_run(tracker.run_id)
    assert run.info.run_name == "np-4 · synthetic · seed 0"
    assert run.data.params == {
        "train.lr": "0.2", "train.clip_grad_norm": "null", "steps": '["np-4"]'
    }  # fmt: skip
    assert run.data.tags.items() >= {**TAGS, "stage": "train"}.items()
    assert history(root, tracker.run_id, "val/loss") == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("synthetic", ("ab" * 32)[:36])
    assert client.get_experiment(run.info.experiment_id).name == "seglock"
    (kept,) = (root / "mlruns" / "artifacts" / tracker.run_id).rglob("model.safetensors")
    assert kept.read_bytes() == b"weights"
    assert kept.parent.name == "training"


def test_its_record_says_what_the_run_is_and_that_the_store_has_it(root: Path) -> None:
    result = root / "data" / "models" / "np-4" / "training.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    with begin(root) as tracker:
        use(tracker, result)
        assert RunRecord.every(root)[-1].status == "RUNNING"
    record = RunRecord.known(root, tracker.run_id)
    assert record is not None
    assert (record.name, record.status, record.complete) == (
        "np-4 · synthetic · seed 0", "FINISHED", True,
    )  # fmt: skip
    assert record.tags.items() >= {**TAGS, "stage": "train"}.items()
    assert record.params["train.lr"] == "0.2"
    assert record.datasets[0]["use"] == "training"
    assert record.results == {
        "data/models/np-4/training.json": ("training", files.sha256_file(result))
    }


def test_what_a_run_has_is_not_told_again(root: Path) -> None:
    rows = [(None, {"best": 0.5, "nan": math.nan}), *((n, {"loss": 1 / n}) for n in range(1, 6))]
    with begin(root) as first:
        first.log_metrics({"best": 0.5, "nan": math.nan})
        for step in (1, 2, 4):
            first.log_metrics({"loss": 1 / step}, step=step)
    with begin(root, first.run_id) as second:
        for step, row in rows:
            second.log_metrics(row, step, again=True)
    assert history(root, first.run_id, "loss") == [(n, 1 / n) for n in range(1, 6)]
    assert history(root, first.run_id, "best") == [(0, 0.5)]
    assert len(history(root, first.run_id, "nan")) == 1
    with begin(root, first.run_id) as third:
        third.log_metrics({"best": 0.75}, again=True)
    assert history(root, first.run_id, "best") == [(0, 0.5), (0, 0.75)]


def test_a_run_is_taken_up_again_and_a_changed_param_becomes_a_tag(root: Path) -> None:
    with begin(root) as first:
        first.log_params({"wrong_keys": 20, "lock": "np-4"})
    with begin(root, first.run_id) as second:
        second.log_params({"wrong_keys": 100, "lock": "np-4"})
        second.log_metrics({"owner/miou": 0.7})
    assert second.run_id == first.run_id
    run = client_of(tracking_uri(root)).get_run(first.run_id)
    assert run.data.params == {"wrong_keys": "20", "lock": "np-4"}
    assert run.data.tags["wrong_keys"] == "100"
    assert run.data.metrics == {"owner/miou": 0.7}
    assert run.info.status == "FINISHED"


def test_a_run_shows_as_running_while_it_does(root: Path) -> None:
    with begin(root) as first:
        pass
    with begin(root, first.run_id):
        assert client_of(tracking_uri(root)).get_run(first.run_id).info.status == "RUNNING"


def test_a_run_this_store_lacks_becomes_one_new_run_tagged_with_the_old_id(root: Path) -> None:
    elsewhere = "f" * 32
    with begin(root, elsewhere) as first:
        pass
    with begin(root, elsewhere) as second:
        pass
    assert first.run_id == second.run_id != elsewhere
    run = client_of(tracking_uri(root)).get_run(first.run_id)
    assert run.data.tags["seglock.previous_run_id"] == elsewhere


def test_a_deleted_run_counts_as_one_this_store_lacks(root: Path) -> None:
    with begin(root) as first:
        pass
    client_of(tracking_uri(root)).delete_run(first.run_id)
    with begin(root, first.run_id) as second:
        second.log_metrics({"a": 1.0})
    assert second.run_id != first.run_id


def test_what_mlflow_would_not_take_is_fitted(root: Path) -> None:
    whole = "x" * 10_000
    with begin(root) as tracker:
        tracker.log_params({"long": whole, "odd (name)": 1, "n" * 400: 2})
        tracker.log_metrics({"iou/sky & sea": 0.5, "loss": math.nan, "norm": math.inf})
        tracker.log_metrics({"iou/sky + sea": 0.25, "iou/\u732b": 0.75})
        tracker.set_tags({"note": "y" * 20_000})
    client = client_of(tracking_uri(root))
    run = client.get_run(tracker.run_id)
    assert run.data.params["long"].endswith("(whole: params/long.txt)")
    path = client.download_artifacts(tracker.run_id, "params/long.txt")
    assert Path(path).read_text() == whole
    assert run.data.params[safe_name("odd (name)")] == "1"
    assert run.data.metrics[safe_name("iou/sky & sea")] == 0.5
    assert run.data.metrics[safe_name("iou/sky + sea")] == 0.25
    assert run.data.metrics["iou/\u732b"] == 0.75
    assert math.isnan(run.data.metrics["loss"])
    assert math.isnan(run.data.metrics["norm"])
    assert len(run.data.tags["note"]) <= 5000


def test_an_entry_the_store_refuses_costs_only_itself(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin(root) as tracker:
        tracker.log_dataset("n" * 600, "digest")
        tracker.log_metrics({"after": 1.0})
    said = capsys.readouterr().err
    assert said.count("refused dataset") == 1
    run = client_of(tracking_uri(root)).get_run(tracker.run_id)
    assert run.data.metrics == {"after": 1.0}
    assert run.info.status == "FINISHED"


def test_a_folder_is_logged_file_by_file(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "inner" / "b.txt").write_text("b")
    with begin(root) as tracker:
        tracker.log_artifact(folder)
    client = client_of(tracking_uri(root))
    assert [f.path for f in client.list_artifacts(tracker.run_id, "report")] == [
        "report/a.txt", "report/inner"
    ]  # fmt: skip


def test_a_burst_of_steps_is_sent_in_few_requests(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(root) as tracker:
        sent = []
        real = send.figures

        def figures(store: Store, run_id: str, told: list[send.Figure]) -> list[str]:
            sent.append(len(told))
            return real(store, run_id, told)

        monkeypatch.setattr(send, "figures", figures)
        for key in range(500):
            tracker.log_metrics({"incorrect/key_miou": key / 1000}, step=key)
    assert sum(map(bool, sent)) < 100
    assert sum(sent) == 500
    assert len(history(root, tracker.run_id, "incorrect/key_miou")) == 500


PROCESS = """
import sys
from pathlib import Path
from seglock.config import TrackingParams
from seglock.tracking import open_run
run = open_run(TrackingParams(), name="first", tags={}, root=Path(sys.argv[1]))
run.log_metrics({"a": 1.0})
print(run.run_id)
sys.exit(int(sys.argv[2]))
"""


def test_two_first_processes_at_once_and_an_end_without_close(tmp_path: Path) -> None:
    """Both make their run in a store that neither found, and both leave without closing it."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path), "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    ended = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    client = client_of(tracking_uri(tmp_path))
    runs = [client.get_run(out.strip()) for out, _ in ended]
    assert {run.info.status for run in runs} == {"FAILED"}
    assert len({run.info.experiment_id for run in runs}) == 1
    assert [run.data.metrics for run in runs] == [{"a": 1.0}, {"a": 1.0}]
    assert [err for _, err in ended] == ["", ""]


KILLED = """
import os, signal, sys
from pathlib import Path
from seglock.config import TrackingParams
from seglock.tracking import open_run
run = open_run(TrackingParams(), name="dies", tags={}, root=Path(sys.argv[1]))
child = run.child("its child", {})
print(run.run_id, child.run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_command_ends_the_runs_of_a_killed_one_and_no_other(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    dead, child = killed.stdout.split()
    client = client_of(tracking_uri(tmp_path))
    assert {client.get_run(run_id).info.status for run_id in (dead, child)} == {"RUNNING"}
    with begin(tmp_path) as alive:
        assert {client.get_run(run_id).info.status for run_id in (dead, child)} == {"KILLED"}
        end_killed(tmp_path, Store(tracking_uri(tmp_path), timeout=10.0))
        assert client.get_run(alive.run_id).info.status == "RUNNING"
    record = RunRecord.known(tmp_path, dead)
    assert record is not None
    assert (record.status, record.complete) == ("KILLED", True)  # it had no results to tell
    with begin(tmp_path, dead) as again:
        again.log_metrics({"a": 0.5}, step=2)
    assert again.run_id == dead
    assert client.get_run(dead).info.status == "FINISHED"
    assert again.record.complete


def test_a_killed_run_that_the_store_lost_is_in_nobodys_way(root: Path) -> None:
    with begin(root) as tracker:
        pass
    client_of(tracking_uri(root)).delete_run(tracker.run_id)
    tracker.record.changed(status="RUNNING").save(root)
    with begin(root):
        pass
    left = RunRecord.known(root, tracker.run_id)
    assert left is not None
    assert (left.status, left.complete) == ("KILLED", False)


def test_a_killed_run_of_another_store_is_left_to_who_uses_that(root: Path) -> None:
    with begin(root) as tracker:
        pass
    tracker.record.changed(status="RUNNING", store="http://elsewhere").save(root)
    end_killed(root, Store(tracking_uri(root), timeout=10.0))
    left = RunRecord.known(root, tracker.run_id)
    assert left is not None
    assert left.status == "RUNNING"
    tracker.record.save(root)


def test_a_database_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_text("this is no database, " * 50)
    with pytest.raises(TrackingError, match="not a database"):
        begin(tmp_path)
