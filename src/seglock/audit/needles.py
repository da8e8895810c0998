"""What the audit looks for: key bytes in every spelling, and strips of encrypted images.

The only module besides the key room that opens ``secret_access``. Nothing here is ever shown: a
needle has a label, and its bytes are left out of its repr.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from seglock.keys.secret_access import reveal

if TYPE_CHECKING:
    from seglock.config.steps import FfxPassword, Step
    from seglock.keys import SecretKey

ROWS = 8  # rows of a strip, or the block side where that is less
PIXELS = 8  # width of a strip in the order row, column, channel
COLUMNS = 24  # width of a strip in the order channel, row, column
PLAN_ENTRIES = 64  # of a permutation, enough to be told from chance
SELECTOR_ENTRIES = 4096  # of a mask, as one byte for each position
STRIPS = 2  # strips of each image
DISTINCT = 16  # values a strip or a plan must show, to be told from a flat patch or from chance
_HASH_BITS = 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Needle:
    """What must not occur: bytes, or several windows that together show one image.

    All windows in one buffer are a finding; each has at least 8 bytes.
    """

    what: str
    owner: str
    windows: tuple[bytes, ...] = field(repr=False)


def key_needles(key: SecretKey) -> list[Needle]:
    """A key's bytes raw, in hexadecimal, and in base64 at each alignment in both alphabets."""
    return [Needle(what, f"key {key.id}", (text,)) for what, text in _spellings(reveal(key))]


def _spellings(secret: bytes) -> Iterator[tuple[str, bytes]]:
    yield "key bytes", secret
    yield "key in hexadecimal", secret.hex().encode()
    yield "key in hexadecimal", secret.hex().upper().encode()
    seen = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        # The characters that hold bits of these bytes only, whatever stands beside them.
        inner = text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        for spelled in (inner, inner.replace(b"+", b"-").replace(b"/", b"_")):
            if spelled not in seen:
                seen.add(spelled)
                yield "key in base64", spelled


def derived_needles(
    key: SecretKey,
    steps: Sequence[Step],
    lock: str,
    ffx_password: FfxPassword = "from_key",  # noqa: S107 - a choice, not a password
) -> list[Needle]:
    """What equals a key for one lock: its subkeys, FFX passwords, and its plan's arrays."""
    from seglock.keys import derive_permutation
    from seglock.transforms.methods import DRAWS, plan_use

    owner = f"lock {lock}, key {key.id}"
    needles = []
    for position, step in enumerate(steps):
        for draw in DRAWS:
            use = plan_use(draw, position, steps, ffx_password)
            what = "FFX password" if draw == "password" else "subkey"
            for spelling, text in _spellings(key.derive(use)):
                needles.append(Needle(spelling.replace("key", what, 1), owner, (text,)))
            plan = derive_permutation(key, use, step.positions)
            forms = [plan[:PLAN_ENTRIES].astype(dtype).tobytes() for dtype in ("<i8", "<i4", "<i2")]
            needles += [Needle("plan", owner, (form,)) for form in forms]
    arrays = _plan_forms(key, steps, ffx_password)
    return needles + [Needle("plan", owner, (form,)) for form in arrays]


def _plan_forms(
    key: SecretKey, steps: Sequence[Step], ffx_password: FfxPassword
) -> Iterator[bytes]:
    """The start of a lock's arrays, steps composed, where chance would not give the same.

    The permutation, the selector as bytes, and the sorted positions where it is not 0.
    """
    from seglock.transforms.methods import plan_sequence

    plan = plan_sequence(steps, key, ffx_password)
    order = plan.permutation[:PLAN_ENTRIES]
    touched = np.flatnonzero(plan.selector)[:PLAN_ENTRIES]
    selector = plan.selector[:SELECTOR_ENTRIES]
    dtypes = ["<i8", "<i4", "<i2"] + (["u1"] if plan.size <= 256 else [])
    if np.count_nonzero(order != np.arange(len(order))) >= DISTINCT:
        yield from (order.astype(dtype).tobytes() for dtype in dtypes)
    if len(touched) >= DISTINCT and touched[-1] + 1 - len(touched) >= DISTINCT:
        yield from (touched.astype(dtype).tobytes() for dtype in dtypes)
    if len(selector) >= PLAN_ENTRIES and len(touched) >= DISTINCT <= np.sum(selector == 0):
        yield selector.tobytes()


def image_needles(
    plain: np.ndarray, encrypted: np.ndarray, *, block: int, top: int, owner: str, image: str
) -> list[Needle]:
    """Strips of one image, (3, S, S), in both memory orders, and of FFX also scaled to 8 bits.

    A strip is a few rows. It covers every position of a block up to 8 rows, so that another key's
    picture, which agrees in some positions, is not taken for this one. Flat places are left out.
    """
    forms = [encrypted.astype("<i2" if encrypted.dtype.itemsize > 1 else np.uint8)]
    if encrypted.dtype.itemsize > 1:
        scaled = encrypted.astype(np.float64) * (255 / top)
        forms += [np.rint(scaled).astype(np.uint8), np.floor(scaled).astype(np.uint8)]
    what = f"encrypted image {image}"
    strips = []
    for form in forms:
        same = plain if form.dtype == np.uint8 else None
        for y, x in _places(form, same, block):
            rows = range(y, y + min(ROWS, block))
            pixels = form[:, :, x : x + PIXELS].transpose(1, 2, 0)
            strips.append(Needle(what, owner, tuple(pixels[row].tobytes() for row in rows)))
            planes = form[:, :, x : x + COLUMNS]
            windows = tuple(planes[c, row].tobytes() for row in rows for c in range(3))
            strips.append(Needle(what, owner, windows))
    return strips


def _places(form: np.ndarray, plain: np.ndarray | None, block: int) -> list[tuple[int, int]]:
    """The top left corners of the strips with the most different values."""
    side = form.shape[-1]
    height = min(ROWS, block)
    width = min(PIXELS, side)
    last = max(side - COLUMNS, 0)
    step = max(block, side // 8 // block * block)
    found = []
    for y in range(0, side - height + 1, step):
        for x in range(0, last + 1, max(8, side // 8)):
            patch = form[:, y : y + height, x : x + width]
            if plain is None or not np.array_equal(patch, plain[:, y : y + height, x : x + width]):
                found.append((len(np.unique(patch)), y, x))
    found.sort(reverse=True)
    return [(y, x) for distinct, y, x in found[:STRIPS] if distinct >= DISTINCT]


class Searcher:
    """Looks for needles in a buffer, in a time that hardly depends on how many there are."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._needles: dict[int, list[Needle]] = {}
        for needle in needles:
            anchor = int.from_bytes(needle.windows[0][:8], "little")
            self._needles.setdefault(anchor, []).append(needle)
        self._anchors = np.array(sorted(self._needles), np.uint64)
        self._table = np.zeros(1 << _HASH_BITS, bool)
        self._table[_hash(self._anchors)] = True

    def __repr__(self) -> str:
        return f"Searcher({sum(map(len, self._needles.values()))} needles)"

    def find(self, buffer: bytes) -> Iterator[tuple[str, str]]:
        """What is in ``buffer`` and whose it is, each once."""
        found: dict[tuple[str, str], None] = {}
        for anchor in self._present(buffer):
            for needle in self._needles[anchor]:
                if all(window in buffer for window in needle.windows):
                    found[needle.what, needle.owner] = None
        yield from found

    def _present(self, buffer: bytes, chunk: int = 1 << 23) -> list[int]:
        """The anchors that occur at any offset: a table look-up for each, then the exact test."""
        present: set[int] = set()
        for start in range(0, max(len(buffer) - 7, 0), chunk):
            part = buffer[start : start + chunk + 7]
            for shift in range(min(8, len(part) - 7)):
                words = np.frombuffer(part, "<u8", (len(part) - shift) // 8, shift)
                likely = words[self._table[_hash(words)]]
                if len(likely):
                    nearest = np.searchsorted(self._anchors, likely).clip(0, len(self._anchors) - 1)
                    present.update(likely[self._anchors[nearest] == likely].tolist())
        return sorted(present)


def _hash(words: np.ndarray) -> np.ndarray:
    return (words * _MULTIPLIER) >> np.uint64(64 - _HASH_BITS)
