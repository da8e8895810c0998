"""Photos into envelopes and back; a photo that cannot be read does not stop the others."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.config import load_params
from seglock.data.pictures import open_image, resized
from seglock.errors import ConfigError, KeyRefusedError, SeglockError
from seglock.files import read_json
from seglock.keys import KeyStore, publish_key
from seglock.serving.envelope import decode
from seglock.stages.encrypt_images import (
    decrypt_images,
    encrypt_images,
    lock_sealer,
    model_sealer,
)
from seglock.transforms import compose
from tests.cli.program import seglock
from tests.serving.tiny import describe, tiny_package

PARAMS = """\
data: {image_side: 16}
locks:
  baseline: {steps: []}
  shf-4: {steps: [shf-4]}
  np-2: {steps: [np-2]}
  mixed: {steps: [np-2, ffx-2], ffx_password: fixed}
  other: {steps: [np-2], key: other}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with keys main and other, and three photos of which one is broken."""
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    for name in ("main", "other"):
        publish_key(name, target=tmp_path / f"data/keys/{name}.json", create_missing=True)
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "c.jpg"):
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(photos / name)
    (photos / "b.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return tmp_path


@pytest.mark.parametrize("lock", ["shf-4", "np-2", "mixed"])
def test_an_envelope_is_what_the_pipeline_encrypts_and_comes_back(project, lock) -> None:
    sealer = lock_sealer(lock, None, project)
    told = list(encrypt_images([project / "photos"], project / "out", sealer).results())
    assert [one.failed for one in told] == [False, True, False]
    assert "b.jpg must be a whole image" in told[1].line
    params = load_params(project / "params.yaml").locks[lock]
    key = KeyStore().load("main")
    transform = compose(params.steps, key, params.ffx_password)
    back = decrypt_images([project / "out"], project / "back", sealer)
    assert not any(one.failed for one in back.results())
    for name in ("a.png", "c.jpg"):
        envelope = decode(
            (project / "out" / name[0]).with_suffix(".enc.png").read_bytes(), most_pixels=256
        )
        image = resized(open_image(project / "photos" / name), 16)
        assert np.array_equal(envelope.values, transform.encrypt(image[None])[0])
        assert (envelope.lock, envelope.key_id) == (lock, key.id)
        assert envelope.photo_size == (30, 20)
        again = np.asarray(Image.open(project / f"back/{name[0]}.png")).transpose(2, 0, 1)
        assert np.array_equal(again, image)


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_what_is_made_is_closed_to_others_and_to_git(project: Path, umask: int) -> None:
    sealer = lock_sealer("np-2", None, project)
    before = os.umask(umask)
    try:
        list(encrypt_images([project / "photos"], project / "out", sealer).results())
        list(decrypt_images([project / "out"], project / "back", sealer).results())
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in project.rglob("out/*")}
    assert modes == {".gitignore": 0o600, "a.enc.png": 0o600, "c.enc.png": 0o600}
    assert (project / "out/.gitignore").read_text() == "*\n"
    assert stat.S_IMODE((project / "out").stat().st_mode) == 0o700
    assert stat.S_IMODE((project / "back/a.png").stat().st_mode) == 0o600


def test_a_folder_that_was_there_is_left_as_it_is(project: Path) -> None:
    sealer = lock_sealer("np-2", None, project)
    list(encrypt_images([project / "photos"], project / "photos", sealer).results())
    assert not (project / "photos/.gitignore").exists()
    assert len(encrypt_images([project / "photos"], project / "photos", sealer).photos) == 3


def test_envelopes_of_another_key_or_lock_and_damaged_ones_are_told(project: Path) -> None:
    list(
        encrypt_images(
            [project / "photos"], project / "out", lock_sealer("np-2", None, project)
        ).results()
    )
    mine = read_json(project / "data/keys/main.json")["id"]
    other = lock_sealer("other", None, project)
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {mine}"):
        list(decrypt_images([project / "out"], project / "back", other).results())
    told = list(
        decrypt_images(
            [project / "out"], project / "back", lock_sealer("shf-4", None, project)
        ).results()
    )
    assert [one.failed for one in told] == [True, True]
    assert "must be of steps shf-4, got lock np-2" in told[0].line
    with Image.open(project / "out/a.enc.png") as picture:
        picture.save(project / "out/z.enc.png", "JPEG")
    *_, jpeg = decrypt_images(
        [project / "out"], project / "back", lock_sealer("np-2", None, project)
    ).results()
    assert jpeg.failed
    assert "got a JPEG, which is lossy" in jpeg.line


def test_a_model_names_the_lock_as_well(project: Path) -> None:
    key = KeyStore().load("other")
    package = tiny_package(project / "package", describe(("np-2",), key=key))
    sealer = model_sealer(package, "other")
    work = encrypt_images([project / "photos/a.png"], project / "out", sealer)
    assert not any(one.failed for one in work.results())
    assert not any(
        one.failed
        for one in decrypt_images(
            [project / "out"], project / "back", lock_sealer("other", None, project)
        ).results()
    )
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {key.id}"):
        model_sealer(package, "main")
    with pytest.raises(KeyRefusedError, match=f"key {key.id}"):
        model_sealer(package, "absent")


def test_a_lock_without_steps_and_the_wrong_key_are_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="all on images, got baseline"):
        lock_sealer("baseline", None, project)
    mine = read_json(project / "data/keys/main.json")["id"]
    with pytest.raises(KeyRefusedError, match=f"ask its owner for key {mine}"):
        lock_sealer("np-2", "other", project)


def test_the_commands_say_what_they_did_by_line_and_exit_code(project: Path) -> None:
    done = seglock("encrypt", "photos", "-o", "out", "--lock", "np-2", cwd=project)
    assert done.returncode == 1
    assert done.stdout == "photos/a.png: out/a.enc.png\nphotos/c.jpg: out/c.enc.png\n"
    first, last = done.stderr.splitlines()
    assert first.startswith("seglock: photos/b.jpg: b.jpg must be a whole image, got ")
    assert last == "2 of 3 photos done"
    done = seglock("decrypt", "out", "-o", "back", "--lock", "np-2", cwd=project)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "out/a.enc.png: back/a.png")
    done = seglock("decrypt", "out", "-o", "back", "--lock", "other", cwd=project)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    done = seglock("encrypt", "photos", "-o", "out", "--key", "main", cwd=project)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_neither_torch_nor_anything_that_starts_slowly_is_imported(project: Path) -> None:
    code = (
        "import sys, pathlib; from seglock.stages.encrypt_images import *\n"
        "s = lock_sealer('mixed', None, pathlib.Path())\n"
        "o = pathlib.Path('o')\n"
        "w = [*encrypt_images([pathlib.Path('photos/a.png')], o, s).results()]\n"
        "w += decrypt_images([o], pathlib.Path('b'), s).results()\n"
        "heavy = {'torch', 'mlflow', 'numba', 'requests', 'scipy', 'matplotlib'}\n"
        "print(*(heavy & set(sys.modules)), len(w))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "2"


def test_a_full_disk_is_one_message_and_leaves_whole_files(project: Path, monkeypatch) -> None:
    sealer = lock_sealer("np-2", None, project)
    monkeypatch.setattr(os, "fsync", _full_after(2))
    with pytest.raises(SeglockError, match="must be writable, got no space left on device"):
        list(encrypt_images([project / "photos"], project / "out", sealer).results())
    left = sorted(path.name for path in (project / "out").iterdir())
    assert left == [".gitignore", "a.enc.png"]


def _full_after(count: int):
    calls = iter(range(count))

    def fsync(handle: int) -> None:
        if next(calls, None) is None:
            raise OSError(28, "No space left on device")

    return fsync
