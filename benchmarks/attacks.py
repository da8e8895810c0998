"""The attack suite on real images: each lock trained, then attacked, in commands that resume.

    python -m benchmarks.attacks --profile camvid-small --locks shf-2,np-4,ffx-4
    timeout 9m python -m benchmarks.attacks --profile camvid --set attack.seconds=10
    python -m benchmarks.attacks --profile camvid-small --lock np-4+shf-4 --lock np-4-f25

It does what stages ``train`` and ``attack`` would, with the networks and public keys of
`benchmarks.protocol`, and like it leaves DVC and MLflow out. ``--lock`` adds a lock by its steps. A
network that is trained is not trained again, and an attack that is done not done again. The
figures so far are in docs/results/attacks-NAME.json after each attack.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.protocol import Protocol, arguments, one_message, opened
from benchmarks.protocol_cells import MAIN, Cell
from benchmarks.results import describe_run
from seglock import files
from seglock.config import BASELINE, Params, check_params
from seglock.results.attack import AttackResult
from seglock.stages.attack import attack_results, chosen, open_scene

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


def attacked(protocol: Protocol, lock: str) -> Iterator[AttackResult]:
    """Train a lock and run each attack that applies; yields each result."""
    cell, params, root = protocol.train(Cell(MAIN, lock))
    scene = open_scene(cell, params, protocol.data(), root)
    work = protocol.folder / "attacks" / settings_digest(params) / lock
    assert cell.key is not None
    return attack_results(lock, scene, chosen(scene), work, work / "exact", cell.key.derive)


def settings_digest(params: Params) -> str:
    """8 hexadecimal digits of what attacks may spend."""
    settings = params.attack.model_dump(mode="json", exclude={"names"})
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def collect(
    protocol: Protocol, locks: Sequence[str], results: Sequence[AttackResult], out: Path
) -> Path:
    """Write what is known to ``out``/attacks-NAME.json."""
    params = protocol.params
    document = describe_run("benchmarks.attacks") | {
        "benchmark": "attacks",
        "data": protocol.describe() | {"image_side": params.data.image_side},
        "model": params.model.model_dump(mode="json"),
        "epochs": params.train.epochs,
        "attack": params.attack.model_dump(mode="json"),
        "locks": {name: params.locks[name].steps for name in locks},
        "results": [result.document() for result in results],
    }
    path = out / f"attacks-{protocol.name}.json"
    files.write_json(path, document)
    return path


def run(protocol: Protocol, locks: Sequence[str], out: Path) -> None:
    """Attack each lock."""
    results: list[AttackResult] = []
    for lock in locks:
        _console.print(f"[bold]{lock}[/bold]")
        for result in attacked(protocol, lock):
            results.append(result)
            collect(protocol, locks, results, out)
            _console.print(
                f"  {result.attack}: {result.miou:.4f} of {result.correct:.4f},"
                f" {result.queries} {result.unit}, {result.seconds:.1f} s"
            )


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments(__doc__)
    parser.add_argument("--locks", default=None, help="names in the profile; default: all")
    parser.add_argument("--lock", action="append", default=[], metavar="STEP+STEP")
    given = parser.parse_args(argv)
    with one_message():
        protocol = opened(given)
        known = [name for name in protocol.params.locks if name != BASELINE]
        asked = known if given.locks is None else [n for n in given.locks.split(",") if n]
        if unknown := sorted(set(asked) - set(known)):
            parser.error(f"--locks must be of {', '.join(known)}, got {', '.join(unknown)}")
        protocol = replace(protocol, params=with_locks(protocol.params, given.lock))
        with files.exclusive(protocol.folder, what=f"attacks {protocol.name}"):
            run(protocol, [*asked, *map(named, given.lock)], given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
