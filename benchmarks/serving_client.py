"""What a client pays for a photo: encryption and envelope, beside decoding the photo's JPEG."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import Row
from seglock.data.pictures import open_image
from seglock.keys import demonstration_key
from seglock.serving.envelope import Envelope, encode
from seglock.transforms import compose

PHOTO = (500, 375)
LOCKS = (("shf-4",), ("np-4",), ("np-4", "shf-4"), ("ffx-4",))


def client_rows(sides: Iterable[int], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds a photo for locks of each method, at these pixels a side."""
    key = demonstration_key()
    rows = list[Row]()
    with tempfile.TemporaryDirectory() as folder:
        photo = write_photo(Path(folder))
        for side in sides:
            image = np.asarray(open_image(photo).resize((side, side))).transpose(2, 0, 1)
            image = np.ascontiguousarray(image)
            for steps in LOCKS:
                lock = compose(steps, key=key)

                def seal(steps: Any = steps, lock: Any = lock, image: Any = image) -> bytes:
                    values = lock.encrypt(image[None])[0]
                    return encode(Envelope(values, "0" * 16, "benchmark", steps))

                decoding, sealing = _alternating(rounds, lambda: open_image(photo), seal)
                rows.append(Row(
                    f"client at {side}, {' '.join(steps)}: encryption and envelope",
                    sealing * 1e3, "ms", f"decoding a JPEG of {PHOTO[0]}x{PHOTO[1]}",
                    decoding / sealing,
                ))  # fmt: skip
    return [asdict(row) for row in rows]


def _alternating(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Seconds of each, the median of rounds that take turns."""
    seen: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, seen, strict=True):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return [median(times) for times in seen]


def write_photo(folder: Path) -> Path:
    """A JPEG as cameras make them: smooth places, edges and some noise."""
    draw = np.random.default_rng(0)
    coarse = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(PHOTO, Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(pixels + draw.integers(-12, 13, pixels.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=90)
    (folder / "photo.jpg").write_bytes(file.getvalue())
    return folder / "photo.jpg"
