"""The serving benchmark runs over a real server and says what it must; never how fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.serving import Case, main, rows_of
from benchmarks.serving_hostile import _KINDS, bodies
from tests.serving.server.asking import envelope


def test_a_quick_run_measures_and_goes_on_where_it_was(tmp_path: Path) -> None:
    arguments = ["--quick", "--out", str(tmp_path), "--folder", str(tmp_path / "kept")]
    main(arguments)
    (path,) = tmp_path.glob("serving-*.json")
    document = json.loads(path.read_text())
    rows = {row["name"]: row for row in document["rows"]}
    asked = rows["fcn_small at 16, 2 clients"]
    assert asked["limit"] == "the bare network, batches of 2"
    assert asked["value"] > 0
    hostile = document["settings"]["hostile"]
    assert hostile["broken"] == 0
    assert hostile["good"] == 1
    assert sum(hostile["statuses"].values()) == 130
    assert hostile["log"] == 1  # the line that it serves, and nothing of what it was sent
    before = {part: part.read_text() for part in (tmp_path / "kept").glob("*.json")}
    main(arguments)  # in no time: nothing is measured again
    assert before == {part: part.read_text() for part in (tmp_path / "kept").glob("*.json")}


def test_each_figure_stands_beside_the_bare_network_and_the_other_server() -> None:
    seen = {
        "seglock serve, 8": {"rate": 300.0, "p50": 10.0, "p99": 20.0},
        "mlflow models serve, 8": {"rate": 100.0, "p50": 30.0, "p99": 80.0},
        "the bare network, 8": {"rate": 400.0},
    }
    rate, p50, p99 = rows_of(Case(64, clients=(8,)), seen)
    assert (rate.ratio, rate.share_of_limit) == (3.0, 0.75)
    assert (p50.ratio, p99.ratio, p99.reference) == (3.0, 4.0, "mlflow models serve")


def test_hostile_bodies_are_of_every_kind_and_the_same_each_time() -> None:
    made = list(bodies(envelope(), len(_KINDS)))
    assert [kind for kind, _, _ in made] == list(_KINDS)
    assert made == list(bodies(envelope(), len(_KINDS)))


@pytest.mark.parametrize("kind", sorted(set(_KINDS) - {"huge declared size"}))
def test_none_is_a_good_one(kind: str) -> None:
    assert all(body != envelope() for name, body, _ in bodies(envelope(), 130) if name == kind)
