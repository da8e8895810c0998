"""The data of a job: there already, made at another side, or pulled where it is missing."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seglock.data import PreparedData, prepare_dataset
from seglock.errors import DataError
from seglock.files import sha256_file
from seglock.search import prepared
from seglock.search.executor import TrialJob
from seglock.search.prepared import open_for, weights_for
from tests.search.project import checkout, make_job, make_root, make_weights, push, small_params

FROM_FILE = {"initial_weights": "start.safetensors"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project with data, and the data's digest; no test changes it."""
    root = tmp_path_factory.mktemp("source")
    return root, make_root(root)


@pytest.fixture
def root(source: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(source[0] / "data", tmp_path / "project" / "data")
    return tmp_path / "project"


@pytest.fixture
def digest(source: tuple[Path, str]) -> str:
    return source[1]


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SEGLOCK_ROOT", raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    """As a new process."""
    prepared._opened.clear()
    prepared._checked.clear()


def at_side(root: Path, digest: str, side: int) -> TrialJob:
    return make_job(root, digest, data={"image_side": side})


def test_the_projects_own_data_is_opened_once(root: Path, digest: str) -> None:
    job = make_job(root, digest)
    data = open_for(job)
    assert (data.digest, data.image_side) == (digest, 16)
    assert open_for(job) is data
    assert not (root / ".seglock").exists()


def test_damaged_arrays_are_refused(root: Path, digest: str) -> None:
    path = root / "data" / "prepared" / "val_images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="other bytes than were written"):
        open_for(make_job(root, digest))


def test_another_dataset_is_refused_with_both_digests(root: Path, digest: str) -> None:
    with pytest.raises(DataError, match=f"digest 9999999999999999, got digest {digest[:16]}"):
        open_for(make_job(root, "9" * 64))


def test_missing_data_says_how_to_bring_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no DVC project there; .*SEGLOCK_ROOT.*dvc push"):
        open_for(make_job(tmp_path, "9" * 64))


def test_another_side_is_made_from_the_raw_data_once(
    root: Path, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = open_for(at_side(root, digest, 32))
    assert data.folder == root / ".seglock" / "prepared" / f"side-32-{digest[:16]}"
    params = small_params(data={"image_side": 32}).data
    fresh = prepare_dataset(params, root / "data" / "raw", tmp_path / "fresh")
    assert data.digest == fresh.digest
    assert data.train.images.shape == (12, 3, 32, 32)
    assert np.array_equal(data.train.images, fresh.train.images)
    assert sorted(p.name for p in data.folder.parent.iterdir()) == [".lock", data.folder.name]
    forget()
    monkeypatch.setattr("seglock.data.prepare_dataset", None)  # another call would fail
    assert open_for(at_side(root, digest, 32)).digest == fresh.digest
    assert PreparedData.open(root / "data" / "prepared").digest == digest


def test_of_several_workers_one_makes_it_and_the_others_wait(
    root: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def prepare(params, raw, out, **kept):  # type: ignore[no-untyped-def]
        made.append(params.image_side)
        return prepare_dataset(params, raw, out, **kept)

    monkeypatch.setattr("seglock.data.prepare_dataset", prepare)
    together = threading.Barrier(3)
    found = []

    def work() -> None:
        together.wait()
        found.append(prepared._resized(at_side(root, digest, 32), root, 32, 16))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3
    assert made == [16, 32]  # the check that the raw data is the right one, then the side itself


def test_raw_data_of_another_dataset_makes_no_side(root: Path, digest: str) -> None:
    picture = next((root / "data" / "raw" / "JPEGImages").iterdir())
    other = sorted((root / "data" / "raw" / "JPEGImages").iterdir())[-1]
    shutil.copyfile(other, picture)
    with pytest.raises(DataError, match="must be what the study's data was prepared from"):
        open_for(at_side(root, digest, 32))
    assert [p.name for p in (root / ".seglock" / "prepared").iterdir()] == [".lock"]


def test_without_initial_weights_none_are_looked_for(tmp_path: Path) -> None:
    assert weights_for(make_job(tmp_path, "9" * 64)) is None


def test_initial_weights_must_be_the_studys(tmp_path: Path) -> None:
    make_weights(tmp_path)
    job = make_job(tmp_path, "9" * 64, model=FROM_FILE)
    right = sha256_file(tmp_path / "data" / "weights" / "weights.safetensors")
    assert weights_for(dataclasses.replace(job, weights_sha256=right)) == tmp_path / "data/weights"
    with pytest.raises(DataError, match=f"SHA-256 0000000000000000, got SHA-256 {right[:16]}"):
        weights_for(dataclasses.replace(job, weights_sha256="0" * 64))
    missing = make_job(tmp_path / "elsewhere", "9" * 64, model=FROM_FILE)
    with pytest.raises(DataError, match=r"weights\.safetensors must exist"):
        weights_for(missing)


def test_a_checkout_without_data_pulls_what_a_job_needs(
    root: Path, digest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_weights(root)
    push(root, tmp_path / "remote")
    node = checkout(root, tmp_path / "node")
    monkeypatch.setenv("SEGLOCK_ROOT", str(node))
    job = dataclasses.replace(
        make_job(root, digest, data={"image_side": 32}, model=FROM_FILE),
        weights_sha256=sha256_file(root / "data" / "weights" / "weights.safetensors"),
    )
    data = open_for(job)
    assert data.folder.is_relative_to(node)
    assert data.image_side == 32
    assert PreparedData.open(node / "data" / "prepared").digest == digest
    assert weights_for(job) == node / "data" / "weights"

    # Whatever lies there that DVC does not know is somebody's work: it stays.
    forget()
    shutil.rmtree(node / "data" / "prepared")
    (node / "data" / "prepared").mkdir()
    (node / "data" / "prepared" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="dvc pull in"):
        open_for(make_job(root, digest))
    assert (node / "data" / "prepared" / "mine.txt").read_text() == "mine"
