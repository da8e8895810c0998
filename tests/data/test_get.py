from __future__ import annotations

import hashlib
import io
import shutil
import signal
import subprocess
import sys
import tarfile
import unicodedata
from pathlib import Path

import pytest

from seglock.config import DataParams
from seglock.data import check_dataset, get_dataset
from seglock.data.archive import extract_voc
from seglock.data.sources import VOC2012_DIGEST, VOC2012_URL, resolve_source
from seglock.errors import DataError, KeyRefusedError, StorageError


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _tar(voc_root: Path, path: Path, prefix: str = "VOCdevkit/VOC2012", mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        tar.add(voc_root, arcname=prefix)
    return path


def test_copies_only_what_the_splits_need(voc, params, tmp_path: Path) -> None:
    voc.image("unused")
    voc.mask("unused")
    voc.fill({"other": ["c1"]})
    get_dataset(params, tmp_path / "raw")
    names = ["a1", "a2", "a3", "a4", "b1", "b2"]
    assert _files(tmp_path / "raw") == {
        "classes.txt",
        "ImageSets/Segmentation/train.txt",
        "ImageSets/Segmentation/val.txt",
        *(f"JPEGImages/{name}.png" for name in names),
        *(f"SegmentationClass/{name}.png" for name in names),
    }
    for name in _files(tmp_path / "raw"):
        assert (tmp_path / "raw" / name).read_bytes() == (voc.root / name).read_bytes()
    assert check_dataset(tmp_path / "raw").problems == []


@pytest.mark.parametrize("how", ["folder", "tar"])
def test_labels_without_names_are_not_taken_for_pascals(voc, params, tmp_path: Path, how) -> None:
    (voc.root / "classes.txt").unlink()
    source = voc.root if how == "folder" else _tar(voc.root, tmp_path / "voc.tar")
    with pytest.raises(DataError, match=r"got no such file.*its masks have the labels 0 to 2, and"):
        get_dataset(params.model_copy(update={"source": str(source)}), tmp_path / "raw")


@pytest.mark.parametrize("how", ["folder", "tar"])
def test_what_is_copied_has_the_names_that_were_read(voc, params, tmp_path: Path, how) -> None:
    name = "caf\u00e9"
    voc.image(unicodedata.normalize("NFD", name))
    voc.mask(name)
    voc.list("train", ["a1.png", "JPEGImages/a2.png SegmentationClass/a2.png", name])
    source = voc.root if how == "folder" else _tar(voc.root, tmp_path / "voc.tar")
    get_dataset(params.model_copy(update={"source": str(source)}), tmp_path / "raw")
    lists = tmp_path / "raw/ImageSets/Segmentation"
    assert (lists / "train.txt").read_text() == f"a1\na2\n{name}\n"
    assert (tmp_path / f"raw/JPEGImages/{name}.png").is_file()
    assert check_dataset(tmp_path / "raw").problems == []


def test_links_are_followed(voc, params, tmp_path: Path) -> None:
    image = voc.root / "JPEGImages/a1.png"
    content = image.read_bytes()
    (tmp_path / "elsewhere.png").write_bytes(content)
    image.unlink()
    image.symlink_to(tmp_path / "elsewhere.png")
    get_dataset(params, tmp_path / "raw")
    copied = tmp_path / "raw/JPEGImages/a1.png"
    assert not copied.is_symlink()
    copied.write_bytes(b"mine")
    assert (tmp_path / "elsewhere.png").read_bytes() == content
    assert all(not p.is_symlink() and p.stat().st_nlink == 1 for p in copied.parent.iterdir())


@pytest.mark.parametrize(
    ("mode", "prefix"),
    [("w", "VOCdevkit/VOC2012"), ("w", "."), ("w:gz", "camels"), ("w:xz", "./VOCdevkit/VOC2012")],
)
def test_takes_the_same_from_a_tar(voc, params, tmp_path: Path, mode: str, prefix: str) -> None:
    voc.image("unused")
    get_dataset(params, tmp_path / "raw")
    tar = _tar(voc.root, tmp_path / "voc.tar", prefix, mode)
    for source in (str(tar), tar.as_uri()):
        update = {"source": source}
        downloads = tmp_path / "downloads"
        get_dataset(params.model_copy(update=update), tmp_path / "two", downloads=downloads)
        assert _files(tmp_path / "two") == _files(tmp_path / "raw")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_tar_is_unpacked_no_further_than_needed(voc, tmp_path: Path) -> None:
    voc.image("unused")
    tar = _tar(voc.root, tmp_path / "voc.tar")
    folder = extract_voc(tar, ["val"], tmp_path / "out")
    assert {path.name for path in (folder.root / "JPEGImages").iterdir()} == {"b1.png", "b2.png"}


def test_a_tar_cannot_write_outside(voc, params, tmp_path: Path) -> None:
    tar = _tar(voc.root, tmp_path / "voc.tar")
    with tarfile.open(tar, "a") as opened:
        evil = tarfile.TarInfo("../../JPEGImages/a1.png")
        evil.size = 4
        opened.addfile(evil, io.BytesIO(b"evil"))
    with pytest.raises(DataError, match="whole tar or zip file with safe members"):
        get_dataset(params.model_copy(update={"source": str(tar)}), tmp_path / "data" / "raw")
    assert not list(tmp_path.rglob("JPEGImages/a1.png"))[1:]
    assert not (tmp_path / "data" / "raw").exists()


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_tars(voc, params, tmp_path: Path, damage: str) -> None:
    tar = _tar(voc.root, tmp_path / "voc.tar.gz", mode="w:gz")
    content = tar.read_bytes()
    tar.write_bytes({"cut": content[: len(content) // 2], "text": b"hello", "empty": b""}[damage])
    with pytest.raises(DataError):
        get_dataset(params.model_copy(update={"source": str(tar)}), tmp_path / "raw")


def test_extra_source_has_its_own_folder(voc, new_voc, params, tmp_path: Path) -> None:
    extra = new_voc("more")
    extra.fill({"train": ["x1"], "val": ["x2"]})
    update = {"extra_source": str(extra.root)}
    get_dataset(params.model_copy(update=update), tmp_path / "raw")
    inside = {name for name in _files(tmp_path / "raw") if name.startswith("extra/")}
    assert inside == {
        "extra/classes.txt",
        "extra/ImageSets/Segmentation/train.txt",
        "extra/JPEGImages/x1.png",
        "extra/SegmentationClass/x1.png",
    }


def test_a_failure_leaves_the_old_folder(voc, params, tmp_path: Path, monkeypatch) -> None:
    get_dataset(params, tmp_path / "raw")
    before = _files(tmp_path / "raw")
    (voc.root / "JPEGImages/a1.png").unlink()
    (voc.root / "SegmentationClass/b2.png").unlink()
    with pytest.raises(DataError, match=r"2 problems:\nmissing image .*\n  a1.*\nmissing mask"):
        get_dataset(params, tmp_path / "raw")
    voc.image("a1")
    voc.mask("b2")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(StorageError, match="no space left on device; free some space"):
        get_dataset(params, tmp_path / "raw")
    assert _files(tmp_path / "raw") == before
    assert {path.name for path in tmp_path.iterdir()} == {"voc", "raw"}


def test_a_new_source_replaces_the_folder_whole(voc, new_voc, params, tmp_path: Path) -> None:
    get_dataset(params, tmp_path / "raw")
    other = new_voc("other")
    other.fill({"train": ["n1", "n2"], "val": ["n3"]})
    get_dataset(params.model_copy(update={"source": str(other.root)}), tmp_path / "raw")
    assert not [name for name in _files(tmp_path / "raw") if "a1" in name]


@pytest.mark.parametrize("inside", ["", "sub"])
def test_the_source_is_never_replaced(voc, new_voc, params, tmp_path: Path, inside: str) -> None:
    made = new_voc(f"raw/{inside}")
    made.fill({"train": ["a1", "a2"], "val": ["b1"]})
    before = _files(tmp_path / "raw")
    with pytest.raises(DataError, match="must not lie in the folder it is copied to"):
        get_dataset(params.model_copy(update={"source": str(made.root)}), tmp_path / "raw")
    assert _files(tmp_path / "raw") == before


def test_synthetic_takes_no_source(tmp_path: Path) -> None:
    synthetic = DataParams().synthetic.model_copy(update={"train": 4, "test": 2, "side": 16})
    get_dataset(DataParams(synthetic=synthetic), tmp_path / "raw")
    assert check_dataset(tmp_path / "raw").problems == []


def test_voc2012_from_a_tar_is_checked_by_digest(voc, tmp_path: Path, monkeypatch) -> None:
    # The md5 that the VOC devkit and torchvision give for VOCtrainval_11-May-2012.tar.
    assert VOC2012_DIGEST == "md5=6cd6e144f989b92b3379bac3b3de84fd"
    tar = _tar(voc.root, tmp_path / "VOCtrainval_11-May-2012.tar")
    params = DataParams(dataset="voc2012", source=str(tar), val_split=1)
    with pytest.raises(DataError, match=r"must have md5 6cd6.*or unpack it and name the folder"):
        get_dataset(params, tmp_path / "raw")
    real = hashlib.md5(tar.read_bytes()).hexdigest()
    monkeypatch.setattr("seglock.data.get.VOC2012_DIGEST", f"md5={real}")
    get_dataset(params, tmp_path / "raw")
    assert check_dataset(tmp_path / "raw").problems == []


def test_voc2012_says_what_to_do_when_its_host_is_down(tmp_path: Path, monkeypatch) -> None:
    assert VOC2012_URL.startswith("http://host.robots.ox.ac.uk/")
    monkeypatch.setattr("seglock.data.get.VOC2012_URL", "http://127.0.0.1:9/VOCtrainval.tar")
    params = DataParams(dataset="voc2012", val_split=146)
    with pytest.raises(DataError) as caught:
        get_dataset(params, tmp_path / "raw", downloads=tmp_path / "downloads")
    message = str(caught.value)
    assert "http://127.0.0.1:9/VOCtrainval.tar must be reachable" in message
    assert "often down: try again later, or get VOCtrainval_11-May-2012.tar" in message
    assert "set data.source" in message


def test_a_mirror_with_a_digest_of_its_own(voc, params, tmp_path: Path) -> None:
    tar = _tar(voc.root, tmp_path / "voc.tar")
    digest = hashlib.sha256(tar.read_bytes()).hexdigest()
    for value, fine in ((digest, True), ("0" * 64, False)):
        with_digest = params.model_copy(update={"source": f"{tar.as_uri()}#sha256={value}"})
        if fine:
            get_dataset(with_digest, tmp_path / "raw", downloads=tmp_path / "downloads")
        else:
            with pytest.raises(DataError, match="sha256 0000"):
                get_dataset(with_digest, tmp_path / "raw", downloads=tmp_path / "downloads")


def test_sources_with_variables(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    assert resolve_source("$PLACE/a") == resolve_source("${PLACE}/a") == str(tmp_path / "a")
    assert resolve_source("https://host/$PLACE").startswith("https://host/")
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(DataError, match=r"\$NOWHERE in data.source must be set, got \$NOWHERE/a"):
        resolve_source("$NOWHERE/a")
    with pytest.raises(KeyRefusedError, match="no SEGLOCK_KEY_"):
        resolve_source("https://host/$SEGLOCK_KEY_MAIN/voc.tar")


@pytest.mark.parametrize("name", ["folder", "file.tar", "nothing", "voc", "https://127.0.0.1:1/x"])
def test_what_a_variable_holds_is_not_told(params, tmp_path: Path, monkeypatch, name: str) -> None:
    secret = tmp_path / "hunter22"
    (secret / "folder").mkdir(parents=True)
    (secret / "file.tar").write_text("no tar")
    (secret / "voc/ImageSets/Segmentation").mkdir(parents=True)
    url = name.startswith("https")
    monkeypatch.setenv("PLACE", name.replace("/x", "/hunter22") if url else str(secret))
    source = "$PLACE/a.tar" if url else f"$PLACE/{name}"
    with pytest.raises(DataError, match=r"\$PLACE") as caught:
        get_dataset(
            params.model_copy(update={"source": source}), tmp_path / "raw",
            downloads=tmp_path / "downloads",
        )  # fmt: skip
    assert "hunter22" not in str(caught.value)


def test_real_data_has_a_default_place(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("SEGLOCK_REAL_DATA", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(DataError, match=r"\$SEGLOCK_REAL_DATA in data.source must be set"):
        resolve_source("$SEGLOCK_REAL_DATA/camvid")
    (tmp_path / "shared/data").mkdir(parents=True)
    assert resolve_source("$SEGLOCK_REAL_DATA/camvid") == "../shared/data/camvid"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    found = Path(resolve_source("$SEGLOCK_REAL_DATA/camvid"))
    assert found.parent.resolve() == tmp_path / "shared/data"


def test_a_source_that_is_not_there(params, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a folder, a tar or zip file or a URL, got nowhere \(nothing"
    ):
        get_dataset(params.model_copy(update={"source": "nowhere"}), tmp_path / "raw")


@pytest.mark.parametrize("linked", ["ImageSets/Segmentation/train.txt", "ImageSets", "classes.txt"])
def test_nothing_outside_the_dataset_is_shown(voc, params, tmp_path: Path, linked: str) -> None:
    outside = tmp_path / "outside" / "Segmentation"
    outside.mkdir(parents=True)
    for name in ("train.txt", "val.txt", "classes.txt"):
        (outside / name).write_text("a-secret-of-the-user\n")
    path = voc.root / linked
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(outside.parent if linked == "ImageSets" else outside / path.name)
    with pytest.raises(DataError, match="a link that leads elsewhere: put a copy of the file") as e:
        get_dataset(params, tmp_path / "raw")
    assert "a-secret-of-the-user" not in str(e.value)
    problems = check_dataset(voc.root).problems
    assert problems
    assert "a-secret-of-the-user" not in "".join(map(str, problems))


def test_a_dataset_of_links_is_one(voc, params, tmp_path: Path) -> None:
    """A linked folder, linked images, a list that links to another: as people and DVC make them."""
    lists = voc.root / "ImageSets/Segmentation"
    (lists / "train.txt").rename(lists / "all.txt")
    (lists / "train.txt").symlink_to("all.txt")
    (voc.root / "JPEGImages").rename(tmp_path / "pictures")
    (voc.root / "JPEGImages").symlink_to(tmp_path / "pictures")
    (tmp_path / "link").symlink_to(voc.root)
    get_dataset(params.model_copy(update={"source": str(tmp_path / "link")}), tmp_path / "raw")
    assert check_dataset(tmp_path / "raw").problems == []


@pytest.mark.parametrize("target", ["secret", "/dev/zero", "nowhere"])
def test_a_link_to_no_image_is_not_copied(voc, params, tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("a-secret-of-the-user")
    image = voc.root / "JPEGImages/a1.png"
    image.unlink()
    image.symlink_to(tmp_path / target)
    with pytest.raises(DataError, match=r"must be a plain file|must be an image, got a link"):
        get_dataset(params, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_kill_while_unpacking_leaves_nothing_for_long(voc, params, tmp_path: Path) -> None:
    tar = _tar(voc.root, tmp_path / "voc.tar")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from seglock.config import DataParams; from seglock.data import get, get_dataset\n"
        "get._copy = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "get_dataset(DataParams.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    with_tar = params.model_copy(update={"source": str(tar)})
    command = [sys.executable, "-c", code, with_tar.model_dump_json(), str(tmp_path / "data/raw")]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert list((tmp_path / "data").rglob("a1.png"))
    get_dataset(with_tar, tmp_path / "data/raw")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["raw"]
