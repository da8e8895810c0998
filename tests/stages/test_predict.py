"""Folders of photos into masks: resumed, scored, stopped, and refused in one message."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglock.client import Client
from seglock.errors import ConfigError, DataError, ModelError, StorageError
from seglock.files import read_json
from seglock.keys import KeyStore, SecretKey
from seglock.serving.envelope import encode
from seglock.serving.files import ARTIFACTS, ONNX
from seglock.serving.runtime import open_runtime
from seglock.stages.predict import onnx_of, predict_images
from tests.cli.program import seglock
from tests.client.servers import saying
from tests.serving.server.asking import served
from tests.serving.tiny import describe, tiny_package

KEY = SecretKey.from_bytes(bytes(range(9, 41)))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with ONNX under KEY."""
    return tiny_package(tmp_path_factory.mktemp("package"), describe(key=KEY), onnx=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos, of which one is broken."""
    random = np.random.default_rng(0)
    (tmp_path / "in/far").mkdir(parents=True)
    for name in ("a.png", "far/c.jpg"):
        pixels = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    (tmp_path / "in/b.jpg").write_bytes(b"no photo")
    return tmp_path / "in"


def lines(work) -> list[str]:
    return [told.line for told in work.results()]


def test_masks_and_overlays_are_the_photos_size_and_what_is_done_is_left(
    package: Path, photos: Path, tmp_path: Path
) -> None:
    out, client = tmp_path / "out", Client(package, KEY)
    first, broken, last = lines(predict_images([photos], out, client))
    assert first.startswith(f"{photos}/a.png: ")
    assert first.endswith(f"; {out}/masks/a.png")
    assert "b.jpg must be a whole image" in broken
    assert "% " in last
    for name in ("a", "far/c"):
        with Image.open(out / f"masks/{name}.png") as mask:
            assert (mask.mode, mask.size) == ("P", (30, 20))
            photo = photos / f"{name}{'.png' if name == 'a' else '.jpg'}"
            assert np.array_equal(np.asarray(mask), client.predict(photo).classes)
        with Image.open(out / f"overlays/{name}.png") as overlay:
            assert (overlay.mode, overlay.size) == ("RGB", (30, 20))
    before = (out / "masks/a.png").stat().st_mtime_ns
    (out / "masks/far/c.png").unlink()
    assert lines(predict_images([photos], out, client))[0] == first
    assert (out / "masks/a.png").stat().st_mtime_ns == before
    assert (out / "masks/far/c.png").exists()
    os.utime(photos / "a.png")  # the photo is another now
    lines(predict_images([photos], out, client))
    assert (out / "masks/a.png").stat().st_mtime_ns > before


def test_predictions_of_another_key_or_model_stay_apart(package, photos, tmp_path) -> None:
    out = tmp_path / "out"
    lines(predict_images([photos], out, Client(package, KEY)))
    wrong = Client(package, SecretKey.generate(), check=False)
    with pytest.raises(ConfigError, match="one model under one key"):
        predict_images([photos], out, wrong)
    assert read_json(out / "predictions.json")["key_id"] == KEY.id


def test_a_full_disk_leaves_whole_files_and_the_rest_is_done_later(
    package, photos, tmp_path, monkeypatch
) -> None:
    out, client = tmp_path / "out", Client(package, KEY)
    work = predict_images([photos], out, client)
    with monkeypatch.context() as patch:
        calls = iter(range(3))

        def fsync(handle: int) -> None:
            if next(calls, None) is None:
                raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", fsync)
        with pytest.raises(StorageError, match="got no space left on device"):
            lines(work)
    assert [path.name for path in (out / "masks").rglob("*.png")] == ["a.png"]
    assert not [path for path in out.rglob("*") if path.suffix == ".tmp"]
    lines(predict_images([photos], out, client))
    assert (out / "masks/far/c.png").exists()


def test_an_envelope_is_no_photo(package, photos, tmp_path) -> None:
    client = Client(package, KEY)
    sealed = client._sealer.seal(Image.open(photos / "a.png").convert("RGB"))
    (tmp_path / "x.enc.png").write_bytes(encode(sealed))
    (told,) = predict_images([tmp_path / "x.enc.png"], tmp_path / "out", client).results()
    assert told.failed
    assert "got an envelope; `seglock decrypt` opens it" in told.line


def test_scores_are_those_of_the_masks(package, photos, tmp_path) -> None:
    out, client, truth = tmp_path / "out", Client(package, KEY), tmp_path / "truth/masks"
    truth.mkdir(parents=True)
    predicted = client.predict(photos / "a.png").classes
    true = predicted.copy()
    true[:5] = 255
    Image.fromarray(true).save(truth / "a.png")
    work = predict_images([photos], out, client, truth)
    done, _, missing = work.results()
    assert not done.failed
    assert missing.failed
    assert "c.png must exist" in missing.line
    told = list(work.finish())
    assert told[0] == "mean IoU 1.0000 of 1 photos"
    scores = read_json(out / "scores.json")
    occurring = {client.description.classes[i] for i in np.unique(predicted[5:])}
    assert scores["mean_iou"] == 1.0
    assert {name for name, iou in scores["iou"].items() if iou is not None} == occurring
    header, *rows = (out / "confusion.csv").read_text().splitlines()
    assert header == "true class," + ",".join(client.description.classes)
    assert sum(int(value) for row in rows for value in row.split(",")[1:]) == 15 * 30
    with Image.open(out / "confusion.png") as picture:
        assert min(picture.size) > 100


def test_the_pipeline_of_commands(package, photos, tmp_path) -> None:
    """ONNX, a key by its name, a wrong key, no model at all."""
    store = tmp_path / "store"
    made = KeyStore(store)
    other = made.new("other").id
    environment = {"SEGLOCK_KEY_DIR": str(store), "SEGLOCK_KEY_MINE": bytes(range(9, 41)).hex()}
    words = ["predict", "in", "--model", str(package), "--onnx", "-o", "out", "--key"]
    done = seglock(*words, "mine", cwd=tmp_path, **environment)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["in/a.png", "in/far/c.jpg"]
    assert done.stderr.splitlines()[-1] == "2 of 3 photos done"
    refused = seglock(*words, "other", cwd=tmp_path, **environment)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert f"got key {other}" in refused.stderr
    assert f"ask its owner for key {KEY.id}" in refused.stderr
    shown = seglock(*words, "other", "--no-check", cwd=tmp_path, **environment)
    assert (shown.returncode, shown.stderr.count("\n")) == (2, 1)
    assert "name another folder" in shown.stderr


def test_ctrl_c_is_one_message_and_the_rest_is_done_later(package, photos, tmp_path) -> None:
    about = describe(key=KEY)

    def answer(method: str, path: str, body: bytes):
        if path == "/description":
            return 200, about.to_json().encode(), {}
        asked.append(path)
        time.sleep(20 if len(asked) > 1 else 0)
        return 200, mask, {}

    asked: list[str] = []
    with served(open_runtime(package, "cpu")) as port:
        client = Client(f"http://127.0.0.1:{port}", KEY)
        values = client._sealer.values(Image.open(photos / "a.png").convert("RGB"))
        Image.fromarray(client._target.answer(values, client._sealer)).save(tmp_path / "m.png")
    mask = (tmp_path / "m.png").read_bytes()
    with saying(answer) as address:
        words = ["predict", "in", "--model", address, "-o", "out", "--key", "mine"]
        process = subprocess.Popen(
            [sys.executable, "-m", "seglock", *words], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"SEGLOCK_KEY_MINE": bytes(range(9, 41)).hex()},
        )  # fmt: skip
        while len(asked) < 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "seglock: stopped; run the same command again to continue\n"
    assert [path.name for path in (tmp_path / "out/masks").rglob("*")] == ["a.png"]


def test_onnx_is_asked_of_packages_that_have_it(package: Path, tmp_path: Path) -> None:
    assert onnx_of(str(package)) == package / ARTIFACTS / ONNX
    with pytest.raises(ModelError, match=r"model\.onnx"):
        onnx_of(str(tmp_path))
    with pytest.raises(DataError, match="got no such file"):
        predict_images([tmp_path / "none"], tmp_path / "out", Client(package, KEY))


def test_onnx_imports_neither_torch_nor_mlflow(package: Path, photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from seglock.client import Client\n"
        "from seglock.stages.predict import *; from seglock.keys import SecretKey\n"
        f"client = Client(onnx_of({str(package)!r}), SecretKey.from_bytes(bytes(range(9, 41))))\n"
        f"work = predict_images([Path({str(photos)!r}) / 'a.png'], Path('out'), client)\n"
        "told = list(work.results()), work.finish()\n"
        "heavy = {'torch', 'mlflow', 'numba', 'requests', 'scipy', 'matplotlib'}\n"
        "print(*(heavy & set(sys.modules)), told[0][0].failed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "False"
