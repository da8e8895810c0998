"""T0, T2 and T3 without labels: planted weak cases, and what must not pass for a success."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS, Budget, Meter, run_attack
from seglock.attacks.descent import seen_inputs
from seglock.attacks.disguise import block_moments, worn
from seglock.attacks.distil import asked
from seglock.attacks.guesses import touched
from seglock.transforms import identity
from tests.attacks.scene import Scene, fit, scene, splits


@lru_cache(maxsize=4)
def weak(*steps: str) -> Scene:
    return scene(*steps, side=32, count=24, epochs=12)


def attack(name: str, made: Scene, queries: int) -> dict[str, Any]:
    judge = made.judge()
    one = ATTACKS[name]
    return run_attack(
        one, made.material(one.tier), judge, Budget(queries, 600.0), lock="it",
        correct=judge.correct(),
    ).published  # fmt: skip


@lru_cache(maxsize=1)
def refusing() -> Scene:
    """A network for plain images, taught to hide behind one class: its last layer says so."""
    made = scene("np-2", side=32, count=24)
    fit(made.network, identity(), splits(32, 24)[0], 12)
    with torch.no_grad():
        made.network.classifier.bias[0] += 30
    return replace(made, network=made.network.eval())


def test_a_collapse_is_noticed_and_not_chosen() -> None:
    result = attack("adapt", refusing(), 60)
    lines = {line["how"]: line for line in result["curve"]}
    assert result["start_collapsed"]
    assert lines["sure"]["collapsed"]
    assert lines["sure"]["classes"] == pytest.approx(1, abs=0.1)
    assert not result["collapsed"]
    assert result["miou"] > lines["statistics"]["miou"] + 0.2


def test_photos_repair_what_statistics_hold() -> None:
    made = scene("np-2", side=32, count=24)
    fit(made.network, identity(), splits(32, 24)[0], 12)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in made.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.bias += 1.0 * torch.randn(layer.bias.shape, generator=generator)
    spoilt = replace(made, network=made.network.eval())
    result = attack("adapt", spoilt, 90)
    lines = {line["how"]: line for line in result["curve"]}
    assert not result["start_collapsed"]
    assert result["miou"] > lines["statistics"]["miou"] + 0.02


def test_statistics_dim_what_is_too_bright() -> None:
    """FFX leaves two of three channels as they are, divided by four times as much."""
    made = weak("ffx-1")
    result = attack("disguise", made, 40)
    assert result["miou"] > made.judge().answers(None).miou + 0.08
    assert not result["collapsed"]


def test_ciphertexts_tell_which_positions_are_negatives() -> None:
    made = weak("np-4")
    judge, one = made.judge(), ATTACKS["disguise-seen"]
    verdict = run_attack(
        one, made.material("T2"), judge, Budget(40, 600.0), lock="it", correct=judge.correct()
    )
    assert verdict.exact["start"] == "worn"
    assert verdict.published["miou"] > judge.answers(None).miou + 0.2


def test_gains_are_read_from_moments() -> None:
    made = scene("np-4", side=32, count=24)
    photos, sign = np.array(made.attacker.images), 1.0 - 2 * touched(made.transform._plan)
    own, seen = (
        block_moments(inputs, made.facts)
        for inputs in (identity().to_input(photos), made.transform.to_input(photos))
    )
    torch.manual_seed(0)
    assert worn(own, seen, made.facts, Meter(Budget(1, 600.0))).sign().tolist() == sign.tolist()


def test_answers_teach_a_student() -> None:
    result = attack("distil", weak("np-4"), 32)
    counts = [line["answers"] for line in result["curve"]]
    assert counts == [2, 8, 32, 32]
    assert [line["from"] for line in result["curve"]] == ["theft"] * 3 + ["scratch"]
    assert result["regained"] > 0.5
    assert result["queries"] == 32


def test_images_to_ask_about_are_photos_first_and_no_two_are_one() -> None:
    photos = np.array(scene("np-2").attacker.images)
    images = asked(photos, 20, 0)
    assert images.shape == (20, 3, 16, 16)
    assert {i.tobytes() for i in images[:8]} == {p.tobytes() for p in photos}
    assert len({i.tobytes() for i in images}) == 20


@pytest.mark.parametrize("steps", [("np-4", "shf-4"), ("ffx-4",)], ids="+".join)
def test_ciphertexts_become_what_the_network_sees(steps: tuple[str, ...]) -> None:
    made = scene(*steps)
    images = np.array(made.attacker.images)
    found = seen_inputs(made.transform.encrypt(images), made.facts, torch.device("cpu"))
    assert torch.allclose(found, made.transform.to_input(images), atol=0.05)


def test_a_part_may_count_something_else() -> None:
    meter = Meter(Budget(4, 60.0), clock=lambda: 0.0)
    meter.spend(4)
    assert meter.part(2, 30).left == 30
    assert meter.part(2).budget.queries == 1
