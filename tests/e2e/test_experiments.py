"""Experiments of DVC in a real repository: in the folder, in a temporary one, from the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.project import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def trained(project: Project, forks: Path) -> None:
    """What an experiment begins from: a commit with a first training."""
    project.fork_from(forks)
    project.repro("train@np-4")
    project.commit("first training")


@pytest.mark.parametrize(
    ("where", "epochs"), [([], 1), (["--temp"], 3), (["--queue"], 4)], ids=["here", "temp", "queue"]
)
def test_experiments(project: Project, where: list[str], epochs: int) -> None:
    before = len(project.runs())
    target = ["evaluate@np-4"] if where == ["--temp"] else ["train@np-4"]
    name = f"epochs-{epochs}"
    project.run("dvc", "exp", "run", *where, "-n", name, "-S", f"train.epochs={epochs}", *target)
    if where == ["--queue"]:
        project.run("dvc", "exp", "run", "--run-all", "-j", "1")
    # What the experiment has is asked of its own commit, not of the folder.
    code = (
        "import json, dvc.api\n"
        f"read = lambda path: dvc.api.read(path, rev={name!r})\n"
        f"params = dvc.api.params_show('params.yaml', rev={name!r})\n"
        "training = json.loads(read('data/models/np-4/training.json'))\n"
        "curve = read('data/models/np-4/history.csv').splitlines()\n"
        "found = [params['train']['epochs'], training['run_id'], len(curve) - 1]\n"
        "print('FOUND', json.dumps(found))"
    )
    found = project.run("python", "-W", "ignore", "-c", code).split("FOUND", 1)[1]
    wanted, run_id, rows = json.loads(found)
    assert wanted == rows == epochs
    # Its run is in this project's store, wherever it was trained.
    after = project.runs()
    assert len(after) == before + 1
    assert run_id in {run["id"] for run in after}
    project.run("git", "checkout", "-q", "--", ".")
    project.run("dvc", "checkout", "--allow-missing")
