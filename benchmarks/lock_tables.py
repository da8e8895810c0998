"""What `benchmarks.locks` measured as Markdown: cost, and the strongest thief of each tier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.markdown import NONE, table
from seglock.config import BASELINE, RefuseParams
from seglock.report.paper import PAPER_METHODS, published_table
from seglock.results.attack import AttackResult, BeyondScratch, Tier
from seglock.results.standing import Thief, broken, most_beyond, strongest, tried

Document = Mapping[str, Any]
Row = Mapping[str, Any]


def verdicts(document: Document) -> str:
    """Locks by cost and by the strongest thief of each tier, over keys and seeds."""
    lines = []
    for lock, rows in _by_lock(document).items():
        if lock == BASELINE:
            continue
        drops = [_drop(document, row) for row in rows]
        tiers = [[thief for row in rows if (thief := thief_of(row, tier))] for tier in TIERS]
        beyond = [line for row in rows if (line := most_beyond(attacks_on(row)))]
        bits = rows[0]["key_space_bits"]
        lines.append(
            [
                f"`{lock}`",
                str(len(rows)),
                str(int(bits)) if bits is not None else NONE,
                _spread([row["owner_miou"] for row in rows]),
                _spread(drops),
                _strongest(tiers[0]),
                _beyond(beyond),
                *map(_strongest, tiers[1:]),
                _cost(document, lock, rows),
                holds(document, rows),
            ]
        )
    below = (
        "Mean IoU, over keys and seeds: the mean, and the range where they are several; of a tier "
        "the strongest attack's, with `regained` of the worst key in brackets. T1 is beyond "
        "training from scratch on the same images. Cost: training time beside the same lock "
        "without refusal."
    )
    header = [
        "lock", "keys", "key bits", "owner", "drop", "T0", "T1 beyond scratch", "T2", "T3", "cost",
        "holds",
    ]  # fmt: skip
    return f"{table(header, lines, ('T0', 'T1 beyond scratch', 'T2', 'T3', 'holds'))}\n\n{below}"


def judged(document: Document) -> str:
    """What the owner has, and whoever has no key and attacks nothing; over keys and seeds."""
    lines = []
    for lock, rows in _by_lock(document).items():
        if lock == BASELINE:
            continue
        about, wrong = document["locks"][lock], [row["incorrect"] for row in rows]
        lines.append(
            [
                "+".join(about["steps"]),
                refusal_text(about["refuse"]),
                str(len(rows)),
                _spread(row["owner_miou"] for row in rows),
                f"{sum(_drop(document, row) for row in rows) / len(rows):.3f}",
                *(_spread(row[name] for row in rows) for name in ("plain", "plain_bn")),
                *(_spread(one[name] for one in wrong) for name in ("p95", "max")),
            ]
        )
    header = [
        "lock", "refuse", "keys", "owner", "drop", "plain", "plain BN", "wrong keys, p95", "max",
    ]  # fmt: skip
    return table(header, lines, ("refuse",))


def beside_paper(document: Document) -> str:
    """The share of the baseline's mean IoU that an owner keeps, by block side and method: here,
    here with a refusal, and in the paper."""
    published, published_baseline = published_table()
    rows = _by_lock(document)
    plain = fmean(row["owner_miou"] for row in rows[BASELINE])
    here: dict[tuple[str, bool], float] = {}
    for lock, about in document["locks"].items():
        if len(about["steps"]) == 1 and lock in rows:
            place = (about["steps"][0], about["refuse"] is not None)
            here[place] = fmean(row["owner_miou"] for row in rows[lock]) / plain
    measured = {step for step, _ in here}
    lines = [
        [str(side)]
        + [
            NONE if share is None else f"{share:.2f}"
            for method in PAPER_METHODS
            for share in (
                here.get((f"{method}-{side}", False)),
                here.get((f"{method}-{side}", True)),
                published[side, method] / published_baseline,
            )
        ]
        for side in sorted({side for side, method in published if f"{method}-{side}" in measured})
    ]
    names = [
        name
        for method in PAPER_METHODS
        for name in (method.upper(), f"{method.upper()} refusing", "paper")
    ]
    below = f"Of the baseline: {plain:.3f} here, {published_baseline:.3f} in the paper."
    return f"{table(['M', *names], lines)}\n\n{below}"


def refusal_text(refuse: Mapping[str, Any] | None) -> str:
    """A refusal's weight, and what else of it is not as it comes.

    >>> refusal_text(RefuseParams(weight=0.2, every=4).model_dump(mode="json"))
    '0.2, every 4'
    """
    if refuse is None:
        return NONE
    usual = RefuseParams(weight=refuse["weight"]).model_dump(mode="json")
    words = [f"{refuse['weight']:g}"]
    for name, value in refuse.items():
        if value != usual[name]:
            words.append(f"near {value['near']:g}" if name == "shares" else f"{name} {value}")
    return ", ".join(words)


def by_attack(document: Document) -> str:
    """Each attack's mean IoU by lock: the mean over keys, and the most."""
    by_lock = {k: v for k, v in _by_lock(document).items() if any(row["attacks"] for row in v)}
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for lock, rows in by_lock.items():
        for row in rows:
            for attack in row["attacks"]:
                place = found.setdefault((attack["tier"], attack["attack"]), {})
                place.setdefault(lock, []).append(attack["miou"])
    lines = [
        ["owner", "", *(_spread([r["owner_miou"] for r in rows]) for rows in by_lock.values())]
    ]
    for (tier, name), scores in sorted(found.items()):
        if tier != "analysis":
            lines.append([f"`{name}`", tier, *(_spread(scores.get(k, [])) for k in by_lock)])
    header = ["attack", "tier", *(f"`{lock}`" for lock in by_lock)]
    floors = document["networks"][0]["floors"]
    below = (
        f"Mean IoU; the floors are {floors['constant']:.4f} for one class everywhere and "
        f"{floors['prior']:.4f} for each pixel's majority class."
    )
    return f"{table(header, lines)}\n\n{below}"


TIERS: tuple[Tier, ...] = ("T0", "T2", "T3")
PARTS: Mapping[str, Callable[[Document], str]] = {
    "verdicts": verdicts,
    "judged": judged,
    "beside-paper": beside_paper,
    "attacks": by_attack,
}


def attacks_on(row: Row) -> list[AttackResult]:
    """The results of one network's attacks."""
    return [AttackResult.check(dict(attack)) for attack in row["attacks"]]


def thief_of(row: Row, tier: Tier) -> Thief | None:
    """The strongest thief of a tier on one network; T0 has what evaluation tries, too."""
    known = tried(
        plain=row["plain"],
        plain_bn=row["plain_bn"],
        wrong=row["incorrect"]["p95"],
        owner=row["owner_miou"],
        floor=row["floors"]["floor"],
    )
    return strongest(tier, attacks_on(row), known if tier == "T0" else ())


def holds(document: Document, rows: Sequence[Row]) -> str:
    """Whether a lock keeps to everything, or what it breaks: the drop on average, since baselines
    differ by as much from seed to seed, attacks with every key."""
    if not all(row["attacks"] for row in rows):
        return "not attacked"
    drop, bits = sum(_drop(document, row) for row in rows) / len(rows), rows[0]["key_space_bits"]
    found = [
        limit
        for row in rows
        for line in [most_beyond(attacks_on(row))]
        for limit in broken(
            drop=drop, bits=bits, t0=thief_of(row, "T0"), beyond=line.beyond if line else None
        )
    ]
    return "yes" if not found else f"no: {', '.join(dict.fromkeys(found))}"


def _by_lock(document: Document) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in document["networks"]:
        found.setdefault(row["lock"], []).append(row)
    return found


def _drop(document: Document, row: Row) -> float:
    """From the mean of the baselines to what the owner has."""
    baselines = [one["owner_miou"] for one in document["networks"] if one["lock"] == BASELINE]
    return float(sum(baselines) / len(baselines) - row["owner_miou"])


def _cost(document: Document, lock: str, rows: Sequence[Row]) -> str:
    """Times the training time of the same lock without its refusal, of the same key."""
    about = document["locks"]
    if about[lock]["refuse"] is None:
        return NONE
    same = [name for name in about if about[name] == about[lock] | {"refuse": None}]
    usual = {
        row["repeat"]: row["train_seconds"] for row in document["networks"] if row["lock"] in same
    }
    ratios = [
        row["train_seconds"] / usual[row["repeat"]] for row in rows if usual.get(row["repeat"])
    ]
    return f"{sum(ratios) / len(ratios):.2f}" if ratios else NONE


def _spread(values: Iterable[float]) -> str:
    values = list(values)
    if not values:
        return NONE
    mean = f"{sum(values) / len(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


def _strongest(thieves: Sequence[Thief]) -> str:
    if not thieves:
        return NONE
    worst = max(thieves, key=lambda thief: thief.miou)
    share = NONE if worst.regained is None else f"{worst.regained:.2f}"
    return f"{_spread(thief.miou for thief in thieves)} [{share}] {worst.name}"


def _beyond(lines: Sequence[BeyondScratch]) -> str:
    if not lines:
        return NONE
    worst = max(lines, key=lambda line: line.beyond)
    return f"{_spread(line.beyond for line in lines)} {worst.attack}, {worst.labelled} images"
