"""What each lock costs its owner, and what is the most that a thief of each tier has of it.

    python -m benchmarks.locks --profile camvid-small          # stopped anyhow, it goes on
    python -m benchmarks.locks --profile voc-animals-small --only np-8-refuse,np-4
    python -m benchmarks.locks --profile camvid-small --name sweep --judge-only \\
        --lock 'half={"steps": ["np-8"], "refuse": 0.5}'       # other locks; no attacks
    python -m benchmarks.locks --profile voc-animals-pretrained --judge-only --grid 2,4,8,16

The paper's locks, combined ones, and the same with a refusal, each under `benchmarks.protocol`'s
public keys 0, 1 and 2 with as many seeds; baselines of the same seeds. Key 0 of every lock comes
before key 1 of any. Training and judging are the protocol's, attacks those of the suite, with
``SETTINGS``; a thief's images are those of the validation split, so a share of labels that it has
not counts as all of it. What is done is not done again; the figures so far
are in docs/results/locks-NAME.json after each attack.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.attacks import settings_digest
from benchmarks.protocol import Protocol, arguments, one_message, opened
from benchmarks.protocol_cells import MAIN, REPEATS, SEEDS, Cell, Kept
from benchmarks.results import describe_run
from seglock import files
from seglock.config import BASELINE, Params, check_params
from seglock.report.paper import PAPER_METHODS
from seglock.results.attack import AttackResult
from seglock.stages.attack import attack_results, chosen, open_scene

_REFUSE = {"weight": 0.2}
LOCKS: Mapping[str, Mapping[str, Any]] = {
    "np-8-refuse": {"steps": ["np-8"], "refuse": _REFUSE},
    "np-8-shf-8-refuse": {"steps": ["np-8", "shf-8"], "refuse": _REFUSE},
    "np-4-shf-4-refuse": {"steps": ["np-4", "shf-4"], "refuse": _REFUSE},
    "np-4": {"steps": ["np-4"]},
    "shf-4": {"steps": ["shf-4"]},
    "ffx-4": {"steps": ["ffx-4"]},
    "np-8": {"steps": ["np-8"]},
    "np-8-shf-8": {"steps": ["np-8", "shf-8"]},
    "np-4-shf-4": {"steps": ["np-4", "shf-4"]},
}
"""By name, the most telling first."""
SETTINGS = (
    "attack.names=all",
    "attack.queries=400",
    "attack.with_labels=4",
    "attack.seconds=600.0",
    "attack.labelled=[10.0, 25.0, 50.0]",
    "attack.images=val",
)
"""Unless told otherwise."""
_console = Console(stderr=True)


def grid(sides: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The paper's methods at each block side, without a refusal and with one.

    >>> [*grid(["2"])]
    ['shf-2', 'np-2', 'ffx-2', 'shf-2-refuse', 'np-2-refuse', 'ffx-2-refuse']
    """
    steps = [f"{method}-{side}" for side in sides for method in PAPER_METHODS]
    refusing = {f"{step}-refuse": {"steps": [step], "refuse": _REFUSE} for step in steps}
    return {step: {"steps": [step]} for step in steps} | refusing


def with_locks(params: Params, locks: Mapping[str, Mapping[str, Any]]) -> Params:
    """The profile with these locks and the baseline alone."""
    plain = params.model_dump(mode="json")
    plain["locks"] = {BASELINE: {"steps": []}, **locks}
    return check_params(plain, where="the profile with --lock")


def attacked(protocol: Protocol, cell: Cell) -> Iterator[AttackResult]:
    """Each attack's result on the network of a cell, the cheap tiers first."""
    lock, params, root = protocol.train(cell)
    assert lock.key is not None
    scene = open_scene(lock, params, protocol.data(), root)
    attacks = sorted(chosen(scene), key=lambda attack: attack.tier)
    work = protocol.folder / "attacks" / settings_digest(params) / cell.name
    yield from attack_results(cell.lock, scene, attacks, work, work / "exact", lock.key.derive)


def wanted(locks: Sequence[str]) -> list[Cell]:
    """All cells, those of the first key and seed first."""
    return [
        Cell(MAIN if lock == BASELINE else SEEDS, lock, repeat)
        for repeat in range(REPEATS)
        for lock in (BASELINE, *locks)
    ]


def document(
    protocol: Protocol, found: Mapping[str, Sequence[AttackResult]], names: Sequence[str]
) -> dict[str, Any]:
    """All that is known, as the result file has it."""
    params, kept = protocol.params, protocol.kept()
    rows: list[Kept] = []
    for cell in wanted(names):
        if figures := kept.get(cell.name):
            attacks = [_attack(result) for result in found.get(cell.name, ())]
            rows.append({**figures, "attacks": attacks})
    return describe_run("benchmarks.locks") | {
        "benchmark": "locks",
        "data": protocol.describe() | {"image_side": params.data.image_side},
        "model": params.model.model_dump(mode="json"),
        "train": params.train.model_dump(mode="json"),
        "attack": params.attack.model_dump(mode="json"),
        "locks": {name: params.locks[name].model_dump(mode="json") for name in names},
        "networks": rows,
    }


def _attack(result: AttackResult) -> Kept:
    """An attack's figures without its course, and of its curve what labels gave by their share."""
    told = result.document()
    told.pop("course", None)
    return told | {"curve": [point for point in told.get("curve", ()) if "from" in point]}


def run(protocol: Protocol, names: Sequence[str], out: Path, *, judge_only: bool) -> Path:
    """Do what is missing; returns the result file."""
    path = out / f"locks-{protocol.name}.json"
    found: dict[str, list[AttackResult]] = {}

    def collect() -> None:
        files.write_json(path, document(protocol, found, names))

    for cell in wanted(names):
        _console.print(f"[bold]{cell.name}[/bold]")
        figures = protocol.kept().get(cell.name)
        if figures is None:
            scores = protocol.measure(cell)
            _console.print(f"  owner {scores.owner_miou:.4f}, unauthorised {scores.unauthorised}")
        if not judge_only and cell.lock != BASELINE:
            for result in attacked(protocol, cell):
                found.setdefault(cell.name, []).append(result)
                collect()
                _console.print(
                    f"  {result.tier} {result.attack}: {result.miou:.4f} of {result.correct:.4f},"
                    f" {result.queries} {result.unit}, {result.seconds:.1f} s"
                )
        collect()
    return path


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", default=None, help=f"of {', '.join(LOCKS)}; default: all")
    others = parser.add_mutually_exclusive_group()
    others.add_argument(
        "--lock", action="append", default=[], metavar="NAME=JSON", help="instead of those"
    )
    others.add_argument(
        "--grid", metavar="M,M", help="instead: the paper's methods at these M, each also refusing"
    )
    parser.add_argument("--judge-only", action="store_true", help="no attacks")
    given = parser.parse_args(argv)
    locks = dict(LOCKS) if given.grid is None else grid(given.grid.split(","))
    if given.lock:
        parts = [text.partition("=") for text in given.lock]
        try:
            locks = {name: json.loads(body) for name, _, body in parts}
        except json.JSONDecodeError as error:
            parser.error(f'--lock must be NAME=JSON, such as x={{"steps": ["np-4"]}}: {error}')
    names = [*locks] if given.only is None else given.only.split(",")
    if unknown := sorted(set(names) - set(locks)):
        parser.error(f"--only must be of {', '.join(locks)}, got {', '.join(unknown)}")
    with one_message():
        given.set = [*SETTINGS, *given.set]
        protocol = opened(given)
        protocol = Protocol.open(protocol.name, with_locks(protocol.params, locks), given.folder)
        with files.exclusive(protocol.folder, what=f"locks {protocol.name}"):
            path = run(protocol, names, given.out, judge_only=given.judge_only)
    print(f"{path} has the figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
