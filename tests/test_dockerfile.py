"""The image gets what serving an ONNX file needs, in the lock's versions, and nothing else."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IMPORTED = (
    "fastapi", "numpy", "onnxruntime", "pillow", "prometheus-client", "pydantic", "typer",
    "uvicorn",
)  # fmt: skip


def with_needs(names: tuple[str, ...]) -> set[str]:
    found, left = set[str](), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            needed = map(Requirement, requires(name) or [])
            left += [
                re.sub(r"[_.]+", "-", one.name.lower())
                for one in needed
                if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
    return found


def test_the_packages_are_those_of_the_server_with_all_they_need() -> None:
    listed = re.search(r'NEEDED="([^"]+)"', TEXT)
    assert listed is not None
    names = listed[1].replace("\\", "").split()
    assert names == sorted(with_needs(IMPORTED))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"^{name}==", lock, re.MULTILINE)] == []


def test_what_is_copied_exists_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    copied = [
        word
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", TEXT, re.MULTILINE)
        for word in line.split()
    ]
    assert {f"!{name}" for name in copied} == {name for name in ignored if name.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
