"""What the playground shows: one image, a trained lock and a key, and what the network makes of it.

An image encrypted under a user's key is never shown beside its plain one, which together give the
plan away: the picture of the encryption is made with the public demonstration key, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.config import load_params
from seglock.errors import ConfigError
from seglock.results.training import MODELS
from seglock.stages.locks import WEIGHTS, OpenLock, open_lock, read_training

if TYPE_CHECKING:
    from PIL import Image

    from seglock.client import Prediction
    from seglock.evaluation.predict import Predictor
    from seglock.transforms import Transform

_LEAST_SHOWN = 256  # pixels in width


@dataclass(frozen=True)
class Answer:
    """What the network makes of the image under one access: the overlay, and words below it."""

    title: str
    picture: Image.Image
    words: str


@dataclass(frozen=True)
class Shown:
    """All that the page shows: the encryption with its note, then the answers."""

    encrypted: Image.Image
    note: str
    answers: tuple[Answer, ...]


class Playground:
    """A project's trained locks and this machine's keys.

    Raises ConfigError where no lock is trained yet.
    """

    def __init__(self, root: Path) -> None:
        from seglock.data import PreparedData
        from seglock.keys import KeyStore

        self._root, self._params = root, load_params(root / "params.yaml")
        self.locks = [
            name
            for name, lock in self._params.locks.items()
            if lock.steps and (root / MODELS / name / WEIGHTS).is_file()
        ]
        if not self.locks:
            some = next((n for n, lock in self._params.locks.items() if lock.steps), "LOCK")
            raise ConfigError(
                "the playground needs a trained lock", got=f"none in {MODELS}",
                fix=f"`dvc repro train@{some}` trains one",
            )  # fmt: skip
        self.keys = sorted({*KeyStore().names(), *map(self.key_of, self.locks)})
        self._data = PreparedData.open(root / "data/prepared", verify=False)
        self._open = lru_cache(maxsize=1)(self._opened)

    def key_of(self, lock: str) -> str:
        """The name of the key that a lock has in params.yaml."""
        return self._params.locks[lock].key

    def examples(self, count: int = 4) -> list[tuple[Path, Path]]:
        """Some test images of the project with their masks, where data/raw is there."""
        from seglock.data.layout import VocFolder

        raw = VocFolder(self._root / "data/raw")
        found = [(raw.images(name), raw.masks(name)) for name in self._data.test.ids[:count]]
        return [(images[0], masks[0]) for images, masks in found if images and masks]

    def show(self, lock: str, key: str, photo: Path, mask: Path | None = None) -> Shown:
        """What an image gives with the key, without one, and with a wrong one.

        mask: true classes as the dataset has them, at the photo's size; then each answer has its
        mean IoU. Raises KeyRefusedError for a key that is not here, DataError for a photo or mask
        that cannot be read.
        """
        from seglock.client.photos import open_photo
        from seglock.keys import load_key
        from seglock.transforms import identity

        opened, predictor = self._open(lock)
        chosen = opened.key if key == opened.params.key else load_key(key)
        assert chosen is not None
        own = chosen.id == opened.key_id
        picture = open_photo(photo)
        under = replace(opened, key=chosen).transform()
        accesses = {
            f"Key {key}" if own else f"Key {key}, not this lock's": under,
            "No key": identity(opened.model.normalisation),
            "A wrong key": next(iter(opened.wrong_transforms(1))),
        }
        answers = [
            Answer(title, _enlarged(made.overlay(picture)), self._words(made, mask))
            for title, transform in accesses.items()
            for made in [self._predict(predictor, transform, picture)]
        ]
        return Shown(*self._encrypted(opened, key, picture), tuple(answers))

    def _opened(self, name: str) -> tuple[OpenLock, Predictor]:
        from seglock.evaluation.predict import Predictor
        from seglock.models import load_model, pick_device

        lock = open_lock(name, self._params, self._root)
        read_training(lock, self._root)
        weights = self._root / MODELS / name / WEIGHTS
        network = load_model(weights, self._params.model, self._data.num_classes)
        return lock, Predictor(network, pick_device(self._params.train.device))

    def _predict(
        self, predictor: Predictor, transform: Transform, photo: Image.Image
    ) -> Prediction:
        from seglock.client.prediction import Prediction, at_size
        from seglock.data.pictures import resized

        images = predictor.upload(resized(photo, self._data.image_side)[None])
        inputs = predictor.inputs(transform.to_input, images)
        classes = predictor(inputs, transform.features)[0].cpu().numpy()
        return Prediction(at_size(classes, photo.size), self._data.classes)

    def _words(self, made: Prediction, mask: Path | None) -> str:
        large = [(name, share) for name, share in made.shares.items() if share >= 0.01]
        shares = [f"{share:.0%} {name}" for name, share in large[:3]]
        if mask is None:
            return ", ".join(shares)
        from seglock.data.names import MASKS
        from seglock.stages.scores import MaskScores

        scores = MaskScores(self._root / "data/raw" / MASKS, self._data.classes)
        scores.add_mask(mask, made.classes)
        return f"mean IoU {scores.mean_iou:.4f}; {', '.join(shares)}"

    def _encrypted(self, lock: OpenLock, key: str, photo: Image.Image) -> tuple[Image.Image, str]:
        import numpy as np
        from PIL import Image

        from seglock.data.pictures import resized
        from seglock.report.gallery import as_picture, demonstrate

        image = demonstrate(resized(photo, self._data.image_side), lock.params.steps)
        picture = Image.fromarray((as_picture(image) * 255).astype(np.uint8))
        note = (
            "Encrypted with the public demonstration key, not with "
            f"`{key}`: an image and its encrypted one together give a key's plan away."
        )
        return _enlarged(picture), note


def _enlarged(picture: Image.Image) -> Image.Image:
    """The picture as it is, or each pixel as a square of several: a small one is hard to see."""
    from PIL import Image

    times = -(-_LEAST_SHOWN // picture.width)
    size = picture.width * times, picture.height * times
    return picture.resize(size, Image.Resampling.NEAREST)
