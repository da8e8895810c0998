"""The paper's protocol on real images: every lock trained and judged, in commands that resume.

    python -m benchmarks.protocol --profile camvid              # stopped anyhow, it goes on
    timeout 9m python -m benchmarks.protocol --profile camvid --variants ablations
    python -m benchmarks.protocol --profile camvid --set train.epochs=100 --name camvid-100

Every network is a lock that the stages encrypt, train and evaluate as `dvc repro` would, with the
profile's ``evaluate.wrong_keys`` wrong keys, in projects under ``--folder``. All share one process,
so that torch starts and compiles once, and DVC and MLflow are left out: a machine that has neither
will do. Besides each lock once, three seeds of the baseline and three keys of the best lock say how
much is luck, and the variants of `benchmarks.protocol_cells` test the reasons for what is found.
Cells come best block sides first.

A cell that is done is never done again, and one under way goes on from its last checkpoint (at most
``train.checkpoint_seconds`` and an epoch back). The figures so far are in
docs/results/protocol-NAME.json after each cell. Keys are public, derived from the demonstration
key: anyone can repeat the figures, and the networks protect nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.protocol_cells import ABLATIONS, HALF, HELD, MAIN, VARIANTS, Cell, Kept, cells
from benchmarks.results import REPOSITORY, RESULTS, describe_run, device_slug
from seglock import files
from seglock.config import Params, check_params, load_profile, merge_values
from seglock.errors import SeglockError
from seglock.results.evaluation import EVALUATIONS, Evaluation, Scores
from seglock.results.training import MODELS, Training
from seglock.stages import data as data_stage
from seglock.stages.encrypt import encrypt_opened
from seglock.stages.evaluate import evaluate_opened
from seglock.stages.locks import OpenLock
from seglock.stages.train import train_opened
from seglock.stages.weights import get_weights

if TYPE_CHECKING:
    from seglock.data import PreparedData
    from seglock.keys import SecretKey

WORK = Path(".seglock/protocol")
_OTHER_KEYS = 10_000  # wrong keys of the first key have smaller numbers
_console = Console(stderr=True)


@dataclass(frozen=True)
class Protocol:
    """One profile's protocol: what to measure, and the folder that its projects lie in."""

    name: str
    params: Params
    folder: Path

    @classmethod
    def open(cls, name: str, params: Params, work: Path) -> Protocol:
        """The protocol in the folder of exactly these params."""
        # Attacks and studies say nothing of the networks.
        said = params.model_dump(mode="json", exclude={"attack", "search"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8]
        return cls(name, params, work.absolute() / f"{name}-{digest}")

    def train(self, cell: Cell) -> tuple[OpenLock, Params, Path]:
        """A cell's lock, params and project, with its network trained there once."""
        params, root = cell.params(self.params), self.folder / cell.project
        own = params.locks[cell.lock]
        key = public_key(cell.repeat) if own.steps else None
        lock = OpenLock(cell.name, own, params.model, key)
        with contextlib.chdir(self.prepared(cell, params)):
            if not (root / MODELS / lock.name).is_dir():
                train_opened(lock, params, root, tracked=False)
        return lock, params, root

    def measure(self, cell: Cell) -> Scores:
        """Train and judge one cell."""
        lock, params, root = self.train(cell)
        split = encrypt_opened(lock, root)
        found = evaluate_opened(lock, params, root, tracked=False)
        shutil.rmtree(split)
        return found.scores

    def prepared(self, cell: Cell, params: Params) -> Path:
        """The cell's project, with its data and initial weights made once."""
        root = self.folder / cell.project
        root.mkdir(parents=True, exist_ok=True)
        if not (root / "data" / "prepared").is_dir():
            _console.print(f"preparing {params.data.dataset} in {root}")
            raw = data_stage.get(self.params, root)
            if params.data != self.params.data:
                write_half(raw, self.params.data.train_split, self.data())
            data_stage.prepare(params, root)
        if not (root / "data" / "weights").is_dir():
            with contextlib.chdir(root):
                get_weights(params, root)
        return root

    def kept(self) -> dict[str, Kept]:
        """The finished cells' figures by name."""
        found = {}
        for path in self.folder.glob(f"*/{EVALUATIONS}/*/evaluation.json"):
            name = path.parent.name
            variant, _, rest = name.partition("_")
            lock, _, repeat = rest.rpartition("_")
            training = Training.read(path.parents[3] / MODELS / name / "training.json")
            cell = Cell(variant, lock, int(repeat))
            found[name] = cell.figures(Evaluation.read(path), training)
        return dict(sorted(found.items()))

    def data(self) -> PreparedData:
        """The images of ``main``."""
        from seglock.data import PreparedData

        root = self.prepared(Cell(MAIN, next(iter(self.params.locks))), self.params)
        return PreparedData.open(root / "data" / "prepared")

    def describe(self) -> Kept:
        """The images of ``main``, as result files tell of them."""
        data = self.data()
        return {
            "dataset": data.dataset,
            "digest": data.digest,
            "classes": list(data.classes),
            "images": {split.name: len(split) for split in (data.train, data.val, data.test)},
        }


def write_half(raw: Path, train: str, data: PreparedData) -> None:
    """Lists of every other training image of ``data``, and of its validation images."""
    chosen = set(data.train.ids[::2])
    lists = Path("ImageSets", "Segmentation")
    for path in raw.rglob(f"{lists}/{train}.txt"):  # an extra source has its own
        ids = [name for name in path.read_text(encoding="utf-8").splitlines() if name in chosen]
        files.write_text(path.with_stem(HALF), "\n".join(ids))
    files.write_text(raw / lists / f"{HELD}.txt", "\n".join(data.val.ids))


def public_key(number: int) -> SecretKey:
    """The protocol's key of that number: public, and the same everywhere."""
    from seglock.keys import demonstration_key

    key = demonstration_key()
    return key.wrong(_OTHER_KEYS + number) if number else key


def changed(params: Params, settings: Sequence[str]) -> Params:
    """The profile with each ``SECTION.NAME=VALUE`` in place (values as in JSON, or plain text)."""
    plain = params.model_dump(mode="json")
    for setting in settings:
        path, _, text = setting.partition("=")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        for name in reversed(path.split(".")):
            value = {name: value}
        plain = merge_values(plain, value, whole=("locks",) if path == "locks" else ())
    return check_params(plain, where="the profile with --set")


def collect(protocol: Protocol, out: Path) -> Path:
    """Write what is known to ``out``/protocol-NAME.json."""
    path = out / f"protocol-{protocol.name}.json"
    document = describe_run("benchmarks.protocol") | {
        "benchmark": "protocol",
        "params": protocol.params.model_dump(mode="json"),
        "data": protocol.describe(),
        "cells": list(protocol.kept().values()),
    }
    files.write_json(path, document)
    return path


def run(protocol: Protocol, variants: Sequence[str], out: Path) -> None:
    """Do the cells that are missing."""
    while True:
        kept = protocol.kept()
        wanted = cells(protocol.params, variants, kept)
        cell = next((cell for cell in wanted if cell.name not in kept), None)
        if cell is None:
            return
        _console.print(f"[bold]{cell.name}[/bold]")
        scores = protocol.measure(cell)
        _console.print(f"  owner {scores.owner_miou:.4f}, others {scores.unauthorised}")
        collect(protocol, out)


@contextlib.contextmanager
def one_message() -> Iterator[None]:
    """A user's error as its one message and exit 2; Ctrl-C as exit 130."""
    try:
        yield
    except SeglockError as error:
        _console.print(str(error), style="red", highlight=False)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        _console.print("stopped; the same command goes on")
        raise SystemExit(130) from None


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What the protocol and its attacks are both given."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--profile", required=True, help="a name under profiles/")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE")
    parser.add_argument("--name", default=None, help="default: PROFILE-DEVICE")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / WORK)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def opened(given: argparse.Namespace) -> Protocol:
    """The protocol that the arguments ask for."""
    params = load_profile(REPOSITORY / "profiles" / f"{given.profile}.yaml")
    import torch  # noqa: F401 - so that the device's name is known

    name = given.name or f"{given.profile}-{device_slug()}"
    return Protocol.open(name, changed(params, given.set), given.folder)


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments(__doc__)
    parser.add_argument(
        "--variants", default=MAIN, help=f"{', '.join(VARIANTS)}, or ablations for all but {MAIN}"
    )
    given = parser.parse_args(argv)
    asked = ABLATIONS if given.variants == "ablations" else given.variants.split(",")
    unknown = sorted(set(asked) - set(VARIANTS))
    if unknown:
        parser.error(f"--variants must be of {', '.join(VARIANTS)}, got {', '.join(unknown)}")
    with one_message():
        protocol = opened(given)
        with files.exclusive(protocol.folder, what=f"protocol {protocol.name}"):
            run(protocol, asked, given.out)
            path = collect(protocol, given.out)
    print(f"{len(protocol.kept())} cells in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
