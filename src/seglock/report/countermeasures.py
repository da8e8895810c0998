"""Whether combining steps, or other fractions of positions, leaves a thief with less.

A combination stands beside the single-step locks that it is built from, of the same block side M;
a lock with another fraction stands beside the lock with the published one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seglock.results.attack import TIERS
from seglock.steps import Step, image_steps

MOVED = 0.05
"""From this difference in ``regained`` on, a tier counts as moved: a twentieth of the owner's
advantage over the floor. It is a choice, not a test of significance: a lock is trained once, under
one key, and attacked with one seed, so that smaller differences may be luck."""

Figures = Mapping[str, Any]


def countermeasures(
    attacked: Mapping[str, Figures], locks: Mapping[str, Figures]
) -> list[dict[str, Any]]:
    """The locks that are built from others, by block side, each beside its parts.

    attacked: the leaderboard's locks. locks: summary.json's. A tier's ``change`` is what its best
    attack regained from the lock less what it regained from the part with the least; what is
    below the floor counts as 0, since the floor is open to all. ``cost`` is what the owner loses
    beside the part that is most accurate, ``drop`` beside the baseline.
    """
    groups: dict[int, list[dict[str, Any]]] = {}
    for name in attacked:
        names = locks[name]["steps"]
        steps = image_steps(names)
        if not steps or (len(names) < 2 and all(is_published(step) for step in steps)):
            continue
        found = [_part(locks, name, step) for step in steps]
        parts = list(dict.fromkeys(part for part in found if part is not None))
        missing = [str(_published(s)) for s, part in zip(steps, found, strict=True) if not part]
        owner = locks[name]["owner_miou"]
        best = max((locks[part]["owner_miou"] for part in parts), default=None)
        groups.setdefault(steps[0].block_size, []).append(
            {
                "lock": name,
                "steps": locks[name]["steps"],
                "parts": parts,
                "missing": list(dict.fromkeys(missing)),
                "owner_miou": owner,
                "drop": locks[name]["drop"],
                "cost": None if best is None else best - owner,
                "tiers": dict(_tiers(attacked[name], {p: attacked.get(p, {}) for p in parts})),
            }
        )
    return [{"block_size": side, "locks": groups[side]} for side in sorted(groups)]


def is_published(step: Step) -> bool:
    """Whether a step touches as many positions as the paper's.

    >>> from seglock.steps import parse_step
    >>> [is_published(parse_step(name)) for name in ("np-4", "np-4-f50", "np-4-f25", "shf-4-f50")]
    [True, True, False, False]
    """
    return step.count == _published(step).count


def _published(step: Step) -> Step:
    return Step(step.method, step.block_size)


def _part(locks: Mapping[str, Figures], name: str, step: Step) -> str | None:
    """The single-step lock that ``step`` of a lock is compared with, if the project has it.

    The same fraction where the lock is a combination, else the published one; one that refuses
    where the lock does; the same password and divisor of FFX; the same key where there is a choice.
    """
    own = locks[name]
    wanted = [_published(step).count]
    if len(own["steps"]) > 1:
        wanted.insert(0, step.count)
    fits: dict[int, list[str]] = {}
    for other, figures in locks.items():
        if other == name or len(figures["steps"]) != 1:
            continue
        (single,) = image_steps(figures["steps"]) or (None,)
        if single is None or (single.method, single.block_size) != (step.method, step.block_size):
            continue
        if bool(figures["refuse"]) != bool(own["refuse"]):
            continue
        settings = ("ffx_password", "ffx_divisor")
        if step.method == "ffx" and any(figures[s] != own[s] for s in settings):
            continue
        fits.setdefault(single.count, []).append(other)
    for count in wanted:
        if count in fits:
            return min(fits[count], key=lambda other: locks[other]["key"] != own["key"])
    return None


def _tiers(lock: Figures, parts: Mapping[str, Figures]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the best attack of each tier regained from the lock, beside the part with the least."""
    tried = [found for found in parts.values() if found]
    for tier in TIERS:
        if not any(tier in found["tiers"] for found in [lock, *tried]):
            continue
        best = lock["tiers"].get(tier)
        regained = None if best is None else best["regained"]
        others = {
            part: found["tiers"][tier]["regained"]
            for part, found in parts.items()
            if found and tier in found["tiers"] and found["tiers"][tier]["regained"] is not None
        }
        beside = min(others, key=lambda part: others[part]) if others else None
        change = None
        if beside is not None and regained is not None:
            change = max(regained, 0.0) - max(others[beside], 0.0)
        yield (
            tier,
            {
                "regained": regained,
                "attack": best and best["attack"],
                "beside": beside,
                "beside_regained": beside and others[beside],
                "change": change,
                "verdict": verdict(change),
                "not_run": sorted(_of_tier(tried, tier) - _of_tier([lock], tier)),
            },
        )


def _of_tier(locks: Sequence[Figures], tier: str) -> set[str]:
    return {n for found in locks for n, r in found["attacks"].items() if r["tier"] == tier}


def verdict(change: float | None) -> str | None:
    """Which way a tier moved: less for the thief, more, or not; None without a comparison.

    >>> verdict(-0.2), verdict(0.01), verdict(0.05), verdict(None)
    ('less', 'same', 'more', None)
    """
    if change is None:
        return None
    if abs(change) < MOVED:
        return "same"
    return "less" if change < 0 else "more"
