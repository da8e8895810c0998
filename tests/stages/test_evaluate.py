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
from PIL import Image

from seglock import files
from seglock.data import PreparedData, open_encrypted
from seglock.errors import ConfigError, DataError, KeyRefusedError, ModelError, ReportError
from seglock.keys import KeyStore, demonstration_key, load_key
from seglock.report import read_results
from seglock.results.evaluation import Evaluation
from seglock.results.pictures import Pictures
from seglock.stages.encrypt import encrypt_split
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.tell import tell_result
from seglock.tracking import NOTE, MemoryTracker
from seglock.transforms import Transform, compose
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
    assert metrics == {
        "owner": scores["owner_miou"],
        "unauthorised": scores["unauthorised"],
        "regained": 1.0 if scores["regained"] is None else scores["regained"],
    }
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


def test_the_run_is_told_the_same_figures(project: Path, tracker: MemoryTracker) -> None:
    scores = evaluate("np-2", project).document()["scores"]
    figures = {
        name: value for row, step in tracker.metrics if step is None for name, value in row.items()
    }
    assert figures["access/owner"] == scores["correct"]["miou"]
    assert figures["access/unauthorised"] == scores["unauthorised"]
    assert figures["access/floor"] == scores["floors"]["floor"]
    assert "access/strongest_T0" in figures
    assert len(figures) <= 12
    access = {row["access"]: row for row in tracker.tables["access"]}
    assert list(access) == ["correct", "plain", "plain BN"]
    assert access["plain"]["background"] == scores["plain"]["iou"]["background"]
    keys = [row["mean IoU"] for row in tracker.tables["wrong_keys"]]
    assert keys == scores["incorrect"]["miou"]
    names = [path.name for path, folder in tracker.artifacts if folder == "evaluation"]
    assert names == ["access_control.png", "evaluation.json"]
    assert tracker.params == {}
    assert (tracker.status, tracker.lasted) == ("FINISHED", 1.5)
    assert set(tracker.tags) == {"wrong_keys", "holds", "strongest", NOTE}  # no machine's
    assert "**np-2**: images under `np-2`, key `main`." in tracker.tags[NOTE]
    assert f"| {scores['owner_miou']:.4f} |" in tracker.tags[NOTE]
    assert tracker.tags["holds"] == "broken: bits, T0"


def test_predictions_are_pictures_and_only_the_demonstration_key_encrypts_one(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, np.ndarray] = {}

    def keep(path: Path, folder: str = "") -> None:
        if folder == "predictions":
            told[path.name] = np.asarray(Image.open(path))

    monkeypatch.setattr(tracker, "log_artifact", keep)
    evaluate("np-2", project)
    row = tracker.tables["predictions"][0]
    assert list(row) == [
        "image", "input", "truth", "correct key", "plain", "wrong key",
        "encrypted under the demonstration key",
    ]  # fmt: skip
    names = {cell["filepath"] for cell in list(row.values())[1:]}
    assert names <= {f"predictions/{name}" for name in told}
    stored = Pictures.read(project / "data/evaluations/np-2/pictures.npz", 7, "")
    grown = 128 // stored.images.shape[-1]  # 16 pixels would be a speck
    assert (told["1-input.png"][::grown, ::grown] == stored.images[0].transpose(1, 2, 0)).all()
    shown = compose(["np-2"], key=demonstration_key()).encrypt(stored.images[:1])
    encrypted = told["1-encrypted-under-the-demonstration-key.png"][::grown, ::grown]
    assert (encrypted == np.asarray(shown)[0].transpose(1, 2, 0)).all()
    own = compose(["np-2"], key=load_key("main")).encrypt(stored.images[:1])
    assert not (encrypted == np.asarray(own)[0].transpose(1, 2, 0)).all()


def test_a_drop_is_told_where_the_baseline_was_judged_on_the_same_data(
    project: Path, tracker: MemoryTracker
) -> None:
    evaluate_locks(["baseline", "np-2"], project)
    baseline, lock = (row["access/owner"] for row, _ in tracker.metrics if "access/owner" in row)
    (drop,) = [row["access/drop"] for row, _ in tracker.metrics if "access/drop" in row]
    assert drop == baseline - lock


def test_the_baseline_has_plain_access_only(project: Path, tracker: MemoryTracker) -> None:
    about = evaluate("baseline", project).document()
    assert (about["key"], about["key_id"], about["key_space_bits"]) == (None, None, None)
    assert about["scores"]["correct"] is None
    assert about["scores"]["owner_miou"] == about["scores"]["plain"]["miou"]
    folder = project / "data/evaluations/baseline"
    assert (folder / "keys.csv").read_text() == "key,miou\n"
    metrics = files.read_json(folder / "metrics.json")
    assert metrics == dict.fromkeys(("owner", "unauthorised"), about["scores"]["owner_miou"]) | {
        "regained": 1.0
    }
    assert "access/strongest_T0" not in tracker.metrics[0][0]
    assert tracker.tags["holds"] == "no lock"
    assert "wrong_keys" not in tracker.tags


def test_a_small_key_space_is_tried_whole(project: Path, tracker: MemoryTracker) -> None:
    incorrect = evaluate("np-1", project).document()["scores"]["incorrect"]
    assert (incorrect["keys"], incorrect["all_plans"]) == (2, True)


def test_the_report_reads_what_was_written(project: Path, tracker: MemoryTracker) -> None:
    told: list[str] = []
    seen: list[tuple[str, int, int | None]] = []
    evaluate_locks(
        ["baseline", "np-2"], project, tell=told.append, progress=lambda *step: seen.append(step)
    )
    assert [line.partition(" ")[0] for line in told] == ["baseline:"] * 2 + ["np-2:"] * 2
    assert (told[0], told[2]) == (
        "baseline: judged without a key", "np-2: judged with its key and 4 wrong ones"
    )  # fmt: skip
    assert seen[-1][0] == "evaluating np-2"
    assert seen[-1][1] == seen[-1][2]
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
    assert run.data.metrics["access/owner"] == about["scores"]["correct"]["miou"]
    assert run.data.tags["mlflow.user"]
    assert run.info.end_time - run.info.start_time == 1500  # the training's, not the evaluation's
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "synthetic"
    tables = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    assert [one["path"] for one in tables] == ["access.json", "wrong_keys.json", "predictions.json"]
    table = files.read_json(Path(client.download_artifacts(run.info.run_id, "predictions.json")))
    known = PreparedData.open(project / "data/prepared").test.ids
    assert {row[table["columns"].index("image")] for row in table["data"]} <= set(known)
    assert run.data.params["lock.name"] == "np-2"
    curve = client.get_metric_history(about["run_id"], "val/miou")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
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
