from __future__ import annotations

import copy
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from benchmarks.lock_tables import PARTS, attacks_on, holds, thief_of
from benchmarks.locks import LOCKS, main, with_locks
from seglock.config import RefuseParams, load_profile
from seglock.results.standing import most_beyond
from tests.benchmarks.test_protocol import ROOT, SMALL

QUERIES = 4
BUDGET = {
    "model.width": 8,
    "attack.names": json.dumps(["plain", "hill-climb", "finetune", "known-plaintext"]),
    "attack.queries": QUERIES,
    "attack.labelled": "[10, 50]",
}
GIVEN = {
    "np-2": {"steps": ["np-2"]},
    "np-4": {"steps": ["np-4"]},
    "np-4-refuse": {"steps": ["np-4"], "refuse": 0.5},
}


def arguments(folder: Path, *more: str) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in (SMALL | BUDGET).items()]
    places = [f"--folder={folder / 'work'}", f"--out={folder}", "--name=small"]
    locks = [f"--lock={name}={json.dumps(lock)}" for name, lock in GIVEN.items()]
    return ["--profile=synthetic", *settings, *places, *locks, *more]


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "locks-small.json").read_text())
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert main(arguments(folder, "--judge-only")) == 0
    assert not any(
        row["attacks"] for row in document(folder)["networks"] if row["lock"] != "baseline"
    )
    assert main(arguments(folder)) == 0
    return folder


def test_every_lock_has_three_keys_and_seeds(whole: Path) -> None:
    found = document(whole)
    for lock in ("baseline", *GIVEN):
        rows = [row for row in found["networks"] if row["lock"] == lock]
        assert [row["repeat"] for row in rows] == [0, 1, 2]
        assert len({row["owner_miou"] for row in rows}) > 1
    for row in found["networks"]:
        names = {attack["attack"] for attack in row["attacks"]}
        assert names == (
            set() if row["lock"] == "baseline" else set(json.loads(BUDGET["attack.names"]))
        )  # type: ignore[arg-type]
    assert found["locks"]["np-4-refuse"]["refuse"]["weight"] == 0.5
    assert found["attack"]["with_labels"] == 4
    for row in found["networks"]:
        for attack in row["attacks"]:
            given = QUERIES * (4 if attack["tier"] == "T1" else 1)
            assert attack["budget"]["queries"] == given


def test_what_is_done_is_not_done_again(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.glob("work/*/**/*") if path.is_file()}
    assert main(arguments(whole)) == 0
    kept = {path: time for path, time in before.items() if path.suffix in (".json", ".safetensors")}
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_tables_show_what_was_measured(whole: Path) -> None:
    found = document(whole)
    for row in found["networks"]:  # so small a training may take no time that is told
        row["train_seconds"] = 3.0 if row["lock"] == "np-4-refuse" else 2.0
    verdicts, attacks = PARTS["verdicts"](found), PARTS["attacks"](found)
    lines = {line.split("|")[1].strip(" `"): line for line in verdicts.splitlines() if "|" in line}
    assert "no: bits" in lines["np-2"]
    cost = [cell.strip() for cell in lines["np-4-refuse"].split("|")][-3]
    assert cost == "1.50"
    rows = [row for row in found["networks"] if row["lock"] == "np-4"]
    mean = sum(row["owner_miou"] for row in rows) / 3
    assert f" {mean:.3f} (" in lines["np-4"]
    assert all(f"`{name}`" in attacks for name in json.loads(str(BUDGET["attack.names"])))


def test_what_owners_keep_stands_beside_the_paper(whole: Path) -> None:
    found = document(whole)
    owner = {
        lock: fmean(row["owner_miou"] for row in found["networks"] if row["lock"] == lock)
        for lock in ("baseline", "np-4", "np-4-refuse")
    }
    lines = PARTS["beside-paper"](found).splitlines()
    cells = [cell.strip() for cell in lines[3].split("|")[1:-1]]
    kept = [f"{owner[lock] / owner['baseline']:.2f}" for lock in ("np-4", "np-4-refuse")]
    assert cells == ["4", "-", "-", "0.84", *kept, "0.80", "-", "-", "0.70"]


def held(drop: float = 0.0, t0: float = 0.0, t1: float = 0.0, bits: float = 64.0) -> dict[str, Any]:
    """A document of a baseline of 0.5 over a floor of 0.1, and a lock."""
    attack = {
        "budget": {"queries": 1, "seconds": 1.0}, "unit": "steps", "queries": 1, "seconds": 1.0,
        "floor": 0.1, "correct": 0.5, "regained": t0, "plan_found": None, "above_chance": None,
        "lock": "a",
    }  # fmt: skip
    curve = [
        {"from": "theft", "labelled": 9, "share": 0.5, "miou": 0.2 + t1},
        {"from": "scratch", "labelled": 9, "share": 0.5, "miou": 0.2},
    ]
    row = {
        "lock": "a", "owner_miou": 0.5 - drop, "floors": {"floor": 0.1}, "plain": 0.1,
        "plain_bn": 0.1, "incorrect": {"p95": 0.1}, "key_space_bits": bits,
        "attacks": [
            attack | {"attack": "x", "tier": "T0", "miou": 0.1 + 0.4 * t0},
            attack | {"attack": "y", "tier": "T1", "miou": 0.2 + t1, "curve": curve},
        ],
    }  # fmt: skip
    return {"networks": [{"lock": "baseline", "owner_miou": 0.5}, row]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "yes"),
        ({"drop": 0.02}, "no: drop"),
        ({"t0": 0.06}, "no: T0"),
        ({"t1": 0.03}, "no: T1"),
        ({"bits": 40.0}, "no: bits"),
        ({"bits": 40.0, "drop": 0.02, "t0": 0.3, "t1": 0.3}, "no: bits, drop, T0, T1"),
    ],
)
def test_what_a_lock_breaks(given: dict[str, float], says: str) -> None:
    made = held(**given)
    assert holds(made, made["networks"][1:]) == says


def test_the_strongest_counts_with_every_key() -> None:
    made = held()
    worse = copy.deepcopy(held(t0=0.5, t1=0.1)["networks"][1])
    assert holds(made, [made["networks"][1], worse]) == "no: T0, T1"
    thief, beyond = thief_of(worse, "T0"), most_beyond(attacks_on(worse))
    assert thief is not None
    assert thief.name == "x"
    assert beyond is not None
    assert beyond.beyond == pytest.approx(0.1)


def test_a_lock_without_attacks_is_not_said_to_hold() -> None:
    made = held()
    made["networks"][1]["attacks"] = []
    assert holds(made, made["networks"][1:]) == "not attacked"


def test_the_locks_are_the_papers_and_refusing_ones() -> None:
    params = with_locks(load_profile(ROOT / "profiles" / "camvid-small.yaml"), LOCKS)
    assert set(params.locks) == {"baseline", *LOCKS}
    assert {lock.method for lock in params.locks.values()} >= {"shf", "np", "ffx", "np+shf"}
    assert any(isinstance(lock.refuse, RefuseParams) for lock in params.locks.values())


@pytest.mark.parametrize("more", ['--lock=x={"steps": ["np-5"]}', "--set=attack.queries=0"])
def test_bad_input_gets_one_message(
    tmp_path: Path, more: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments(tmp_path, more))
    assert stopped.value.code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("more", ["--only=np-3", "--lock=np-4", "--lock=x={"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, more: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments(tmp_path, more))
    assert stopped.value.code == 2
