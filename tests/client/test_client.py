"""A photo in, its mask out, by a package and by a server; nothing plain and no key is sent."""

from __future__ import annotations

import base64
import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seglock
from seglock.audit.decode import buffers
from seglock.audit.needles import NotedKey, image_needles, key_needles, plan_needles
from seglock.audit.searcher import Searcher
from seglock.client.photos import open_photo
from seglock.data.pictures import resized
from seglock.errors import KeyRefusedError, ModelError, SeglockError
from seglock.keys import KeyStore, SecretKey
from seglock.keys.secret_access import reveal
from seglock.serving.files import ARTIFACTS, WEIGHTS
from seglock.serving.runtime import open_runtime
from seglock.transforms import compose
from tests.audit.test_needles import leaks
from tests.client.servers import relayed
from tests.serving.server.asking import served
from tests.serving.tiny import describe, tiny_package

KEY = SecretKey.from_bytes(bytes(range(7, 39)))
SIDE = 32
STEPS = (("shf-4",), ("np-8", "shf-8"), ("np-4", "ffx-4"))
PHOTO = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    root = tmp_path_factory.mktemp("packages")
    made = {
        steps: tiny_package(root / str(number), describe(steps, SIDE, KEY))
        for number, steps in enumerate(STEPS)
    }
    return made | {(): tiny_package(root / "open", describe((), SIDE))}


def expected(package: Path, steps: tuple[str, ...], key: SecretKey = KEY) -> np.ndarray:
    image = resized(open_photo(PHOTO), SIDE)[None]
    values = compose(steps, key if steps else None).encrypt(image)
    mask = Image.fromarray(open_runtime(package, "cpu").predict(values)[0])
    return np.asarray(mask.resize((60, 40), Image.Resampling.NEAREST))


@pytest.mark.parametrize("steps", [*STEPS, ()], ids="+".join)
def test_the_mask_is_the_networks_at_the_photos_size(packages, steps) -> None:
    package = packages[steps]
    client = seglock.Client(package, KEY if steps else None)
    made = client.predict(PHOTO)
    assert made.classes.shape == (40, 60)
    assert made.classes.dtype == np.uint8
    assert np.array_equal(made.classes, expected(package, steps))
    assert made.names == client.description.classes
    assert client.key_id == (KEY.id if steps else None)
    assert sum(made.shares.values()) == pytest.approx(1)


def test_every_file_of_a_package_and_every_kind_of_photo_give_one_answer(packages, tmp_path):
    package = packages["shf-4",]
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    for model in (str(package), package / ARTIFACTS / WEIGHTS):
        client = seglock.Client(model, KEY)
        for photo in (PHOTO, Image.fromarray(PHOTO), tmp_path / "a.png", str(tmp_path / "a.png")):
            assert np.array_equal(client.predict(photo).classes, expected(package, ("shf-4",)))


def test_the_key_may_be_a_name_and_must_be_the_models(packages) -> None:
    store = KeyStore()
    other = store.new("main")
    package = packages["shf-4",]
    for wrong in ("main", store.load("main")):
        with pytest.raises(
            KeyRefusedError, match=f"got key {other.id}.*ask its owner for key {KEY.id}"
        ):
            seglock.Client(package, wrong)
    for missing in ("absent", None):
        with pytest.raises(KeyRefusedError, match=f"key {KEY.id}"):
            seglock.Client(package, missing)
    unlike = seglock.Client(package, "main", check=False).predict(PHOTO).classes
    assert np.array_equal(unlike, expected(package, ("shf-4",), store.load("main")))
    assert not np.array_equal(unlike, expected(package, ("shf-4",)))


def test_what_is_no_package_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"PK")
    for model in (tmp_path, tmp_path / "absent", tmp_path / "weights.safetensors"):
        with pytest.raises(ModelError, match="must be a"):
            seglock.Client(model, KEY)


def test_a_client_is_not_written_or_copied(packages) -> None:
    client = seglock.Client(packages["shf-4",], KEY)
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises((SeglockError, TypeError)):
            attempt(client)
    assert reveal(KEY).hex() not in repr(vars(client))


@pytest.mark.parametrize("steps", STEPS, ids="+".join)
def test_a_server_gives_the_same_and_is_sent_nothing_plain_no_key_and_no_plan(
    packages, steps, tmp_path
) -> None:
    package = packages[steps]
    Image.fromarray(PHOTO).save(tmp_path / "street-of-mine.png")
    with served(open_runtime(package, "cpu")) as port, relayed(port) as (way, sent):
        client = seglock.Client(f"http://127.0.0.1:{way}", KEY)
        made = client.predict(tmp_path / "street-of-mine.png")
    assert np.array_equal(made.classes, expected(package, steps))
    plain = resized(open_photo(PHOTO), SIDE)
    noted = NotedKey(KEY)
    transform = compose(steps, noted.as_key)
    encrypted = transform.encrypt(plain[None])[0]
    about = {"block": SIDE, "top": 255, "owner": "it", "image": "it"}
    secret = [*key_needles(KEY), *noted.needles(transform, "it"), *plan_needles(transform, "it")]
    open_image = image_needles(np.zeros_like(plain), plain, **about)
    sealed = image_needles(plain, encrypted, **(about | {"top": 999}))
    assert open_image
    assert found(bytes(sent), [*secret, *open_image]) == set()
    body = bytes(sent).partition(b"image/png")[2].partition(b"\r\n\r\n")[2]
    assert found(body, sealed)  # the search does find what was sent
    assert b"street-of-mine" not in sent
    planted = [*(form for _, form in leaks(transform, 1 << 32))][:1]
    for spelled in (plain.tobytes(), reveal(KEY), *planted):
        for form in (spelled, spelled.hex().encode(), base64.b64encode(spelled)):
            assert found(bytes(sent) + b"\n" + form, [*secret, *open_image])


def found(data: bytes, needles: list) -> set[tuple[str, str]]:
    searcher = Searcher(needles)
    return {hit for _, buffer in buffers(data) for hit in searcher.find(buffer)}


def test_nothing_but_the_description_is_asked_for_with_a_wrong_key(packages) -> None:
    package = packages["shf-4",]
    with served(open_runtime(package, "cpu")) as port, relayed(port) as (way, sent):
        other = SecretKey.from_bytes(bytes(range(100, 132)))
        with pytest.raises(KeyRefusedError, match=f"ask its owner for key {KEY.id}"):
            seglock.Client(f"http://127.0.0.1:{way}", other)
        assert bytes(sent).startswith(b"GET /description ")
        assert b"POST" not in sent
        client = seglock.Client(f"http://127.0.0.1:{way}", other, check=False)
        assert np.array_equal(client.predict(PHOTO).classes, expected(package, ("shf-4",), other))
        assert b"POST /predict?check=no " in sent
