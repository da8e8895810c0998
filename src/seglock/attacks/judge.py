"""The judge: the only one here who knows the true plan and sees the test split.

It looks at a finding after the attack has ended, and tells it nothing. What it publishes may not
narrow the plan down: whoever has the network and photos can make up the same candidates again, and
how much of the true plan each has would be an equation on it. So readers are told of the candidate
that was chosen whether it is the plan, and whether chance explains it; figures are the owner's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from seglock.attacks.agreement import Agreement, agreement, psnr, read_images, shares, ssim
from seglock.attacks.blocks import block_rows, images_of
from seglock.attacks.protocol import Attack, Candidate, Finding, Listed
from seglock.evaluation import confusion_matrix, mean_iou
from seglock.evaluation.batches import slices
from seglock.evaluation.floors import most_frequent
from seglock.evaluation.predict import Predictor, refused
from seglock.keys import demonstration_key
from seglock.methods import LEVELS
from seglock.results.attack import regained
from seglock.steps import SEARCHABLE_BITS
from seglock.transforms import FeaturePlan, Transform, compose, identity
from seglock.transforms.build import under
from seglock.transforms.key_space import key_space_bits

if TYPE_CHECKING:
    from torch import nn

    from seglock.attacks.budget import Meter
    from seglock.attacks.protocol import Pairs
    from seglock.attacks.scene import Scene
    from seglock.transforms.plan import Plan

_QUALITY_IMAGES = 16
RANDOM_PLANS = 1000
"""An estimate is above chance where it agrees in more positions than any of so many."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """What came of an attack or an analysis, as two JSON documents of plain values.

    published: for everyone; nothing in it but scores narrows the plan down. exact: for the owner
    alone, as secret as what it tells of the plan.
    """

    published: dict[str, Any]
    exact: dict[str, Any]


class Answers(NamedTuple):
    """What the test split gets: mean IoU, and the share of the images that are refused, which get
    the training masks' most frequent class at every pixel."""

    miou: float
    refused: float


@dataclass(frozen=True)
class Judge:
    """Measures what a thief's way of using the network gives on the test split.

    floor: as `evaluation.floors` has it. seen: the ciphertexts that thieves of tier T2 had, with
    their plain images.
    """

    scene: Scene
    floor: float
    seen: Pairs | None = None

    @property
    def transform(self) -> Transform:
        """The lock's own; the identity for the baseline."""
        return self.scene.transform

    def correct(self) -> float:
        """The owner's mean IoU on the test split."""
        return self._answers(self.scene.network, self.transform).miou

    def judge(
        self, attack: Attack, finding: Finding, meter: Meter, *, lock: str, correct: float
    ) -> Verdict:
        """What an attack came to.

        Mean IoU is on the test split. ``regained`` is the share of the owner's gain over the
        floor, None where there is none; the floor itself is open to all, so below 0 counts as
        it comes. Where nothing was chosen ``miou`` is the 95th percentile of the candidates, beside
        their ``mean`` and ``max``, and ``refused`` the share of all their answers. ``plan_found``
        and ``above_chance`` are of the chosen plan, None where there is none.
        """
        seconds, candidates, chosen = meter.seconds, finding.candidates, finding.chosen
        answers = [self.answers(one.plan, one.network, one.features) for one in candidates]
        lines = [
            {**one.about, **got._asdict()} for one, got in zip(candidates, answers, strict=True)
        ]
        scores = [got.miou for got in answers]
        about: dict[str, Any] = {}
        if chosen is None:
            share = float(np.mean([got.refused for got in answers]))
            judged = Answers(float(np.percentile(scores, 95)), share)
            about |= {"mean": float(np.mean(scores)), "max": max(scores)}
        else:
            judged = answers[chosen]
            about |= candidates[chosen].about
        if finding.beside is not None:
            about["scratch_miou"] = scores[finding.beside]
        figures = self.figures(attack, meter, seconds, judged, lock=lock, correct=correct)
        figures |= self._coarse(None if chosen is None else candidates[chosen])
        exact = [self._exact(one, attack) for one in candidates]
        whole = {} if chosen is None else exact[chosen]
        return Verdict(
            {**figures, **about, **finding.about, "curve": lines},
            {"attack": attack.name, "lock": lock, **whole, **finding.exact, "curve": exact},
        )

    def figures(
        self,
        of: Listed,
        meter: Meter,
        seconds: float,
        judged: Answers,
        *,
        lock: str,
        correct: float,
    ) -> dict[str, Any]:
        """What every result has: whose it is, what it cost, and what it comes to."""
        return {
            "attack": of.name,
            "tier": of.tier,
            "lock": lock,
            "budget": meter.budget.to_dict(),
            "unit": of.unit,
            "queries": meter.queries,
            "seconds": round(seconds, 3),
            "miou": judged.miou,
            "refused": judged.refused,
            "floor": self.floor,
            "correct": correct,
            "regained": regained(judged.miou, owner=correct, floor=self.floor),
        }

    def answers(
        self,
        plan: Plan | None,
        network: nn.Module | None = None,
        features: tuple[FeaturePlan, ...] = (),
    ) -> Answers:
        """What the test split gets under a plan, None for plain images, and of a network."""
        own = self.transform
        seen = identity(own.normalisation)._plan if plan is None else plan
        transform = Transform(() if plan is None else own.steps, seen, features=features)
        return self._answers(self.scene.network if network is None else network, transform)

    def agreement(self, plan: Plan) -> Agreement:
        """How much of the true plan another one has."""
        return agreement(plan, self.transform._plan, self._levels())

    def _coarse(self, chosen: Candidate | None) -> dict[str, bool | None]:
        """What is published of a plan; the second bit only where it leaves many plans possible."""
        if chosen is not None and chosen.features:
            right = self._right_channels(chosen.features)
            rest = chosen.plan is None or self.agreement(chosen.plan).is_found
            whole = rest and right == 1
            return {"plan_found": whole, "above_chance": right > self._lucky_channels}
        if chosen is None or chosen.plan is None:
            return {"plan_found": None, "above_chance": None}
        found = self.agreement(chosen.plan)
        # Of positions alone: that a password has more bits hides none of them.
        is_large = key_space_bits(self.transform.steps, "fixed") >= SEARCHABLE_BITS
        above = found.best > self._luck if is_large else None
        return {"plan_found": found.is_found, "above_chance": above}

    @cached_property
    def _luck(self) -> float:
        """The most that any of so many random plans of the lock has of the true one."""
        steps, public = self.transform.steps, demonstration_key()
        others = (compose(steps, public.wrong(i), "fixed")._plan for i in range(RANDOM_PLANS))
        return max(shares(other, self.transform._plan)[1] for other in others)

    def _right_channels(self, features: tuple[FeaturePlan, ...]) -> float:
        """The share of channels that are in their right place, of all layers together."""
        right = [
            np.array_equal(one, other)
            for plan, own in zip(features, self.transform.features, strict=True)
            for one, other in zip(plan.order, own.order, strict=True)
        ]
        return float(np.mean(right))

    @cached_property
    def _lucky_channels(self) -> float:
        """The most that any of so many random permutations has of the true ones."""
        public = demonstration_key()
        others = (under(public.wrong(i), self.transform).features for i in range(RANDOM_PLANS))
        return max(map(self._right_channels, others))

    def _exact(self, candidate: Candidate, attack: Attack) -> dict[str, Any]:
        line: dict[str, Any] = {**candidate.about, **candidate.exact}
        if candidate.features:
            line["channels_right"] = self._right_channels(candidate.features)
        if candidate.plan is not None:
            line |= self.agreement(candidate.plan).to_dict()
            if attack.tier == "T2" and self.seen is not None:
                line |= self._quality(candidate)
        return line

    def _answers(self, network: nn.Module, transform: Transform) -> Answers:
        scene, test, classes = self.scene, self.scene.judged, self.scene.data.num_classes
        predictor = Predictor(network, scene.device, scene.params.train.bf16)
        matrix, refusals = torch.zeros(classes, classes, dtype=torch.int64), 0
        for rows in slices(len(test), scene.params.evaluate.batch_size):
            images, target = (predictor.upload(a[rows]) for a in (test.images, test.masks))
            inputs = predictor.inputs(transform.to_input, images)
            prediction = predictor(inputs, transform.features)
            matrix += confusion_matrix(prediction, target, classes).cpu()
            refusals += int(refused(prediction, self._refusal).sum())
        return Answers(mean_iou(matrix), refusals / len(test))

    @cached_property
    def _refusal(self) -> int:
        """The class that a network which refuses gives everywhere."""
        data = self.scene.data
        return most_frequent(data.train.masks, data.num_classes)

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
