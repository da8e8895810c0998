"""Rules of the ``search`` section, as pure functions over plain values; see ``rules``.

``search_faults`` holds within the section, ``study_faults`` between it and the others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from seglock.config.rules import Values, as_fault, train_faults
from seglock.config.search_locks import (
    MOST_STEPS,
    PUBLISHED,
    LockChoice,
    enqueued_locks,
    lock_choices,
    parse_lock,
)
from seglock.errors import ConfigError, SeglockError, nearest_name
from seglock.methods import LEVELS, METHODS
from seglock.steps import check_block_divides, has_one_plan, parse_step
from seglock.steps import sequence_faults as order_of

SCALAR_PRUNERS = ("median", "successive_halving", "hyperband")
_LISTS = (
    "steps", "block_size", "fraction", "refuse", "lr", "weight_decay", "epochs", "image_side",
)  # fmt: skip
_USER_PASSWORD = re.compile(r"(?P<user>://[^/@:]*:)(?P<password>.*)(?=@)")
_QUERY_PASSWORD = re.compile(
    r"(?P<name>[?&][\w.-]*(?:passw(?:or)?d|passphrase|pwd)=)(?P<password>[^&]*)", re.I
)


def pattern_faults(pattern: str) -> list[str]:
    """A lock without its block side: methods joined by ``+``, in an order that the formula has.

    >>> pattern_faults("np+shf"), pattern_faults("ffx+np")[0].rpartition("; ")[2]
    ([], 'write np+ffx')
    """
    methods = pattern.split("+")
    for method in methods:
        if method not in METHODS:
            rule = f"a lock to try must be methods joined by +, of {', '.join(METHODS)}"
            return [as_fault(rule, repr(pattern), nearest_name(method, METHODS, cutoff=0.4))]
    if len(methods) > MOST_STEPS:
        return [as_fault(f"a lock to try must have at most {MOST_STEPS} methods", repr(pattern))]
    found = order_of(parse_step(f"{method}-2") for method in methods)
    wide = [m for m in methods if METHODS[m].reach > LEVELS]
    ordered = [m for m in methods if m not in wide] + wide[:1]
    return [as_fault(fault.rule, repr(pattern), f"write {'+'.join(ordered)}") for fault in found]


def fraction_faults(fraction: object) -> list[str]:
    """A share of positions in whole percent, or the paper's."""
    if fraction == PUBLISHED:
        return []
    if isinstance(fraction, int) and not isinstance(fraction, bool) and 1 <= fraction <= 100:
        return []
    return [
        as_fault("a fraction must be 1 to 100 (percent of positions) or published", repr(fraction))
    ]


def enqueue_faults(enqueue: object) -> list[str]:
    """``published``, or a list of locks, each of which can be read."""
    if enqueue == PUBLISHED:
        return []
    if not isinstance(enqueue, list):
        rule = "search.enqueue must be published or a list of locks such as np-4 or np-4+shf-4"
        return [as_fault(rule, repr(enqueue))]
    faults = []
    for index, entry in enumerate(enqueue):
        try:
            parse_lock(entry)
        except ConfigError as error:
            faults.append(f"search.enqueue.{index}: {error}")
    return faults


def thief_faults(attacks: object) -> list[str]:
    """``all``, or attacks by their names, each once; whether the suite has them is not known here.

    >>> thief_faults("all"), thief_faults(["hill-climb"])
    ([], [])
    """
    if attacks == "all":
        return []
    rule = "search.thief.attacks must be all or a list of attacks' names, each once"
    if not isinstance(attacks, list) or not attacks:
        return [as_fault(rule, repr(attacks), "write for example [hill-climb, finetune]")]
    if not all(isinstance(name, str) for name in attacks) or len({*attacks}) < len(attacks):
        return [as_fault(rule, repr(attacks))]
    return []


def hide_password(url: str) -> str:
    """A storage URL as it may be shown: variables stay, a password becomes ``***``.

    >>> hide_password("postgresql://me:secret@db/studies?sslpassword=x")
    'postgresql://me:***@db/studies?sslpassword=***'
    >>> hide_password("postgresql://me:$PASSWORD@db/studies")
    'postgresql://me:$PASSWORD@db/studies'
    """

    def hidden(match: re.Match[str]) -> str:
        kept = match["password"] if _is_variable(match["password"]) else "***"
        return f"{match[1]}{kept}"

    return _QUERY_PASSWORD.sub(hidden, _USER_PASSWORD.sub(hidden, url))


def storage_faults(url: str) -> list[str]:
    """A database's URL, without its password: params.yaml is committed and logged."""
    shown = hide_password(url)
    if shown != url:
        fix = "write $VARIABLE in its place, or use PGPASSFILE or PGPASSWORD"
        return [as_fault("search.storage must not hold a password", repr(shown), fix)]
    if "://" not in url and "$" not in url:
        fix = "write for example postgresql://me@host/studies, or null for a file of its own"
        shown = f"***@{url.rpartition('@')[2]}" if "@" in url else url
        return [as_fault("search.storage must be the URL of a database", repr(shown), fix)]
    return []


def search_faults(search: Values) -> list[str]:
    """What the section's own values must be to each other."""
    faults = []
    if search.get("pruner") in SCALAR_PRUNERS and search.get("objective") == "pareto":
        rule = f"search.pruner {search['pruner']} must have search.objective: scalar"
        fix = "set it, or use pruner baseline or none; Optuna prunes no study with two objectives"
        faults.append(as_fault(rule, "pareto", fix))
    if isinstance(search.get("storage"), str):
        faults += storage_faults(search["storage"])
    space = dict(search.get("space", {}))
    for name in _LISTS:
        choices = space.get(name)
        if isinstance(choices, list):
            twice = [c for i, c in enumerate(choices) if c in choices[:i]]
            if twice:
                faults.append(as_fault(f"search.space.{name} must name each choice once", choices))
        elif choices is not None and search.get("sampler") == "grid":
            rule = f"search.space.{name} must be a list for search.sampler: grid"
            faults.append(as_fault(rule, "a range", "write the values to try"))
    return faults


def study_faults(search: Values, data: Values, train: Values) -> list[str]:
    """Every trial that the space allows must be one that can be trained and judged."""
    space = dict(search.get("space", {}))
    return _lock_faults(search, space, _sides(space, data)) + _recipe_faults(space, train)


def _sides(space: Values, data: Values) -> list[int]:
    sides = space.get("image_side")
    if sides is None:
        sides = [data["image_side"]] if "image_side" in data else []
    return list(sides)


def _lock_faults(search: Values, space: Values, sides: list[int]) -> list[str]:
    enqueue = search.get("enqueue", [])
    enqueued = [] if enqueue_faults(enqueue) else enqueued_locks(enqueue, sides)
    faults = []
    for place, block in [
        *(("search.space.block_size", block) for block in space.get("block_size") or []),
        *((f"search.enqueue: {lock}", lock.block_size) for lock in enqueued),
    ]:
        try:
            if sides:
                check_block_divides(block, *sides)
        except SeglockError as error:
            faults.append(f"{place}: {error}")
    if all(name in space for name in ("steps", "block_size", "fraction")):
        patterns, blocks, percents, _ = lock_choices(space, enqueued, sides)
        choices = itertools.product(patterns, blocks, percents)
        locks = itertools.starmap(LockChoice, choices)
        faults += _plan_faults(locks, space.get("ffx_password", "from_key"), bool(enqueued))
    return list(dict.fromkeys(faults))


def _plan_faults(locks: Iterable[LockChoice], ffx_password: Any, enqueued: bool) -> list[str]:
    bad = [
        str(lock) for lock in locks if has_one_plan([*map(parse_step, lock.steps)], ffx_password)
    ]
    if not bad:
        return []
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    places = "search.space (and search.enqueue, which widens it)" if enqueued else "search.space"
    return [
        as_fault(
            f"{places} must hold only locks with more than one plan, for a key to be wrong",
            ", ".join(bad[:4]) + more,
            "take such a fraction, block side or method out",
        )
    ]


def _recipe_faults(space: Values, train: Values) -> list[str]:
    """The recipe's own rules, for each value that a trial may put in its place."""
    known = set(train_faults(train))
    faults = []
    for name in ("lr", "epochs"):
        choices = space.get(name)
        if choices is None:
            continue
        values = choices if isinstance(choices, list) else [dict(choices)["low"]]
        for value in values:
            if name == "lr" and value <= 0:
                faults.append(as_fault("search.space.lr must be above 0", value))
                continue
            found = train_faults(dict(train) | {name: value})
            faults += [f"search.space.{name}: {fault}" for fault in found if fault not in known]
    return list(dict.fromkeys(faults))


def _is_variable(text: str) -> bool:
    return not text or re.fullmatch(r"\$\w+|\$\{\w+\}", text) is not None
