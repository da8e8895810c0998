"""Who may open the dangerous door, and what this room may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seglock
import seglock.keys

PACKAGE = Path(seglock.__file__).parent
MAY_OPEN = {Path("audit/needles.py")}  # what it searches for


def opens_the_door(source: str) -> bool:
    """Any mention in code: an import in whatever form, an attribute, ``importlib`` by name, or
    the handle's own private parts. Comments and docstrings may speak of it."""
    private = {"secret_access", "_unseal", "_seal", "_expand"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [part for alias in node.names for part in alias.name.split(".")]
            if isinstance(node, ast.ImportFrom) and node.module:
                names += node.module.split(".")
            if {"secret_access", "reveal"} & {*names}:
                return True
        if isinstance(node, ast.Attribute) and node.attr in private:
            return True
        if isinstance(node, ast.Call):
            for argument in node.args:
                if isinstance(argument, ast.Constant) and "secret_access" in str(argument.value):
                    return True
    return False


@pytest.mark.parametrize(
    "source",
    [
        "import seglock.keys.secret_access",
        "from seglock.keys import secret_access as door",
        "from seglock.keys.secret_access import reveal",
        "def f():\n    from .secret_access import reveal",
        "import importlib; importlib.import_module('seglock.keys.secret_access')",
        "import seglock.keys; seglock.keys.secret_access.reveal",
        "key._unseal()",
    ],
)
def test_this_suite_would_notice(source: str) -> None:
    assert opens_the_door(source)


def test_only_keys_and_the_audit_open_the_dangerous_door() -> None:
    modules = [*PACKAGE.rglob("*.py")]
    assert len(modules) > 20
    opened = {
        path.relative_to(PACKAGE)
        for path in modules
        if PACKAGE / "keys" not in path.parents and opens_the_door(path.read_text())
    }
    assert opened <= MAY_OPEN


def test_the_door_is_not_among_the_public_names() -> None:
    assert "reveal" not in dir(seglock.keys)
    assert {*seglock.keys.__all__} <= {*dir(seglock.keys)}
    public = {n for n, v in vars(seglock.keys).items() if getattr(v, "__module__", "") != "typing"}
    assert {n for n in public if n[0].isupper()} <= {*seglock.keys.__all__}


def test_importing_keys_imports_nothing_heavy() -> None:
    code = "import sys, seglock.keys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    heavy = {"torch", "argon2", "mlflow", "pydantic", "typer", "rich", "scipy", "platformdirs"}
    assert "seglock.keys" in loaded
    assert not heavy & {*loaded}


def test_using_a_key_needs_no_argon2() -> None:
    code = (
        "import sys; from seglock.keys import SecretKey, derive_permutation\n"
        "derive_permutation(SecretKey.generate(), 'shf', 48); print(*sys.modules)"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"torch", "argon2"} & {*loaded}
