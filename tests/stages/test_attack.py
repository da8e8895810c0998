"""The stage: results in their folder and in the lock's run, resumed, and refused with a reason."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch

from seglock import files
from seglock.config import ModelParams, load_params
from seglock.errors import AttackError, ConfigError, KeyRefusedError, ModelError
from seglock.models import fetch_weights, read_weights
from seglock.models.initial import WEIGHTS_FILE
from seglock.stages.attack import attack_lock, published_start
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.summary import summarise_lock
from seglock.tracking import MemoryTracker
from tests.contracts.test_published import REMOVED
from tests.stages.conftest import RUN

NAMES = ["plain", "ciphertext-only", "known-plaintext"]


def test_each_attack_leaves_one_file_and_its_figures(project: Path, tracker: MemoryTracker) -> None:
    results = attack_lock("np-2", project)
    assert [result.attack for result in results] == [
        "plain",
        "ciphertext-only",
        "known-plaintext",
    ]
    folder = project / "data/attacks/np-2"
    assert {path.name for path in folder.iterdir()} == {f"{r.attack}.json" for r in results}
    for result in results:
        written = files.read_json(folder / f"{result.attack}.json")
        assert written == result.document() | {"run_id": RUN}
        assert result.lock == "np-2"
    summary = files.read_json(project / "data/attacks/np-2.json")
    lost = results[0].regained
    assert summary == {"T0": 1.0 if lost is None else lost}
    attacks = {row["attack"]: row for row in tracker.tables["attacks"]}
    assert attacks["known-plaintext"]["miou"] == results[-1].miou
    assert attacks["known-plaintext"]["plan_found"] is True
    assert not [name for metrics, _ in tracker.metrics for name in metrics if "attack" in name]
    assert [path.name for path in (project / ".seglock/attacks").iterdir()] == ["exact"]


def test_an_evaluation_elsewhere_takes_no_verdict_of_attacks_back(
    project: Path, tracker: MemoryTracker
) -> None:
    params = load_params(project / "params.yaml")
    evaluate_locks(["np-2"], project)
    attack_lock("np-2", project)
    verdict = tracker.tags["holds"]
    assert tracker.tags["attacked"] == "true"
    assert "known-plaintext" in tracker.tags["strongest"]
    shutil.rmtree(project / "data" / "attacks")  # as in the folder of `dvc exp run --temp`
    summarise_lock("np-2", params, project, {RUN}).tell(tracker)
    assert (tracker.tags["holds"], "T3 known" in tracker.tags["strongest"]) == (verdict, True)


def test_no_plan_and_no_key_is_in_what_it_writes(project: Path, tracker: MemoryTracker) -> None:
    """An estimate may be the true plan: nothing as long as one is a list of numbers in a result."""
    attack_lock("np-2", project, only=[*NAMES, "gradient", "key-proximity"])
    for path in (project / "data/attacks").rglob("*.json"):
        value = files.read_json(path)
        lists = [v for v in walk(value) if isinstance(v, list) and v and isinstance(v[0], int)]
        assert not [numbers for numbers in lists if len(numbers) >= 12]


def test_exact_figures_are_the_owners_alone(project: Path, tracker: MemoryTracker) -> None:
    """How much of the plan an attack had: mode 0600 in .seglock, and nowhere else."""
    previous = os.umask(0)
    try:
        attack_lock("np-2", project, only=[*NAMES, "random-keys", "hill-climb", "key-proximity"])
    finally:
        os.umask(previous)
    exact = project / ".seglock/attacks/exact/np-2"
    assert 0 <= files.read_json(exact / "hill-climb.json")["plan_agreement"] <= 1
    assert files.read_json(exact / "ciphertext-only.json")["psnr"] > 0
    assert len(files.read_json(exact / "random-keys.json")["curve"]) == 4
    assert files.read_json(exact / "key-proximity.json")["curve"][0]["plan_agreement"] < 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in exact.iterdir()} == {0o600}
    for folder in (exact, exact.parent, exact.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    told = [json.dumps(tracker.metrics), json.dumps(tracker.tags), json.dumps(tracker.params)]
    told += [json.dumps(tracker.tables)]
    told += [path.read_text() for path, _ in tracker.artifacts]
    told += [path.read_text() for path in (project / "data").rglob("*.json")]
    assert not [name for name in REMOVED for text in told if f'"{name}"' in text]
    assert not [name for name in REMOVED if any(f"/{name}" in text for text in told)]
    attack_lock("np-2", project)
    assert {path.stem for path in exact.iterdir()} == set(NAMES)


def walk(value: object) -> Iterator[object]:
    yield value
    inside = value.values() if isinstance(value, dict) else value
    for item in inside if isinstance(inside, Iterable) and not isinstance(inside, str) else ():
        yield from walk(item)


def test_a_stopped_run_goes_on_with_the_next_attack(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seglock import attacks

    own, ran = attacks.run_attack, []

    def stops(attack: attacks.Attack, *given: object, **more: object) -> dict:
        if attack.name == "known-plaintext" and "stopped" not in ran:
            ran.append("stopped")
            raise KeyboardInterrupt
        ran.append(attack.name)
        return own(attack, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(attacks, "run_attack", stops)
    with pytest.raises(KeyboardInterrupt):
        attack_lock("np-2", project)
    assert not (project / "data/attacks/np-2").exists()
    (work,) = (project / ".seglock/attacks").glob("np-2-*")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in work.iterdir()}
    assert modes == {"plain.json": 0o600, "ciphertext-only.json": 0o600}
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    attack_lock("np-2", project)
    assert ran == ["plain", "ciphertext-only", "stopped", "known-plaintext"]
    assert (project / "data/attacks/np-2/plain.json").is_file()


def test_one_attack_leaves_the_others_results(project: Path, tracker: MemoryTracker) -> None:
    attack_lock("np-2", project)
    (result,) = attack_lock("np-2", project, only=["chosen-plaintext"], overrides={"queries": 2})
    assert result.budget.queries == 2
    names = {path.stem for path in (project / "data/attacks/np-2").iterdir()}
    assert names == {"plain", "ciphertext-only", "known-plaintext", "chosen-plaintext"}
    assert len(tracker.tables["attacks"]) == 4
    attack_lock("np-2", project)
    assert len(list((project / "data/attacks/np-2").iterdir())) == 3


def test_an_analysis_runs_beside_the_attacks(project: Path, tracker: MemoryTracker) -> None:
    (result,) = attack_lock("np-2", project, only=["key-proximity"])
    assert result.tier == "analysis"
    path = project / "data/attacks/np-2/key-proximity.json"
    assert files.read_json(path) == result.document() | {"run_id": RUN}
    assert "key-proximity" in [row["attack"] for row in tracker.tables["attacks"]]
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace(f"[{', '.join(NAMES)}]", "all"))
    names = [result.attack for result in attack_lock("np-2", project)]
    assert (names[-1], "gradient" in names) == ("key-proximity", True)


def test_what_does_not_apply_is_left_out_or_says_why(project: Path, tracker: MemoryTracker) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("[plain,", "[plain, exhaustive,"))
    assert [result.attack for result in attack_lock("mixed", project)] == NAMES
    with pytest.raises(AttackError, match="must apply to the lock, but its key space of"):
        attack_lock("mixed", project, only=["exhaustive"])


def test_the_baseline_has_nothing_to_attack(project: Path) -> None:
    assert attack_lock("baseline", project) == []
    assert (project / "data/attacks/baseline/README.txt").is_file()
    assert files.read_json(project / "data/attacks/baseline.json") == {}
    with pytest.raises(AttackError, match="an attack needs a lock, got baseline"):
        attack_lock("baseline", project, only=["plain"])


@pytest.mark.parametrize(
    ("lock", "given", "error", "message"),
    [
        ("np2", {}, ConfigError, "did you mean 'np-2'"),
        ("shf-16", {}, ModelError, "dvc repro train@shf-16"),
        ("np-2", {"only": ["hil-climb"]}, AttackError, "did you mean 'hill-climb'"),
        ("np-2", {"overrides": {"queries": 0}}, ConfigError, "attack.queries"),
        ("np-2", {"overrides": {"seconds": 0.0}}, ConfigError, "attack.seconds"),
        ("np-2", {"overrides": {"labelled": [0.0]}}, ConfigError, "attack.labelled"),
    ],
)
def test_bad_input(
    project: Path, lock: str, given: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        attack_lock(lock, project, **given)


def test_another_key_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(project / "elsewhere"))
    with pytest.raises(KeyRefusedError):
        attack_lock("np-2", project)


@pytest.mark.parametrize("start", ["imagenet", "baseline", "trained.safetensors"])
def test_a_thief_has_the_published_weights_that_training_began_with(
    tmp_path: Path, start: str
) -> None:
    model = ModelParams(
        name="timm/tf_efficientnet_lite0",
        initial_weights=start,
        baseline_weights="none" if start == "imagenet" else "imagenet",
    )
    fetch_weights(model.model_copy(update={"initial_weights": "imagenet"}), tmp_path)
    shipped = read_weights(tmp_path / WEIGHTS_FILE)
    if start == "imagenet":
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "weights").symlink_to(tmp_path)
    network = published_start(model, 3, tmp_path)
    assert network is not None
    stem = "backbone.conv_stem.weight"
    assert torch.equal(network.state_dict()[stem], shipped[stem])
    assert (
        published_start(model.model_copy(update={"initial_weights": "none"}), 3, tmp_path) is None
    )
