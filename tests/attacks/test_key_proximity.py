from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from seglock.attacks import (
    ANALYSES,
    ATTACKS,
    Budget,
    Verdict,
    find_any,
    run_analysis,
)
from seglock.attacks.key_proximity import DRAWS, distances
from seglock.cli.attack import _print_results
from seglock.errors import AttackError
from seglock.results.attack import AttackResult
from tests.attacks.scene import KEY, OTHER, Scene, scene

FIELDS = {
    "attack", "tier", "lock", "budget", "unit", "queries", "seconds", "miou", "refused",
    "floor", "correct", "regained", "plan_found", "above_chance", "curve",
}  # fmt: skip
LINE = {"changes", "draws", "miou", "min", "max", "refused"}
SECRET = KEY.derive("key-proximity/it")


def verdict(
    made: Scene, queries: int = 1000, seconds: float = 600.0, seed: int = 0, secret: bytes = SECRET
) -> Verdict:
    judge = made.judge()
    return run_analysis(
        find_any("key-proximity"), made.facts, judge, Budget(queries, seconds),  # type: ignore[arg-type]
        lock="it", correct=judge.correct(), seed=seed, secret=secret,
    )  # fmt: skip


def measured(made: Scene, queries: int = 1000, **given: Any) -> dict:
    return verdict(made, queries, **given).published


@pytest.mark.parametrize("steps", [("np-4",), ("shf-4",), ("ffx-4",), ("np-4", "shf-4")])
def test_its_result_is_complete_and_plain(steps: tuple[str, ...]) -> None:
    result = measured(scene(*steps), queries=14)
    assert set(result) == FIELDS
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["attack"], result["tier"]) == ("key-proximity", "analysis")
    assert [line["changes"] for line in result["curve"]] == [0, 1, 2, 4, 8, 16, 32, None]
    for line in result["curve"]:
        assert set(line) == LINE
        assert line["min"] <= line["miou"] <= line["max"]
    assert [line["draws"] for line in result["curve"]] == [1, *[2] * 7]
    assert result["queries"] == 14


def test_it_starts_at_the_right_key_and_ends_at_a_random_one() -> None:
    made = scene("np-4", side=32, count=24, epochs=12)
    found = verdict(made)
    curve = found.published["curve"]
    assert curve[0] == {
        "changes": 0, "draws": 1, "miou": made.judge().correct(),
        "min": made.judge().correct(), "max": made.judge().correct(), "refused": 0.0,
    }  # fmt: skip
    scores = {line["changes"]: line["miou"] for line in curve}
    assert scores[0] > scores[1] > scores[8] > scores[None] + 0.05
    shares = {line["changes"]: line["plan_agreement"] for line in found.exact["curve"]}
    assert shares[1] == pytest.approx(46 / 48)
    assert shares[None] < 0.75
    assert all(line["draws"] == DRAWS for line in curve[1:])


def test_one_exchange_is_its_figure() -> None:
    found = verdict(scene("shf-2"))
    for name in ("miou", "refused"):
        assert found.published[name] == found.published["curve"][1][name]
    assert found.exact["curve"][0] == {"changes": 1, "plan_agreement": pytest.approx(10 / 12)}


def test_its_draws_repeat_and_are_the_owners_alone() -> None:
    """Who knows the seed, and has a plan to try, must not know which positions were exchanged."""
    made = scene("np-4", side=32, count=24, epochs=12)
    one, again = (measured(made, 7)["curve"] for _ in range(2))
    assert one == again
    assert measured(made, 7, seed=1)["curve"] != one
    assert measured(made, 7, secret=OTHER.derive("key-proximity/it"))["curve"] != one


def test_the_budget_ends_it() -> None:
    assert measured(scene("np-2"), queries=1)["queries"] == 1
    assert measured(scene("np-2"), seconds=1e-9)["queries"] == 1


def test_a_tiny_key_space_has_no_right_key_among_the_wrong() -> None:
    found = verdict(scene("np-1", side=32, count=24, epochs=12))
    curve = found.published["curve"]
    assert [line["changes"] for line in curve] == [0, 1, 2, None]
    assert all(line["plan_agreement"] < 1 for line in found.exact["curve"])
    assert all(line["max"] < curve[0]["miou"] for line in curve[1:])


def test_it_says_where_nothing_can_be_exchanged() -> None:
    why_not = ANALYSES["key-proximity"].why_not
    assert "no exchange of two" in (why_not(scene("np-2-f100").facts) or "")
    assert why_not(scene().facts)
    assert why_not(scene("np-2-f100", "shf-2").facts) is None
    with pytest.raises(AttackError, match="must apply to the lock, but it treats all"):
        measured(scene("np-2-f100"))


def test_distances_double() -> None:
    assert distances(3) == [1, 2]
    assert distances(3072)[-1] == 2048


def test_an_analysis_is_no_attack() -> None:
    assert not ATTACKS.keys() & ANALYSES.keys()
    with pytest.raises(AttackError, match="did you mean 'key-proximity'"):
        find_any("key-proximty")


def test_no_attack_imports_what_knows_the_plan() -> None:
    secret = {
        f"seglock.attacks.{name}" for name in ("judge", "agreement", "analysis", "key_proximity")
    }
    waiting = [attack.run.__module__ for attack in ATTACKS.values()]
    seen = set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or not name.startswith("seglock.attacks."):
            continue
        seen.add(name)
        tree = ast.parse(Path(sys.modules[name].__file__ or "").read_text())
        guarded = {
            inner for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for inner in ast.walk(node)
        }  # fmt: skip
        waiting += [
            str(node.module) for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node not in guarded
        ]  # fmt: skip
    assert len(seen) > len(ATTACKS)
    assert not seen & secret


def test_the_table_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    _print_results([AttackResult.check(measured(scene("np-2"), queries=3))])
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if "key-proximity" in line]
    assert row[:4] == ["key-proximity", "analysis", "3", "keys"]
