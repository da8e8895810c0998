"""Fake result files: what the stages would have written, small and from a fixed seed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CLASSES = ("background", "disc", "square", "triangle", "ring", "cross", "bar")
SIDE = 32
Locks = dict[str, Sequence[str]]
DEMO: Locks = {"baseline": [], "shf-4": ["shf-4"], "np-4": ["np-4"], "ffx-4": ["ffx-4"]}


def score(miou: float, classes: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    """One access's figures, the last class absent from the test split."""
    iou = {name: float(rng.uniform(0, 1)) for name in classes}
    iou[classes[-1]] = None  # type: ignore[assignment]
    return {
        "miou": miou,
        "iou": iou,
        "per_image_mean": miou - 0.01,
        "refused": 0.75,
        "confusion": None,
    }


def make_evaluation(
    lock: str,
    steps: Sequence[str],
    *,
    classes: Sequence[str] = CLASSES,
    keys: int = 20,
    pictures: int = 2,
    ranked: bool = False,
    dataset: str = "synthetic",
    seed: int = 0,
) -> dict[str, Any]:
    """evaluation.json of one lock as plain values; ``ranked``: with what newer versions keep."""
    rng = np.random.default_rng([seed, sum(map(ord, lock))])
    methods = [step.split("-")[0] for step in steps]
    block = int(steps[0].split("-")[1]) if steps else None
    owner = float(rng.uniform(0.5, 0.7)) / (1 + 0.1 * (block or 0) ** 0.5)
    incorrect = rng.uniform(0.09, 0.14, keys)
    floors = {"constant": 0.1031, "prior": 0.1102, "floor": 0.1102}
    plain = owner if not steps else float(rng.uniform(0.1, 0.25))
    scores: dict[str, Any] = {
        "floors": floors,
        "correct": None,
        "plain": score(plain, classes, rng),
        "plain_bn": None,
        "incorrect": None,
        "owner_miou": owner,
        "unauthorised": None,
        "regained": None,
        "refused": None,
        "pictures": [
            {"id": f"{rank or 'picture'}-{i}", "rank": rank, "correct": None, "plain": plain}
            | {"incorrect": None}
            for rank, count in [(None, pictures), *((r, 2 * ranked) for r in ("worst", "best"))]
            for i in range(count)
        ],
    }
    if steps:
        p95 = float(np.percentile(incorrect, 95))
        scores |= {
            "correct": score(owner, classes, rng),
            "plain_bn": score(plain + 0.02, classes, rng),
            "incorrect": {
                "keys": keys,
                "all_plans": False,
                "mean": float(incorrect.mean()),
                "std": float(incorrect.std()),
                "p95": p95,
                "max": float(incorrect.max()),
                "min": float(incorrect.min()),
                "refused": 0.25,
                "miou": [float(value) for value in incorrect],
            },
            "unauthorised": max(plain + 0.02, p95),
            "regained": (max(plain + 0.02, p95) - 0.1102) / (owner - 0.1102),
            "refused": 0.25,
        }
    if ranked:
        for access in filter(None, (scores["correct"], scores["plain"])):
            counts = rng.integers(0, 200, (len(classes), len(classes)))
            access["confusion"] = (counts + 900 * np.eye(len(classes), dtype=int)).tolist()
    if steps:
        for entry in scores["pictures"]:
            entry |= {"correct": owner, "incorrect": 0.0912}
    return {
        "lock": lock,
        "method": "+".join(methods) or "baseline",
        "steps": list(steps),
        "block_size": block,
        "key": "main" if steps else None,
        "key_id": "0123456789abcdef" if steps else None,
        "ffx_password": "from_key",
        "ffx_divisor": None,
        "refuse": None,
        "key_space_bits": (9.85 if steps == ["np-2"] else 45.0 if methods == ["np"] else 203.0)
        if steps
        else None,
        "run_id": f"{rng.integers(1 << 62):032x}",
        "dataset": dataset,
        "dataset_digest": "d" * 64,
        "classes": list(classes),
        "image_side": SIDE,
        "model": "fcn_small",
        "seed": seed,
        "scores": scores,
    }


def draw_scene(rng: np.random.Generator, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture (3, S, S) of one square and one disc on a ramp, and its mask (S, S)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.stack([x * 4 + 60, y * 4 + 60, (x + y) * 2 + 60]).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for index in (1, 2 % classes):
        cy, cx = rng.integers(8, SIDE - 8, 2)
        inside = (
            (np.abs(y - cy) < 6) & (np.abs(x - cx) < 6)
            if index == 2
            else (y - cy) ** 2 + (x - cx) ** 2 < 40
        )
        image[:, inside] = rng.integers(0, 256, (3, 1), dtype=np.uint8)
        mask[inside] = index
    mask[0] = 255
    return image, mask


def write_lock(root: Path, evaluation: dict[str, Any]) -> None:
    """The files of stages train and evaluate for one lock."""
    rng = np.random.default_rng(len(evaluation["lock"]))
    count, classes = len(evaluation["scores"]["pictures"]), len(evaluation["classes"])
    folder = root / "data" / "evaluations" / evaluation["lock"]
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    scenes = np.random.default_rng(7)
    drawn = [draw_scene(scenes, classes) for _ in range(count)]
    noise = rng.integers(0, classes, (count, SIDE, SIDE), dtype=np.uint8)
    images = np.array([i for i, _ in drawn], dtype=np.uint8).reshape(count, 3, SIDE, SIDE)
    target = np.array([m for _, m in drawn], dtype=np.uint8).reshape(count, SIDE, SIDE)
    guess = np.where(target == 255, 0, target).astype(np.uint8)
    arrays = {
        "ids": np.array([entry["id"] for entry in evaluation["scores"]["pictures"]], dtype=str),
        "images": images,
        "target": target,
        "plain": noise if evaluation["steps"] else guess,
    }
    if evaluation["steps"]:
        arrays |= {"correct": guess, "incorrect": noise[:, ::-1]}
    np.savez(folder / "pictures.npz", **arrays)
    model = root / "data" / "models" / evaluation["lock"]
    model.mkdir(parents=True)
    training = {
        "lock": evaluation["lock"],
        "run_id": evaluation["run_id"],
        "best_epoch": 11,
        "epochs": 12,
        "val_loss": 0.52,
        "val_miou": 0.61,
        "seconds": 14.2,
        "device": "cpu",
        "parameters": 60_000,
        "weights_sha256": "e" * 64,
        "key_id": evaluation["key_id"],
        "resumed_from": None,
    }
    (model / "training.json").write_text(json.dumps(training), encoding="utf-8")
    lines = ["epoch,lr,train_loss,val_loss,val_miou"]
    for epoch in range(1, 13):
        fall = float(np.exp(-epoch / 4))
        lines.append(
            f"{epoch},{0.2 * fall},{1.6 * fall + 0.2},{1.7 * fall + 0.4},{0.7 - 0.6 * fall}"
        )
    (model / "history.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_project(root: Path, locks: Locks, **options: Any) -> Path:
    """A project folder with params.yaml and every lock's result files."""
    lines = ["data: {image_side: %d}" % SIDE, "locks:"]  # noqa: UP031 - braces are YAML's here
    lines += [f"  {name}: {{steps: [{', '.join(steps)}]}}" for name, steps in locks.items()]
    (root / "params.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, steps in locks.items():
        write_lock(root, make_evaluation(name, steps, **options))
    return root


@pytest.fixture(name="make_evaluation")
def make_evaluation_fixture() -> Callable[..., dict[str, Any]]:
    """The maker of evaluation.json values."""
    return make_evaluation


@pytest.fixture(autouse=True)
def _no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `without_runs`."""
    without_runs(monkeypatch)


def without_runs(patch: pytest.MonkeyPatch) -> None:
    """The runs on record in a checkout that was worked in are not these reports'."""
    patch.setattr("seglock.stages.tell_report.project_root", lambda: Path(os.devnull))


def sketch(patch: pytest.MonkeyPatch) -> None:
    """Figures are files with nothing in them: for tests of what a report says, since matplotlib
    takes nearly all of its time."""
    from PIL import Image

    from seglock.report.illustrations import Illustration

    def draw(folder: Path, name: str, alt: str, _drawing: Any) -> Illustration:
        path = folder / f"{name}.png"
        Image.new("RGB", (8, 8)).save(path)
        return Illustration(alt, 8, path, None)

    patch.setattr("seglock.report.illustrations._draw", draw)


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `sketch`."""
    sketch(monkeypatch)


def write_sketch(root: Path) -> Path:
    """The same for what several tests read: the report of ``root``, which comes back."""
    from seglock.stages.report import write_report

    with pytest.MonkeyPatch.context() as patch:
        without_runs(patch)
        sketch(patch)
        write_report(root)
    return root


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered demo project of four locks, its figures sketched; tests only read it."""
    return write_sketch(write_project(tmp_path_factory.mktemp("demo"), DEMO))


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project with the given locks into a fresh folder."""

    def make(locks: Locks | None = None, **options: Any) -> Path:
        return write_project(tmp_path, DEMO if locks is None else locks, **options)

    return make
