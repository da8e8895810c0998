"""What a training shows on the terminal: a bar where there is one, else one line an epoch."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from seglock.training.job import EpochRow


def bar(unit: str, *more: ProgressColumn, shown: bool = True) -> Progress:
    """A bar that counts ``unit`` on standard error, where that is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        *more,
        console=console,
        disable=not (shown and console.is_terminal),
    )


class Display:
    """Shows steps, epochs and messages on standard error; messages also when ``shown`` is false."""

    def __init__(self, lock: str, *, epochs: int, steps: int, done: int, shown: bool) -> None:
        self._lock = lock
        self._epochs = epochs
        self._console = Console(stderr=True)
        self._lines = shown and not self._console.is_terminal
        self._progress = bar("steps", TextColumn("{task.fields[scores]}"), shown=shown)
        self._task = self._progress.add_task(
            lock, total=epochs * steps, completed=done * steps, scores=""
        )

    def step(self) -> None:
        """One optimizer step is done."""
        self._progress.advance(self._task)

    def epoch(self, row: EpochRow, *, kept: bool) -> None:
        """An epoch is done; ``kept`` if its weights are the best so far."""
        scores = (
            f"epoch {row['epoch']}/{self._epochs}  loss {row['train_loss']:.4f}  "
            f"val {row['val_loss']:.4f}  mIoU {row['val_miou']:.4f}{' *' if kept else ''}"
        )
        self._progress.update(self._task, scores=scores)
        if self._lines:
            self._console.print(f"{self._lock}  {scores}", highlight=False, soft_wrap=True)

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
