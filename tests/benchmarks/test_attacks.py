from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.attack_tables import PARTS
from benchmarks.attacks import main, named, with_locks
from seglock.attacks import ATTACKS
from seglock.config import load_profile
from seglock.report.numbers import signed
from tests.benchmarks.test_protocol import ROOT, SMALL

NAMES = ["plain", "random-keys", "hill-climb", "finetune", "ciphertext-only", "distil"]
NAMES += ["known-plaintext"]
BUDGET = {
    "attack.names": json.dumps(NAMES),
    "attack.queries": 6,
    "attack.seconds": 60,
    "attack.labelled": "[10, 50]",
}


def arguments(folder: Path, *more: str) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in (SMALL | BUDGET).items()]
    places = [f"--folder={folder / 'work'}", f"--out={folder}", "--name=small"]
    locks = ["--locks=np-4", "--lock=np-4+shf-4"]
    return ["--profile=synthetic", *settings, *places, *locks, *more]


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "attacks-small.json").read_text())
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert main(arguments(folder)) == 0
    return folder


def test_every_attack_of_every_lock_is_there(whole: Path) -> None:
    found = document(whole)
    pairs = [(result["lock"], result["attack"]) for result in found["results"]]
    assert sorted(pairs) == sorted(itertools.product(["np-4", "np-4-shf-4"], NAMES))
    assert found["locks"] == {"np-4": ["np-4"], "np-4-shf-4": ["np-4", "shf-4"]}
    assert found["attack"]["queries"] == 6
    assert found["command"].startswith("python -m benchmarks.attacks")


def test_networks_are_kept_when_the_budget_changes(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.glob("work/*/main/data/models/*/*")}
    assert len(before) == 6
    assert main(arguments(whole, "--set=attack.queries=5", "--name=other")) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_pages_show_what_was_measured(whole: Path) -> None:
    found = document(whole)
    shown = {name: part(found) for name, part in PARTS.items()}
    assert all(f"`{name}`" in shown["leaderboard"] for name in [*NAMES, "np-4-shf-4"])
    by_name = {(r["lock"], r["attack"]): r for r in found["results"]}
    assert f"{by_name['np-4', 'hill-climb']['miou']:.4f}" in shown["leaderboard"]
    curve = by_name["np-4", "finetune"]["curve"]
    assert f"{curve[-2]['miou']:.4f} / {curve[-1]['miou']:.4f}" in shown["labels"]
    over = curve[-2]["miou"] - curve[-1]["miou"]
    (row,) = [
        line
        for line in shown["beyond"].splitlines()
        if line.startswith(f"| {curve[-1]['labelled']} images")
    ]
    assert f"{signed(over)} (" in row or "`hill-climb`" in row.split("|")[2]
    assert "`finetune`" not in shown["plans"]
    (row,) = [line for line in shown["plans"].splitlines() if "`known-plaintext`" in line]
    assert row.split("|")[3:5] == [" found ", " found "]


def test_nothing_of_a_plan_is_left_in_the_work(whole: Path) -> None:
    kept = {path.suffix for path in whole.glob("work/*/attacks/**/*") if path.is_file()}
    assert kept == {".json"}


def test_locks_are_named_by_their_steps() -> None:
    params = load_profile(ROOT / "profiles" / "synthetic.yaml")
    added = with_locks(params, ["np-4+shf-4+ffx-4"])
    assert added.locks[named("np-4+shf-4+ffx-4")].steps == ["np-4", "shf-4", "ffx-4"]


@pytest.mark.parametrize(
    "more", ["--lock=np-5", "--set=attack.queries=0", "--set=attack.labelled=[0]"]
)
def test_bad_input_gets_one_message(
    tmp_path: Path, more: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments(tmp_path, more))
    assert stopped.value.code == 2
    assert not list(tmp_path.glob("*.json"))
    assert capsys.readouterr().err


def test_an_unknown_lock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(arguments(tmp_path, "--locks=np-3"))
    assert len(ATTACKS) > len(NAMES)
