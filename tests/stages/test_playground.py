"""The playground: what is shown of an image under which key, what is not, and the page itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from seglock.client.prediction import Prediction
from seglock.config import load_params
from seglock.errors import ConfigError, DataError, KeyRefusedError
from seglock.evaluation import confusion_matrix, mean_iou
from seglock.keys import load_key
from seglock.models import load_model
from seglock.report.gallery import demonstrate
from seglock.stages.locks import open_lock
from seglock.stages.playground import run_playground
from seglock.stages.playground_answers import Answer, Playground
from seglock.transforms import Transform, compose, identity
from tests.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def photo(project: Path) -> tuple[Path, Path]:
    """A test image, and its mask."""
    return Playground(project).examples(1)[0]


def expected(project: Path, lock: str, transform: Transform, photo: Path) -> Prediction:
    """What the network says of the photo, without the playground."""
    params = load_params(project / "params.yaml")
    network = load_model(project / f"data/models/{lock}/model.safetensors", params.model, 3).eval()
    image = np.asarray(Image.open(photo).convert("RGB")).transpose(2, 0, 1)[None].copy()
    logits = network(transform.to_input(image))["out"]
    return Prediction(logits.argmax(1)[0].numpy().astype(np.uint8), ("a", "b", "c"))


def is_of(answer: Answer, made: Prediction, photo: Path) -> bool:
    opened = Image.open(photo).convert("RGB")
    small = answer.picture.resize(opened.size, Image.Resampling.NEAREST)
    return bool((np.asarray(small) == np.asarray(made.overlay(opened))).all())


@pytest.mark.parametrize("lock", ["np-2", "mixed"])
def test_the_right_key_no_key_and_a_wrong_one(
    project: Path, photo: tuple[Path, Path], lock: str
) -> None:
    play = Playground(project)
    assert (play.locks, play.keys) == (["np-2", "np-1", "mixed"], ["main", "other"])
    shown = play.show(lock, play.key_of(lock), *photo)
    assert [made.title for made in shown.answers] == ["Key main", "No key", "A wrong key"]
    opened = open_lock(lock, load_params(project / "params.yaml"), project)
    accesses = opened.transform(), identity(), opened.wrong_transforms(1)[0]
    for answer, transform in zip(shown.answers, accesses, strict=True):
        made = expected(project, lock, transform, photo[0])
        assert is_of(answer, made, photo[0])
        true = np.asarray(Image.open(photo[1]))
        share = mean_iou(confusion_matrix(*map(tensor, (made.classes, true)), 3).numpy())
        assert answer.words.startswith(f"mean IoU {share:.4f}; ")
    plain = play.show(lock, "main", photo[0])
    assert not [answer for answer in plain.answers if "IoU" in answer.words]


def tensor(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask.copy())[None]


def test_another_key_than_the_locks_is_called_so(project: Path, photo: tuple[Path, Path]) -> None:
    answer = Playground(project).show("mixed", "other", photo[0]).answers[0]
    assert answer.title == "Key other, not this lock's"
    under = compose(["np-2", "ffx-2"], load_key("other"))
    assert is_of(answer, expected(project, "mixed", under, photo[0]), photo[0])


def test_the_encrypted_picture_is_the_demonstration_keys(
    project: Path, photo: tuple[Path, Path]
) -> None:
    """One image, plain and encrypted under a user's key, would be that key's plan."""
    play = Playground(project)
    image = np.asarray(Image.open(photo[0]).convert("RGB")).transpose(2, 0, 1)
    for lock in play.locks:
        shown = play.show(lock, "main", photo[0])
        steps = play._params.locks[lock].steps
        public = np.uint8(demonstrate(image, steps).transpose(1, 2, 0) * 255)
        small = shown.encrypted.resize(public.shape[1::-1], Image.Resampling.NEAREST)
        assert (np.asarray(small) == public).all()
        assert "demonstration key, not with `main`" in shown.note


def test_what_it_cannot_show_is_one_message(project: Path, photo: tuple[Path, Path]) -> None:
    play = Playground(project)
    with pytest.raises(KeyRefusedError, match="'third' must exist"):
        play.show("np-2", "third", photo[0])
    with pytest.raises(DataError):
        play.show("np-2", "main", project / "params.yaml")
    with pytest.raises(DataError):
        play.show("np-2", "main", photo[0], project / "params.yaml")
    shutil.rmtree(project / "data/models")
    with pytest.raises(ConfigError, match=r"none in data/models; `dvc repro train@np-2` trains"):
        run_playground(project, port=None, say=print)


def test_the_extra_is_named_where_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglock.stages.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"no gradio; install it with `pip install 'seglock\[ui"):
        run_playground(tmp_path, port=None, say=print)


def test_the_page_in_a_browser(project: Path, browser: Browser) -> None:
    """As people use it, from the command on: it asks nothing of another host, and shows all."""
    with playground_process(project) as address, opened(browser, address) as page:
        page.set_default_timeout(120_000)  # beside other tests
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("Drop an image first.").wait_for()
        page.locator("table tr").nth(1).click()
        page.get_by_text("⇣").wait_for()
        choose(page, "Lock", "mixed")
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("mean IoU 0.").nth(2).wait_for()
        shown = page.inner_text("body")
        for words in ("Key main", "No key", "A wrong key", "demonstration key, not with main"):
            assert words in shown
        choose(page, "Key", "other")
        page.get_by_role("button", name="Predict").click()
        page.get_by_text("Key other, not this lock's").wait_for()
        assert page.get_by_text("mean IoU 0.").count() == 3


def choose(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).first.click()
    page.get_by_role("option", name=value, exact=True).click()


@contextlib.contextmanager
def playground_process(project: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "seglock", "playground", "--port", str(port)], cwd=project,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"TMPDIR": str(project.parent)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        assert process.communicate(timeout=30)[0] == ""
    assert not list(project.parent.glob("seglock-playground-*"))
