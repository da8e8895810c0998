"""The thief of a study: which attacks, with which images, and what they make of a trial's figures.

What counts is the largest mean IoU of three things that every trial tries (plain images, plain
images with new batch-norm statistics, wrong keys) and of the attacks of ``search.thief``. The
attacker's images are never of the split that the figures are measured on: training images where
that is the validation split, as for the new statistics, which favours the attacker if anything;
the validation split where it is the test split, as in the stage ``attack``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from seglock.errors import ConfigError, DataError, nearest_name
from seglock.results.attack import AttackResult, regained

if TYPE_CHECKING:
    from torch import nn

    from seglock.attacks import Attack
    from seglock.config import Params, ThiefParams
    from seglock.data import PreparedData, Split
    from seglock.transforms import Transform

TRIED_ANYWAY = ("plain", "bn-reestimate", "random-keys")
"""Attacks that ``all`` leaves out: a trial's other figures are theirs."""

PHOTOS = 256
"""Images that a thief has at most, unless the share of labelled ones asks for more."""

LEAST_IMAGES = 4
_SEED = 0  # every lock meets the same thief


def thief_attacks(thief: ThiefParams) -> list[Attack]:
    """The attacks of the suite that ``thief`` stands for, in its order; none without a tier.

    Raises ConfigError for a name that the suite lacks, or one of a higher tier.
    """
    from seglock.attacks import ATTACKS

    if thief.tier is None:
        return []
    everything = [name for name in ATTACKS if name not in TRIED_ANYWAY]
    names = everything if thief.attacks == "all" else thief.attacks
    for name in names:
        if name not in ATTACKS:
            raise ConfigError(
                "search.thief.attacks must name attacks that the suite has",
                got=repr(name),
                fix=nearest_name(name, ATTACKS),
            )
    within = [ATTACKS[name] for name in names if ATTACKS[name].tier <= thief.tier]
    beyond = [name for name in names if ATTACKS[name].tier > thief.tier]
    if thief.attacks != "all" and beyond:
        raise ConfigError(
            f"search.thief.attacks must be of tiers up to search.thief.tier, {thief.tier}",
            got=", ".join(f"{name} of {ATTACKS[name].tier}" for name in beyond),
            fix="raise the tier, or leave these out",
        )
    return within


def attacker_rows(data: PreparedData, judged: Split, labelled: float) -> tuple[Split, list[int]]:
    """The split that the attacker's images come from, and which of them: evenly spread.

    labelled: percent of the training images' number, of which there are at least as many. An id
    that is in ``judged`` as well is left out. Raises DataError where too few are left.
    """
    from seglock.evaluation.tally import spread

    source = data.val if judged.name == data.test.name else data.train
    theirs = set(judged.ids)
    free = [row for row, name in enumerate(source.ids) if name not in theirs]
    wanted = max(PHOTOS, math.ceil(labelled / 100 * len(data.train)))
    rows = [free[index] for index in spread(len(free), wanted)]
    if len(rows) < LEAST_IMAGES:
        raise DataError(
            f"search.thief needs at least {LEAST_IMAGES} images for the attacker",
            got=f"{len(rows)} in split {source.name} that are not in split {judged.name}",
            fix="prepare more images, or set search.thief.tier: null",
        )
    return source, rows


def attacker_images(data: PreparedData, judged: Split, labelled: float) -> Split:
    """The images and masks of `attacker_rows`, as a split of their own."""
    from seglock.data import Split

    source, rows = attacker_rows(data, judged, labelled)
    ids = tuple(source.ids[row] for row in rows)
    return Split(source.name, ids, source.images[rows], source.masks[rows])


def attacked(
    scores: dict[str, Any],
    *,
    network: nn.Module,
    transform: Transform,
    judged: Split,
    data: PreparedData,
    params: Params,
    lock: str,
) -> dict[str, Any]:
    """A lock's scores, as evaluation.json has them, once the thief has been at it.

    ``attacks`` has each attack's tier and figures by its name; ``unauthorised`` is the largest of
    their mean IoU and of what it was before; ``strongest`` and ``strongest_tier`` name whose it
    is; ``regained`` follows. Attacks that do not apply to the lock are left out.
    """
    from seglock.attacks import Budget, Judge, Scene, run_attack

    thief = params.search.thief
    budget = Budget(thief.queries, thief.seconds, (thief.labelled / 100,))
    images = attacker_images(data, judged, thief.labelled)
    scene = Scene(network, transform, data, params, images, judged)
    judge = Judge(scene, scores["floors"]["floor"])
    found: dict[str, dict[str, Any]] = {}
    for attack in thief_attacks(thief):
        if attack.why_not(scene.facts) is not None:
            continue
        verdict = run_attack(
            attack, scene.material(attack.tier), judge, budget,
            lock=lock, correct=scores["owner_miou"], seed=_SEED,
        )  # fmt: skip
        result = AttackResult(**verdict.published)
        found[attack.name] = {"tier": attack.tier, **result.figures}
        if result.scratch_miou is not None:
            found[attack.name]["scratch_miou"] = result.scratch_miou
    return scores | {"attacks": found} | strongest(scores, found)


def strongest(scores: dict[str, Any], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``unauthorised``, whose it is, and the ``regained`` that follows.

    >>> scores = {"plain": {"miou": 0.2}, "plain_bn": {"miou": 0.3}, "incorrect": {"p95": 0.1},
    ...           "owner_miou": 0.6, "floors": {"floor": 0.2}}
    >>> strongest(scores, {"hill-climb": {"tier": "T1", "miou": 0.4}})["strongest"]
    'hill-climb'
    >>> strongest(scores, {})["unauthorised"]
    0.3
    """
    # What costs least comes first: among equals it is the one that is named.
    tried = [
        (scores["plain"]["miou"], "plain", "T0"),
        (scores["plain_bn"]["miou"], "plain_bn", "T0"),
        (scores["incorrect"]["p95"], "incorrect_p95", "T0"),
        *((one["miou"], name, one["tier"]) for name, one in found.items()),
    ]
    miou, name, tier = max(tried, key=lambda one: one[0])
    share = regained(miou, owner=scores["owner_miou"], floor=scores["floors"]["floor"])
    return {"unauthorised": miou, "strongest": name, "strongest_tier": tier, "regained": share}
