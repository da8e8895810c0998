"""The profiles on real images, shrunk to a few of them and an epoch: data check to report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import make_project

pytestmark = [pytest.mark.e2e, pytest.mark.real_data, pytest.mark.timeout(900)]

FOLDERS = {
    "camvid": ("camvid", {"train": 6, "val": 4, "test": 3}),
    "voc-animals": ("voc2012-animals/VOCdevkit/VOC2012", {"train": 10, "val": 3}),
}
ATTACKS = ["gradient", "finetune", "ciphertext-only", "key-proximity"]
NETWORKS = {"camvid": "lraspp_mobilenet_v3_large", "voc-animals": "fcn_small"}


def some_of(source: Path, target: Path, counts: dict[str, int]) -> Path:
    """A VOC folder with the first images of each list of another."""
    lists = Path("ImageSets/Segmentation")
    (target / lists).mkdir(parents=True)
    for name in ("JPEGImages", "SegmentationClass"):
        (target / name).mkdir()
    for split, count in counts.items():
        ids = (source / lists / f"{split}.txt").read_text().split()[:count]
        (target / lists / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for one in ids:
            shutil.copy(source / "JPEGImages" / f"{one}.jpg", target / "JPEGImages")
            shutil.copy(source / "SegmentationClass" / f"{one}.png", target / "SegmentationClass")
    if (source / "classes.txt").exists():
        shutil.copy(source / "classes.txt", target)
    return target


@pytest.mark.parametrize("profile", FOLDERS)
def test_a_profile_runs_on_real_images(
    profile: str, real_data: Path, forks: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project", tmp_path / "keys")
    project.fork_from(forks)
    project.run("seglock", "profile", "use", profile)
    folder, counts = FOLDERS[profile]
    source = some_of(real_data / folder, tmp_path / "images", counts)

    def shrink(values: dict[str, Any]) -> None:
        values["data"] |= {"source": str(source), "image_side": 64}
        if profile == "voc-animals":
            values["data"]["val_split"] = 4
        values["locks"] = {name: values["locks"][name] for name in ("baseline", "ffx-4")}
        values["model"] |= {"name": NETWORKS[profile], "width": 8}
        values["train"] |= {"epochs": 1, "batch_size": 3, "warmup_epochs": 0}
        values["model"]["zero_init_residual"] = False  # these networks have no residual branches
        values["train"] |= {"aux_loss_weight": 0.0}
        values["evaluate"] |= {"wrong_keys": 2, "pictures": 1}
        values["attack"] |= {"queries": 8, "labelled": [50], "names": ATTACKS}

    project.change(shrink)
    splits = [part for name in counts for part in ("--split", name)]
    project.run("seglock", "data", "check", str(source), *splits)
    project.run("dvc", "repro")
    evaluation = json.loads((project.root / "data/evaluations/ffx-4/evaluation.json").read_text())
    classes = 11 if profile == "camvid" else 6
    assert len(evaluation["classes"]) == classes
    assert 0 <= evaluation["scores"]["owner_miou"] <= 1
    attacks = {path.stem for path in (project.root / "data/attacks/ffx-4").glob("*.json")}
    assert attacks == set(ATTACKS)
    headline = json.loads((project.root / "data/attacks/ffx-4.json").read_text())
    assert set(headline) == {"beyond"}  # no attack of T0 was asked for
    assert "Traceback" not in project.run("seglock", "doctor", check=False)
