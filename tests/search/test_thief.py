"""The thief of a trial: what it has, what counts of it, and a whole study that is judged by it."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from seglock.address import tracking_uri
from seglock.attacks import ATTACKS, Attack, Candidate, Facts, Finding, Material, Meter
from seglock.attacks.protocol import Tier
from seglock.config import ResourceParams, ThiefParams
from seglock.data import PreparedData, Split
from seglock.errors import ConfigError, DataError
from seglock.results.study import read_study_file
from seglock.search.coordinator import read_study, run_search
from seglock.search.executor import TrialJob, TrialResult
from seglock.search.thief import (
    PHOTOS,
    TRIED_ANYWAY,
    attacker_images,
    strongest,
    thief_attacks,
)
from seglock.search.trial import failure, run_trial
from seglock.search.workers import LocalExecutor
from seglock.stages.search import SEARCH_FOLDER, run_study
from seglock.training import EpochRow
from tests.conftest import ROOT
from tests.search.project import make_job, make_root
from tests.search.small_study import Silent, study_params
from tests.stages.test_search import write_params
from tests.tracking.conftest import client_of

TIERS = get_args(Tier)
SCORES: dict[str, Any] = {
    "plain": {"miou": 0.2},
    "plain_bn": {"miou": 0.3},
    "incorrect": {"p95": 0.25},
    "owner_miou": 0.6,
    "floors": {"floor": 0.1},
}


def names(**thief: Any) -> list[str]:
    return [attack.name for attack in thief_attacks(ThiefParams(**thief))]


def test_the_tiers_are_those_of_the_suite() -> None:
    (choices, _) = get_args(ThiefParams.model_fields["tier"].annotation)
    assert get_args(choices) == TIERS


@pytest.mark.parametrize("tier", TIERS)
def test_a_thief_has_the_attacks_of_its_tier_and_of_all_below(tier: str) -> None:
    chosen = names(tier=tier)
    expected = [a.name for a in ATTACKS.values() if a.tier <= tier and a.name not in TRIED_ANYWAY]
    assert chosen == expected
    assert {ATTACKS[name].tier for name in chosen} == set(TIERS[: TIERS.index(tier) + 1])  # type: ignore[arg-type]


def test_without_a_tier_there_is_no_thief() -> None:
    assert names() == names(attacks=["nobody"]) == []


def test_attacks_by_name_are_taken_as_they_are_written() -> None:
    assert names(tier="T1", attacks=["random-keys", "finetune"]) == ["random-keys", "finetune"]
    with pytest.raises(ConfigError, match="got finetune of T1; raise the tier"):
        names(tier="T0", attacks=["finetune"])
    with pytest.raises(ConfigError, match="did you mean 'finetune'"):
        names(tier="T1", attacks=["fintune"])


def splits(train: int, val: int, test: int, shared: int = 0) -> PreparedData:
    """Images that each have a value of their own; ``shared`` ids of val are also training ids."""
    start, made = 0, {}
    for name, count in (("train", train), ("val", val), ("test", test)):
        values = np.arange(start, start + count, dtype=np.uint16)
        images = np.stack([values >> 8, values & 255, values * 0], 1).astype(np.uint8)
        ids = tuple(f"{number}" for number in values)
        if name == "val" and shared:
            ids = (*made["train"].ids[:shared], *ids[shared:])
        masks = np.zeros((count, 1, 1), np.uint8)
        made[name] = Split(name, ids, images[:, :, None, None], masks)
        start += count
    return PreparedData(Path(), "made-up", ("a", "b"), 1, "0", **made)


@pytest.mark.parametrize(("judged", "source"), [("val", "train"), ("test", "val")])
def test_the_attacker_s_images_are_none_of_those_that_are_judged(judged: str, source: str) -> None:
    data = splits(train=900, val=300, test=80)
    theirs: Split = getattr(data, judged)
    own = attacker_images(data, theirs, 10.0)
    assert own.name == source != "test"
    assert len(own) == len(own.images) == len(own.masks) == PHOTOS
    assert not set(own.ids) & (set(theirs.ids) | set(data.test.ids))
    seen = {image.tobytes() for image in own.images}
    assert len(seen) == PHOTOS
    assert not seen & {image.tobytes() for image in theirs.images}


def test_an_image_that_is_in_both_splits_is_left_out() -> None:
    data = splits(train=12, val=8, test=4, shared=5)
    assert attacker_images(data, data.val, 10.0).ids == data.train.ids[5:]


def test_there_are_as_many_images_as_the_thief_has_labels_of() -> None:
    data = splits(train=900, val=300, test=80)
    assert len(attacker_images(data, data.val, 50.0)) == 450
    assert len(attacker_images(data, data.test, 50.0)) == 300


def test_too_few_images_for_an_attacker_are_told_of() -> None:
    data = splits(train=900, val=3, test=80)
    with pytest.raises(DataError, match="at least 4 images for the attacker, got 3 in split val"):
        attacker_images(data, data.test, 10.0)
    with pytest.raises(DataError, match="got 3 in split train that are not in split val"):
        overlapping = splits(train=9, val=8, test=4, shared=6)
        attacker_images(overlapping, overlapping.val, 10.0)


def one(tier: str, miou: float) -> dict[str, Any]:
    return {"tier": tier, "miou": miou}


def test_the_largest_figure_counts_and_is_named() -> None:
    found = {"a": one("T0", 0.5), "b": one("T1", 0.55), "c": one("T1", 0.4)}
    assert strongest(SCORES, found) == {
        "unauthorised": 0.55,
        "strongest": "b",
        "strongest_tier": "T1",
        "regained": pytest.approx(0.9),
    }


def test_what_every_trial_tries_is_the_least_and_the_first_among_equals() -> None:
    for found in ({}, {"a": one("T1", 0.3)}, {"a": one("T3", 0.05)}):
        told = strongest(SCORES, found)
        assert (told["unauthorised"], told["strongest"]) == (0.3, "plain_bn")
        assert told["regained"] == pytest.approx(0.4)


def test_an_owner_without_a_lead_has_nothing_to_regain() -> None:
    assert strongest(SCORES | {"owner_miou": 0.1}, {})["regained"] is None


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("project")
    return root, make_root(root)


Plant = Callable[..., list[Material]]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Enter an attack into the suite that keeps what it is given, and uses the network as it is."""

    def enter(name: str, tier: Any, **more: Any) -> list[Material]:
        given: list[Material] = []

        def run(material: Material, meter: Meter, seed: int) -> Finding:
            given.append(material)
            meter.spend()
            return Finding((Candidate(),))

        monkeypatch.setitem(ATTACKS, name, Attack(name, tier, "keys", run, **more))
        return given

    return enter


def run(
    project: tuple[Path, str],
    *steps: str,
    stop: bool = False,
    split: str = "val",
    **thief: Any,
) -> TrialResult:
    search = {"split": split, "thief": {"queries": 3, "seconds": 5.0} | thief}
    job = make_job(*project, "trial-0-1", *steps, search=search, train={"epochs": 2})
    return run_trial(job, scratch=project[0] / "scratch", on_epoch=lambda row: stop, worker="here")


@pytest.mark.parametrize(("split", "source"), [("val", "train"), ("test", "val")])
def test_a_trial_hands_no_judged_image_to_its_thief(
    project: tuple[Path, str], plant: Plant, split: str, source: str
) -> None:
    given = [plant(f"planted-{tier}", tier) for tier in TIERS]
    chosen = [f"planted-{tier}" for tier in TIERS]
    scores = run(project, "np-4", split=split, tier="T3", attacks=chosen).scores
    assert scores is not None
    data = PreparedData.open(project[0] / "data" / "prepared")
    judged = {image.tobytes() for image in getattr(data, split).images}
    own = {image.tobytes() for image in getattr(data, source).images}
    for (material,) in given:
        photos = {image.tobytes() for image in material.photos}
        assert photos
        assert photos <= own
        assert not photos & judged
    assert [m.masks is not None for (m,) in given] == [False, True, False, False]
    assert [m.ciphertexts is not None for (m,) in given] == [False, False, True, False]
    # The planted ones use the network as it is, so they have what `plain` has, on the same images.
    assert {found["miou"] for found in scores["attacks"].values()} == {scores["plain"]["miou"]}
    assert [found["tier"] for found in scores["attacks"].values()] == list(TIERS)


def test_whoever_can_ask_the_client_has_all_that_its_owner_has(project: tuple[Path, str]) -> None:
    scores = run(project, "np-4", tier="T3", attacks=["chosen-plaintext"], queries=1000).scores
    assert scores is not None
    found = scores["attacks"]["chosen-plaintext"]
    assert found["plan_found"] == 1
    assert found["miou"] == pytest.approx(scores["owner_miou"])
    assert scores["unauthorised"] >= found["miou"]


def test_an_attack_that_does_not_apply_is_left_out(project: tuple[Path, str], plant: Plant) -> None:
    def only_shf(facts: Facts) -> str | None:
        return None if facts.methods == {"shf"} else "for SHF alone"

    given, always = plant("only-shf", "T0", why_not=only_shf), plant("always", "T0")
    chosen = {"tier": "T0", "attacks": ["only-shf", "always"]}
    assert list((run(project, "np-4", **chosen).scores or {})["attacks"]) == ["always"]
    assert (len(given), len(always)) == (0, 1)
    assert list((run(project, "shf-4", **chosen).scores or {})["attacks"]) == ["only-shf", "always"]


def test_where_no_attack_applies_the_figures_are_those_without(
    project: tuple[Path, str], plant: Plant
) -> None:
    plant("never", "T0", why_not=lambda facts: "never")
    scores = run(project, "np-4", tier="T0", attacks=["never"]).scores or {}
    tried = (scores["plain"]["miou"], scores["plain_bn"]["miou"], scores["incorrect"]["p95"])
    assert (scores["attacks"], scores["unauthorised"]) == ({}, max(tried))
    assert scores["strongest"] in ("plain", "plain_bn", "incorrect_p95")


def test_a_baseline_and_a_trial_that_was_stopped_meet_no_thief(
    project: tuple[Path, str], plant: Plant
) -> None:
    given = plant("planted", "T0")
    baseline = run(project, tier="T0", attacks=["planted"])
    assert baseline.scores is not None
    assert "attacks" not in baseline.scores
    assert run(project, "np-4", stop=True, tier="T0", attacks=["planted"]).scores is None
    assert not given


def test_an_error_of_an_attack_keeps_its_words_to_itself(
    project: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leak(*_: Any) -> Any:
        raise IndexError("the plan is [3, 1, 2]")

    monkeypatch.setitem(ATTACKS, "unsupervised", replace(ATTACKS["unsupervised"], run=leak))
    with pytest.raises(IndexError) as raised:
        run(project, "np-4", tier="T0", attacks=["unsupervised"])
    assert failure(raised.value)[0] == "IndexError while a key or a transform was at work"
    assert not list((project[0] / "scratch").iterdir())


def dying_run(
    job: TrialJob, *, scratch: Path, on_epoch: Callable[[EpochRow], bool], worker: str
) -> TrialResult:
    """`run_trial` whose first attack of all kills its process, as a full memory would."""
    attack, marker = ATTACKS["unsupervised"], Path(job.root) / "killed"

    def die(material: Material, meter: Meter, seed: int) -> Finding:
        if marker.exists():
            return attack.run(material, meter, seed)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    ATTACKS["unsupervised"] = replace(attack, run=die)
    try:
        return run_trial(job, scratch=scratch, on_epoch=on_epoch, worker=worker)
    finally:
        ATTACKS["unsupervised"] = attack


def test_a_trial_killed_during_its_attacks_is_tried_again(
    study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src")]))
    params = study_params(
        trials=1,
        baseline_seeds=1,
        enqueue=["np-4"],
        thief={"tier": "T0", "attacks": ["unsupervised"], "queries": 4, "seconds": 5.0},
    )
    executor = LocalExecutor(
        1, scratch=study_root / "work", resources=ResourceParams(), run=dying_run
    )
    observer = Silent()
    outcome = run_search(params, study_root, executor=executor, observer=observer)
    assert (study_root / "killed").exists()
    assert any("ended before its job did" in line for line in observer.said)
    (trial,) = outcome.trials
    assert (trial.state, trial.attempt) == ("complete", 2)
    assert list(trial.attacks or {}) == ["unsupervised"]
    assert read_study(params, study_root).trials == outcome.trials


THIEF = {"tier": "T1", "attacks": ["unsupervised", "hill-climb", "finetune"]}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project whose study of two trials was judged by a thief of tier T1."""
    root = tmp_path_factory.mktemp("robbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("DVC_ROOT", raising=False)
        make_root(root)
        write_params(root, thief=THIEF | {"queries": 6, "seconds": 5.0}, confirm=0, pruner="none")
        run_study(root)
    return root


def test_a_study_keeps_what_each_attack_came_to(searched: Path) -> None:
    document = json.loads((searched / SEARCH_FOLDER / "study.json").read_text())
    assert document["about"]["thief"] == THIEF | {"queries": 6, "seconds": 5.0, "labelled": 10.0}
    assert len(document["trials"]) == 2
    for trial in document["trials"]:
        assert list(trial["attacks"]) == THIEF["attacks"]
        tried = [trial["plain"], trial["plain_bn"], trial["incorrect_p95"]]
        figures = {name: found["miou"] for name, found in trial["attacks"].items()}
        assert trial["unauthorised"] == max(*tried, *figures.values())
        named = figures.get(trial["strongest"], trial.get(trial["strongest"]))
        assert named == trial["unauthorised"]
        if trial["owner_miou"] > trial["floor"]:
            lead = trial["owner_miou"] - trial["floor"]
            expected = (trial["unauthorised"] - trial["floor"]) / lead
            assert trial["regained"] == pytest.approx(expected)
        assert set(trial["attacks"]["finetune"]) >= {"tier", "miou", "queries", "scratch_miou"}
        assert trial["attacks"]["hill-climb"]["plan_found"] == 0
        assert "curve" not in trial["attacks"]["hill-climb"]
    with (searched / SEARCH_FOLDER / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["strongest"] for row in rows] == [t["strongest"] for t in document["trials"]]
    study = read_study_file(searched)
    assert study is not None
    assert study.about.unauthorised_text.endswith("up to T1, 6 queries, 5 s each")


def test_mlflow_has_each_attack_s_figures(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(searched)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    document = json.loads((searched / SEARCH_FOLDER / "study.json").read_text())
    client = client_of(tracking_uri(searched))
    for trial in document["trials"]:
        run = client.get_run(trial["run_id"]).data
        path = client.download_artifacts(trial["run_id"], "attacks.json")
        names = [row[0] for row in json.loads(Path(path).read_text())["data"]]
        assert names == list(trial["attacks"])
        best = max(f["miou"] for f in trial["attacks"].values() if f["tier"] == "T1")
        lead = trial["owner_miou"] - trial["floor"]
        share = (best - trial["floor"]) / lead if lead > 0 else 1.0  # below 0 under the floor
        assert run.metrics["access/strongest_T1"] == pytest.approx(share)
        assert run.metrics["access/unauthorised"] == trial["unauthorised"]
        assert run.tags["strongest"] == f"{trial['strongest']} ({trial['strongest_tier']})"
    assert client.get_run(document["run_id"]).data.params["search.thief.tier"] == "T1"


def test_the_same_study_goes_on_and_another_thief_begins_another(
    searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(searched)
    monkeypatch.setattr("seglock.search.in_process.run_trial", None)  # nothing is computed again
    before = json.loads((searched / SEARCH_FOLDER / "study.json").read_text())
    again = run_study(searched)
    assert json.loads(json.dumps(again.document())) == before
    from seglock.stages.search import show_study

    for tier in ("T2", None):
        other = show_study(searched, overrides={"thief.tier": tier, "thief.attacks": "all"})
        assert (other.study == again.study, len(other.trials)) == (False, 0)
