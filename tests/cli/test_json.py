"""What is listed, shown and checked is told to programs as JSON, with the same exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seglock.cli.app import app
from seglock.keys import KeyStore
from seglock.stages.doctor import Check
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)


def run(command: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*command.split(), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_keys() -> None:
    assert run("key list") == []
    record = KeyStore().new("main")
    assert run("key list") == [{"name": "main", "id": record.id, "created": record.created}]
    assert run("key show main")["id"] == record.id
    assert run("key verify main") == {"name": "main", "id": record.id, "record": "the key store"}


def test_profiles() -> None:
    profiles = run("profile list")
    assert [profile["name"] for profile in profiles if profile["in_use"]] == ["synthetic"]
    assert run("profile diff") == []
    assert {"name": "data.dataset", "before": "synthetic", "after": "camvid"} in (
        run("profile diff camvid")
    )


def test_a_dataset_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    from seglock.config import SyntheticParams
    from seglock.data import write_synthetic

    write_synthetic(SyntheticParams(train=80, test=4, side=16), tmp_path / "raw")
    found = run("data check raw")
    assert (found["images"], found["problems"]) == ({"train": 80, "val": 4}, [])
    assert [note for note in found["notes"] if "batch" in note] == [
        "an epoch must have at least one batch, got 16 training images, train.batch_size=32, "
        "train.drop_last=true; lower train.batch_size to 16 or less, or set train.drop_last: false"
    ]
    (tmp_path / "raw/classes.txt").unlink()
    (problem,) = run("data check raw", code=2)["problems"]
    assert problem["kind"] == "classes"


def test_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    fine, ill = Check("torch", "ok", "here"), Check("disk", "wrong", "full", "free some")
    monkeypatch.setattr("seglock.stages.doctor.doctor", lambda root: [fine])
    assert run("doctor") == [{"topic": "torch", "level": "ok", "text": "here", "fix": ""}]
    monkeypatch.setattr("seglock.stages.doctor.doctor", lambda root: [fine, ill])
    assert run("doctor", code=1)[1]["fix"] == "free some"
