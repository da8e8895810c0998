"""What the README shows works: its Python example, its params, its commands and its links."""

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


def test_every_seglock_command_shown_exists() -> None:
    from typer.main import get_command

    from seglock.cli.app import app

    root = get_command(app)
    for words in re.findall(r"^\$ seglock ([a-z]+(?: [a-z]+)?)", README, flags=re.MULTILINE):
        command = root
        for word in words.split():
            known = getattr(command, "commands", None)
            if known is None:
                break  # an argument, not a command
            assert word in known, words
            command = known[word]


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
def test_local_links_lead_somewhere(page: Path) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        assert (path.parent / link).exists(), link
