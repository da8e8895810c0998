"""The embedded dataset: shapes on 1/f noise, generated in the VOC layout.

A class shows in its hue (shared by a dark and a bright one), its brightness, its texture (about
a block of a lock wide) and its outline. Shuffling a block keeps only its mean, which tells dark
from bright but no hue from another; negating or encrypting half of its values keeps neither.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from seglock.data.layout import CLASSES_FILE, LISTS, VOID
from seglock.data.names import BACKGROUND, IMAGES, MASKS
from seglock.files import replacing_folder, write_text

if TYPE_CHECKING:
    from seglock.config import SyntheticParams
    from seglock.data.check import Progress

SHAPES = ("disc", "square", "triangle", "ring", "cross", "diamond")
TEXTURES = ("stripes", "checks", "plain")
TRAIN_LIST, TEST_LIST = "train", "val"
_CHUNK = 128
_OBJECTS = 3


def class_names(count: int) -> tuple[str, ...]:
    """Names of ``count`` classes, background included.

    >>> class_names(4)
    ('background', 'disc', 'square', 'triangle')
    >>> class_names(8)[-1]
    'disc-2'
    """
    names = [SHAPES[i % 6] + (f"-{i // 6 + 1}" if i >= 6 else "") for i in range(count - 1)]
    return (BACKGROUND, *names)


def write_synthetic(
    params: SyntheticParams,
    target: Path,
    *,
    image_format: Literal["png", "jpeg"] = "png",
    progress: Progress | None = None,
) -> None:
    """Write the dataset in the VOC layout, whole or not at all.

    Lists ``train`` and ``val`` (the test images), masks with a palette and a void border.
    The same parameters give the same files.
    """
    total = params.train + params.test
    ids = [f"synthetic_{index:06d}" for index in range(total)]
    with replacing_folder(Path(target)) as root:
        for folder in (IMAGES, MASKS, LISTS):
            (root / folder).mkdir(parents=True)
        write_text(root / CLASSES_FILE, "\n".join(class_names(params.classes)) + "\n")
        write_text(root / LISTS / f"{TRAIN_LIST}.txt", "\n".join(ids[: params.train]) + "\n")
        write_text(root / LISTS / f"{TEST_LIST}.txt", "\n".join(ids[params.train :]) + "\n")
        done = 0
        for images, masks in generate(params, total):
            for image, mask in zip(images, masks, strict=True):
                _save(root, ids[done], image, mask, image_format)
                done += 1
            if progress is not None:
                progress("drawing images", done, total)


def generate(params: SyntheticParams, total: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw ``total`` images in chunks: (n, S, S, 3) uint8 and masks (n, S, S) uint8, 255 = void."""
    for number, start in enumerate(range(0, total, _CHUNK)):
        rng = np.random.default_rng([params.seed % 2**64, number])
        yield _draw(rng, min(_CHUNK, total - start), params.side, params.classes)


def _draw(
    rng: np.random.Generator, count: int, side: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.meshgrid(*2 * [(np.arange(side, dtype=np.float32) + 0.5) / side], indexing="ij")
    canvas = _background(rng, count, side)
    labels = np.zeros((count, side, side), dtype=np.uint8)
    objects = rng.integers(1, _OBJECTS + 1, size=count)
    for layer in range(_OBJECTS):
        chosen = np.flatnonzero(objects > layer)
        if not len(chosen):
            continue
        kinds = rng.integers(1, classes, size=len(chosen))
        u, v = _own_axes(rng, x, y, len(chosen))
        inside = _outline(u, v, kinds)
        paint = _paint(rng, u, v, kinds, classes, side)
        canvas[chosen] = np.where(inside[..., None], paint, canvas[chosen])
        labels[chosen] = np.where(inside, kinds[:, None, None], labels[chosen])
    canvas += rng.normal(0, 0.03, canvas.shape).astype(np.float32)
    images = np.clip(canvas * 255, 0, 255).round().astype(np.uint8)
    return images, _void_border(labels)


def _background(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Coloured 1/f noise around a random colour, (count, side, side, 3) float32 in about 0..1."""
    mean = rng.uniform(0.3, 0.7, (count, 1, 1, 3))
    noise = _pink_noise(rng, (count, side, side, 3))
    return (mean + 0.10 * noise).astype(np.float32)


def _pink_noise(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Noise with a 1/f amplitude spectrum over axes 1 and 2, standard deviation 1 an image."""
    side = shape[1]
    white = rng.standard_normal(shape, dtype=np.float32)
    spectrum = np.fft.rfft2(white, axes=(1, 2))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum /= frequency[None, :, :, None]
    noise = np.fft.irfft2(spectrum, s=(side, side), axes=(1, 2))
    deviation: np.ndarray = noise.std(axis=(1, 2), keepdims=True)
    pink: np.ndarray = noise / deviation
    return pink


def _own_axes(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (count, side, side) with the object within -1..1, moved, scaled and turned."""
    radius, turn = rng.uniform(0.18, 0.34, (count, 1, 1)), rng.uniform(-0.4, 0.4, (count, 1, 1))
    cx, cy = rng.uniform(0.15, 0.85, (2, count, 1, 1))
    dx, dy = (x - cx) / radius, (y - cy) / radius
    cos, sin = np.cos(turn), np.sin(turn)
    return cos * dx + sin * dy, cos * dy - sin * dx


def _outline(u: np.ndarray, v: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Which pixels are inside the outline of each object's class."""
    inside = np.empty(u.shape, dtype=bool)
    for shape in range(len(SHAPES)):
        chosen = (kinds - 1) % len(SHAPES) == shape
        a, b = u[chosen], v[chosen]
        far, near = np.maximum(abs(a), abs(b)), np.minimum(abs(a), abs(b))
        inside[chosen] = (
            a**2 + b**2 < 1,
            far < 0.85,
            (b < 0.8) & (b > 2.0 * abs(a) - 1.1),
            abs(np.hypot(a, b) - 0.7) < 0.3,
            (near < 0.4) & (far < 1),
            abs(a) + abs(b) < 1.1,
        )[shape]
    return inside


def _paint(
    rng: np.random.Generator,
    u: np.ndarray,
    v: np.ndarray,
    kinds: np.ndarray,
    classes: int,
    side: int,
) -> np.ndarray:
    """Colours (n, S, S, 3) of each object: brightness, hue and texture by class, and noise."""
    count = len(kinds)
    pair, bright = (kinds - 1) // 2, (kinds - 1) % 2
    grey = 0.35 + 0.3 * bright + rng.uniform(-0.06, 0.06, count)
    hue = 2 * np.pi * (pair / (classes // 2) + rng.normal(0, 0.02, count))
    strength = rng.uniform(0.19, 0.25, count)
    angles = hue[:, None] - 2 * np.pi * np.arange(3) / 3
    colour = (strength[:, None] * np.cos(angles))[:, None, None, :]
    pattern = _texture(rng, u, v, kinds)[..., None]
    noise = _pink_noise(rng, (count, side, side, 1))
    level = grey[:, None, None, None] + 0.08 * pattern + 0.06 * noise
    return (level + colour * (1 + 0.5 * pattern)).astype(np.float32)


def _texture(
    rng: np.random.Generator, u: np.ndarray, v: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """A pattern in -1..1 by class: stripes, checks, or none."""
    phase = rng.uniform(0, 2 * np.pi, (2, len(kinds), 1, 1))
    kind = ((kinds - 1) % len(TEXTURES))[:, None, None]
    across, along = np.sin(9 * u + phase[0]), np.sin(9 * v + phase[1])
    return np.select([kind == 0, kind == 1], [across, across * along], 0.0)


def _void_border(labels: np.ndarray) -> np.ndarray:
    """Masks with a line of void, one pixel wide, wherever two labels meet (as VOC has)."""
    border = np.zeros(labels.shape, dtype=bool)
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    border[:, :, :-1] |= labels[:, :, :-1] != labels[:, :, 1:]
    return np.where(border, np.uint8(VOID), labels)


@functools.cache
def voc_palette() -> tuple[int, ...]:
    """PASCAL VOC's 256 mask colours, flat: each index's bits spread over red, green and blue."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return tuple(colours.ravel().tolist())


def _save(root: Path, name: str, image: np.ndarray, mask: np.ndarray, image_format: str) -> None:
    from PIL import Image

    if image_format == "jpeg":
        Image.fromarray(image).save(root / IMAGES / f"{name}.jpg", quality=95, subsampling=0)
    else:
        Image.fromarray(image).save(root / IMAGES / f"{name}.png", compress_level=1)
    palette = Image.fromarray(mask).convert("P")
    palette.putpalette(list(voc_palette()))
    palette.save(root / MASKS / f"{name}.png")
