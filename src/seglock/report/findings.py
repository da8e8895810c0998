"""Which locks give least, what is wrong with them, and which refuse, in sentences. What the
figures say besides is in findings.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglock.report.numbers import bits, is_searchable, plans, signed

TRIED_IN_HOURS = 24  # bits: 2**24 plans at a thousand a second take under five hours
REFUSES = 0.5
"""The share of images from which on a network is said to refuse: noise answers hardly any with one
class at every pixel."""


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Locks that do not protect, each with the reason."""
    return [*weak_keys(summary), *broken_locks(summary)]


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
                f"{figures['lock']} has only {plans(size)} different plans ({bits(size)} bits): "
                f"{verdict}"
            )
    return found


def broken_locks(summary: Mapping[str, Any]) -> list[str]:
    """Locks that a thief who was tried gets too much out of: which, how, and how much."""
    most, found = summary["standings"]["limits"]["regained"], []
    for name, standing in summary["standings"]["locks"].items():
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
            found.append(f"{name} {verdict}: {'; '.join(told)}.")
    return found


def _regains(thief: Mapping[str, Any], who: str) -> str:
    if thief["regained"] is None:
        return f"its owner gets no more than needs no image ({who})"
    return f"{thief['name']} ({who}) regains {thief['regained']:.0%} of the owner's lead"


def least(summary: Mapping[str, Any]) -> list[str]:
    """Of several locks, the one that gave the strongest thief of T0 least, and that of T1; where
    some were attacked, of these, since what was not attacked only seems to give less."""
    locks = summary["standings"]["locks"]
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
        found.append(f"Least for a thief with the model alone: {name}. {_only(alone[name])}")
    if len(labels) > 1:
        name = min(labels, key=lambda lock: labels[lock]["beyond"])
        line = labels[name]
        found.append(
            f"Least for a thief with labels: {name}. {line['attack']} with {line['labelled']} "
            f"images has {signed(line['beyond'])} beyond training from scratch."
        )
    return found


def _only(thief: Mapping[str, Any]) -> str:
    return f"Its strongest, {thief['name']}, regains {thief['regained']:.0%} of the owner's lead."


def refusals(summary: Mapping[str, Any]) -> list[str]:
    """Locks whose models refuse whoever has not the key, and what that tells."""
    return [
        f"{figures['lock']} refuses: without the key at least {figures['refused']:.0%} of the "
        "images are answered with one class alone. So a thief who tries a key sees that it is "
        "wrong: the key space must be too large to try."
        for figures in summary["locks"].values()
        if (figures.get("refused") or 0) >= REFUSES  # a report of an earlier version has none
    ]
