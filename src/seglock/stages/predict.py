"""``seglock predict``: photos into masks and overlays, and scores where true masks are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock import files
from seglock.client.photos import Photo, find_photos, open_photo
from seglock.errors import ConfigError
from seglock.stages.encrypt_images import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.client import Client, Prediction

ABOUT = "predictions.json"
MASKS, OVERLAYS = "masks", "overlays"
_NAMED = 3  # classes of a photo's line


def onnx_of(model: str) -> Path:
    """The ONNX file of a model on this machine or in the registry. Raises ModelError for none."""
    from seglock.client.targets import local_path
    from seglock.serving.files import ONNX, artifact

    return artifact(local_path(model), ONNX)


def predict_images(
    given: Sequence[Path], out: Path, client: Client, truth: Path | None = None
) -> Work:
    """Photos and folders of them into ``out``/masks/NAME.png and ``out``/overlays/NAME.png.

    A photo whose mask is there, and no older, is left as it is. ``truth``: a folder of true masks,
    NAME.png, against which all are scored in the end: scores.json, confusion.csv, confusion.png.

    Raises ConfigError where ``out`` has predictions of another model or key, DataError where there
    are no photos.
    """
    photos = find_photos(given, out)
    _claim(out, client)
    if truth is None:
        return Work(photos, lambda photo: _line(photo, *_predicted(photo, out, client)))
    from seglock.stages.scores import MaskScores

    scores = MaskScores(truth, client.description.classes)

    def one(photo: Photo) -> str:
        made, path = _predicted(photo, out, client)
        scores.add(photo.name, made.classes)
        return _line(photo, made, path)

    return Work(photos, one, lambda: scores.write(out))


def _claim(out: Path, client: Client) -> None:
    """Note whose predictions ``out`` has; another model's, or another key's, stay apart."""
    about = client.description
    note: dict[str, Any] = {
        "lock": about.lock,
        "weights_sha256": about.weights_sha256,
        "key_id": client.key_id,
        "classes": list(about.classes),
    }
    path = out / ABOUT
    if not path.exists():
        files.write_json(path, note)
    elif files.read_json(path, error=ConfigError) != note:
        raise ConfigError(
            "a folder must have the predictions of one model under one key",
            got=f"{out}, which has others",
            fix="name another folder with `-o`, or remove this one",
        )


def _predicted(photo: Photo, out: Path, client: Client) -> tuple[Prediction, Path]:
    """The photo's prediction, made now or before, and where its mask is."""
    import numpy as np

    from seglock.client import Prediction
    from seglock.data.pictures import open_mask

    path = out / MASKS / f"{photo.name}.png"
    if path.exists() and path.stat().st_mtime_ns >= photo.path.stat().st_mtime_ns:
        return Prediction(np.array(open_mask(path)), client.description.classes), path
    opened = open_photo(photo.path)
    made = client.predict(opened)
    with files.replacing(out / OVERLAYS / f"{photo.name}.png") as file:
        made.overlay(opened).save(file, "PNG")
    with files.replacing(path) as file:  # last: where it is, all is done
        made.mask().save(file, "PNG")
    return made, path


def _line(photo: Photo, made: Prediction, path: Path) -> str:
    named = [f"{share:.0%} {name}" for name, share in list(made.shares.items())[:_NAMED]]
    return f"{photo.path}: {', '.join(named)}; {path}"
