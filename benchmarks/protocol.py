"""The paper's protocol on real images: every lock trained and judged, in commands that resume.

    python -m benchmarks.protocol --profile camvid --minutes 9         # again until it says done
    python -m benchmarks.protocol --profile camvid --variants ablations
    python -m benchmarks.protocol --profile camvid --set train.epochs=100 --name camvid-100

It trains and judges what `dvc repro` would, each lock with the profile's ``evaluate.wrong_keys``
wrong keys, and leaves DVC and MLflow out: all locks share one process, so that torch starts and
compiles once, and a machine that has neither will do. Besides each lock once, three seeds of the
baseline and three keys of the best lock say how much is luck, and the variants of
`benchmarks.protocol_cells` test the reasons for what is found. Cells come best block sides first.

A cell that is done is never done again, and one under way goes on from its last checkpoint (at most
``train.checkpoint_seconds`` and an epoch back), after ``--minutes``, Ctrl-C or a kill. The figures
so far are in docs/results/protocol-NAME.json after each cell; the work lies under ``--folder``.
Keys are public ones, derived from the demonstration key: anyone can repeat the figures, and the
networks protect nothing.
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
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.protocol_cells import ABLATIONS, MAIN, VARIANTS, Cell, Kept, next_cell
from benchmarks.results import REPOSITORY, RESULTS, describe_run, device_slug
from seglock import files
from seglock.config import Params, check_params, load_profile
from seglock.errors import ConfigError, SeglockError
from seglock.stages.locks import OpenLock

if TYPE_CHECKING:
    from seglock.data import PreparedData
    from seglock.keys import SecretKey
    from seglock.training import EpochRow, TrainResult
    from seglock.transforms import Transform

WORK = Path(".seglock/protocol")
_OTHER_KEYS = 10_000  # wrong keys of the first key have smaller numbers
_console = Console(stderr=True)


class OutOfTime(Exception):  # noqa: N818 - no error: the command's minutes are over
    """Raised between two epochs; what is after the last checkpoint is trained again."""


@dataclass(frozen=True)
class Protocol:
    """One profile's protocol: what to measure, on what, and where the work lies."""

    name: str
    params: Params
    data: PreparedData
    folder: Path
    deadline: float = float("inf")

    def run(self, cell: Cell) -> Kept:
        """Train and judge one cell; goes on from its checkpoint. Raises OutOfTime."""
        params, data = cell.params(self.params), cell.data(self.data)
        key = public_key(cell.repeat) if cell.steps(params) else None
        transform = self.transform(cell)
        checkpoints = self.folder / "checkpoints" / cell.name
        checkpoints.mkdir(parents=True, exist_ok=True)
        trained = self._train(cell, params, data, transform, checkpoints)
        started = perf_counter()
        scores = judge(params, data, params.locks[cell.lock], key, transform, trained.weights)
        figures = cell.figures(params, transform, trained, scores)
        figures["evaluate_seconds"] = round(perf_counter() - started, 1)
        if cell == Cell(MAIN, "baseline", 0):
            files.write_bytes(self.plain_weights, trained.weights.read_bytes())
        files.write_json(self.cells / f"{cell.name}.json", figures)
        shutil.rmtree(checkpoints)
        return figures

    def weights(self, cell: Cell) -> Path:
        """The trained weights of a cell, trained now where they are not there. Raises OutOfTime."""
        kept = self.folder / "weights" / f"{cell.name}.safetensors"
        if not kept.is_file():
            params, data = cell.params(self.params), cell.data(self.data)
            checkpoints = self.folder / "checkpoints" / cell.name
            checkpoints.mkdir(parents=True, exist_ok=True)
            trained = self._train(cell, params, data, self.transform(cell), checkpoints)
            kept.parent.mkdir(exist_ok=True)
            files.write_bytes(kept, trained.weights.read_bytes())
            shutil.rmtree(checkpoints)
        return kept

    def transform(self, cell: Cell) -> Transform:
        """The lock of a cell under its public key; the identity for the baseline."""
        params = cell.params(self.params)
        key = public_key(cell.repeat) if cell.steps(params) else None
        return OpenLock(cell.lock, params.locks[cell.lock], key).transform()

    @property
    def cells(self) -> Path:
        """Where each finished cell's figures lie."""
        return self.folder / "cells"

    @property
    def plain_weights(self) -> Path:
        """The first baseline's weights, which the variant ``finetuned`` starts from."""
        return self.folder / "plain.safetensors"

    def kept(self) -> dict[str, Kept]:
        """The finished cells' figures by name."""
        found = sorted(self.cells.glob("*.json"))
        return {path.stem: files.read_json(path) for path in found}

    def _train(
        self, cell: Cell, params: Params, data: PreparedData, transform: Transform, folder: Path
    ) -> TrainResult:
        from seglock.tracking import MemoryTracker
        from seglock.training import TrainJob, train

        def on_epoch(_row: EpochRow) -> None:
            if monotonic() > self.deadline:
                raise OutOfTime

        weights = self._initial(params, folder) if cell.finetuned else None
        job = TrainJob(cell.name, params, data, transform, weights, folder)
        return train(job, tracker=MemoryTracker(), on_epoch=on_epoch)

    def _initial(self, params: Params, folder: Path) -> Path:
        from seglock.models import fetch_weights

        out = folder / "initial"
        start = {"initial_weights": str(self.plain_weights)}
        out.mkdir(exist_ok=True)
        fetch_weights(params.model.model_copy(update=start), out, progress=False)
        return out


def public_key(number: int) -> SecretKey:
    """The protocol's key of that number: public, and the same everywhere."""
    from seglock.keys import demonstration_key

    key = demonstration_key()
    return key.wrong(_OTHER_KEYS + number) if number else key


def judge(
    params: Params,
    data: PreparedData,
    lock: Any,
    key: SecretKey | None,
    transform: Transform,
    weights: Path,
) -> dict[str, Any]:
    """The scores of evaluation.json, as stage ``evaluate`` has them."""
    from seglock.evaluation import judge_lock
    from seglock.models import load_model

    return judge_lock(
        load_model(weights, params.model, data.num_classes),
        data,
        params,
        test=data.test,
        unlabelled=data.val.images,
        transform=transform if key else None,
        wrong=OpenLock("", lock, key).wrong_transforms(params.evaluate.wrong_keys),
    ).scores.document()


def changed(params: Params, settings: Sequence[str]) -> Params:
    """The profile with each ``SECTION.NAME=VALUE`` in place (values as in JSON, or plain text)."""
    plain = params.model_dump(mode="json")
    for setting in settings:
        path, equals, text = setting.partition("=")
        *sections, name = path.split(".")
        place = plain
        for section in sections:
            place = place.get(section, {})
        if not equals or name not in place:
            raise ConfigError(
                "--set must be SECTION.NAME=VALUE of the profile",
                got=repr(setting),
                fix="write for example --set train.epochs=100",
            )
        try:
            place[name] = json.loads(text)
        except json.JSONDecodeError:
            place[name] = text
    return check_params(plain, where="the profile with --set")


def open_protocol(name: str, params: Params, root: Path, minutes: float | None) -> Protocol:
    """Prepare the data once, and find the folder of exactly these params."""
    from seglock.data import PreparedData
    from seglock.stages import data

    # Attacks and studies say nothing of the networks.
    said = json.dumps(params.model_dump(mode="json", exclude={"attack", "search"}), sort_keys=True)
    folder = root / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    if not (folder / "data" / "prepared").is_dir():
        _console.print(f"preparing {params.data.dataset} in {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        data.get(params, folder)
        data.prepare(params, folder)
    deadline = float("inf") if minutes is None else monotonic() + 60 * minutes
    prepared = PreparedData.open(folder / "data" / "prepared")
    return Protocol(name, params, prepared, folder, deadline)


def collect(protocol: Protocol, out: Path) -> Path:
    """Write what is known to ``out``/protocol-NAME.json, cells in the order of the protocol."""
    data, params = protocol.data, protocol.params
    splits = {split.name: len(split) for split in (data.train, data.val, data.test)}
    path = out / f"protocol-{protocol.name}.json"
    document = describe_run("benchmarks.protocol") | {
        "benchmark": "protocol",
        "params": params.model_dump(mode="json"),
        "data": {
            "dataset": data.dataset,
            "digest": data.digest,
            "classes": list(data.classes),
            "images": splits,
        },
        "cells": list(protocol.kept().values()),
    }
    files.write_json(path, document)
    return path


def run(protocol: Protocol, variants: Sequence[str], out: Path) -> bool:
    """Do the cells that are missing; False when the minutes ran out first."""
    while (cell := next_cell(protocol.params, variants, protocol.kept())) is not None:
        if monotonic() > protocol.deadline:
            return False
        _console.print(f"[bold]{cell.name}[/bold]")
        try:
            figures = protocol.run(cell)
        except OutOfTime:
            return False
        _console.print(_said(figures))
        collect(protocol, out)
    return True


def _said(figures: Kept) -> str:
    said = f"  owner {figures['owner_miou']:.4f}"
    if figures["unauthorised"] is not None:
        said += f", unauthorised {figures['unauthorised']:.4f}"
    return f"{said}, {figures['train_seconds'] + figures['evaluate_seconds']:.0f} s"


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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", required=True, help="a name under profiles/")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=VALUE")
    parser.add_argument("--name", default=None, help="default: PROFILE-DEVICE")
    parser.add_argument(
        "--variants", default=MAIN, help=f"{', '.join(VARIANTS)}, or ablations for all but {MAIN}"
    )
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / WORK)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    asked = ABLATIONS if given.variants == "ablations" else given.variants.split(",")
    unknown = sorted(set(asked) - set(VARIANTS))
    if unknown:
        parser.error(f"--variants must be of {', '.join(VARIANTS)}, got {', '.join(unknown)}")
    with one_message():
        params = load_profile(REPOSITORY / "profiles" / f"{given.profile}.yaml")
        params = changed(params, given.set)
        import torch  # noqa: F401 - so that the device's name is known

        name = given.name or f"{given.profile}-{device_slug()}"
        protocol = open_protocol(name, params, given.folder, given.minutes)
        with files.exclusive(protocol.folder, what=f"protocol {name}"):
            done = run(protocol, asked, given.out)
            path = collect(protocol, given.out)
    missing = "done" if done else "not done: the same command goes on"
    print(f"{len(protocol.kept())} cells in {path}; {missing}")
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
