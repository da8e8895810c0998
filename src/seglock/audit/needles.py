"""What the audit looks for: keys, what is derived from them, plans, and strips of encrypted images.

The only module besides the key room that opens ``secret_access``. Nothing here is ever shown: a
needle has a label, and its bytes are left out of its repr. Needles are plain bytes: how else they
may be spelled is the business of ``text`` and ``decode``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seglock.keys.secret_access import reveal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.keys import SecretKey
    from seglock.transforms import Transform

LEAST_BITS = 32  # a plan of which there are fewer than 2**32 stands somewhere by chance
PLENTY_BITS = 64  # as much of a plan as is looked for: chance gives it nowhere
DTYPES = ("u1", "<u2", "<u4", "<u8", ">u2", ">u4", ">u8", "<f4", "<f8")
ROWS = 8  # rows of a strip, or the block side where that is less
PIXELS = 8  # width of a strip in the order row, column, channel
COLUMNS = 24  # width of a strip in the order channel, row, column
STRIPS = 2  # strips of each image
DISTINCT = 16  # values a strip must show, to be told from a flat patch


@dataclass(frozen=True)
class Needle:
    """What must not occur: bytes, or several windows that together show one image.

    All windows in one buffer are a finding. Bytes of 0 and 1 only are a mask, also found where
    each is a bit, or an integer of 2, 4 or 8 bytes.
    """

    what: str
    owner: str
    windows: tuple[bytes, ...] = field(repr=False)


class NotedKey:
    """Stands for a key while a lock is planned, and notes what is drawn from it for what use.

    So the audit knows a lock's subkeys without a copy of their labels.
    """

    def __init__(self, key: SecretKey) -> None:
        self._key = key
        self._uses: dict[str, bytes] = {}

    @property
    def as_key(self) -> SecretKey:
        """Itself, for what asks for a key."""
        return cast("SecretKey", self)

    def derive(self, use: str, length: int = 32) -> bytes:
        """The key's subkey, which is noted."""
        self._uses[use] = self._key.derive(use, length)
        return self._uses[use]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._key, name)

    def __repr__(self) -> str:
        return f"NotedKey({self._key!r})"

    def needles(self, transform: Transform, owner: str) -> Iterator[Needle]:
        """The subkeys, and the permutations that are drawn under them."""
        from seglock.keys import derive_permutation

        sizes = {size for step in transform.steps for size in (step.positions, step.count)}
        sizes |= {len(plan.order) for plan in transform.features}
        for use, subkey in list(self._uses.items()):
            for form in _spellings(subkey):
                yield Needle("subkey or FFX password", owner, (form,))
            for size in sorted(sizes - {0}):
                yield from _arrays("plan", owner, derive_permutation(self._key, use, size), _moved)


def key_needles(key: SecretKey) -> list[Needle]:
    """A key's bytes, also as wider integers, as floats, and as text in Latin-1 or UTF-8."""
    return [Needle("key", f"key {key.id}", (form,)) for form in _spellings(reveal(key))]


def _spellings(secret: bytes) -> Iterator[bytes]:
    yield from _dtypes(np.frombuffer(secret, np.uint8))
    yield secret.decode("latin-1").encode()


def _dtypes(values: NDArray[Any]) -> Iterator[bytes]:
    for dtype in DTYPES:
        if dtype[-2] == "f" or values.max() <= np.iinfo(dtype).max:
            yield values.astype(dtype).tobytes()


def plan_needles(transform: Transform, owner: str) -> Iterator[Needle]:
    """A lock's plan: the order, which positions get which table, the tables that are secret, and
    the order of feature maps.

    Masks and positions stand in the order of a block's values as they are encrypted, as they were
    before a shuffle, and channel by channel.
    """
    from seglock.transforms.recipe import inverse_tables
    from seglock.transforms.sequence import public_tables

    plan = transform._plan
    orders = (plan.permutation, *(inside.order for inside in transform.features))
    for order in (form for one in orders for form in (one, np.argsort(one))):
        yield from _arrays("plan", owner, order, _moved)
    before = np.empty_like(plan.selector)
    before[plan.permutation] = plan.selector
    blocks = (plan.selector, before)
    channels = [block.reshape(-1, 3).T.ravel() for block in blocks]
    for mask in (block == row for block in (*blocks, *channels) for row in range(len(plan.tables))):
        yield from mask_needles("plan", owner, mask)
        yield from _arrays("plan", owner, np.flatnonzero(mask), _spread(len(mask), mask.sum()))
    public = public_tables(transform.steps, transform.ffx_password)
    for table in plan.tables:
        if not (public == table).all(axis=1).any():
            yield from _arrays("secret table", owner, table, _moved)
            inverse = inverse_tables(table[None])[0, : len(table)]
            yield from _arrays("secret table", owner, inverse, _moved)


def mask_needles(what: str, owner: str, mask: NDArray[np.bool_]) -> Iterator[Needle]:
    """A mask as bytes 0 and 1, and packed to bits from either end of a byte."""
    start = _start(mask, _chosen)
    if len(start):
        yield Needle(what, owner, (start.astype(np.uint8).tobytes(),))
        packed = mask[: len(start) // 8 * 8 if len(start) < len(mask) else None]
        yield Needle(what, owner, (np.packbits(packed).tobytes(),))
        yield Needle(what, owner, (np.packbits(packed, bitorder="little").tobytes(),))


Bits = Callable[["NDArray[Any]"], float]


def _arrays(what: str, owner: str, values: NDArray[Any], bits: Bits) -> Iterator[Needle]:
    start = _start(values, bits)
    for form in _dtypes(start) if len(start) else ():
        yield Needle(what, owner, (form,))


def _start(values: NDArray[Any], bits: Bits) -> NDArray[Any]:
    """As much of ``values`` as chance gives nowhere; nothing, where all of it is too little."""
    low, high = 1, len(values)
    if high == 0 or bits(values) < LEAST_BITS:
        return values[:0]
    while low < high:  # more entries never have fewer bits
        middle = (low + high) // 2
        if bits(values[:middle]) >= PLENTY_BITS:
            high = middle
        else:
            low = middle + 1
    return values[:low]


def too_short(transform: Transform) -> list[str]:
    """The parts of a lock's plan that are not looked for, since chance gives them too."""
    plan = transform._plan
    parts = {"order": _moved(plan.permutation), "mask": _chosen(plan.selector > 0)}
    return [f"{part} of {n:.1f} bits" for part, n in parts.items() if 0 < round(n, 1) < LEAST_BITS]


def _moved(values: NDArray[Any]) -> float:
    """log2 of how many arrays have as many entries that are not their own index."""
    size, moved = len(values), int(np.count_nonzero(values != np.arange(len(values))))
    return (math.lgamma(size + 1) - math.lgamma(size - moved + 1)) / math.log(2)


def _chosen(mask: NDArray[Any]) -> float:
    """log2 of how many masks have as many positions."""
    return _choices(len(mask), int(np.count_nonzero(mask)))


def _spread(size: int, count: int) -> Bits:
    """log2 of how many ascending lists of as many positions end no later, or in the block."""
    return lambda some: _choices(size if len(some) == count else int(some[-1]) + 1, len(some))


def _choices(size: int, count: int) -> float:
    parts = math.lgamma(count + 1) + math.lgamma(size - count + 1)
    return (math.lgamma(size + 1) - parts) / math.log(2)


def image_needles(
    plain: np.ndarray, encrypted: np.ndarray, *, block: int, top: int, owner: str, image: str
) -> list[Needle]:
    """Strips of one image, (3, S, S), in both memory orders, and of FFX also scaled to 8 bits.

    A strip is a few rows. It covers every position of a block up to 8 rows, so that another key's
    picture, which agrees in some positions, is not taken for this one. Flat places are left out,
    and strips that the plain image has as well, such as whole channels in another order.
    """
    forms = [encrypted.astype("<i2" if encrypted.dtype.itemsize > 1 else np.uint8)]
    if encrypted.dtype.itemsize > 1:
        scaled = encrypted.astype(np.float64) * (255 / top)
        forms += [np.rint(scaled).astype(np.uint8), np.floor(scaled).astype(np.uint8)]
    what = f"encrypted image {image}"
    same = plain.tobytes() + plain.transpose(1, 2, 0).tobytes()
    strips = []
    for form in forms:
        for y, x in _places(form, block):
            rows = range(y, y + min(ROWS, block))
            pixels = form[:, :, x : x + PIXELS].transpose(1, 2, 0)
            strips.append(Needle(what, owner, tuple(pixels[row].tobytes() for row in rows)))
            planes = form[:, :, x : x + COLUMNS]
            windows = tuple(planes[c, row].tobytes() for row in rows for c in range(3))
            strips.append(Needle(what, owner, windows))
    return [strip for strip in strips if not all(window in same for window in strip.windows)]


def _places(form: np.ndarray, block: int) -> list[tuple[int, int]]:
    """The top left corners of the strips with the most different values."""
    side = form.shape[-1]
    height = min(ROWS, block)
    width = min(PIXELS, side)
    last = max(side - COLUMNS, 0)
    step = max(block, side // 8 // block * block)
    found = [
        (len(np.unique(form[:, y : y + height, x : x + width])), y, x)
        for y in range(0, side - height + 1, step)
        for x in range(0, last + 1, max(8, side // 8))
    ]
    found.sort(reverse=True)
    return [(y, x) for distinct, y, x in found[:STRIPS] if distinct >= DISTINCT]
