"""Which locks give least, what is wrong with them, which refuse, and how sure a drop is, in
sentences. What the figures say besides is in findings.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import bits, four, is_searchable, plans, signed
from seglock.report.standings import has_learnt
from seglock.steps import lock_text

TRIED_IN_HOURS = 24  # bits: 2**24 plans at a thousand a second take under five hours
REFUSES = 0.5
"""The share of images from which on a network is said to refuse: noise answers hardly any with one
class at every pixel."""


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Locks that do not protect, each with the reason."""
    return [*unlearnt(summary), *weak_keys(summary), *broken_locks(summary)]


def unlearnt(summary: Mapping[str, Any]) -> list[str]:
    """Networks that learnt nothing: what they leave to others says nothing of their lock."""
    return [
        f"{lock_text(name)} learnt nothing: its owner has {four(figures['owner_miou'])}, and the "
        f"floor, which needs no model, is {four(figures['floor'])}. Its other figures say nothing: "
        "train it longer, or at another learning rate (train.epochs, train.lr)."
        for name, figures in summary["locks"].items()
        if not has_learnt(figures)
    ]


def weak_keys(summary: Mapping[str, Any]) -> list[str]:
    """Locks whose keys can be tried out whole."""
    found = []
    for figures in summary["locks"].values():
        size = figures["key_space_bits"]
        if is_searchable(size):
            verdict = (
                "all of them can be tried, so its key is no protection."
                if size < TRIED_IN_HOURS
                else "fewer than the 2⁶⁴ beyond which trying all is out of reach."
            )
            found.append(
                f"{lock_text(figures['lock'])} has only {plans(size)} different plans "
                f"({bits(size)} bits): {verdict}"
            )
    return found


def broken_locks(summary: Mapping[str, Any]) -> list[str]:
    """Locks that a thief who was tried gets too much out of: which, how, and how much."""
    most, found = summary["standings"]["limits"]["regained"], []
    for name, standing in summary["standings"]["locks"].items():
        if not has_learnt(summary["locks"][name]):
            continue
        thieves, faults = standing["thieves"], standing["broken"]
        told = [_regains(thieves["T0"], "T0, the model alone")] if "T0" in faults else []
        if "T1" in faults:
            line = standing["beyond"]
            told.append(
                f"{line['attack']} with {line['labelled']} labelled images (T1) has "
                f"{signed(line['beyond'])} beyond training from scratch"
            )
        verdict = "is broken" if told else "falls to whoever sees encrypted images"
        told += [
            _regains(thieves[tier], f"{tier}, encrypted images")
            for tier in ("T2", "T3")
            if tier in thieves and (thieves[tier]["regained"] or 0.0) > most
        ]
        if told:
            found.append(f"{lock_text(name)} {verdict}: {'; '.join(told)}.")
    return found


def _regains(thief: Mapping[str, Any], who: str) -> str:
    if thief["regained"] is None:
        return f"its owner gets no more than needs no image ({who})"
    return f"{thief['name']} ({who}) regains {thief['regained']:.0%} of the owner's lead"


def least(summary: Mapping[str, Any]) -> list[str]:
    """Of several locks, the one that gave the strongest thief of T0 least, and that of T1; where
    some were attacked, of these, since what was not attacked only seems to give less."""
    locks = summary["standings"]["locks"]
    locks = {n: s for n, s in locks.items() if has_learnt(summary["locks"][n])}
    tried = {n: s for n, s in locks.items() if s["attacked"]} or locks
    alone = {
        name: standing["thieves"]["T0"]
        for name, standing in tried.items()
        if "T0" in standing["thieves"] and standing["thieves"]["T0"]["regained"] is not None
    }
    labels = {name: s["beyond"] for name, s in tried.items() if s["beyond"]}
    found = []
    if len(alone) > 1:
        name = min(alone, key=lambda lock: alone[lock]["regained"])
        found.append(
            f"Least for a thief with the model alone: {lock_text(name)}. {_only(alone[name])}"
        )
    if len(labels) > 1:
        name = min(labels, key=lambda lock: labels[lock]["beyond"])
        line = labels[name]
        found.append(
            f"Least for a thief with labels: {lock_text(name)}. {line['attack']} with "
            f"{line['labelled']} images has {signed(line['beyond'])} beyond training from scratch."
        )
    return found


def _only(thief: Mapping[str, Any]) -> str:
    return f"Its strongest, {thief['name']}, regains {thief['regained']:.0%} of the owner's lead."


def refusals(summary: Mapping[str, Any]) -> list[str]:
    """Locks whose models refuse whoever has not the key, and what that tells."""
    return [
        f"{lock_text(figures['lock'])} refuses: without the key at least {figures['refused']:.0%} "
        "of the images are answered with one class alone. So a thief who tries a key sees that it "
        "is wrong: the key space must be too large to try."
        for figures in summary["locks"].values()
        if (figures.get("refused") or 0) >= REFUSES  # a report of an earlier version has none
    ]


def seeds(summary: Mapping[str, Any]) -> list[str]:
    """How much of a drop may be chance: how far a study's baselines are apart."""
    if all(figures["drop"] is None for figures in summary["locks"].values()):
        return []
    baseline = (summary.get("search") or {}).get("baseline")
    if not baseline or len(baseline["seeds"]) < 2:
        one = ", ".join(map(str, summary["seeds"]))
        return [
            f"The baseline was trained from one seed ({one}): how much of a drop is chance is not "
            "known. A search trains it from several (search.baseline_seeds)."
        ]
    each = ", ".join(
        f"{four(miou)} (seed {seed})"
        for seed, miou in zip(baseline["seeds"], baseline["owner_miou"], strict=True)
    )
    return [
        f"The search's baselines differ in their seed alone, {baseline['epochs']} epochs each: "
        f"{each}, {four(baseline['spread'])} apart on the {summary['search']['split']} split. A "
        "drop of no more may be chance."
    ]
