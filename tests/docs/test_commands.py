"""Every command on README and the pages can be typed: it exists, and takes what it is given."""

from __future__ import annotations

import importlib.util
import re
import shlex
import warnings
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, commands
from tests.e2e.project import ROOT

SYSTEM = {"cd", "curl", "docker", "export", "git", "pip", "sed", "source", "sudo"}
"""Programs that are none of ours, nor of what the lock file installs."""


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_can_be_typed(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line.partition(" > ")[0])
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        try:
            check(*words)
        except (Exception, SystemExit) as error:
            pytest.fail(f"{page}: {line}\n{error!r}")


def check(program: str, *arguments: str) -> None:
    """Raise unless the program is there and its own parser takes the arguments."""
    if program == "timeout":
        check(*arguments[1:])
    elif program == "make":
        assert {word for word in arguments if "=" not in word} <= targets()
    elif program == "dvc":
        check_dvc(arguments)
    elif program in ("python", "torchrun"):
        place = arguments.index("-m") + 1
        assert importlib.util.find_spec(arguments[place])
        if arguments[place] == "seglock":
            check(*arguments[place:])
    elif program not in SYSTEM:
        command = program_of(program)
        if hasattr(command, "make_context"):
            check_click(command, arguments)


def check_click(command: Any, arguments: tuple[str, ...]) -> None:
    """Walk to the command that is meant, and have it parse what is left."""
    rest = list(arguments)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        command = command.get_command(None, rest.pop(0))  # or None
    command.make_context(command.name, rest)


def check_dvc(arguments: tuple[str, ...]) -> None:
    """Parse, and see that named stages are in dvc.yaml."""
    from ruamel.yaml import YAML

    parsed = dvc_parser().parse_args(arguments)
    if parsed.cmd in ("repro", "commit") or getattr(parsed, "subcmd", "") == "run":
        stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
        assert {target.partition("@")[0] for target in parsed.targets} <= set(stages)


@cache
def dvc_parser() -> Any:
    from dvc.cli.parser import get_main_parser

    return get_main_parser()


@cache
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


@cache
def program_of(name: str) -> Any:
    """What an installed program calls: for most a command of Click's, or like one."""
    if name == "seglock":
        from typer.main import get_command

        from seglock.cli.app import app

        return get_command(app)
    found, *_ = entry_points(group="console_scripts", name=name)  # mlflow-skinny has the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return found.load()


@pytest.mark.parametrize(
    "words", ["seglock trian", "seglock train --lok x", "dvc repor", "dvc repro trian", "make nil"]
)
def test_what_cannot_be_typed_is_told(words: str) -> None:
    with pytest.raises((Exception, SystemExit)):
        check(*words.split())


def test_what_is_said_of_make_is_so() -> None:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets(), page


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_local_links_lead_somewhere(page: Path) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http)([^)#]+)", text) + re.findall(r'src="([^"]+)"', text):
        assert (path.parent / link).exists(), link
