"""The judge: the only one here who knows the true plan and sees the test split.

It looks at a finding after the attack has ended, and tells it nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seglock.attacks.agreement import agreement, read_images
from seglock.attacks.blocks import block_rows, images_of
from seglock.attacks.protocol import Attack, Candidate, Finding
from seglock.attacks.quality import psnr, ssim
from seglock.evaluation import confusion_matrix, mean_iou
from seglock.evaluation.predict import Predictor
from seglock.transforms import Transform, identity
from seglock.transforms.plan import LEVELS

if TYPE_CHECKING:
    from torch import nn

    from seglock.attacks.analysis import Analysis
    from seglock.attacks.meter import Meter
    from seglock.attacks.protocol import Pairs
    from seglock.data import Split
    from seglock.transforms.plan import Plan

_QUALITY_IMAGES = 16


@dataclass(frozen=True)
class Judge:
    """Measures what a thief's way of using the network gives on the test split.

    transform: the lock's own; the identity for the baseline. floor: as `evaluation.floors` has
    it. seen: the ciphertexts that thieves of tier T2 had, with their plain images.
    """

    network: nn.Module
    transform: Transform
    test: Split
    num_classes: int
    floor: float
    device: torch.device
    batch_size: int = 64
    bf16: bool | None = None
    seen: Pairs | None = None

    def correct(self) -> float:
        """The owner's mean IoU on the test split."""
        return self._miou(self.network, self.transform)

    def judge(
        self, attack: Attack, finding: Finding, meter: Meter, *, lock: str, correct: float
    ) -> dict[str, Any]:
        """The result of an attack, as its JSON: plain values, nothing of any plan.

        Mean IoU is on the test split. ``regained`` is the share of the owner's gain over the
        floor, None where there is none; the floor itself is open to all, so below 0 counts as
        it comes. Where nothing was chosen ``miou`` is the 95th percentile of the candidates, beside
        their ``mean`` and ``max``.
        """
        seconds = meter.seconds
        lines = [self._line(candidate, attack) for candidate in finding.candidates]
        scores = [line["miou"] for line in lines]
        chosen = finding.chosen
        miou = float(np.percentile(scores, 95)) if chosen is None else scores[chosen]
        about: dict[str, Any] = {"plan_agreement": None}
        if chosen is not None:
            about |= {name: value for name, value in lines[chosen].items() if name != "miou"}
        else:
            about |= {"mean": float(np.mean(scores)), "max": max(scores)}
        if finding.beside is not None:
            about["scratch_miou"] = scores[finding.beside]
        figures = self.figures(attack, meter, seconds, miou, lock=lock, correct=correct)
        return {**figures, **about, **finding.about, "curve": lines}

    def figures(
        self,
        of: Attack | Analysis,
        meter: Meter,
        seconds: float,
        miou: float,
        *,
        lock: str,
        correct: float,
    ) -> dict[str, Any]:
        """What every result has: whose it is, what it cost, and what it comes to."""
        gain = correct - self.floor
        return {
            "attack": of.name,
            "tier": of.tier,
            "lock": lock,
            "budget": meter.budget.to_dict(),
            "unit": of.unit,
            "queries": meter.queries,
            "seconds": round(seconds, 3),
            "miou": miou,
            "floor": self.floor,
            "correct": correct,
            "regained": (miou - self.floor) / gain if gain > 0 else None,
        }

    def measure(self, plan: Plan, network: nn.Module | None = None) -> dict[str, Any]:
        """Mean IoU on the test split under another plan, and how much of the true one it has.

        network: another than the stolen one.
        """
        transform = Transform(self.transform.steps, plan)
        found = agreement(plan, self.transform._plan, self._levels())
        negates = any(step.method == "np" for step in self.transform.steps)
        miou = self._miou(self.network if network is None else network, transform)
        return {"miou": miou} | found.to_dict(up_to_complement=negates)

    def _line(self, candidate: Candidate, attack: Attack) -> dict[str, Any]:
        line: dict[str, Any] = dict(candidate.about)
        if candidate.plan is None:
            network = self.network if candidate.network is None else candidate.network
            return {"miou": self._miou(network, identity())} | line
        line |= self.measure(candidate.plan, candidate.network)
        if attack.tier == "T2" and self.seen is not None:
            line |= self._quality(candidate)
        return line

    def _miou(self, network: nn.Module, transform: Transform) -> float:
        predictor = Predictor(network, self.device, self.bf16)
        matrix = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)
        for start in range(0, len(self.test), self.batch_size):
            rows = slice(start, start + self.batch_size)
            inputs = predictor.inputs(transform.to_input, predictor.upload(self.test.images[rows]))
            target = predictor.upload(self.test.masks[rows])
            matrix += confusion_matrix(predictor(inputs), target, self.num_classes).cpu()
        return mean_iou(matrix)

    def _levels(self) -> np.ndarray:
        if self.seen is None:
            return np.ones(LEVELS)
        return np.bincount(self.seen.plain.reshape(-1), minlength=LEVELS)

    def _quality(self, candidate: Candidate) -> dict[str, float]:
        """PSNR and SSIM of the thief's ciphertexts, decrypted with the estimate."""
        assert self.seen is not None
        assert candidate.plan is not None
        plain = self.seen.plain[:_QUALITY_IMAGES]
        rows = block_rows(self.seen.encrypted[:_QUALITY_IMAGES], candidate.plan.block_size)
        read = read_images(candidate.plan, rows)
        images = images_of(read, candidate.plan.block_size, *plain.shape[-2:])
        return {"psnr": psnr(images, plain), "ssim": ssim(images, plain)}
