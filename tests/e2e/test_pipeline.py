"""The whole pipeline in a real DVC repository, as one story: each test goes on from the last."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.contracts.test_published import REMOVED
from tests.e2e.project import Project, stages_run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
LOCK_STAGES = ("encrypt", "train", "evaluate", "attack")


def of(lock: str) -> set[str]:
    return {f"{stage}@{lock}" for stage in LOCK_STAGES}


def read(project: Project, *parts: str) -> dict:
    return json.loads(project.root.joinpath("data", *parts).read_text())


def page_words(project: Project) -> str:
    """The report without its tags."""
    page = (project.root / "data/reports/report.html").read_text()
    return " ".join(re.sub(r"<[^>]+>", "", page).split())


def test_first_run_goes_from_nothing_to_a_report(project: Project, forks: Path) -> None:
    # A wheel's project starts these in processes of their own, a training is killed in one below.
    forked = Project(project.root, dict(project.environment))
    forked.fork_from(forks)
    ran = forked.repro("evaluate@baseline", "attack@baseline", "evaluate@np-4")
    ran += project.repro()
    once = {"data", "prepare", "key", "weights", "search", "package", "report"}
    assert set(ran) == once | of("baseline") | of("np-4")
    assert (project.root / "data/reports/report.html").is_file()
    assert "np-4" in project.run("seglock", "report", "--show")
    scores = read(project, "evaluations", "np-4", "evaluation.json")["scores"]
    assert scores["incorrect"]["keys"] == 2
    project.run("git", "add", "-A")
    tracked = project.run("git", "ls-files").split()
    assert {"dvc.lock", "data/keys/main.json", "data/keys/locks/np-4.json"} <= set(tracked)
    outside_keys = {p for p in tracked if p.startswith("data/") and not p.startswith("data/keys/")}
    assert outside_keys == {"data/.gitignore"}
    project.commit("first run")


def test_second_run_does_nothing(project: Project, forks: Path) -> None:
    project.fork_from(forks)  # each stage was a process of its own once
    output = project.run("dvc", "repro")
    assert stages_run(output) == []
    assert "up to date" in output
    assert project.run("git", "status", "--porcelain") == ""


def test_no_exact_figure_of_an_attack_leaves_the_owner(project: Project) -> None:
    """Neither what DVC pushes nor MLflow's store names one; the owner's own file does."""
    shared = [project.root / "data", project.root / ".dvc/cache", project.root / "mlruns"]
    for path in (file for folder in shared for file in folder.rglob("*") if file.is_file()):
        content = path.read_bytes()
        assert not [name for name in REMOVED if f'"{name}"'.encode() in content], path
        assert not [name for name in REMOVED if f"/{name}".encode() in content], path
    own = project.root / ".seglock/attacks/exact/np-4/hill-climb.json"
    assert "plan_agreement" in json.loads(own.read_text())


def test_metrics_and_plots(project: Project) -> None:
    shown = json.loads(project.run("dvc", "metrics", "show", "--json"))
    values = shown[""]["data"]
    metrics = values[str(Path("data/evaluations/np-4/metrics.json"))]["data"]
    evaluation = read(project, "evaluations", "np-4", "evaluation.json")
    assert metrics["owner"] == pytest.approx(evaluation["scores"]["correct"]["miou"])
    columns = {name for file in values.values() for name in file["data"]}
    assert columns <= {"owner", "drop", "unauthorised", "regained", "T0", "beyond"}
    project.run("dvc", "plots", "show", "--out", str(project.root / ".seglock" / "plots"))
    assert "np-4" in (project.root / ".seglock/plots/index.html").read_text()


def test_more_trials_continue_the_study_and_its_lock_becomes_a_stage(project: Project) -> None:
    before = read(project, "search", "study.json")
    assert [trial["lock"] for trial in before["trials"]] == ["np-8", "np-8_shf-8"]
    assert "Trade-off search" in (project.root / "data/reports/report.html").read_text()
    project.change(lambda p: p["search"].update({"trials": 3}))
    assert set(project.repro()) == {"search", "report"}
    study = read(project, "search", "study.json")
    assert study["counts"] == {"complete": 3, "stopped": 0, "failed": 0, "running": 0}
    assert study["trials"][:2] == before["trials"]
    assert study["run_id"] == before["run_id"]
    project.commit("three trials")
    output = project.run("seglock", "search", "--apply")
    lock = study["recommendation"]["lock"]
    assert f"Added to params.yaml under locks: {lock}:" in output
    # The study was at its end: its files are as they were, so the new lock's stages run only.
    assert set(project.repro()) == {"key", "package", "report"} | of(lock)
    assert f"In this report it is {lock}" in page_words(project)
    project.run("git", "checkout", "-q", "--", ".")
    project.run("git", "clean", "-fdq", "data")
    (project.root / "data" / "attacks" / f"{lock}.json").unlink()
    for folder in ("encrypted", "models", "evaluations", "attacks"):
        shutil.rmtree(project.root / "data" / folder / lock)  # a clone would not have them


def test_adding_a_lock_trains_that_lock_only_and_more_wrong_keys_none(project: Project) -> None:
    project.change(lambda p: p["locks"].update({"shf-4": {"steps": ["shf-4"]}}))
    project.change(lambda p: p["evaluate"].update({"wrong_keys": 3}))
    evaluated = {"evaluate@baseline", "evaluate@np-4"}
    assert set(project.repro()) == {"key", "package", "report"} | of("shf-4") | evaluated
    assert "shf-4" in (project.root / "data/reports/report.html").read_text()
    for lock in ("np-4", "shf-4"):
        scores = read(project, "evaluations", lock, "evaluation.json")["scores"]
        assert len(scores["incorrect"]["miou"]) == 3
    project.commit("three locks")
    diff = project.run("dvc", "metrics", "diff", "HEAD~1", "--json")
    assert "data/evaluations/shf-4/metrics.json" in diff


def test_a_new_key_retrains_only_its_lock(project: Project) -> None:
    project.run("seglock", "key", "new", "other")
    project.change(lambda p: p["locks"]["shf-4"].update({"key": "other"}))
    before = read(project, "models", "np-4", "training.json")
    assert set(project.repro()) == {"key", "package", "report"} | of("shf-4")
    assert read(project, "models", "np-4", "training.json") == before
    project.commit("another key")


def test_push_leaves_encrypted_images_here_and_pull_brings_the_rest(
    project: Project, tmp_path: Path
) -> None:
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    project.run("dvc", "remote", "add", "-d", "store", str(remote))
    project.commit("remote")
    project.run("dvc", "push")
    pushed = {p.read_bytes() for p in remote.rglob("*") if p.is_file() and p.suffix != ".dir"}
    for lock in ("np-4", "shf-4"):
        assert (project.root / f"data/encrypted/{lock}/test.enc").read_bytes() not in pushed
        assert (project.root / f"data/models/{lock}/model.safetensors").read_bytes() in pushed
    project.run("git", "clone", "-q", str(project.root), str(clone))
    other = Project(clone, project.environment)
    other.run("dvc", "pull", "--allow-missing")
    assert (clone / "data/reports/report.html").is_file()
    # The owner has the key: only what was not pushed is made again.
    assert set(other.repro()) <= {"encrypt@baseline", "encrypt@np-4", "encrypt@shf-4", "package"}
    # Someone without the key gets one message that names what to ask for.
    thief = Project(clone, other.environment | {"SEGLOCK_KEY_DIR": str(tmp_path / "none")})
    refused = thief.run("dvc", "repro", "--force", "--single-item", "encrypt@np-4", check=False)
    assert read(project, "keys", "main.json")["id"] in refused
    assert "Traceback" not in refused


def test_a_killed_run_goes_on_where_it_was(project: Project) -> None:
    project.change(lambda p: p["train"].update({"epochs": 40}))
    started = project.start("dvc", "repro", "train@np-4")
    checkpoints = project.root / ".seglock" / "checkpoints"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("np-4-*/*.safetensors")):
        assert started.poll() is None, started.communicate()[0][-4000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)
    started.communicate()
    assert "train@np-4" in project.repro("train@np-4")
    training = read(project, "models", "np-4", "training.json")
    assert training["resumed_from"] >= 1
    assert not list(checkpoints.glob("np-4-*"))
    project.run("git", "checkout", "-q", "--", ".")


def test_removing_a_lock_updates_the_report(project: Project) -> None:
    project.run("dvc", "checkout", "--allow-missing")
    project.change(lambda p: p["locks"].pop("shf-4"))
    assert set(project.repro()) == {"key", "package", "report"}
    assert list(read(project, "reports", "summary.json")["locks"]) == ["baseline", "np-4"]
    assert not (project.root / "data/keys/locks/shf-4.json").exists()


def test_no_secret_left_the_key_store(project: Project) -> None:
    project.commit("last")
    found = project.run("seglock", "audit")
    assert "nothing found" in found
    assert "looked for 2 keys" in found
    assert "not searched" not in found
    assert "for 0 images" not in found


def test_runs_are_in_mlflow_with_the_same_names(project: Project) -> None:
    runs = {run["id"]: run for run in project.runs()}
    baseline, np4 = (
        runs[read(project, "evaluations", lock, "evaluation.json")["run_id"]]
        for lock in ("baseline", "np-4")
    )
    assert {run["status"] for run in (baseline, np4)} == {"FINISHED"}
    assert np4["name"] == "np-4 · synthetic · seed 0"
    assert np4["tags"]["lock"] == "np-4"
    assert np4["tags"]["key_hash"].startswith("$argon2id$")
    assert np4["tags"]["key_id"] == read(project, "keys", "main.json")["id"]
    assert np4["params"]["train.batch_size"] == "8"
    shared = {"train/loss", "val/loss", "val/miou", "access/owner", "access/regained"}
    for run in (baseline, np4):
        assert shared <= set(run["metrics"])
