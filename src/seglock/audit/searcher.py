"""All needles at once in a buffer, in a time that hardly depends on how many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seglock.audit.text import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seglock.audit.needles import Needle

SMALL = 4096  # needles of fewer than 8 bytes are looked for in buffers up to this size only
CHUNK = 1 << 22
DENSE = 1 << 16  # bytes of 0 and 1 that are read as wider integers too where many are 1
WIDTHS = (2, 4, 8)  # bytes that an entry of a mask may take, besides 1
_HASH_BITS = 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_NOT_A_BIT = np.uint64(0xFEFEFEFEFEFEFEFE)


class Searcher:
    """Looks for needles in buffers: by 8 bytes of each and the 8 that follow, or 32 of a mask."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._bytes: defaultdict[int, list[tuple[int | None, Needle]]] = defaultdict(list)
        self._masks: defaultdict[int, list[tuple[int, Needle]]] = defaultdict(list)
        self._short: list[Needle] = []
        for needle in needles:
            first = needle.windows[0]
            if len(first) >= 32 and max(first) <= 1:
                at = _evenest(first)
                self._masks[int(_words_of_bits(first)[at])].append((at, needle))
            elif len(first) >= 8:
                anchor, follower = _rarest(first)
                self._bytes[anchor].append((follower, needle))
            else:
                self._short.append(needle)
        self._of_bytes, self._of_masks = _Table([*self._bytes]), _Table([*self._masks])

    def __repr__(self) -> str:
        return f"Searcher({len(self._bytes) + len(self._masks) + len(self._short)} anchors)"

    def find(self, buffer: bytes) -> Iterator[tuple[str, str]]:
        """What is in ``buffer`` and whose it is, each once."""
        found: dict[tuple[str, str], None] = {}
        short = self._short if len(buffer) <= SMALL else []
        for needle in [*self._likely(buffer), *short]:
            if all(window in buffer for window in needle.windows):
                found[needle.what, needle.owner] = None
        for needle in self._find_masks(buffer) if self._masks else ():
            found[needle.what, needle.owner] = None
        yield from found

    def _likely(self, buffer: bytes) -> Iterator[Needle]:
        """The needles of which 16 bytes occur, or 8 where they have no more."""
        present: defaultdict[int, set[int]] = defaultdict(set)
        for start in range(0, max(len(buffer) - 7, 0), CHUNK):
            part = buffer[start : start + CHUNK + 15]
            for shift in range(min(8, len(part) - 7)):
                words = np.frombuffer(part, "<u8", (len(part) - shift) // 8, shift)
                places = self._of_bytes.places(words)
                anchors = words[places]
                followers = words[(places + 1).clip(max=len(words) - 1)]
                for anchor in np.unique(anchors).tolist():
                    present[anchor].update(np.unique(followers[anchors == anchor]).tolist())
        for anchor, following in present.items():
            for follower, needle in self._bytes[anchor]:
                if follower is None or follower in following:
                    yield needle

    def _find_masks(self, buffer: bytes) -> Iterator[Needle]:
        """Masks where all bytes are 0 or 1; in wider integers, few are 1."""
        words = np.frombuffer(buffer, "<u8", len(buffer) // 8)
        found = runs((words & _NOT_A_BIT) == 0, 3)
        places = [(8 * start, 8 * end) for start, end in found if words[start:end].any()]
        stretches = [buffer[max(start - 7, 0) : end + 7] for start, end in places]
        for part in _parts(b"\2".join(stretches)):
            yield from self._masks_in(part)
        for stretch in stretches:
            for width in WIDTHS:
                if len(stretch) >= max(32 * width, width * stretch.count(1) - DENSE):
                    for part in _parts(stretch):
                        for phase in range(width):
                            yield from self._masks_in(part[phase::width])

    def _masks_in(self, entries: bytes) -> Iterator[Needle]:
        words = _words_of_bits(entries) if 1 in entries else np.empty(0, np.uint64)
        for place in self._of_masks.places(words).tolist():
            for at, needle in self._masks[int(words[place])]:
                if place >= at and entries.startswith(needle.windows[0], place - at):
                    yield needle


def _parts(data: bytes) -> Iterator[bytes]:
    """Parts that overlap by more than a mask in integers of 8 bytes takes."""
    for start in range(0, len(data) and max(len(data) - CHUNK, 1), CHUNK):
        yield data[start : start + 2 * CHUNK]


class _Table:
    """A set of 64-bit words, and where one of them stands in a vector."""

    def __init__(self, words: list[int]) -> None:
        self._words = np.array(sorted(words), np.uint64)
        self._likely = np.zeros(1 << _HASH_BITS, bool)
        self._likely[_hash(self._words)] = True

    def places(self, words: NDArray[np.uint64]) -> NDArray[np.intp]:
        """A table look-up for each word, then the exact test."""
        likely = np.flatnonzero(self._likely[_hash(words)])
        if not len(likely):
            return likely
        nearest = np.searchsorted(self._words, words[likely]).clip(0, len(self._words) - 1)
        exact: NDArray[np.intp] = likely[self._words[nearest] == words[likely]]
        return exact


def _hash(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _MULTIPLIER) >> np.uint64(64 - _HASH_BITS)


def _rarest(window: bytes) -> tuple[int, int | None]:
    """The 8 bytes of a window with the most different ones, which others have least, and the 8
    bytes behind them, if it is so long."""
    last = max(len(window) - 16, 0)
    at = max(range(last + 1), key=lambda i: len(set(window[i : i + 16])))
    anchor, follower = window[at : at + 8], window[at + 8 : at + 16]
    behind = int.from_bytes(follower, "little") if len(follower) == 8 else None
    return int.from_bytes(anchor, "little"), behind


def _words_of_bits(entries: bytes) -> NDArray[np.uint64]:
    """Of each place the 32 entries from there on, as the bits of a word."""
    words: NDArray[Any] = (np.frombuffer(entries, np.uint8) & 1).astype(np.uint32)
    for shift in (1, 2, 4, 8, 16):
        words = words[:-shift] | (words[shift:] << np.uint32(shift))
    return words.astype(np.uint64)


def _evenest(mask: bytes) -> int:
    """Where 32 entries hold the evenest share of 0 and 1."""
    return min(range(len(mask) - 31), key=lambda i: abs(sum(mask[i : i + 32]) - 16))
