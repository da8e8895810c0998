"""Encrypted images that others can read are told, with what closes them; closed ones are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from seglock.audit.exposed import exposures
from seglock.data import write_encrypted

ROOT = Path(__file__).parents[2]


def split(root: Path, lock: str) -> Path:
    path = root / "data" / "encrypted" / lock / "test.enc"
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8)).astype(np.uint8)
    write_encrypted(path, images, lambda plain: 255 - plain, bytes(range(32)))
    return path


def dvc(root: Path, *command: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    dvc(folder, "init", "-q", "--no-scm")
    return folder


@pytest.fixture
def project(begun: Path, tmp_path: Path) -> Path:
    """A DVC project without git, which has one encrypted split."""
    shutil.copytree(begun / ".dvc", tmp_path / ".dvc")
    split(tmp_path, "np-4")
    pipeline(tmp_path, {"cache": False})
    return tmp_path


def pipeline(root: Path, options: dict[str, bool]) -> None:
    do = {"cmd": "true", "outs": [{"data/encrypted/${item}": options}]}
    stages = {"encrypt": {"foreach": ["np-4"], "do": do}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


def test_a_closed_split_that_dvc_does_not_cache_is_fine(project: Path) -> None:
    assert [*exposures(project)] == []
    assert [*exposures(project / "nowhere")] == []


@pytest.mark.parametrize(
    ("opened", "mode"),
    [("data/encrypted/np-4", 0o755), ("data/encrypted/np-4/test.enc", 0o640), (".seglock", 0o750)],
)
def test_a_tree_open_to_others(project: Path, opened: str, mode: int) -> None:
    work = project / ".seglock" / "attacks" / "np-4"
    work.mkdir(parents=True, mode=0o700)
    path = work if opened == ".seglock" else project / opened
    path.chmod(mode)
    (found,) = exposures(project)
    assert f"{path.relative_to(project)} (mode {mode:04o})" in found.text
    command = found.fix.removeprefix("run `").removesuffix("`")
    subprocess.run(command.split(), cwd=project, check=True)
    assert [*exposures(project)] == []


@pytest.mark.parametrize("options", [{}, {"push": False}])
def test_a_pipeline_that_caches_them(project: Path, options: dict[str, bool]) -> None:
    pipeline(project, options)
    (found,) = exposures(project)
    assert "dvc.yaml has DVC copy data/encrypted/np-4 into its cache" in found.text
    assert ("dvc push" in found.text) != bool(options)
    assert "`cache: false`" in found.fix


def test_what_dvc_has_cached(project: Path) -> None:
    pipeline(project, {"push": False})
    dvc(project, "commit", "-q", "-f")
    pipeline(project, {"cache": False})
    dvc(project, "commit", "-q", "-f")
    (left,) = exposures(project)
    assert "holds encrypted images" in left.text
    assert ".dvc/cache/files/md5/" in left.text
    assert "`dvc gc -w`" in left.fix
    dvc(project, "gc", "-w", "-f", "-q")
    assert [*exposures(project)] == []


def test_the_shipped_pipeline_is_fine(project: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    assert [*exposures(project)] == []


def test_doctor_and_audit_say_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seglock.cli.app import app
    from seglock.stages.doctor import doctor

    (project / "params.yaml").write_text("locks: {baseline: {steps: []}}\n")
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(project / "keys"))
    monkeypatch.chdir(project)
    assert CliRunner().invoke(app, ["audit"]).exit_code == 0
    (project / "data" / "encrypted" / "np-4").chmod(0o755)
    (wrong,) = [check for check in doctor(project) if check.topic == "encrypted"]
    assert wrong.level == "wrong"
    assert wrong.fix == "run `chmod -R go= data/encrypted`"
    result = CliRunner().invoke(app, ["audit"])
    assert result.exit_code == 1
    assert "OPEN others on this machine can read data/encrypted/np-4 (mode 0755)" in result.output
