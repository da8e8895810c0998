"""What a refusal costs in training time: images a second with the second term and without.

    python -m benchmarks.refusal [--quick] [--out FOLDER]

The same steps of fcn_small under np-8, as ``seglock train`` takes them, in alternating rounds of
one run: without a refusal, with one in every step, in every second, fourth and eighth. The best of
the rounds counts. A pass of the second term is a forward and a backward pass more; encrypting under
a fresh key for it is in the figure too.

Aim: at least 0.83 of the usual rate (1.2 times the time) for every fourth step.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clock import timed
from benchmarks.results import RESULTS, Row, show_rows, write_rows
from benchmarks.training import QUICK, Case, case_params, epoch, open_source, prepared
from seglock.config import RefuseParams
from seglock.data import PreparedData
from seglock.keys import demonstration_key
from seglock.training import TrainJob
from seglock.training.distributed import World
from seglock.training.epoch import Loop
from seglock.training.loop import prepare
from seglock.training.runtime import Runtime
from seglock.transforms import Unauthorised, compose

LOCK = "np-8"
EVERY = (1, 2, 4, 8)
CASES = (Case("fcn_small", 64, 16, 24, 7),)


def loop_of(case: Case, data: PreparedData, folder: Path, every: int | None) -> Loop:
    """A training that refuses in so manieth steps, or never."""
    params, key = case_params(case), demonstration_key()
    lock = compose([LOCK], key)
    refuse = every and Unauthorised(lock, key, RefuseParams(weight=0.2, every=every))
    job = TrainJob(LOCK, params, data, lock, None, folder, unauthorised=refuse or None)
    return prepare(job, Runtime.of(params.train), World(), case.steps)


def measure(case: Case, folder: Path) -> list[Row]:
    """The rows of one case."""
    data = prepared(case, folder)
    loops = {every: loop_of(case, data, folder, every) for every in (None, *EVERY)}
    best = dict.fromkeys(loops, math.inf)
    for number in range(case.rounds + 1):
        for every, loop in loops.items():
            source = open_source(data.train, loop.runtime.device, loop.recipe)
            seconds = timed(lambda o=loop, s=source, n=number: epoch(o, s, case, n + 1))
            if number:  # the first steps start things up
                best[every] = min(best[every], seconds)
    images = case.steps * case.batch
    usual = best.pop(None)
    rows = [Row(f"{case.name}: no refusal", images / usual, "images/s")]
    for every, seconds in best.items():
        steps = "every step" if every == 1 else f"every {every} steps"
        name = f"{case.name}: refusal, {steps}"
        rows.append(Row(name, images / seconds, "images/s", "no refusal", usual / seconds))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny case, in seconds")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    rows = []
    for case in QUICK if given.quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(case, Path(folder))
    show_rows("a refusal", rows)
    write_rows("refusal", rows, settings={"lock": LOCK}, folder=given.out)
    print("aim: 0.83 of the usual rate for every fourth step")


if __name__ == "__main__":
    main()
