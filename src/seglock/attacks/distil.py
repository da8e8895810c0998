"""T3, `distil`: a student trained on what the server answers to images that the client encrypts.

No key protects from it: whoever is served can ask. What counts is how many answers it takes. An
answer is the class of each pixel; the student takes plain images. Nothing here reads the plan, for
which one answer of the client is enough (`chosen-plaintext`).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.attacks.budget import Meter
from seglock.attacks.descent import descend, seen_inputs
from seglock.attacks.protocol import Attack, Candidate, Facts, Finding, Material, needs_steps
from seglock.attacks.tuning import BATCH, without_theft
from seglock.data.augment import augment, draw_augmentation
from seglock.evaluation.batches import slices
from seglock.evaluation.predict import classes_of
from seglock.transforms import identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COUNTS, _FEWER = 3, 4
_STEPS, _STEPS_AN_ANSWER = 600, 2
_LR = 0.008


def run(material: Material, meter: Meter, seed: int) -> Finding:
    """A student for each number of answers: all of the budget's, a quarter of them, a sixteenth.

    Each is trained for as many steps. The last line is a network without the theft on all the
    answers: what they give alone.
    """
    most = meter.left or 1
    images = asked(material.photos, most, seed)
    answers = answered(material, images)
    meter.spend(most)
    counts = sorted({max(1, most // _FEWER**power) for power in range(_COUNTS)})
    steps = min(_STEPS, _STEPS_AN_ANSWER * most)
    plain = torch.from_numpy(images).to(material.device)
    candidates: list[Candidate] = []
    for source, count in [*(("theft", count) for count in counts), ("scratch", most)]:
        torch.manual_seed(seed)  # whatever was drawn before
        scratch = source == "scratch"
        student = without_theft(material) if scratch else copy.deepcopy(material.network)
        own = meter.part(len(counts) + 1 - len(candidates), steps)
        taught(student, plain[:count], answers[:count], material.facts, own, seed)
        candidates.append(Candidate(network=student, about={"from": source, "answers": count}))
    return Finding(tuple(candidates), len(candidates) - 2, beside=len(candidates) - 1)


def asked(photos: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.uint8]:
    """So many different images (count, 3, S, S) uint8: the photos in any order, then crops."""
    order = np.random.default_rng([seed, 0]).permutation(len(photos))
    turns = -(-count // len(photos))
    plain = torch.from_numpy(photos[order])
    rounds = [plain]
    for turn in range(1, turns):
        draws = draw_augmentation(len(plain), seed=seed, epoch=turn, step=0)
        rounds.append(augment(plain, plain[:, 0], draws)[0])
    return torch.cat(rounds)[:count].numpy()


@torch.no_grad()
def answered(material: Material, images: NDArray[np.uint8]) -> Tensor:
    """The class of each pixel, (N, S, S) uint8, that the owner gets for plain images."""
    assert material.oracle is not None
    network, answers = material.network.eval(), list[Tensor]()
    seen = material.oracle(images)
    inputs = seen_inputs(seen, material.facts, material.device)
    for rows in slices(len(images), material.batch_size):
        answers.append(classes_of(network(inputs[rows])["out"]))
    return torch.cat(answers)


def taught(
    student: nn.Module, images: Tensor, answers: Tensor, facts: Facts, meter: Meter, seed: int
) -> None:
    """Train a student on images (N, 3, S, S) uint8 and answers (N, S, S) uint8, cropped alike."""
    rng, plain = np.random.default_rng([seed, 1]), identity(facts.normalisation)

    def loss(step: int) -> Tensor:
        student.train()
        chosen = rng.choice(len(images), BATCH, replace=len(images) < BATCH)
        rows = torch.from_numpy(chosen).to(images.device)
        draws = draw_augmentation(BATCH, seed=seed, epoch=0, step=step)
        some, target = augment(images[rows], answers[rows], draws)
        return F.cross_entropy(student(plain.to_input(some))["out"], target.long())

    descend(student, student.parameters(), loss, meter, lr=_LR)
    student.eval()


def why_not(facts: Facts) -> str | None:
    """Locks with a part inside, where the stolen network alone answers nothing worth to learn."""
    inside = "the stolen network answers encrypted images without the key of its feature maps"
    return needs_steps(facts) or (inside if facts.features else None)


ATTACK = Attack("distil", "T3", "images", run, why_not)
