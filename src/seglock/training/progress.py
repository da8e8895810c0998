"""What a training shows on standard error: a bar on a terminal, elsewhere a line an epoch, both
with the time that is left."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from seglock.progress import ProgressLines
from seglock.training.job import EpochRow


class Display:
    """Shows steps and epochs where ``shown``. ``done`` epochs were done by earlier processes."""

    def __init__(self, lock: str, *, epochs: int, steps: int, done: int, shown: bool) -> None:
        self._lock = lock
        self._epochs = epochs
        self._done, self._total = done * steps, epochs * steps
        self._console = Console(stderr=True)
        self._lines = ProgressLines() if shown and not self._console.is_terminal else None
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            expand=True,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._progress.add_task(lock, total=self._total, completed=self._done)
        self._tell()

    def step(self) -> None:
        """One optimizer step is done."""
        self._done += 1
        self._progress.advance(self._task)
        self._tell()

    def epoch(self, row: EpochRow, *, kept: bool) -> None:
        """An epoch is done; ``kept`` if its weights are the best so far."""
        name = f"{self._lock}  epoch {row['epoch']}/{self._epochs}"
        scores = f"val {row['val_loss']:.4f}  mIoU {row['val_miou']:.4f}{' *' if kept else ''}"
        self._progress.update(self._task, description=f"{name}  {scores}")
        if self._lines:
            left = self._lines.left(self._done, self._total)
            self._lines.heard()
            text = f"{name}  loss {row['train_loss']:.4f}  {scores}  {left} left"
            self._console.print(text, highlight=False, soft_wrap=True)

    def _tell(self) -> None:
        if self._lines:
            self._lines(self._lock, self._done, self._total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def say(message: str) -> None:
    """Tell the user something that is no error, on standard error."""
    console = Console(stderr=True)
    console.print(
        f"seglock: {message}", style="yellow", highlight=False, markup=False, soft_wrap=True
    )
