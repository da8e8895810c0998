"""The wheel alone, in an empty environment: a project of one's own, from `init` to the report."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from seglock.config import SyntheticParams
from seglock.data import write_synthetic
from tests.e2e.project import ROOT, Project

pytestmark = pytest.mark.e2e
UV = str(Path(sys.executable).with_name("uv"))


def uv(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(
        [UV, *map(str, arguments), "--offline", "--quiet"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    how = ("--wheel", "--no-build-isolation", "--python", sys.executable)
    built = uv("build", *how, "--out-dir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    made = uv("venv", "--python", sys.executable, folder / "env")
    assert made.returncode == 0, made.stderr
    wheel = next(folder.glob("seglock-*.whl"))
    lock = ROOT / "requirements.lock"
    python = folder / "env" / "bin" / "python"
    done = uv("pip", "install", "--python", python, "--constraint", lock, wheel)
    if done.returncode:
        pytest.skip(
            f"uv's cache, which `make env` fills, lacks what the wheel needs: {done.stderr}"
        )
    _compiled(next((folder / "env").glob("lib/*/site-packages")))
    return python.parent


def _compiled(target: Path) -> None:
    """Give an environment what this one has compiled of the same files: torch takes long."""
    here = Path(sysconfig.get_path("purelib"))
    for folder in here.rglob("__pycache__"):
        place = target / folder.relative_to(here)
        if place.parent.is_dir():
            shutil.copytree(folder, place, copy_function=os.link)


def tiny(values: dict[str, Any]) -> None:
    values["locks"] = {"baseline": {"steps": []}, "np-4": {"steps": ["np-4"]}}
    values["model"]["width"] = 4
    values["train"] |= {"epochs": 2, "warmup_epochs": 0}
    values["evaluate"] |= {"wrong_keys": 2, "pictures": 1}
    values["search"]["warmup_epochs"] = 0


def test_a_project_of_ones_own(installed: Path, tmp_path: Path) -> None:
    photos = tmp_path / "Street photos"
    write_synthetic(SyntheticParams(train=48, test=8, side=32, classes=4), photos)
    environment = {
        name: text for name, text in os.environ.items() if name.startswith(("HOME", "LC"))
    }
    environment |= {
        "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}",
        "SEGLOCK_KEY_DIR": str(tmp_path / "keys"),
        "OMP_NUM_THREADS": "1",
    }
    outside = Project(tmp_path, environment)
    where = outside.run("python", "-P", "-c", "import seglock; print(seglock.__file__)").strip()
    assert Path(where).is_relative_to(installed.parent)
    made = outside.run("seglock", "init", "mine", "--data", str(photos))
    assert "profile street-photos" in made
    project = Project(tmp_path / "mine", environment)
    assert "* street-photos" in project.run("seglock", "profile", "list")
    project.change(tiny)
    # To a lock's figures; what follows is the same here as in a checkout.
    assert "evaluate@np-4" in project.repro("evaluate@np-4")
    assert "data/raw" not in project.run("git", "status", "--short", "-uall")
    project.run("seglock", "profile", "use", "synthetic", "--force")
    assert project.run("seglock", "profile", "diff", "street-photos")
