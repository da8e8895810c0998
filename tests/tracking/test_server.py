"""A tracking server that is away, dies, hangs and comes back: training never pays for it.

What is told later, from result files, is in tests/stages/test_track.py.
"""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from seglock.config import TrackingParams
from seglock.errors import TrackingError
from seglock.tracking import RunRecord, RunTracker, Store, open_run
from tests.tracking.conftest import Server, client_of


def begin(root: Path, params: TrackingParams, run_id: str | None = None) -> RunTracker:
    return open_run(params, name="shf-4", tags={"lock": "shf-4"}, root=root, run_id=run_id)


def seconds_of(call: object) -> float:
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started


def test_a_server_killed_in_the_middle_gets_what_it_missed_when_it_is_back(
    server: Server,
    tmp_path: Path,
    params: TrackingParams,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "figure.png"
    scratch.write_bytes(b"a figure")
    with begin(tmp_path, params) as tracker:
        child = tracker.child("trial", {"kind": "trial"})
        tracker.log_metrics({"val/loss": 1.0}, step=0)
        server.kill()
        epochs = seconds_of(
            lambda: [tracker.log_metrics({"val/loss": 1 / (e + 1)}, step=e) for e in range(1, 50)]
        )
        tracker.set_tags({"late": "yes"})
        child.log_metrics({"owner/miou": 0.5})
        child.close()
        unborn = tracker.child("another", {"kind": "trial"})
        unborn.close("FAILED")
        assert unborn.run_id.startswith("local-")
        assert epochs < 10
        server.start()
        monkeypatch.setattr(tracker._store, "_quiet_until", 0.0)
        tracker.log_metrics({"val/loss": 0.0}, step=50)
    said = capsys.readouterr().err
    assert said.count("goes on without") == said.count("answers again") == 1
    assert "track sync" not in said
    assert tracker.record.complete
    client = client_of(server.uri)
    run = client.get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["late"]) == ("FINISHED", "yes")
    history = client.get_metric_history(tracker.run_id, "val/loss")
    assert [m.step for m in history] == [*range(51)]
    assert len({m.timestamp for m in history}) > 1  # of when they were told, not sent
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
    )
    assert {found.info.run_name: found.info.status for found in children} == {
        "trial": "FINISHED", "another": "FAILED"
    }  # fmt: skip
    assert client.get_run(child.run_id).data.metrics == {"owner/miou": 0.5}


def test_one_that_stays_away_is_told_of_and_costs_little_time(
    server: Server, tmp_path: Path, params: TrackingParams, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = tmp_path / "figure.png"
    scratch.write_bytes(b"a figure")
    tracker = begin(tmp_path, params)
    server.kill()
    tracker.log_metrics({"val/loss": 1.0}, step=1)
    tracker.log_artifact(scratch)
    assert seconds_of(tracker.close) < 10
    said = capsys.readouterr().err
    assert said.count("goes on without") == 1
    assert f"seglock track sync {tracker.run_id}" in said
    record = RunRecord.known(tmp_path, tracker.run_id)
    assert record is not None
    assert (record.status, record.complete, record.results) == ("FINISHED", False, {})


def test_a_server_that_hangs_costs_one_timeout_and_gets_all_of_it_when_it_wakes(
    server: Server, tmp_path: Path, params: TrackingParams, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin(tmp_path, params) as tracker:
        server.signal(signal.SIGSTOP)
        try:
            tracker._store.timeout = 1.0
            tracker._store._quiet_until = 0.0
            epochs = seconds_of(
                lambda: [tracker.log_metrics({"a": 0.0}, step=e) for e in range(100)]
            )
        finally:
            server.signal(signal.SIGCONT)
        assert tracker._store.lost
        assert epochs < 10
        tracker._store.timeout = params.timeout_seconds
        tracker._store._quiet_until = 0.0
        tracker.log_metrics({"a": 1.0}, step=100)
        assert not tracker._store.lost
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("goes on without") == said.err.count("answers again") == 1
    history = client_of(server.uri).get_metric_history(tracker.run_id, "a")
    assert [m.step for m in history] == [*range(101)]


def test_an_unreachable_server_is_an_error_before_training(
    tmp_path: Path, params: TrackingParams, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:secret@127.0.0.1:{free_port}")
    started = time.perf_counter()
    with pytest.raises(TrackingError) as caught:
        begin(tmp_path, params)
    assert time.perf_counter() - started < 5
    assert f"127.0.0.1:{free_port}" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / ".seglock" / "runs").exists()


def test_a_server_that_accepts_and_never_answers_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_of("http://127.0.0.1:1")  # the import is not what is timed
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        started = time.perf_counter()
        with pytest.raises(TrackingError):
            begin(tmp_path, TrackingParams(timeout_seconds=1.0))
        assert time.perf_counter() - started < 10


def test_a_run_begun_without_its_server_is_made_there_when_that_is_back(
    server: Server,
    tmp_path: Path,
    params: TrackingParams,
    free_port: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port}")
    optional = params.model_copy(update={"required": False})
    with begin(tmp_path, optional) as tracker:
        tracker.log_params({"lr": 0.5})
        tracker.log_metrics({"a": 0.5}, step=3)
        assert tracker.run_id.startswith("local-")
        assert "goes on" in capsys.readouterr().err
        tracker._store = Store(server.uri, timeout=params.timeout_seconds)
        tracker.log_metrics({"a": 0.25}, step=4)
    assert tracker.run_id.startswith("local-")
    assert tracker.record.complete
    run = client_of(server.uri).get_run(tracker.stored_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "shf-4"
    assert run.data.tags["seglock.previous_run_id"] == tracker.run_id
    assert (run.data.metrics, run.data.params) == ({"a": 0.25}, {"lr": "0.5"})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with begin(tmp_path, params, tracker.run_id) as later:  # the evaluation, say
        assert later.whole
        later.log_metrics({"owner/miou": 0.7})
    assert later.run_id == tracker.stored_id
    assert len(RunRecord.every(tmp_path)) == 1
