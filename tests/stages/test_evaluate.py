from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglock import files
from seglock.data import PreparedData, open_encrypted
from seglock.errors import ConfigError, DataError, KeyRefusedError, ModelError, ReportError
from seglock.keys import KeyStore
from seglock.report import read_results
from seglock.results.evaluation import Evaluation
from seglock.stages.encrypt import encrypt_split
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.tell import tell_result
from seglock.tracking import MemoryTracker
from seglock.transforms import Transform
from tests.stages.conftest import PARAMS, write_model


def evaluate(lock: str, root: Path) -> Evaluation:
    (about,) = evaluate_locks([lock], root)
    return about


def test_a_lock_is_judged_into_its_folder(project: Path, tracker: MemoryTracker) -> None:
    about = evaluate("np-2", project).document()
    folder = project / "data/evaluations/np-2"
    assert sorted(p.name for p in folder.iterdir()) == [
        "evaluation.json", "keys.csv", "metrics.json", "pictures.npz",
    ]  # fmt: skip
    assert files.read_json(folder / "evaluation.json") == about
    record = files.read_json(project / "data/keys/main.json")
    data = PreparedData.open(project / "data/prepared")
    expected = {
        "lock": "np-2", "method": "np", "steps": ["np-2"], "block_size": 2, "key": "main",
        "key_id": record["id"], "ffx_password": "from_key", "ffx_divisor": None,
        "run_id": tracker.run_id,
        "dataset": "synthetic", "dataset_digest": data.digest, "classes": list(data.classes),
        "image_side": 16, "model": "fcn_small", "seed": 0,
    }  # fmt: skip
    assert {name: about[name] for name in expected} == expected
    assert about["key_space_bits"] == pytest.approx(np.log2(924))
    scores = about["scores"]
    with (folder / "keys.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["miou"]) for row in rows] == scores["incorrect"]["miou"]
    assert [row["key"] for row in rows] == ["0", "1", "2", "3"]
    metrics = files.read_json(folder / "metrics.json")
    assert metrics["correct"] == scores["correct"]["miou"]
    assert metrics["run_id"] == tracker.run_id
    floors = scores["floors"]
    assert metrics["floor"] == floors["floor"]
    assert (metrics["floor_constant"], metrics["floor_prior"]) == (
        floors["constant"], floors["prior"],
    )  # fmt: skip
    with np.load(folder / "pictures.npz", allow_pickle=False) as pictures:
        assert set(pictures) == {"ids", "images", "target", "plain", "correct", "incorrect"}
        chosen = [data.test.ids.index(name) for name in pictures["ids"]]
        assert np.array_equal(pictures["images"], data.test.images[chosen])


def test_a_divisor_is_told(project: Path, tracker: MemoryTracker) -> None:
    text = PARAMS.replace("np-1: {steps: [np-1]}", "np-1: {steps: [np-1], ffx_divisor: 1000}")
    (project / "params.yaml").write_text(text)
    assert evaluate("np-1", project).ffx_divisor == 1000


def test_a_refusal_is_told(project: Path, tracker: MemoryTracker) -> None:
    assert evaluate("np-2", project).refuse is None
    text = PARAMS.replace("np-2: {steps: [np-2]}", "np-2: {steps: [np-2], refuse: 0.5}")
    (project / "params.yaml").write_text(text)
    about = evaluate("np-2", project)
    assert about.refuse == 0.5
    metrics = files.read_json(project / "data/evaluations/np-2/metrics.json")
    assert metrics["refused"] == about.scores.refused


def test_the_run_is_told_the_same_figures(project: Path, tracker: MemoryTracker) -> None:
    scores = evaluate("np-2", project).document()["scores"]
    figures = {
        name: value for row, step in tracker.metrics if step is None for name, value in row.items()
    }
    assert figures["owner/miou"] == figures["correct/miou"] == scores["correct"]["miou"]
    assert figures["plain/miou"] == scores["plain"]["miou"]
    assert figures["plain_bn/miou"] == scores["plain_bn"]["miou"]
    for name in ("mean", "std", "p95", "max"):
        assert figures[f"incorrect/miou_{name}"] == scores["incorrect"][name]
    assert figures["floor/prior"] == scores["floors"]["prior"]
    assert figures["unauthorised"] == scores["unauthorised"]
    assert figures["correct/iou/background"] == scores["correct"]["iou"]["background"]
    keys = {step: row for row, step in tracker.metrics if step is not None}
    assert [keys[i]["incorrect/key_miou"] for i in range(4)] == scores["incorrect"]["miou"]
    assert [path.name for path, _ in tracker.artifacts] == [
        "access_control.png", "evaluation.json",
    ]  # fmt: skip
    assert tracker.params == {}
    assert tracker.status == "FINISHED"
    assert tracker.tags == {"wrong_keys": "4"}  # nothing of this machine in a training's run


def test_the_baseline_has_plain_access_only(project: Path, tracker: MemoryTracker) -> None:
    about = evaluate("baseline", project).document()
    assert (about["key"], about["key_id"], about["key_space_bits"]) == (None, None, None)
    assert about["scores"]["correct"] is None
    assert about["scores"]["owner_miou"] == about["scores"]["plain"]["miou"]
    folder = project / "data/evaluations/baseline"
    assert (folder / "keys.csv").read_text() == "key,miou\n"
    assert "correct" not in files.read_json(folder / "metrics.json")
    assert {"owner/miou", "plain/miou"} <= set(tracker.metrics[0][0])
    assert "wrong_keys" not in tracker.tags


def test_a_small_key_space_is_tried_whole(project: Path, tracker: MemoryTracker) -> None:
    incorrect = evaluate("np-1", project).document()["scores"]["incorrect"]
    assert (incorrect["keys"], incorrect["all_plans"]) == (2, True)


def test_the_report_reads_what_was_written(project: Path, tracker: MemoryTracker) -> None:
    evaluate_locks(["baseline", "np-2"], project)
    results = read_results(project, {"baseline": (), "np-2": ("np-2",)})
    assert [result.lock for result in results] == ["baseline", "np-2"]
    assert results[1].pictures.correct is not None


def test_correct_reads_the_encrypted_split(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "data/encrypted/np-2/test.enc"
    array = open_encrypted(file)
    content = bytearray(file.read_bytes())
    content[-array.nbytes :] = array[::-1].tobytes()
    file.write_bytes(content)
    seen = []
    to_input = Transform.encrypted_to_input

    def spy(transform: Transform, encrypted: torch.Tensor, **how: Any) -> torch.Tensor:
        seen.append(encrypted.clone())
        return to_input(transform, encrypted, **how)

    monkeypatch.setattr(Transform, "encrypted_to_input", spy)
    evaluate("np-2", project)
    split = torch.cat(seen[:-1]).numpy()  # the last are those that the owner gets worst and best
    assert (split == open_encrypted(file)).all()


def test_the_curve_that_is_told_again_may_have_gaps_but_no_damage(project: Path) -> None:
    history = project / "data/models/np-2/history.csv"
    tracker = MemoryTracker()
    history.write_text("epoch,lr,train_loss,val_loss,val_miou\n1,0.1,1.5,,\n")
    tell_result(tracker, history, "training")
    ((values, step),) = tracker.metrics
    assert (step, values["train/loss"]) == (1, 1.5)
    assert np.isnan(values["val/loss"])
    history.write_text("epoch,lr,train_loss,val_loss,val_miou\n1,0.1,much,0,0\n")
    with pytest.raises(ReportError, match=r"history\.csv must have a line .* train@np-2"):
        tell_result(tracker, history, "training")


def test_a_run_in_a_real_store(project: Path) -> None:
    files.write_json(project / "data/weights/weights.json", {"sha256": "ab" * 32})
    about = evaluate("np-2", project).document()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    run = client.get_run(about["run_id"])
    # The store did not know the run that training.json names.
    assert about["run_id"] != "0123456789abcdef0123456789abcdef"
    assert run.data.tags["seglock.previous_run_id"] == "0123456789abcdef0123456789abcdef"
    assert run.data.tags["key_hash"].startswith("$argon2id$")
    assert run.data.tags["wrong_keys"] == "4"
    assert run.data.tags["initial_weights_sha256"] == "ab" * 32
    assert {"git_commit", "env.python", "env.torch"} <= run.data.tags.keys()
    assert run.data.metrics["correct/miou"] == about["scores"]["correct"]["miou"]
    assert run.data.params["lock.name"] == "np-2"
    curve = client.get_metric_history(about["run_id"], "val/miou")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
    keys = client.get_metric_history(about["run_id"], "incorrect/key_miou")
    assert [point.value for point in keys] == about["scores"]["incorrect"]["miou"]
    assert run.info.status == "FINISHED"
    files.write_json(
        project / "data/models/np-2/training.json",
        files.read_json(project / "data/models/np-2/training.json") | {"run_id": about["run_id"]},
    )
    assert evaluate("np-2", project).run_id == about["run_id"]


def test_another_key_than_the_models_is_refused(project: Path, tracker: MemoryTracker) -> None:
    own = files.read_json(project / "data/keys/main.json")["id"]
    write_model(project, "np-2", key_id="00112233445566aa")
    with pytest.raises(KeyRefusedError, match=f"key {own}, model of key 00112233445566aa"):
        evaluate("np-2", project)
    write_model(project, "baseline", key_id="00112233445566aa")
    with pytest.raises(KeyRefusedError, match="key none, model of key 00112233445566aa"):
        evaluate("baseline", project)
    write_model(project, "np-2", key_id=None)
    with pytest.raises(KeyRefusedError, match=f"key {own}, model of key none"):
        evaluate("np-2", project)
    assert not (project / "data/evaluations").exists()


def test_a_key_is_refused_before_torch_is_imported(project: Path) -> None:
    shutil.rmtree(project / "store" / "main")
    script = (
        "import sys; from pathlib import Path; from seglock.errors import KeyRefusedError\n"
        "from seglock.stages.evaluate import evaluate_locks\n"
        "try: evaluate_locks(['np-2'], Path(sys.argv[1]))\n"
        "except KeyRefusedError as error: print(error)\n"
        "print({'torch', 'mlflow'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(project)],
        capture_output=True, check=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    message, imported = answer.stdout.splitlines()
    assert files.read_json(project / "data/keys/main.json")["id"] in message
    assert imported == "set()"


def test_an_encrypted_split_of_another_key_is_refused(project: Path) -> None:
    encrypt_split("other", project)
    target = project / "data/encrypted/np-2/test.enc"
    shutil.copy(project / "data/encrypted/other/test.enc", target)
    with pytest.raises(DataError, match="with the key of this lock"):
        evaluate("np-2", project)
    target.write_bytes(target.read_bytes()[:-1])
    with pytest.raises(DataError, match="as it was written"):
        evaluate("np-2", project)


def test_weights_must_be_there_whole_and_fit(project: Path) -> None:
    path = project / "data/models/np-2/model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"weights that training\.json tells of"):
        evaluate("np-2", project)
    path.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors must exist.*dvc repro train@np-2"):
        evaluate("np-2", project)
    path.write_bytes(content[:-1])
    training = project / "data/models/np-2/training.json"
    files.write_json(
        training, files.read_json(training) | {"weights_sha256": files.sha256_file(path)}
    )
    with pytest.raises(ModelError, match="whole safetensors file"):
        evaluate("np-2", project)
    write_model(project, "np-2", classes=5)
    with pytest.raises(ModelError, match=r"must fit the network, got classifier\.weight is 5x8"):
        evaluate("np-2", project)


@pytest.mark.parametrize(
    "content",
    [None, "{", "[]", '{"run_id": "1"}', "[" * 100_000,
     '{"run_id": "../../x", "key_id": null, "weights_sha256": ""}',
     '{"run_id": [], "key_id": 1, "weights_sha256": null}'],
)  # fmt: skip
def test_a_damaged_note_of_training_is_refused(project: Path, content: str | None) -> None:
    path = project / "data/models/np-2/training.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ModelError, match=r"training\.json must .*dvc repro train@np-2"):
        evaluate("np-2", project)


def test_what_fails_leaves_the_last_result(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate("np-2", project)
    before = (project / "data/evaluations/np-2/evaluation.json").read_bytes()
    masks = project / "data/prepared/test_masks.npy"
    content = bytearray(masks.read_bytes())
    content[-1] ^= 1
    masks.write_bytes(content)
    with pytest.raises(DataError, match="test_masks"):
        evaluate("np-2", project)
    assert (project / "data/evaluations/np-2/evaluation.json").read_bytes() == before


def test_the_secret_is_in_no_result(project: Path, tracker: MemoryTracker) -> None:
    evaluate("np-2", project)
    from seglock.keys.secret_access import reveal

    secret = reveal(KeyStore().load("main"))
    told = json.dumps([tracker.metrics, tracker.tags, tracker.params]).encode()
    results = [p.read_bytes() for p in (project / "data/evaluations").rglob("*") if p.is_file()]
    for content in [told, *results]:
        assert secret not in content
        assert secret.hex().encode() not in content


def test_a_lock_with_one_plan_is_refused(project: Path) -> None:
    text = PARAMS.replace("np-1: {steps: [np-1]}", "np-1: {steps: [np-1-f0]}")
    (project / "params.yaml").write_text(text)
    with pytest.raises(ConfigError, match="more than one plan"):
        evaluate("np-1", project)
