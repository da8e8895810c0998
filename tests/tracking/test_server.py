"""A tracking server that is away, dies, hangs and comes back: training never pays for it."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglock.cli.track import app
from seglock.config import TrackingParams
from seglock.errors import TrackingError
from seglock.tracking import JournalTracker, find_run, list_runs, open_run, sync_run
from tests.tracking.conftest import Server, client_of


def begin(root: Path, params: TrackingParams, run_id: str | None = None) -> JournalTracker:
    return open_run(params, name="shf-4", tags={"lock": "shf-4"}, root=root, run_id=run_id)


def seconds_of(call: object) -> float:
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started


def test_a_server_killed_in_the_middle_costs_nothing_and_sync_sends_the_rest(
    server: Server, tmp_path: Path, params: TrackingParams, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"best epoch")
    tracker = begin(tmp_path, params)
    tracker.log_metrics({"val/loss": 1.0}, step=0)
    server.kill()
    epochs = seconds_of(
        lambda: [tracker.log_metrics({"val/loss": 1 / (e + 1)}, step=e) for e in range(1, 50)]
    )
    tracker.log_artifact(weights, "training")
    weights.write_bytes(b"written over later")
    closing = seconds_of(tracker.close)
    assert epochs < 10
    assert closing < 10
    said = capsys.readouterr().err
    assert said.count("only:") == 1
    assert f"seglock track sync {tracker.run_id}" in said

    with pytest.raises(TrackingError, match="refused"):
        sync_run(tracker.run_id, root=tmp_path, params=params)
    server.start()
    done = sync_run(tracker.run_id, root=tmp_path, params=params)
    assert done.sent >= 51
    assert done.store_run_id == tracker.run_id
    assert sync_run(tracker.run_id, root=tmp_path, params=params).sent == 0

    client = client_of(server.uri)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(tracker.run_id, "val/loss")] == [*range(50)]
    path = client.download_artifacts(tracker.run_id, "training/model.safetensors")
    assert Path(path).read_bytes() == b"best epoch"
    assert not [*(tracker.journal.folder / "artifacts").rglob("*.safetensors")]


def test_sending_everything_again_changes_nothing(
    server: Server, tmp_path: Path, params: TrackingParams
) -> None:
    """An acknowledgement that was lost: the store has it, the journal does not know."""
    with begin(tmp_path, params) as tracker:
        tracker.log_params({"lr": 0.2})
        tracker.log_metrics({"a": 0.5, "b": float("nan")}, step=1)
    (tracker.journal.folder / "sent.json").unlink()
    assert sync_run(tracker.run_id, root=tmp_path, params=params).sent == 4
    client = client_of(server.uri)
    assert len(client.get_metric_history(tracker.run_id, "a")) == 1
    assert len(client.get_metric_history(tracker.run_id, "b")) == 1
    assert len(client.search_runs([client.get_run(tracker.run_id).info.experiment_id])) >= 1


def test_a_server_that_hangs_costs_one_timeout_and_gets_all_of_it_when_it_wakes(
    server: Server, tmp_path: Path, params: TrackingParams, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin(tmp_path, params) as tracker:
        server.signal(signal.SIGSTOP)
        try:
            tracker.delivery.store.timeout = 1.0
            tracker._quiet_until = 0.0
            epochs = seconds_of(
                lambda: [tracker.log_metrics({"a": 0.0}, step=e) for e in range(100)]
            )
        finally:
            server.signal(signal.SIGCONT)
        assert tracker.lost
        assert epochs < 10
        tracker.delivery.store.timeout = params.timeout_seconds
        tracker._quiet_until = 0.0
        tracker.log_metrics({"a": 1.0}, step=100)
        assert not tracker.lost
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("goes on in") == said.err.count("answers again") == 1
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


def test_a_run_begun_without_its_server_is_made_there_by_sync(
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
        tracker.log_metrics({"a": 0.5}, step=3)
    assert tracker.run_id.startswith("local-")
    assert "goes on" in capsys.readouterr().err
    assert [run.unsent for run in list_runs(tmp_path)] == [3]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)

    first = sync_run(tracker.run_id, root=tmp_path, params=params)
    second = sync_run(tracker.run_id, root=tmp_path, params=params)
    assert (first.sent, second.sent) == (3, 0)
    assert first.store_run_id == second.store_run_id != tracker.run_id
    run = client_of(server.uri).get_run(first.store_run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "shf-4"
    assert run.data.tags["seglock.previous_run_id"] == tracker.run_id
    assert run.data.metrics == {"a": 0.5}
    with begin(tmp_path, params, tracker.run_id) as later:  # the evaluation, say
        later.log_metrics({"owner/miou": 0.7})
    assert later.run_id == first.store_run_id


def test_track_sync_and_list_by_id_start_of_it_and_lock(
    server: Server, tmp_path: Path, params: TrackingParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begin(tmp_path, params) as tracker:
        pass
    model = tmp_path / "data" / "models" / "shf-4"
    model.mkdir(parents=True)
    (model / "training.json").write_text(f'{{"run_id": "{tracker.run_id}"}}')
    for name in (tracker.run_id, tracker.run_id[:6], "shf-4"):
        assert find_run(name, tmp_path) == tracker.run_id
    with pytest.raises(TrackingError, match="unique start"):
        find_run("", tmp_path)

    monkeypatch.chdir(tmp_path)
    tracker.journal.append("tags", tags={"late": "yes"})
    listed = CliRunner().invoke(app, ["list"])
    assert tracker.run_id in listed.output
    assert "1 entry unsent" in listed.output
    synced = CliRunner().invoke(app, ["sync", "shf-4"])
    assert synced.exit_code == 0, synced.exception
    assert "1 entry sent" in synced.output
    assert "nothing is unsent; 1 run on record" in CliRunner().invoke(app, ["list"]).output
    assert tracker.run_id in CliRunner().invoke(app, ["list", "--all"]).output
    assert client_of(server.uri).get_run(tracker.run_id).data.tags["late"] == "yes"
