"""What a busy machine costs training: images a second of the small network, beside others.

    python -m benchmarks.busy [--quick] [--out FOLDER]

Processes that do nothing but spin, one a core, are started beside the training and always stopped.
Without them and with them the same steps are taken (those of ``benchmarks.training``), in rounds
that alternate between: torch as it comes; as ``seglock train`` starts it (``seglock.threads``);
waiting passively; spinning shortly (``GOMP_SPINCOUNT``); on one thread. Each has a process of its
own, since OpenMP reads its variables once. The median of the rounds counts. One figure's reference
is torch as it comes, in the same state of the machine.

Aims: as ``seglock train`` starts, at least 0.97 of torch as it comes on an idle machine, and twice
as much beside others.

What limits: a thread that waits spins, for 300,000 turns before it sleeps; a step of the small
network has some hundred parallel loops of 0.1 ms, and each may wait for a thread whose core another
process holds for milliseconds. What helped: sleeping at once. It costs a wake-up a loop, which is
why it is not done on an idle machine. Measure on a machine that does nothing else: whatever does,
is one of the others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Self

from benchmarks.results import RESULTS, Row, show_rows, write_rows
from seglock.threads import CHOICES, available_cores, give_way

PLAIN, OURS = "torch as it comes", "as seglock train starts"
VARIANTS: Mapping[str, Mapping[str, str]] = {
    PLAIN: {},
    OURS: {},
    "waiting passively": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spinning shortly": {"GOMP_SPINCOUNT": "1000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
STEPS, ROUNDS = 30, 7
SPIN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
"""Ends with its parent, however that ends."""


@contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that spin beside what is measured."""
    command = [sys.executable, "-c", SPIN, str(os.getpid())]
    with ExitStack() as stack:
        for _ in range(count):
            spinning = stack.enter_context(subprocess.Popen(command))
            stack.callback(spinning.kill)  # before Popen waits for its end
        yield


class Trainer:
    """A process that trains in one of the ways when told to; started once it is ready."""

    def __init__(self, variant: str, quick: bool) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in CHOICES}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.busy", "--train", variant, *["--quick"] * quick],
            env=kept | VARIANTS[variant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answer()

    def rate(self) -> float:
        """Images a second of the next steps."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a trainer ended: exit code {self._process.wait()}")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def train(variant: str, quick: bool) -> None:
    """What a trainer's process does: some steps for every line it is sent."""
    if variant == OURS:
        give_way(lambda line: print(line, file=sys.stderr))
    from benchmarks.clock import timed
    from benchmarks.training import Case, epoch, fitting_parts, open_source, prepared

    case = Case("fcn_small", 32, 4, 2, 1) if quick else Case("fcn_small", 64, 32, STEPS, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        data = prepared(case, Path(folder))
        _, loop, _ = fitting_parts(case, data, Path(folder))
        source = open_source(data.train, loop.runtime.device, loop.recipe)
        with loop.runtime.fastest_convolutions():
            print("ready", flush=True)
            for number, _ in enumerate(sys.stdin, 2):
                seconds = timed(lambda n=number: epoch(loop, source, case, n))
                print(case.steps * case.batch / seconds, flush=True)


def measure(variants: Sequence[str], spinning: int, rounds: int, quick: bool) -> dict[str, float]:
    """Images a second of each way, beside so many others."""
    with ExitStack() as stack:
        # One after the other: while one starts, the next would find the machine busy with it. The
        # first, torch as it comes, does not look.
        trainers = {name: stack.enter_context(Trainer(name, quick)) for name in variants[:1]}
        stack.enter_context(others(spinning))
        trainers |= {name: stack.enter_context(Trainer(name, quick)) for name in variants[1:]}
        rates: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, trainer in trainers.items():
                rates[name].append(trainer.rate())
    return {name: median(values) for name, values in rates.items()}


def rows_of(rates: Mapping[str, float], state: str) -> list[Row]:
    """The figures of one state of the machine, each beside torch as it comes."""
    plain = Row(f"{state}: {PLAIN}", rates[PLAIN], "images/s")
    return [plain] + [
        Row(f"{state}: {name}", rate, "images/s", f"{PLAIN}, {state}", rate / rates[PLAIN])
        for name, rate in rates.items()
        if name != PLAIN
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two ways and tiny steps")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--train", choices=VARIANTS, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.train:
        train(given.train, given.quick)
        return
    cores = available_cores()
    states = {"idle": 0, f"beside {cores} spinning processes": cores}
    variants, rounds = tuple(VARIANTS), ROUNDS
    if given.quick:
        states, variants, rounds = {"beside a spinning process": 1}, (PLAIN, OURS), 1
    rows = list[Row]()
    for state, spinning in states.items():
        rows += rows_of(measure(variants, spinning, rounds, given.quick), state)
    show_rows("training fcn_small", rows)
    settings = {"steps": STEPS, "rounds": rounds, "cores": cores, "variables": VARIANTS}
    write_rows("busy", rows, settings=settings, folder=given.out)
    print("aims: as seglock train starts, 0.97 when idle, twice as fast beside others")


if __name__ == "__main__":
    main()
