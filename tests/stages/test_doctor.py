"""What doctor says: all is fine, or each thing that is wrong, with its fix and no secret."""

from __future__ import annotations

import shlex
import shutil
import socket
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from seglock.config import NETWORKS, ModelParams, check_params, load_params, load_profile
from seglock.keys import KeyStore
from seglock.models import build_model
from seglock.stages.disk import estimate_disk, parameter_count
from seglock.stages.doctor import Check, doctor
from tests.audit.project import SECRET, make_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped pipeline, and a store with the known key."""
    keys = tmp_path / "keys"
    make_key(keys)
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(keys))
    root = tmp_path / "project"
    (root / ".dvc" / "tmp").mkdir(parents=True)
    (root / ".dvc" / "tmp" / "btime").touch()  # which DVC itself makes
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    return root


def change(root: Path, **sections: dict[str, object]) -> None:
    values = yaml.safe_load((root / "params.yaml").read_text())
    for name, section in sections.items():
        values[name] |= section
    (root / "params.yaml").write_text(yaml.safe_dump(values))


def wrong(root: Path) -> list[Check]:
    checks = doctor(root)
    assert SECRET.hex() not in repr(checks)
    found = [check for check in checks if check.level == "wrong"]
    assert all(check.fix for check in found)
    return found


def test_a_sound_project_has_nothing_wrong_and_nothing_is_changed(project: Path) -> None:
    before = sorted(project.rglob("*"))
    checks = doctor(project)
    assert [check for check in checks if check.level == "wrong"] == []
    topics = {check.topic for check in checks}
    assert topics >= {
        "params", "python", "torch", "cuda", "machine", "dvc", "mlflow", "key store", "key",
        "dataset", "disk",
    }  # fmt: skip
    assert sorted(project.rglob("*")) == before


def test_bad_params_are_a_finding_and_the_rest_is_still_looked_at(project: Path) -> None:
    change(project, train={"lrr": 0.1}, model={"name": "fcn_resnet5"})
    (found,) = wrong(project)
    assert found.topic == "params"
    assert "lrr" in found.text
    assert "fcn_resnet50" in found.text
    assert "key store" in {check.topic for check in doctor(project)}


@pytest.mark.parametrize("name", ["a#b", "a?b", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_folder_whose_name_stops_dvcs_experiments_is_told(project: Path, name: str) -> None:
    def told(root: Path) -> bool:
        return any("--temp" in check.text for check in doctor(root))

    assert not told(project)
    assert told(project.rename(project.with_name(name)))


@pytest.mark.parametrize(
    ("lock", "fix"),
    [
        ({"steps": ["chp-layer2"]}, "use one of chp-block0, "),
        ({"steps": ["shf-4"], "fold": "stem"}, "use steps such as shf-2"),
    ],
    ids=["layer", "block side"],
)
def test_a_lock_that_its_network_cannot_take(
    project: Path, lock: dict[str, object], fix: str
) -> None:
    change(project, locks={"other": lock}, model={"initial_weights": "baseline"})
    (found,) = wrong(project)
    assert found.topic == "network"
    assert fix in found.fix


@pytest.mark.parametrize("name", ["timm/zzqq", "timm/vit_tiny_patch16_224"])
def test_a_network_that_cannot_be_had_is_told_once(project: Path, name: str) -> None:
    change(project, model={"name": name})
    (found,) = wrong(project)
    assert found.topic == "network"
    assert len(found.text + found.fix) < 300


def test_no_project_at_all(tmp_path: Path) -> None:
    assert [check.topic for check in wrong(tmp_path)] == ["params", "dvc"]


def test_a_key_open_to_others(project: Path) -> None:
    store = KeyStore()
    store.secret_path("main").chmod(0o644)
    store.folder.chmod(0o755)
    found = wrong(project)
    assert {check.fix for check in found} >= {
        f"run `chmod 700 {store.folder}`", f"run `chmod 600 {store.secret_path('main')}`"
    }  # fmt: skip


def test_a_store_in_a_git_work_tree(project: Path) -> None:
    tree = KeyStore().folder.parent
    (tree / ".git").mkdir()
    (found,) = wrong(project)
    assert f"outside every git work tree, where no commit can take a key along, got {tree}" in (
        found.text
    )


def test_a_published_record_without_its_secret(project: Path) -> None:
    store = KeyStore()
    record = store.record("main")
    published = project / "data" / "keys" / "main.json"
    published.parent.mkdir(parents=True)
    published.write_bytes(store.record_bytes("main"))
    assert wrong(project) == []
    shutil.rmtree(store.path("main"))
    (found,) = wrong(project)
    assert record.id in found.text + found.fix


def test_a_key_that_may_not_be_made(project: Path) -> None:
    shutil.rmtree(KeyStore().path("main"))
    assert wrong(project) == []
    change(project, keys={"create_missing": False})
    (found,) = wrong(project)
    assert "seglock key new main" in found.fix


def test_a_store_that_does_not_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:pass@127.0.0.1:{port}")
    (found,) = wrong(project)
    assert found.topic == "mlflow"
    assert "pass" not in found.text


def test_too_few_images_for_a_batch(project: Path) -> None:
    change(project, train={"batch_size": 513})
    (found,) = wrong(project)
    assert (found.topic, found.text) == (
        "batch",
        "an epoch must have at least one batch, got 512 training images, train.batch_size=513, "
        "train.drop_last=true",
    )


def test_a_dataset_that_is_not_there(project: Path, tmp_path: Path) -> None:
    change(project, data={"dataset": "mine", "source": str(tmp_path / "nowhere")})
    (found,) = wrong(project)
    assert (found.topic, found.fix) == ("dataset", "correct data.source")


@pytest.mark.parametrize("part", ["raw", "raw/extra"])
def test_a_source_that_changed_since_it_was_copied(project: Path, part: str) -> None:
    from seglock.config import SyntheticParams
    from seglock.data import get_dataset, write_synthetic

    small = SyntheticParams(train=8, test=4, side=16)
    write_synthetic(small, project / "mine")
    write_synthetic(small.model_copy(update={"train": 2, "seed": 1}), project / "more")
    about = {"dataset": "mine", "source": "mine", "extra_source": "more"}
    change(project, data=about | {"val_split": 2})
    params = load_params(project / "params.yaml").data
    absolute = {name: str(project / about[name]) for name in ("source", "extra_source")}
    get_dataset(params.model_copy(update=absolute), project / "data/raw")

    def notes() -> list[str]:
        return [c.text for c in doctor(project) if (c.topic, c.level) == ("dataset", "note")]

    assert notes() == []
    source = "mine" if part == "raw" else "more"
    path = project / source / "SegmentationClass/synthetic_000001.png"
    path.write_bytes(path.read_bytes() + b"\0")
    (note,) = notes()
    assert note.startswith(f"{source} is not as it was copied to data/raw (SegmentationClass/synth")
    assert "`dvc repro -f data` and then `dvc repro`" in note


def test_a_disk_that_is_too_small(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1 << 20})())
    (found,) = wrong(project)
    assert found.topic == "disk"


def test_checkpoints_of_stopped_trainings_are_a_note_with_their_size(project: Path) -> None:
    assert "checkpoints" not in {check.topic for check in doctor(project)}
    for name in ("np-4-00", "np-4-11"):
        folder = project / ".seglock" / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "epoch-0001-x.safetensors").write_bytes(bytes(5_200_000))
    assert wrong(project) == []
    notes = [check for check in doctor(project) if check.topic == "checkpoints"]
    assert [check.level for check in notes] == ["note", "note"]
    assert notes[0].text.startswith("5.2 MB of a training")
    assert f"rm -r {project / '.seglock' / 'checkpoints' / 'np-4-00'}`" in notes[0].text


def test_a_command_to_type_is_one_whatever_the_folder_is_called(project: Path) -> None:
    """Typed as it stands it must not remove another folder."""
    spaced = project.rename(project.with_name("project #2"))
    folder = spaced / ".seglock" / "checkpoints" / "np-4-00"
    folder.mkdir(parents=True)
    (folder / "epoch-0001-x.safetensors").touch()
    (note,) = (check.text for check in doctor(spaced) if check.topic == "checkpoints")
    assert shlex.split(note.split("`")[1], comments=True) == ["rm", "-r", str(folder)]


def test_the_command_exits_1_when_something_is_wrong(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seglock.cli.app import app

    monkeypatch.chdir(project)
    fine = CliRunner().invoke(app, ["doctor"])
    assert fine.exit_code == 0, fine.output
    assert "all is fine" in fine.output
    change(project, train={"epochs": 0})
    ill = CliRunner().invoke(app, ["doctor"])
    assert ill.exit_code == 1
    assert "train.epochs" in ill.output
    assert "fix:" in ill.output


def test_the_paper_needs_gigabytes_and_ffx_twice_what_np_does() -> None:
    paper = estimate_disk(load_profile(ROOT / "profiles" / "paper.yaml"))
    test = 1449 * 3 * 256 * 256
    assert paper["prepared"] == (1464 + 1449) * 4 * 256 * 256
    assert paper["encrypted"] == 16 * test + 8 * test * 2
    assert paper["downloads"] == 2_000_000_000
    assert 5e9 < paper["total"] < 30e9
    locks = {"baseline": {"steps": []}}
    one = estimate_disk(check_params({"locks": {**locks, "np-4": {"steps": ["np-4"]}}}))
    two = estimate_disk(check_params({"locks": {**locks, "ffx-4": {"steps": ["ffx-4"]}}}))
    assert two["encrypted"] == 2 * one["encrypted"]


def test_the_estimate_is_near_what_is_written(tmp_path: Path) -> None:
    from seglock.data import get_dataset, prepare_dataset
    from seglock.models import build_model, save_weights

    synthetic = {"train": 24, "test": 16, "side": 64, "classes": 5, "seed": 0}
    params = check_params(
        {"locks": {"baseline": {"steps": []}}, "data": {"synthetic": synthetic, "val_split": 8}}
    )
    get_dataset(params.data, tmp_path / "raw")
    prepare_dataset(params.data, tmp_path / "raw", tmp_path / "prepared")
    save_weights(tmp_path / "models" / "w.safetensors", build_model(params.model, 5), {})
    need = estimate_disk(params)
    for part in ("raw", "prepared", "models"):
        real = sum(path.stat().st_size for path in (tmp_path / part).rglob("*") if path.is_file())
        assert 0.5 < need[part] / real < 2, part


def need(model: dict[str, object] | None = None, **data: object) -> dict[str, int]:
    values = {"locks": {"baseline": {"steps": []}}, "model": model or {}, "data": data}
    return estimate_disk(check_params(values))


def test_initial_weights_and_what_is_downloaded_count() -> None:
    assert need()["weights"] == need()["downloads"] == 0
    start = need({"name": "fcn_resnet50", "initial_weights": "coco"})
    assert start["weights"] == start["models"] == pytest.approx(4 * 35_400_000, rel=0.01)
    assert need({"initial_weights": "baseline"})["weights"] == need()["models"]
    assert need(dataset="voc2012")["downloads"] == 2_000_000_000
    assert need(dataset="voc2012", source="https://example.org/voc.tar")["downloads"] > 1e9
    assert need(dataset="voc2012", source="/data/VOC2012")["downloads"] == 0


def test_a_weights_file_counts_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(bytes(1000))
    values = {
        "locks": {"baseline": {"steps": []}},
        "model": {"initial_weights": "mine.safetensors"},
    }
    assert estimate_disk(check_params(values), tmp_path)["weights"] == 1000
    assert estimate_disk(check_params(values), tmp_path / "nowhere")["weights"] == 0


def test_checkpoints_are_two_and_the_one_being_written() -> None:
    sgd, adamw = (
        estimate_disk(
            check_params({"locks": {"baseline": {"steps": []}}, "train": {"optimizer": name}})
        )
        for name in ("sgd", "adamw")
    )
    assert sgd["checkpoints"] == 3 * 3 * sgd["models"]  # the last, the best, the momentum
    assert adamw["checkpoints"] == 3 * 4 * adamw["models"]


@pytest.mark.parametrize("name", [*NETWORKS, "timm/tf_efficientnet_lite0"])
def test_every_network_is_sized_by_what_it_holds(name: str) -> None:
    model = ModelParams(name=name)
    built = build_model(model, 21, aux=True)
    assert parameter_count(model) == sum(tensor.numel() for tensor in built.state_dict().values())
