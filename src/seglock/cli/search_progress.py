"""How a running study shows itself on the terminal's standard error."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from seglock.progress import ProgressLines
from seglock.search.observer import Observer, Totals
from seglock.steps import lock_text

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from seglock.results.trial import TrialRecord
    from seglock.search.point import Point
    from seglock.training import EpochRow

_MOST_LOCK = 24
_EVER = 1e9  # seconds


@contextlib.contextmanager
def watch() -> Iterator[Observer]:
    """An observer for the block: a bar on a terminal, a line a trial anywhere else."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(
        *columns(),
        console=console,
        transient=True,
        expand=True,
        speed_estimate_period=_EVER,  # a trial may take hours: all of them tell the time left
    ) as progress:
        yield Bar(progress)


def columns() -> list[ProgressColumn]:
    """What the bar consists of: trials, bar, time left, what runs."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    return [
        TextColumn("{task.completed:.0f}/{task.total:.0f} trials"),
        BarColumn(bar_width=None),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.description}", markup=False),
    ]


@dataclass
class _Running:
    lock: str
    epochs: int
    epoch: int = 0


class Lines(Observer):
    """One line for each trial that ends, with the time left, for logs."""

    def __init__(self) -> None:
        self._pace = ProgressLines()
        self._counted = self._asked = 0

    def study_opened(self, name: str, storage: str, totals: Totals) -> None:
        """Say which study goes on, where, and how far it is."""
        self.totals(totals)
        self._pace("trials", self._counted, self._asked)
        done = f"{self._counted} of {self._asked} trials done"
        typer.echo(f"study {name}, {done}, in {storage}", err=True)

    def totals(self, totals: Totals) -> None:
        """Count what other commands of the study have done, too."""
        self._counted, self._asked = totals.counted, _asked(totals)

    def job_ended(self, job: str, record: TrialRecord | None) -> None:
        """Say what a trial found; baselines are counted only."""
        if record is not None:
            self._counted += 1
            line = trial_line(record)
            if self._counted < self._asked:
                line += f"  {self._pace.left(self._counted, self._asked)} left"
            typer.echo(line, err=True)
        elif job.startswith("baseline"):
            typer.echo(f"{job} done", err=True)


def _asked(totals: Totals) -> int:
    """A study that has more trials than this command asks for keeps them."""
    return max(totals.asked, totals.counted)


class Bar(Observer):
    """One line that stays in place: trials, what runs now, the front, the time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: Any = None
        self._front = 0
        self._running: dict[str, _Running] = {}

    def study_opened(self, name: str, storage: str, totals: Totals) -> None:
        """Begin the bar where the study is."""
        self.say(f"study {name}, in {storage}")
        self._task = self._progress.add_task("", total=_asked(totals), completed=totals.counted)
        self.totals(totals)

    def job_started(self, job: str, point: Point) -> None:
        """Show a job among those that run."""
        name = "baseline" if job.startswith("baseline") else point.lock
        self._running[job] = _Running(name, point.epochs)
        self._refresh()

    def epoch(self, job: str, row: EpochRow) -> None:
        """Move a job's epoch on."""
        if job in self._running:
            self._running[job].epoch = row["epoch"]
            self._refresh()

    def job_ended(self, job: str, record: TrialRecord | None) -> None:
        """Take a job off the line; a trial leaves a line behind."""
        self._running.pop(job, None)
        if record is not None:
            self.say(trial_line(record))
        self._refresh()

    def totals(self, totals: Totals) -> None:
        """Move the bar on."""
        self._front = totals.front
        if self._task is not None:
            self._progress.update(self._task, completed=totals.counted, total=_asked(totals))
        self._refresh()

    def say(self, message: str) -> None:
        """Print above the bar."""
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def _refresh(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=running_text(self._running, self._front))


def running_text(running: dict[str, _Running], front: int) -> str:
    """What runs now and the front, in half a line."""
    jobs = list(running.values())
    if len(jobs) == 1:
        lock = lock_text(jobs[0].lock)
        short = lock if len(lock) <= _MOST_LOCK else lock[: _MOST_LOCK - 1] + "…"
        text = f"{short} epoch {jobs[0].epoch}/{jobs[0].epochs}"
    else:
        text = f"{len(jobs)} running"
    return f"{text}, front {front}"


def trial_line(record: TrialRecord) -> str:
    """What a trial came to, in a line; why a trial was stopped is in the report.

    >>> from seglock.results.trial import TrialRecord
    >>> trial_line(TrialRecord(number=3, state="complete", lock="np-4", steps=("np-4",),
    ...     method="np", block_size=4, fraction="published", lr=0.2, weight_decay=0.0, epochs=12,
    ...     image_side=64, owner_miou=0.79, unauthorised=0.19, regained=0.129))
    'trial 3 np-4: owner 0.7900, unauthorised 0.1900, regained 0.1290'
    """
    from seglock.report.numbers import four

    name = f"trial {record.number} {lock_text(record.lock)}"
    if record.state == "complete":
        return (
            f"{name}: owner {four(record.owner_miou)}, unauthorised {four(record.unauthorised)}, "
            f"regained {four(record.regained)}"
        )
    if record.stopped:
        return f"{name}: stopped after epoch {record.stopped.epoch} ({record.stopped.rule})"
    return f"{name}: {record.state}: {record.reason}"
