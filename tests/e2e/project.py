"""A real project in a temporary folder: git, DVC, the checked-in pipeline, shrunk parameters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SHIPPED = ["dvc.yaml", "params.yaml", "profiles", ".dvc/config", ".dvc/.gitignore", ".dvcignore"]
ODD = "a b, 50%@x"  # must be quoted in addresses; the oddest that DVC's own --temp can take
SHIPPED += [".gitignore", "data/.gitignore"]


@dataclass
class Project:
    """A project folder and how to run programs in it as a user would."""

    root: Path
    environment: dict[str, str]

    def fork_from(self, programs: Path) -> None:
        """From now on ``seglock`` is the program in that folder (`tests.e2e.forks`)."""
        self.environment["PATH"] = f"{programs}{os.pathsep}{self.environment['PATH']}"

    def run(self, *command: str, check: bool = True, timeout: float = 600) -> str:
        """Run a command; its output. A failure shows the output."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, with all that it starts: no fork."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment | {"PATH": path}, text=True,
            start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def repro(self, *arguments: str) -> list[str]:
        """``dvc repro``; the stages that ran, in order."""
        output = self.run("dvc", "repro", *arguments)
        return stages_run(output)

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Edit params.yaml as plain values."""
        yaml = YAML(typ="safe", pure=True)
        path = self.root / "params.yaml"
        values = yaml.load(path.read_text())
        edit(values)
        with path.open("w") as file:
            yaml.dump(values, file)

    def runs(self) -> list[dict[str, Any]]:
        """All runs of its store; in a process of its own, since MLflow warns on import."""
        code = (
            "import json\n"
            "from mlflow import MlflowClient\n"
            "client = MlflowClient('sqlite:///mlruns/mlflow.db')\n"
            "found = client.search_runs([e.experiment_id for e in client.search_experiments()])\n"
            "print('RUNS' + json.dumps([dict(name=r.info.run_name, id=r.info.run_id,"
            " status=r.info.status, tags=r.data.tags, params=r.data.params,"
            " metrics=r.data.metrics) for r in found]))\n"
        )
        output = self.run("python", "-W", "ignore", "-c", code)
        found: list[dict[str, Any]] = json.loads(output.split("RUNS", 1)[1])
        return found

    def commit(self, message: str) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)


def stages_run(output: str) -> list[str]:
    """The stages that a ``dvc repro`` output says were run (not restored, not skipped)."""
    marker = "Running stage '"
    return [line.split(marker)[1].split("'")[0] for line in output.splitlines() if marker in line]


def make_project(folder: Path, keys: Path) -> Project:
    """A project in ``folder`` with the shipped pipeline, committed."""
    folder = folder / ODD
    for name in SHIPPED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SEGLOCK_", "DVC_"))}
    environment.pop("MLFLOW_TRACKING_URI", None)
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SEGLOCK_KEY_DIR": str(keys),
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
        "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org",
        "DVC_NO_ANALYTICS": "1",
    }  # fmt: skip
    project = Project(folder, environment)
    project.run("git", "init", "-q", "-b", "main")
    project.commit("start")
    return project


def shrink(values: dict[str, Any]) -> None:
    """The real parameters, made small enough for a test."""
    values["data"]["synthetic"] |= {"train": 48, "test": 12, "side": 32}
    values["data"] |= {"val_split": 8, "image_side": 32}
    values["locks"] = {"baseline": {"steps": []}, "np-4": {"steps": ["np-4"]}}
    values["model"] |= {"width": 8}
    values["train"] |= {"epochs": 2, "batch_size": 8}
    values["evaluate"] |= {"wrong_keys": 2, "pictures": 1}
    names = ["hill-climb", "ciphertext-only", "finetune", "key-proximity"]
    values["attack"] |= {"queries": 8, "seconds": 1.0, "with_labels": 1, "names": names}
    values["search"] |= {"trials": 2, "enqueue": ["np-8", "np-8+shf-8"], "baseline_seeds": 1}
    values["search"] |= {"max_drop": 1.0, "max_regained": 1.0}  # so that some lock is recommended
