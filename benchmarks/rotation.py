"""What replacing a leaked key costs: training on under a new one, beside training anew.

    python -m benchmarks.rotation [--quick] [--out FOLDER] [--folder FOLDER]

Each lock of the synthetic profile is trained under one key and then, as `seglock rotate` does it,
on under another for a share of the epochs; and anew under that other key for all of them. Of both
the owner's mean IoU on the test split is told, and of what was trained on also the old key's,
beside the best of as many other wrong keys as the profile has. Keys are public. What is trained is
kept in the folder: started again, it goes on.
"""

from __future__ import annotations

import argparse
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.protocol import public_key
from benchmarks.results import REPOSITORY, RESULTS, Row, show_rows, write_rows
from seglock.config import Params, check_params, load_profile
from seglock.results.training import MODELS, Training
from seglock.stages import data as data_stage
from seglock.stages.locks import OpenLock
from seglock.stages.rotate import judge_rotation, train_on
from seglock.stages.train import train_opened
from seglock.stages.weights import get_weights

WORK = Path(".seglock/benchmarks/rotation")
LOCKS = {
    "shf-4": {"steps": ["shf-4"]},
    "np-4": {"steps": ["np-4"]},
    "ffx-4": {"steps": ["ffx-4"]},
    "np-8 refuse 0.2": {"steps": ["np-8"], "refuse": 0.2},
}
SHARES = (0.125, 0.25, 0.5)


def profile(quick: bool) -> Params:
    """The synthetic profile with the benchmark's locks; as ``quick``, a shadow of it."""
    plain = load_profile(REPOSITORY / "profiles" / "synthetic.yaml").model_dump(mode="json")
    locks = {name.replace(" ", "-").replace(".", "-"): lock for name, lock in LOCKS.items()}
    plain["locks"] = {"baseline": {"steps": []}, **locks}
    plain["train"]["device"] = "cpu"
    if quick:
        plain["locks"] = {"baseline": {"steps": []}, "np-4": {"steps": ["np-4"]}}
        plain["data"] |= {"val_split": 8, "image_side": 16}
        plain["data"]["synthetic"] |= {"train": 24, "test": 6, "side": 16}
        plain["train"] |= {"epochs": 4, "batch_size": 8}
        plain["evaluate"] |= {"wrong_keys": 3}
    return check_params(plain, where="the benchmark's params")


def on(params: Params, epochs: int) -> Params:
    """The params of training on."""
    model = params.model.model_copy(update={"initial_weights": "rotated.safetensors"})
    train = params.train.model_copy(update={"epochs": epochs})
    return params.model_copy(update={"model": model, "train": train})


def measure(name: str, params: Params, root: Path) -> list[Row]:
    """The rows of one lock."""
    own, by = params.locks[name], params.model
    old, new = (OpenLock(name, own, by, public_key(number)) for number in (0, 1))
    rotated = replace(new, retired=old)
    trained, anew = root / MODELS / name, root / "anew" / name
    if not trained.is_dir():
        train_opened(old, params, root, tracked=False)
    if not anew.is_dir():
        train_opened(new, params, root, tracked=False, out=anew)
    whole, _ = judge_rotation(old, new, params, root, anew)
    rows = [Row(f"{name}: owner, trained anew", whole, "mean IoU")]
    before = Training.read(trained / "training.json", fix="")
    for share in SHARES:
        epochs = math.ceil(share * params.train.epochs)
        changed, work = on(params, epochs), root / f"on-{epochs}" / name
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "model").is_dir():
            train_on(rotated, changed, root, work, before, tracked=False)
        owner, wrong = judge_rotation(old, new, changed, root, work / "model")
        said, others = f"{name}: {epochs} of {params.train.epochs} epochs on", wrong.miou[1:]
        rows.append(Row(f"{said}, owner", owner, "mean IoU", "trained anew", owner / whole))
        most = f"the best of {len(others)} other wrong keys"
        rows.append(
            Row(f"{said}, old key", wrong.miou[0], "mean IoU", most, wrong.miou[0] / max(others))
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tiny case, in seconds")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / WORK)
    given = parser.parse_args(arguments)
    params, root = profile(given.quick), given.folder.absolute()
    if not (root / "data" / "weights").is_dir():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        data_stage.get(params, root)
        data_stage.prepare(params, root)
        get_weights(params, root)
    rows = []
    for name in params.locks:
        if name != "baseline":
            rows += measure(name, params, root)
            write_rows("rotation", rows, settings={"shares": list(SHARES)}, folder=given.out)
    show_rows("a rotation", rows)


if __name__ == "__main__":
    main()
