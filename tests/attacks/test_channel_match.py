"""`channel-match` breaks a permutation alone, and says where it has nothing to go by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from seglock.attacks import ATTACKS, Attack, Budget, Meter, run_attack
from seglock.attacks.channel_gradient import Presented
from seglock.attacks.channel_match import Reader, match, norms_behind, readers_of
from seglock.attacks.run import check_applies
from seglock.attacks.unsupervised import search
from seglock.errors import AttackError
from seglock.evaluation import reestimate_batch_norm
from seglock.keys import SecretKey
from seglock.models import layers_of
from tests.attacks.scene import KEY, OTHER, Scene, scene

ATTACK: Attack = ATTACKS["channel-match"]


def settled(*steps: str, key: SecretKey = KEY) -> Scene:
    """A trained network whose batch norm remembers exactly what the thief's photos give."""
    made = scene(*steps, side=32, count=24, epochs=12, key=key)
    inputs = made.transform.to_input(torch.tensor(made.attacker.images))
    network = reestimate_batch_norm(made.network, [inputs], made.transform.features)
    return replace(made, network=network)


def result(made: Scene, queries: int = 200, attack: str = "channel-match") -> dict[str, Any]:
    judge, one = made.judge(), ATTACKS[attack]
    return run_attack(
        one, made.material(one.tier), judge, Budget(queries, 600.0), lock="it",
        correct=judge.correct(),
    ).published  # fmt: skip


def test_a_permutation_alone_is_regained_from_statistics() -> None:
    made = settled("chp-block1", key=OTHER)
    found = result(made)
    assert found["regained"] > 0.8
    assert found["miou"] > made.judge().answers(None).miou + 0.2


def test_norms_in_front_of_the_map_tell_one_secret_without_the_other() -> None:
    made = settled("np-2", "chp-block2", key=OTHER)
    plan = search(made.material("T0"), Meter(Budget(400, 600.0)), 0).plan
    assert plan.equals(made.transform._plan)
    found = result(made, queries=800)
    assert found["regained"] > 0.6


def test_a_plan_read_from_ciphertexts_leaves_one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settled("np-2", "chp-block2", key=OTHER)
    right = made.transform._plan
    monkeypatch.setattr("seglock.attacks.channel_match.read_plan", lambda *given: (right, {}))
    found = result(made, attack="channel-match-seen")
    assert found["regained"] > 0.6
    assert found["miou"] > made.judge().answers(right).miou + 0.1


def test_a_plan_that_pairs_tell_leaves_one_secret() -> None:
    made = settled("np-2", "chp-block2", key=OTHER)
    found = result(made, attack="channel-match-known")
    assert found["regained"] > 0.6
    assert found["miou"] > made.judge().answers(made.transform._plan).miou + 0.1


def test_what_the_next_norm_remembers_gives_the_exact_order() -> None:
    made = settled("chp-block2")
    readers, channels = readers_of(Presented(made.material("T0")), "block2", [])
    found = match(readers, channels, Meter(Budget(3000, 600.0)), 3000, 0)
    assert found.tolist() == made.transform.features[0].order.tolist()


def test_what_the_next_norm_remembers_would_tell_the_sign_of_each_channel() -> None:
    # Under signs as well training would come to the same weights, those of a negated channel
    # negated, and so would the means that solve these equations. A ReLU has left all positive.
    made = settled("chp-block1", key=OTHER)
    (behind,), channels = readers_of(Presented(made.material("T0")), "block1", [])
    weight = behind.weight.sum(dim=2)  # each place of a patch has about the same mean
    square = weight.T @ weight
    ridge = 0.01 * square.diagonal().mean() * torch.eye(channels)
    means = torch.linalg.solve(square + ridge, weight.T @ behind.usual)
    assert (means > 0).all()


def reader(channels: int, seed: int, *, second: bool) -> tuple[Reader, np.ndarray]:
    """Statistics that a true order gives exactly."""
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.normal(size=(2 * channels, channels, 1)))
    rows = torch.from_numpy(rng.normal(rng.normal(size=channels), 1.0, (200, channels)))
    order = rng.permutation(channels)
    seen = rows[:, order] @ weight[:, :, 0].T
    moment = rows.T @ rows / len(rows) if second else None
    spread = seen.var(0, unbiased=False)
    return Reader(weight, seen.mean(0), spread, rows.mean(0), moment), order


@pytest.mark.parametrize("second", [True, False], ids=["variances", "means"])
def test_exact_statistics_give_the_exact_order(second: bool) -> None:
    given, order = reader(12, 0, second=second)
    meter = Meter(Budget(400, 600.0), clock=lambda: 0.0)
    assert match([given], 12, meter, 400, 0).tolist() == order.tolist()
    assert meter.queries <= 400


def test_exchanges_are_measured_as_if_they_were_made() -> None:
    given, _ = reader(6, 1, second=True)
    wide = Reader(
        torch.randn(5, 3, 2, dtype=torch.double), given.usual[:5], given.spread[:5],
        given.mean, given.second,
    )  # fmt: skip
    for one in range(3):
        values = wide.apart_exchanged(wide.weight, one)
        for other in range(3):
            order = list(range(3))
            order[one], order[other] = other, one
            assert values[other].item() == pytest.approx(wide.apart(wide.weight[:, order]).item())


def test_what_reads_a_layer_is_found() -> None:
    made = scene("chp-block2")
    material = made.material("T0")
    following = layers_of(material.network)["block3"]
    assert isinstance(following, nn.Sequential)
    assert norms_behind(Presented(material), "block2") == {following[0]: following[1]}
    assert norms_behind(Presented(material), "block5") == {}


def test_where_nothing_remembers_the_map_it_guesses() -> None:
    found = result(scene("chp-block5"), queries=4)
    assert found["queries"] == 1
    assert not found["plan_found"]


def test_two_layers_share_the_budget() -> None:
    made = scene("chp-block3", "chp-block1")
    found = result(made, queries=40)
    assert found["queries"] <= 40


def test_it_says_that_other_locks_are_none_of_its() -> None:
    for steps, why in ((("np-2",), "permutes no feature map"), ((), "has no lock")):
        with pytest.raises(AttackError, match=why):
            check_applies(ATTACK, scene(*steps).facts)
    facts = scene("chp-block2").facts
    for name in ("hill-climb", "random-keys", "ciphertext-only", "distil"):
        with pytest.raises(AttackError, match="no step of the lock is on images"):
            check_applies(ATTACKS[name], facts)
    with pytest.raises(AttackError, match="without the key of its feature maps"):
        check_applies(ATTACKS["distil"], replace(facts, steps=scene("np-2").facts.steps))
