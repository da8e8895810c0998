"""The attack suite on real images: each lock trained, then attacked, in commands that resume.

    python -m benchmarks.attacks --profile camvid-small --locks shf-2,np-4,ffx-4
    python -m benchmarks.attacks --profile camvid --minutes 9 --set attack.seconds=10
    python -m benchmarks.attacks --profile camvid-small --lock np-4+shf-4 --lock np-4-f25

It does what stages ``train`` and ``attack`` of the profile would, and leaves DVC and MLflow out, as
`benchmarks.protocol` does, whose networks and public keys it takes. ``--lock`` adds a lock by its
steps. A network that is trained is not trained again, an attack that is done not done again, and
one that was stopped goes on. The figures so far are in docs/results/attacks-NAME.json after each
attack.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from benchmarks.protocol import (
    WORK,
    OutOfTime,
    Protocol,
    changed,
    one_message,
    open_protocol,
    public_key,
)
from benchmarks.protocol_cells import MAIN, Cell
from benchmarks.results import REPOSITORY, RESULTS, describe_run, device_slug
from seglock import files
from seglock.config import BASELINE, Params, check_params, load_profile
from seglock.stages.attack import Scene, attack_results

Result = dict[str, Any]
_console = Console(stderr=True)


def with_locks(params: Params, added: Sequence[str]) -> Params:
    """The profile with a lock for each ``STEP+STEP``, called as `named` says."""
    plain = params.model_dump(mode="json")
    for steps in added:
        plain["locks"][named(steps)] = {"steps": steps.split("+")}
    return check_params(plain, where="the profile with --lock")


def named(steps: str) -> str:
    """A lock's name for its steps.

    >>> named("np-4+shf-4")
    'np-4-shf-4'
    """
    return steps.replace("+", "-")


def attacked(protocol: Protocol, lock: str) -> Iterator[Result]:
    """Train a lock and run each attack that applies; yields each result. Raises OutOfTime."""
    cell, params = Cell(MAIN, lock, 0), protocol.params
    weights = protocol.weights(cell)
    scene = Scene(
        lock, params, params.locks[lock], protocol.transform(cell), protocol.data, weights
    )
    work = protocol.folder / "attacks" / _digest(params) / lock

    def in_time(_attack: str, _done: int, _total: int) -> None:
        if monotonic() > protocol.deadline:
            raise OutOfTime

    derive = public_key(0).derive
    return attack_results(scene, scene.attacks([]), work, work / "exact", derive, in_time)


def _digest(params: Params) -> str:
    settings = params.attack.model_dump(mode="json", exclude={"names"})
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def collect(protocol: Protocol, locks: Sequence[str], results: Sequence[Result], out: Path) -> Path:
    """Write what is known to ``out``/attacks-NAME.json."""
    data, params = protocol.data, protocol.params
    document = describe_run("benchmarks.attacks") | {
        "benchmark": "attacks",
        "data": {
            "dataset": data.dataset,
            "digest": data.digest,
            "image_side": data.image_side,
            "images": {split.name: len(split) for split in (data.train, data.val, data.test)},
        },
        "model": params.model.model_dump(mode="json"),
        "epochs": params.train.epochs,
        "attack": params.attack.model_dump(mode="json"),
        "locks": {name: params.locks[name].steps for name in locks},
        "results": list(results),
    }
    path = out / f"attacks-{protocol.name}.json"
    files.write_json(path, document)
    return path


def run(protocol: Protocol, locks: Sequence[str], out: Path) -> bool:
    """Attack each lock; False when the minutes ran out first."""
    results: list[Result] = []
    for lock in locks:
        _console.print(f"[bold]{lock}[/bold]")
        try:
            for result in attacked(protocol, lock):
                results.append(result)
                collect(protocol, locks, results, out)
                _console.print(
                    f"  {result['attack']}: {result['miou']:.4f} of {result['correct']:.4f},"
                    f" {result['queries']} {result['unit']}, {result['seconds']:.1f} s"
                )
        except OutOfTime:
            return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", required=True, help="a name under profiles/")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE")
    parser.add_argument("--locks", default=None, help="names in the profile; default: all")
    parser.add_argument("--lock", action="append", default=[], metavar="STEP+STEP")
    parser.add_argument("--name", default=None, help="default: PROFILE-DEVICE")
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / WORK)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    with one_message():
        params = load_profile(REPOSITORY / "profiles" / f"{given.profile}.yaml")
        params = changed(params, given.set)
        known = [name for name in params.locks if name != BASELINE]
        asked = known if given.locks is None else [n for n in given.locks.split(",") if n]
        if unknown := sorted(set(asked) - set(known)):
            parser.error(f"--locks must be of {', '.join(known)}, got {', '.join(unknown)}")
        import torch  # noqa: F401 - so that the device's name is known

        name = given.name or f"{given.profile}-{device_slug()}"
        protocol = open_protocol(name, params, given.folder, given.minutes)
        protocol = Protocol(
            name,
            with_locks(params, given.lock),
            protocol.data,
            protocol.folder,
            protocol.deadline,
        )
        with files.exclusive(protocol.folder, what=f"attacks {name}"):
            done = run(protocol, [*asked, *map(named, given.lock)], given.out)
    print("done" if done else "not done: the same command goes on")
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
