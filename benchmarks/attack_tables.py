"""The attack suite as Markdown: locks by attacks, what labels give, with and without the theft,
which plans are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.markdown import NONE, figure, table
from seglock.report.leaderboard import plan_text, share_text
from seglock.report.numbers import signed
from seglock.results.attack import AttackResult, BeyondScratch, beyond_scratch

Document = Mapping[str, Any]
Result = Mapping[str, Any]
ANALYSIS = "analysis"


def leaderboard(document: Document) -> str:
    """Mean IoU of each attack by lock, with the share of the owner's advantage it regained."""
    locks = _locks(document)
    found = _found(document)
    lines = [
        ["owner", "", *(figure(next(iter(found[lock].values()))["correct"]) for lock in locks)]
    ]
    for attack, tier in _attacks(document):
        cells = [_cell(found[lock].get(attack)) for lock in locks]
        lines.append([f"`{attack}`", tier, *cells])
    floor = document["results"][0]["floor"]
    below = f"Mean IoU, in brackets `regained`; the floor is {floor:.4f}."
    return f"{table(['attack', 'tier', *map(_code, locks)], lines)}\n\n{below}"


def labels(document: Document) -> str:
    """What training with labels gives by their number: from the theft, and from scratch."""
    locks, found = _locks(document), _found(document)
    names = [name for name, _ in _attacks(document) if _shares(found, name)]
    lines = []
    for name in names:
        for count in sorted(_shares(found, name)):
            line = [f"`{name}`", str(count)]
            line += [_beside(found[lock].get(name), count) for lock in locks]
            lines.append(line)
    below = "Mean IoU from the theft / from scratch on the same images."
    return f"{table(['attack', 'labelled', *map(_code, locks)], lines)}\n\n{below}"


def beyond(document: Document) -> str:
    """What the strongest theft of each lock has beyond training without it, by labelled images."""
    locks, found = _locks(document), _found(document)
    by_lock = {
        lock: {
            line.labelled: line
            for line in beyond_scratch(
                AttackResult.check(dict(one)) for one in found[lock].values()
            )
        }
        for lock in locks
    }
    shares = {line.labelled: line for lines in by_lock.values() for line in lines.values()}
    lines = [
        [share_text(shares[count].document()), *(_over(by_lock[lock].get(count)) for lock in locks)]
        for count in sorted(shares)
    ]
    below = (
        "Mean IoU of the strongest T1 attack beyond the best training from scratch on the same"
        " images, in brackets `regained`."
    )
    return f"{table(['labelled', *map(_code, locks)], lines)}\n\n{below}"


def plans(document: Document) -> str:
    """Whether each attack had the plan in the end."""
    locks, found = _locks(document), _found(document)
    lines = []
    for name, tier in _attacks(document):
        results = [found[lock].get(name) for lock in locks]
        if any(result and result["plan_found"] is not None for result in results):
            cells = [NONE if result is None else plan_text(result) for result in results]
            lines.append([f"`{name}`", tier, *cells])
    return table(["attack", "tier", *map(_code, locks)], lines)


PARTS: Mapping[str, Callable[[Document], str]] = {
    "leaderboard": leaderboard,
    "labels": labels,
    "beyond": beyond,
    "plans": plans,
}


def _found(document: Document) -> dict[str, dict[str, Result]]:
    found: dict[str, dict[str, Result]] = {}
    for result in document["results"]:
        found.setdefault(result["lock"], {})[result["attack"]] = result
    return found


def _locks(document: Document) -> list[str]:
    measured = {result["lock"] for result in document["results"]}
    return [lock for lock in document["locks"] if lock in measured]


def _attacks(document: Document) -> list[tuple[str, str]]:
    """Names and tiers, by tier and then as they were run."""
    names = {
        result["attack"]: result["tier"]
        for result in document["results"]
        if result["tier"] != ANALYSIS
    }
    return sorted(names.items(), key=lambda item: item[1])


def _cell(result: Result | None) -> str:
    if result is None:
        return NONE
    regained = result["regained"]
    return figure(result["miou"]) + (f" ({regained:.2f})" if regained is not None else "")


def _shares(found: Mapping[str, Mapping[str, Result]], name: str) -> set[int]:
    return {
        line["labelled"]
        for results in found.values()
        if name in results
        for line in results[name]["curve"]
        if "labelled" in line
    }


def _beside(result: Result | None, count: int) -> str:
    if result is None:
        return NONE
    scores = {
        line["from"]: line["miou"] for line in result["curve"] if line.get("labelled") == count
    }
    return f"{figure(scores.get('theft'))} / {figure(scores.get('scratch'))}"


def _over(line: BeyondScratch | None) -> str:
    if line is None:
        return NONE
    share = "" if line.regained is None else f" ({line.regained:.2f})"
    return f"{signed(line.beyond)}{share} {_code(line.attack)}"


def _code(name: str) -> str:
    return f"`{name}`"
