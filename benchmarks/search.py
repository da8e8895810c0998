"""What the trade-off search is worth: its samplers, early stopping and workers, in numbers.

    python -m benchmarks.search --measure [--workers 2]     # trains every point once, resumable
    python -m benchmarks.search --replay [--seeds 20]       # samplers and early stopping over that
    python -m benchmarks.search --speedup [--jobs 6]        # 2 workers beside 1
    python -m benchmarks.search --quick --measure --replay --speedup    # the same, tiny

Run from the repository's root. ``--measure`` is a study like any other, with the grid sampler and
no early stopping, in a project of its own under .seglock/; started again it goes on. Replays look
figures up in what it measured, so that samplers are compared at equal trials over many seeds. A
speed-up is of one and the same run, the two taking turns.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table as Rows

from benchmarks.results import REPOSITORY, RESULTS
from benchmarks.search_replay import Table, compare_samplers, compare_stopping
from seglock.config import Params, check_params, load_params
from seglock.files import read_json, write_json

if TYPE_CHECKING:
    from seglock.search.executor import Executor, TrialJob

PROJECT = Path(".seglock/benchmarks/search")
SPACE = {
    "steps": ["shf", "np", "ffx", "np+shf"],
    "block_size": [2, 4, 8, 16, 32, 64],
    "fraction": ["published", 25, 75],
}
QUICK_SPACE = {"steps": ["shf", "np"], "block_size": [4, 64], "fraction": ["published"]}
ROUNDS = 3

_console = Console(stderr=True)


@dataclass(frozen=True)
class Files:
    """Where a table lies, where the figures go, and the project that trains."""

    table: Path
    figures: Path
    project: Path

    @classmethod
    def of(cls, quick: bool, folder: Path) -> Files:
        name = "search-quick" if quick else "search"
        project = REPOSITORY / PROJECT.with_name(name)
        return cls(folder / f"{name}-table.json", folder / f"{name}-cpu.json", project)


def benchmark_params(quick: bool) -> Params:
    """The synthetic profile with the benchmark's space; as ``quick``, a shadow of it."""
    plain = load_params(REPOSITORY / "profiles" / "synthetic.yaml").model_dump(mode="json")
    search = {"space": QUICK_SPACE if quick else SPACE, "enqueue": [], "study": "benchmark"}
    plain["search"] |= search | {"sampler": "grid", "pruner": "none", "objective": "pareto"}
    plain["train"]["device"] = "cpu"
    if quick:
        plain["data"] |= {"val_split": 16}
        plain["data"]["synthetic"] |= {"train": 80, "test": 16}
        plain["train"] |= {"epochs": 3, "batch_size": 16}
        plain["search"] |= {"warmup_epochs": 1}
    return check_params(plain, where="the benchmark's params")


def prepare(params: Params, project: Path) -> Path:
    """The project with its data prepared, once."""
    from seglock.stages import data

    os.environ["DVC_ROOT"] = str(project)  # its study, journal and runs stay inside
    if not (project / "data" / "prepared").is_dir():
        data.get(params, project)
        data.prepare(params, project)
    return project


def measure(params: Params, files: Files, workers: int) -> dict[str, Any]:
    """Train and judge every point of the space and the baselines; what is known is kept."""
    from seglock.machine import describe_environment
    from seglock.search.coordinator import run_search
    from seglock.search.space import grid

    project = prepare(params, files.project)
    points = len(grid(params))
    search = params.search.model_copy(update={"trials": points, "workers": workers})
    params = params.model_copy(update={"search": search})
    _console.print(f"{points} points and the baselines, {workers} workers")
    executor = make_executor(workers, params, project)
    outcome = run_search(params, project, executor=executor)
    document = outcome.document()
    for trial in document["trials"]:
        trial |= {"key_hash": None, "run_id": None}  # of no use outside the project
    table = {
        "environment": describe_environment(),
        "params": params.model_dump(mode="json"),
        "study": document,
    }
    write_json(files.table, table)
    return {"points": points, "counts": document["counts"], "seconds": outcome.seconds}


def speedup(params: Params, files: Files, jobs: int) -> dict[str, Any]:
    """Seconds for the same jobs with one worker and with two, warm, the two taking turns.

    One worker is what ``workers: 1`` is, this process with all cores; of two each has half of
    them. A first job each, which pays for starting, is not counted but said.
    """
    project = prepare(params, files.project)
    executors = {n: make_executor(n, params, project) for n in (1, 2)}
    try:
        start = {n: timed(executor, _jobs(params, project, n)) for n, executor in executors.items()}
        rounds: list[dict[int, float]] = []
        for index in range(ROUNDS):
            work = _jobs(params, project, jobs)
            rounds.append({n: timed(executors[n], work) for n in executors})
            _console.print(f"round {index + 1}: {rounds[-1]}")
    finally:
        for executor in executors.values():
            executor.close()
    best = {n: min(seconds[n] for seconds in rounds) for n in executors}
    return {
        "jobs": jobs,
        "first_job_seconds": {str(n): seconds for n, seconds in start.items()},
        "rounds": [{str(n): seconds for n, seconds in one.items()} for one in rounds],
        "best_seconds": {str(n): seconds for n, seconds in best.items()},
        "speedup": best[1] / best[2],
        "speedup_a_round": [one[1] / one[2] for one in rounds],
    }


def make_executor(workers: int, params: Params, project: Path) -> Executor:
    """As ``seglock search --workers`` chooses it."""
    from seglock.search.workers import InProcessExecutor, LocalExecutor

    scratch = project / ".seglock" / "benchmark" / f"work-{workers}"
    if workers == 1:
        return InProcessExecutor(scratch=scratch)
    return LocalExecutor(workers, scratch=scratch, resources=params.search.resources)


def timed(executor: Executor, jobs: Sequence[TrialJob]) -> float:
    """Seconds until all jobs are back, each worker kept busy. A job that fails ends it."""
    from seglock.search.executor import Failed

    waiting, back = list(jobs), 0
    start = time.perf_counter()
    while back < len(jobs):
        while waiting and executor.free:
            executor.submit(waiting.pop(0))
        for outcome in executor.poll(lambda job, row: False, timeout=1.0):  # noqa: ARG005
            if isinstance(outcome, Failed):
                raise SystemExit(f"{outcome.job} failed: {outcome.reason}")
            back += 1
    return time.perf_counter() - start


def _jobs(params: Params, project: Path, count: int) -> list[TrialJob]:
    """Trials that differ in lock and key, alike in cost."""
    from seglock.data import PreparedData
    from seglock.search.executor import TrialJob
    from seglock.search.space import apply_point, grid

    digest = PreparedData.open(project / "data" / "prepared", verify=False).digest
    points = grid(params)
    chosen = [points[index % len(points)] for index in range(count)]
    return [
        TrialJob(
            f"trial-{number}-1",
            point.steps,
            apply_point(params, point, seed=params.train.seed).model_dump(mode="json"),
            str(project),
            digest,
        )
        for number, point in enumerate(chosen)
    ]


def show_samplers(figures: dict[str, Any]) -> None:
    """One row a sampler and corner, a column a number of trials."""
    for name, corner in figures["references"].items():
        counts = [row["trials"] for row in figures["samplers"]["random"]["hypervolume"][name]]
        rows = Rows(
            title=f"Hypervolume above ({corner[0]:.3f}, {corner[1]:.3f}), mean and standard "
            f"deviation of {figures['seeds']} seeds; all {figures['points']} points: "
            f"{figures['whole_table'][name]:.5f}"
        )
        for column in ("sampler", *(f"{count} trials" for count in counts), "x random"):
            rows.add_column(column, justify="left" if column == "sampler" else "right")
        for sampler, found in figures["samplers"].items():
            cells = [f"{r['mean']:.5f} ± {r['stdev']:.5f}" for r in found["hypervolume"][name]]
            ratio = found["hypervolume"][name][-1]["of_random"]
            rows.add_row(sampler, *cells, "" if ratio is None else f"{ratio:.3f}")
        Console().print(rows)
    for sampler, found in figures["samplers"].items():
        print(
            f"{sampler}: the whole table's recommendation in {found['recommended']} of "
            f"{figures['seeds']}; {found['different_points']:.1f} different points of "
            f"{figures['trials']} trials"
        )


def show_stopping(figures: dict[str, Any]) -> None:
    """One row a margin; the front's two counts are of the orders tried."""
    rows = Rows(
        title=f"Early stopping over {figures['orders']} orders of {figures['trials']} trials"
    )
    for column in ("margin", "epochs saved", "front same", "within limits same", "recommended"):
        rows.add_column(column, justify="right")
    for row in figures["margins"]:
        saved = row["epochs_saved"]
        own = " (own)" if row["margin"] == figures["own_margin"] else ""
        rows.add_row(
            f"{row['margin']:.2f}{own}",
            f"{saved['mean']:.1%} ({saved['least']:.1%} to {saved['most']:.1%})",
            f"{row['front_unchanged']}",
            f"{row['within_unchanged']}",
            f"{row['recommended_unchanged']}",
        )
    Console().print(rows)


def keep(files: Files, part: str, figures: dict[str, Any]) -> None:
    """Put one part into the figures' file, with how and where it was made."""
    from seglock.machine import describe_environment

    known = read_json(files.figures) if files.figures.exists() else {}
    made = {
        "command": shlex.join(["python", "-m", "benchmarks.search", *sys.argv[1:]]),
        "environment": describe_environment()
        | {name: version(name) for name in ("optuna", "scikit-learn")},
    }
    write_json(files.figures, known | {part: made | figures})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", action="store_true", help="train every point of the space")
    parser.add_argument("--replay", action="store_true", help="samplers and early stopping")
    parser.add_argument("--speedup", action="store_true", help="2 workers beside 1")
    parser.add_argument("--quick", action="store_true", help="a tiny space, data set and network")
    parser.add_argument("--workers", type=int, default=1, help="processes that measure")
    parser.add_argument("--seeds", type=int, default=20, help="of each sampler; orders of trials")
    parser.add_argument("--trials", type=int, default=24, help="of each sampler's study")
    parser.add_argument("--jobs", type=int, default=6, help="trials of one round of --speedup")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if not (given.measure or given.replay or given.speedup):
        parser.error("say what: --measure, --replay or --speedup")
    files, params = Files.of(given.quick, given.out), benchmark_params(given.quick)
    if given.measure:
        keep(files, "measure", measure(params, files, given.workers))
    if given.replay:
        table = Table.from_document(read_json(files.table, fix="run --measure first"))
        at = sorted({max(1, given.trials // 3), max(1, 2 * given.trials // 3), given.trials})
        samplers = compare_samplers(
            table, seeds=given.seeds, trials=given.trials, at=at, say=_console.print
        )
        stopping = compare_stopping(table, orders=given.seeds, own=params.search.margin)
        keep(files, "samplers", samplers)
        keep(files, "early_stopping", stopping)
        show_samplers(samplers)
        show_stopping(stopping)
    if given.speedup:
        found = speedup(params, files, given.jobs)
        keep(files, "workers", found)
        print(f"2 workers are {found['speedup']:.2f} times as fast as 1: {found['best_seconds']}")


if __name__ == "__main__":
    main()
