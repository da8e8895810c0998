"""What starting costs: each command, and `dvc repro` with more locks. For ``benchmarks.pipeline``.

All in a project and with keys of its own under a temporary folder. Python's compiled files go to
that folder as well, and a first start that fills it is not counted: an installed program has them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import Row
from tests.e2e.project import Project, make_project, shrink

LOCKS = ("baseline", "np-4", "shf-4", "ffx-4")
PASS, TORCH = "python -c pass", "python -c 'import torch'"
LIGHT = {
    "seglock --version": ("seglock", "--version"),
    "seglock --help": ("seglock", "--help"),
    "seglock key list": ("seglock", "key", "list"),
    "seglock profile list": ("seglock", "profile", "list"),
    "seglock track list": ("seglock", "track", "list"),
    "seglock report --show": ("seglock", "report", "--show"),
    "seglock data encrypt": ("seglock", "data", "encrypt", "--lock", "np-4"),
}
HEAVY = {
    "seglock doctor": ("seglock", "doctor"),
    "seglock train, one step": ("seglock", "train", "--lock", "np-4"),
    "seglock evaluate, two keys": ("seglock", "evaluate", "--lock", "np-4"),
}
TRACKED = "python -c 'import torch, mlflow'"


def make(folder: Path) -> Project:
    """A tiny project with the shipped pipeline, and nothing of the user's."""
    project = make_project(folder / "project", folder / "keys")
    project.environment.pop("PYTHONDONTWRITEBYTECODE", None)
    project.environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    project.environment["DVC_SITE_CACHE_DIR"] = str(folder / "dvc")

    def tiny(values: dict[str, Any]) -> None:
        shrink(values)
        values["data"]["synthetic"] |= {"train": 16, "test": 4}
        values["train"] |= {"epochs": 1}
        values["search"] |= {"trials": 0}
        values["locks"] = {LOCKS[0]: {"steps": []}}

    project.change(tiny)
    return project


def pipeline_rows(project: Project, counts: tuple[int, ...], repeats: int) -> list[Row]:
    """`dvc repro` for the first lock and for each that is added, and again with nothing to do."""
    version = best(project, repeats, "dvc", "version")
    rows, idle = [Row("dvc version", version, "s")], {}
    each: dict[int, float] = {}
    before = 0
    for count in counts:
        chosen = {name: {"steps": [] if name == LOCKS[0] else [name]} for name in LOCKS[:count]}
        project.change(lambda values, chosen=chosen: values.update(locks=chosen))
        start = time.perf_counter()
        ran = project.repro()
        each[count] = (time.perf_counter() - start) / (count - before)
        missing = {f"train@{name}" for name in LOCKS[before:count]} - set(ran)
        if missing:
            raise SystemExit(f"dvc repro did not run {', '.join(sorted(missing))}")
        idle[count] = best(project, repeats, "dvc", "repro")
        before = count
    rows.append(Row("dvc repro, a tiny project's one lock", each[counts[0]], "s"))
    first = each[counts[1]]
    rows += [
        Row(
            f"dvc repro, each added lock, {count} in all", each[count], "s",
            f"the second lock alone ({first:.1f} s)", first / each[count],
        )
        for count in counts[1:]
    ]  # fmt: skip
    return rows + [
        Row(
            f"dvc repro with nothing to do, {count} locks", idle[count], "s",
            limit="starting DVC (`dvc version`)", share_of_limit=version / idle[count],
        )
        for count in counts
    ]  # fmt: skip


def start_rows(project: Project, repeats: int, heavy: Mapping[str, tuple[str, ...]]) -> list[Row]:
    """Seconds of each command beside what Python and torch alone take to start."""
    bare = best(project, repeats, "python", "-c", "pass")
    torch = best(project, repeats, "python", "-c", "import torch")
    rows = [Row(PASS, bare, "s"), Row(TORCH, torch, "s")]
    for name, command in LIGHT.items():
        seconds = best(project, repeats, *command)
        rows.append(
            Row(name, seconds, "s", f"`{TORCH}`", torch / seconds, f"`{PASS}`", bare / seconds)
        )
    if heavy:
        both = best(project, repeats, "python", "-c", "import torch, mlflow")
        rows.append(Row(TRACKED, both, "s"))
        for name, command in heavy.items():
            seconds = best(project, min(2, repeats), *command)
            limit, least = (TORCH, torch) if "doctor" in name else (TRACKED, both)
            rows.append(Row(name, seconds, "s", limit=f"`{limit}`", share_of_limit=least / seconds))
    return rows


def best(project: Project, repeats: int, *command: str) -> float:
    """Seconds of the fastest run, after a first that is not counted."""
    project.run(*command)
    return min(_seconds(project, command) for _ in range(repeats))


def _seconds(project: Project, command: tuple[str, ...]) -> float:
    start = time.perf_counter()
    project.run(*command)
    return time.perf_counter() - start
