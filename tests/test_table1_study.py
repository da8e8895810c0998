"""docs/reproduction.md's commands for Table 1 as a study: the whole grid, and a shrunk run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from seglock.cli.app import app
from seglock.config import load_params, merge_profile
from seglock.report.paper import published_table
from seglock.results.study import read_study_file
from seglock.search.space import identity, planned_points
from seglock.stages.search import search_params
from tests.e2e.project import ROOT
from tests.search.project import VALUES, make_root
from tests.search.small_study import AWAY, FakeExecutor

PAGE = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The lines of the block that runs the grid, without prompts and comments."""
    (block,) = [b for b in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if "grid" in b]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in block.splitlines()]


def seglock(line: str) -> str:
    done = CliRunner().invoke(app, line.split()[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose params.yaml is what the first two commands make of the profile."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)
    use, edit, *_ = commands()
    seglock(use)
    subprocess.run(edit, shell=True, check=True, cwd=tmp_path)
    return tmp_path


def search_lines() -> list[str]:
    return [line for line in commands() if line.startswith("seglock search")]


def test_the_edit_changes_the_search_s_split_alone(project: Path) -> None:
    before = merge_profile(ROOT / "profiles" / "paper.yaml").splitlines()
    after = (project / "params.yaml").read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [[line.split("#")[0].rstrip() for line in pair] for pair in changed] == [
        ["  split: val", "  split: test"]
    ]
    assert load_params(project / "params.yaml").search.split == "test"


def test_the_grid_is_the_paper_s_table(project: Path) -> None:
    params = search_params(project, {"sampler": "grid", "pruner": "none", "trials": 24})
    points = planned_points(params)
    cells = {(point.block_size, point.pattern) for point in points}
    assert cells == set(published_table()[0])
    assert len({identity(point) for point in points}) == 24
    assert all(line.split("--show")[0].endswith(("24", "24 ")) for line in search_lines())


def test_the_commands_run_the_grid_and_another_split_is_another_study(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    made: list[FakeExecutor] = []

    def executor(scratch: Path) -> FakeExecutor:
        made.append(FakeExecutor())
        return made[-1]

    monkeypatch.setattr("seglock.search.in_process.InProcessExecutor", executor)
    make_root(project)
    shrink(project)
    run, show = search_lines()
    assert "12 of 12 trials (12 complete)" in seglock(run)
    assert "12 of 12 trials (12 complete)" in seglock(show)
    (study,) = [read_study_file(project)]
    assert study is not None
    assert study.about.split == "test"
    table = {(trial.block_size, trial.method) for trial in study.trials}
    assert table == {(side, m) for side, m in published_table()[0] if side <= 16}
    assert len(made[0].seen) == 3 + 12
    shrink(project, split="val")
    assert "Nothing was tried yet" in seglock(show)
    assert study.study not in seglock(show)


def shrink(project: Path, **search: Any) -> None:
    """The commands' params.yaml with little data and short training, else as it is."""
    yaml = YAML(typ="safe", pure=True)
    path = project / "params.yaml"
    values = yaml.load(path.read_text(encoding="utf-8"))
    values["search"] |= {"warmup_epochs": 1} | search
    values |= VALUES | {"tracking": {"required": False}}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(values, file)
