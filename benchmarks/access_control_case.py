"""One number of wrong keys over one split: ours, the limit and the loop, as JSON on the last line.

python -m benchmarks.access_control_case JSON     # as benchmarks.access_control calls it
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.access_control_loop import judge_key, open_loader, write_images
from benchmarks.clock import timed
from seglock.config import EvaluateParams, LockParams, ModelParams, Params, TrainParams
from seglock.data import PreparedData, Split
from seglock.evaluation import judge_lock
from seglock.evaluation.predict import Predictor
from seglock.keys import demonstration_key
from seglock.models import build_model, pick_device
from seglock.transforms import compose, identity, incorrect_transforms

LOOP_KEYS = 2
TOLERANCE = {"cpu": 1e-4, "cuda": 2e-2}  # rounding of inputs; on CUDA bfloat16 beside float32


def measure(given: dict[str, Any]) -> dict[str, float]:
    """Seconds of the evaluation, of as many forward passes, and of the loop for one key.

    ``memory``: bytes that the evaluation added to the process at its peak, or on CUDA the peak
    of what tensors took. ``seconds_a_pass``: of one reading of the split, which is what a wrong
    key costs; the fixed passes (plain, plain with new statistics, correct) are passes too.
    """
    device, test = pick_device(), make_split(given)
    model = make_model(given)
    steps, key = [f"shf-{given['block']}"], demonstration_key()
    unlabelled = test.images[: given["batch"]]
    classes = tuple(str(index) for index in range(given["classes"]))
    data = PreparedData(Path(), "random", classes, test.images.shape[-1], "", test, test, test)
    params = Params(
        locks={"baseline": LockParams(steps=[])},
        train=TrainParams(device=str(device)),
        evaluate=EvaluateParams(batch_size=given["batch"]),
    )

    def ours(keys: int = given["keys"]) -> list[float]:
        result = judge_lock(
            model,
            data,
            params,
            test=test,
            unlabelled=unlabelled,
            transform=compose(steps, key),
            wrong=incorrect_transforms(steps, key, keys),
        )
        assert result.scores.incorrect is not None
        return list(result.scores.incorrect.miou)

    ours(2)  # threads, caches and kernels are ready from here on
    miou: list[float] = []
    memory = peak(lambda: miou.extend(ours()), device)
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), test.images, test.masks)
        loader = open_loader(
            Path(folder), given["batch"], workers=8 if device.type == "cuda" else 2
        )

        def loop(number: int) -> float:
            return judge_key(
                model, loader, key.wrong(number), given["block"], given["classes"], device
            )

        for number in range(LOOP_KEYS):
            theirs = loop(number)
            if abs(theirs - miou[number]) > TOLERANCE[device.type]:
                raise SystemExit(
                    f"mean IoU {miou[number]} and the loop's {theirs}: nothing to time"
                )
        loop_seconds = min(timed(lambda n=n: loop(n)) for n in range(LOOP_KEYS))
    forward = make_forward(model, test, given["batch"], device)
    passes = given["keys"] + 3 + len(unlabelled) / len(test)
    best_ours = best_limit = float("inf")
    for _ in range(given["repeats"]):  # in turn, since a machine's speed may change
        best_ours = min(best_ours, timed(ours))
        best_limit = min(best_limit, timed(lambda: forward(round(passes))) / round(passes))
    return {
        "seconds": best_ours,
        "seconds_a_pass": best_ours / passes,
        "limit": best_limit * passes,
        "loop": loop_seconds,
        "memory": memory,
    }


def make_split(given: dict[str, Any]) -> Split:
    """Smooth surfaces with grain, and masks of large pieces with some void."""
    rng, count, side = np.random.default_rng(0), given["images"], given["side"]
    coarse = rng.integers(0, 240, (count, 3, side // 8, side // 8), dtype=np.uint8)
    images = coarse.repeat(8, axis=2).repeat(8, axis=3)
    images += rng.integers(0, 16, images.shape, dtype=np.uint8)
    labels = np.array([*range(given["classes"]), 255], np.uint8)
    masks = rng.choice(labels, (count, side // 8, side // 8)).repeat(8, axis=1).repeat(8, axis=2)
    return Split("test", tuple(map(str, range(count))), images, masks)


def make_model(given: dict[str, Any]) -> nn.Module:
    """A network with fresh weights and the statistics of such images, so that answers vary."""
    torch.manual_seed(0)
    params = ModelParams(name=given["network"], width=given["width"])
    model = build_model(params, given["classes"]).train()
    inputs = identity().to_input(torch.from_numpy(make_split(given | {"images": 4}).images))
    with torch.no_grad():
        model(inputs)
    return model.eval()


def make_forward(
    model: nn.Module, test: Split, batch: int, device: torch.device
) -> Callable[[int], None]:
    """So many forward passes over the split and nothing else, in the faster of two ways."""
    owner = Predictor(model, device)
    batches = [
        owner.inputs(identity().to_input, owner.upload(test.images[start : start + batch]))
        for start in range(0, len(test), batch)
    ]
    pieces = [piece for inputs in batches for piece in owner._pieces(inputs)]

    def run(inputs: list[Tensor], passes: int) -> None:
        with torch.inference_mode(), owner.autocast():
            for given in inputs * passes:
                owner.model(given)["out"]

    times = [min(timed(lambda g=g: run(g, 1)) for _ in range(3)) for g in (batches, pieces)]
    chosen = batches if times[0] < times[1] else pieces
    return lambda passes: run(chosen, passes)


def peak(work: Callable[[], object], device: torch.device) -> float:
    """Bytes at the peak of ``work``: tensors on CUDA, growth of the process (Linux) on the CPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return float(torch.cuda.max_memory_allocated(device))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is now what is
    before = dict(_memory())["VmRSS"]
    work()
    return float(max(4096, dict(_memory())["VmHWM"] - before))  # a page at least


def _memory() -> Iterator[tuple[str, int]]:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if value.endswith("kB"):
            yield name, int(value.removesuffix("kB")) * 1024


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
