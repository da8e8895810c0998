"""Locks whose key acts inside the network, through all stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock import files
from seglock.config import load_params
from seglock.errors import ConfigError
from seglock.stages.attack import attack_lock
from seglock.stages.audit import run_audit
from seglock.stages.encrypt import encrypt_split
from seglock.stages.encrypt_images import lock_sealer
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.package import package_locks
from seglock.stages.train import train_locks
from seglock.stages.weights import get_weights
from seglock.tracking import MemoryTracker
from tests.stages.conftest import PARAMS

LOCKS = """\
locks:
  baseline: {steps: []}
  inside: {steps: [chp-block1]}
  both: {steps: [np-2, chp-block1], refuse: 0.1}
model: {name: fcn_small, width: 24}
"""
ATTACKS = "[plain, bn-reestimate, channel-match, finetune, known-plaintext, distil, key-proximity]"


@pytest.fixture
def inside(project: Path, tracker: MemoryTracker) -> Path:
    """The project with locks inside a wider network, trained for an epoch."""
    kept = [
        line
        for line in PARAMS.splitlines()
        if line.startswith(("data", "  val", "  image", "  synth"))
    ]
    rest = [
        "train: {epochs: 1, batch_size: 4, lr: 0.1, device: cpu}",
        "evaluate: {wrong_keys: 3, batch_size: 4, pictures: 2}",
        f"attack: {{names: {ATTACKS}, queries: 4, seconds: 60.0, labelled: [50]}}",
    ]
    (project / "params.yaml").write_text("\n".join([*kept, LOCKS, *rest]))
    get_weights(load_params(project / "params.yaml"), project)
    return project


def test_they_are_trained_judged_attacked_and_audited(inside: Path) -> None:
    train_locks(["inside", "both"], inside)
    for lock in ("inside", "both"):
        encrypt_split(lock, inside)
    alone, both = evaluate_locks(["inside", "both"], inside)
    assert (alone.method, alone.block_size, both.method) == ("chp", None, "np+chp")
    assert alone.key_space_bits == pytest.approx(79.04, abs=0.01)
    assert both.scores.incorrect is not None
    assert both.scores.incorrect.keys == 3
    found = {result.attack: result for result in attack_lock("inside", inside)}
    assert set(found) == {"plain", "bn-reestimate", "channel-match", "finetune"}
    assert "channels_right" not in found["channel-match"].document()
    exact = files.read_json(inside / ".seglock/attacks/exact/inside/channel-match.json")
    assert 0 <= exact["channels_right"] <= 1
    found = {result.attack: result for result in attack_lock("both", inside)}
    assert found["known-plaintext"].plan_found
    assert set(found) > {"channel-match", "key-proximity"}
    report = run_audit(inside)
    assert not report.findings


@pytest.mark.parametrize("lock", ["inside", "both"])
def test_they_are_not_packaged(inside: Path, lock: str) -> None:
    with pytest.raises(ConfigError, match=f"acts inside the network, got {lock}, with chp-block1"):
        package_locks([lock], inside)
    with pytest.raises(ConfigError, match="all on images"):
        lock_sealer(lock, None, inside)
    params = inside / "params.yaml"
    params.write_text(params.read_text() + f"\npackage: {{register: [{lock}]}}\n")
    with pytest.raises(ConfigError, match="must run without the key"):
        load_params(params)


def test_a_layer_that_the_network_has_not_is_told_before_anything_is_done(inside: Path) -> None:
    params = inside / "params.yaml"
    params.write_text(params.read_text().replace("chp-block1", "chp-layer2"))
    for stage in (encrypt_split, lambda lock, root: train_locks([lock], root)):
        with pytest.raises(ConfigError, match="got chp-layer2; use one of chp-block0, "):
            stage("inside", inside)
