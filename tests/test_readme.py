"""What README and docs show works: the Python example, the params, the commands and the links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seglock.config import check_params
from tests.e2e.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_runs() -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})


def test_the_locks_shown_are_valid() -> None:
    from ruamel.yaml import YAML

    (example,) = blocks("yaml")
    assert len(check_params(YAML(typ="safe").load(example)).locks) == 4


def test_every_make_target_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"[`$] ?make ([a-z-]+)", README)) <= targets


PAGES = sorted(p.relative_to(ROOT) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_seglock_command_shown_exists(page: Path) -> None:
    from typer.main import get_command

    from seglock.cli.app import app

    text = (ROOT / page).read_text(encoding="utf-8")
    for line in re.findall(r"^\$ seglock ([^#\n]+)", text, flags=re.MULTILINE):
        command = get_command(app)
        for word in line.split():
            known = getattr(command, "commands", None)
            if known is None:
                break  # an argument, not a command
            assert word in known, line
            command = known[word]
        options = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line


def test_every_stage_shown_exists() -> None:
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for stage in re.findall(r"^\$ dvc repro ([a-z]+)", text, flags=re.MULTILINE):
            assert stage in stages, (page, stage)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_local_links_lead_somewhere(page: Path) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        assert (path.parent / link).exists(), link
