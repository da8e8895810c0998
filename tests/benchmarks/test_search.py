from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import search
from benchmarks.search import Files, benchmark_params, keep, main, timed
from seglock.search.executor import TrialJob, TrialResult
from seglock.search.space import grid
from seglock.search.workers import InProcessExecutor


def job(number: int) -> TrialJob:
    return TrialJob(f"trial-{number}-1", ("np-4",), {}, ".", "digest")


def result(job: TrialJob, *, scratch, on_epoch, worker) -> TrialResult:
    return TrialResult(
        job.id, None, (), None, None, None, None, None, 0.0, 0.0, device="cpu", worker=worker
    )


def broken(job: TrialJob, *, scratch, on_epoch, worker) -> TrialResult:
    raise OSError("no space left")


def test_all_jobs_are_waited_for(tmp_path: Path) -> None:
    done: list[str] = []

    def run(job: TrialJob, **given) -> TrialResult:
        done.append(job.id)
        return result(job, **given)

    seconds = timed(InProcessExecutor(scratch=tmp_path, run=run), [job(n) for n in range(3)])

    assert done == ["trial-0-1", "trial-1-1", "trial-2-1"]
    assert seconds > 0


def test_a_job_that_fails_is_no_timing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no space left"):
        timed(InProcessExecutor(scratch=tmp_path, run=broken), [job(0)])


def test_a_part_measured_later_leaves_the_others(tmp_path: Path) -> None:
    files = Files.of(quick=False, folder=tmp_path)

    keep(files, "samplers", {"seeds": 20})
    keep(files, "workers", {"speedup": 1.5})
    keep(files, "samplers", {"seeds": 30})

    figures = json.loads(files.figures.read_text())
    assert figures["samplers"]["seeds"] == 30
    assert figures["workers"]["speedup"] == 1.5
    assert figures["workers"]["command"].startswith("python -m benchmarks.search")
    assert "optuna" in figures["workers"]["environment"]


def test_the_quick_benchmark_has_files_of_its_own(tmp_path: Path) -> None:
    quick, real = (Files.of(quick, tmp_path) for quick in (True, False))

    assert not {quick.table, quick.figures, quick.project} & {
        real.table,
        real.figures,
        real.project,
    }
    assert len(grid(benchmark_params(quick=True))) == 4


def test_nothing_asked_for_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        main([])

    assert "--measure, --replay or --speedup" in capsys.readouterr().err


def test_what_it_says_of_itself_names_commands_that_it_has() -> None:
    assert search.__doc__ is not None
    for option in ("--measure", "--replay", "--speedup", "--quick"):
        assert option in search.__doc__
