"""What MLflow shows of a lock beside few figures: tables, and predictions as pictures.

The pictures are of plain test images; an encrypted one is made with the public demonstration key.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.results.attack import FIGURES, AttackResult
from seglock.results.pictures import Pictures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seglock.results.evaluation import Evaluation
    from seglock.tracking import Tracker

MOST_PICTURES = 6
LEAST_SIDE = 128  # pixels
_COLUMNS = {"correct": "correct key", "plain": "plain", "incorrect": "wrong key"}


def tell_tables(tracker: Tracker, found: Evaluation) -> None:
    """Mean IoU, refusals and each class by access, and each wrong key's mean IoU."""
    scores = found.scores
    accesses = {"correct": scores.correct, "plain": scores.plain, "plain BN": scores.plain_bn}
    tracker.log_table(
        "access",
        [
            {
                "access": name,
                "mean IoU": score.miou,
                "per image": score.per_image_mean,
                "refused": score.refused,
                **score.iou,
            }
            for name, score in accesses.items()
            if score
        ],
    )
    if scores.incorrect:
        keys = enumerate(scores.incorrect.miou)
        tracker.log_table("wrong_keys", [{"key": key, "mean IoU": miou} for key, miou in keys])


def tell_attacks_table(tracker: Tracker, attacks: Iterable[AttackResult]) -> None:
    """The figures of every attack."""
    rows = [
        {"attack": one.attack, "tier": one.tier, **{name: getattr(one, name) for name in FIGURES}}
        for one in attacks
    ]
    if rows:
        tracker.log_table("attacks", rows)


def tell_predictions(tracker: Tracker, found: Evaluation, pictures: Pictures) -> None:
    """Some test images as a table of pictures: what comes of them under each access."""
    from PIL import Image

    from seglock.tracking import picture_cell

    rows = []
    with tempfile.TemporaryDirectory(prefix="seglock-pictures-") as scratch:
        for place in range(min(len(pictures), MOST_PICTURES)):
            row: dict[str, Any] = {"image": str(pictures.ids[place])}
            for column, picture in _pictures(pictures, place, found.steps).items():
                name = f"{place + 1}-{column.replace(' ', '-')}.png"
                large = -(-LEAST_SIDE // len(picture))  # small ones would be specks in the UI
                grown = picture.repeat(large, axis=0).repeat(large, axis=1)
                Image.fromarray(grown).save(Path(scratch) / name)
                tracker.log_artifact(Path(scratch) / name, "predictions")
                row[column] = picture_cell(f"predictions/{name}")
            rows.append(row)
        if rows:
            tracker.log_table("predictions", rows)


def _pictures(pictures: Pictures, place: int, steps: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    import numpy as np

    from seglock.report.gallery import demonstrate
    from seglock.report.style import colour_mask

    image = pictures.images[place]
    found = {"input": image.transpose(1, 2, 0), "truth": colour_mask(pictures.target[place])}
    for access, column in _COLUMNS.items():
        if (masks := getattr(pictures, access)) is not None:
            found[column] = colour_mask(masks[place])
    if steps:
        shown = 255 * demonstrate(image, steps).transpose(1, 2, 0)
        found["encrypted under the demonstration key"] = shown.round().astype(np.uint8)
    return {name: np.ascontiguousarray(picture) for name, picture in found.items()}
