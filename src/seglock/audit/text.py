"""Text that spells bytes: hexadecimal, base64, escapes and lists of numbers, however laid out.

Separators are dropped before anything is read, so that line breaks, indentation, quotes, colons
and commas inside a secret make no difference; the search itself is for bytes alone.
"""

from __future__ import annotations

import binascii
import contextlib
import re
from collections.abc import Iterator

import numpy as np

CHUNK = 1 << 24
SOME = 1 << 20  # as much text as its numbers are taken from at a time
OVERLAP = 1 << 16  # more text than a secret takes, however spaced
STRIDES = range(1, 9)  # every n-th number, as in the columns of a table
LEAST = 4  # fewer numbers, or bytes, are no secret
_HIGH, _TAB = np.uint64(0x8080808080808080), np.uint64(0x7777777777777777)
_MODULUS = (1 << 64) - 1
_FRACTION = (1 << 16) - 1  # stands where a number is no integer

_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_BACKSLASH = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|u(?:00|dc|DC)([0-9a-fA-F]{2})|([0-3]?[0-7]{1,2})|(.))", re.DOTALL
)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f",
            b"v": b"\v"}  # fmt: skip
_BITS = re.compile(rb"[01]{32,}")
_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_ALONE = re.compile(  # signs and string prefixes that stand between parts of a base64 text
    rb"(?<![A-Za-z0-9+/_=-])(?:[-+/_]+(?![A-Za-z0-9+/_=-])|[bBrRuUfF]{1,2}(?=[\"']))"
)
_LARGE = re.compile(rb"(?<!\w)[0-9]{60,80}(?!\w)")
_NUMBER = re.compile(  # begins with a set of characters, which the search is fast for
    rb"[-0-9](?<![\w.)\]]-)(?<![\w.][0-9])(?:(?<=0)[xX][0-9a-fA-F]{1,16}|[0-9]{0,20}"
    rb"(?:\.[0-9]{0,30})?(?:(?:(?<=[0-9])|(?<=[0-9]\.))[eE][-+]?[0-9]{1,3})?(?<=[0-9.])(?<!-\.))"
    rb"(?![\w.])"
)
_WORDS = ((b"True", b"1"), (b"False", b"0"), (b"true", b"1"), (b"false", b"0"),
          (b"TRUE", b"1"), (b"FALSE", b"0"))  # fmt: skip
_EVERY = bytes(range(256))
_ALNUM = b"".join(bytes([c]) for c in range(128) if chr(c).isalnum())
_NOT_ALNUM = _EVERY.translate(None, _ALNUM)
_NOT_BASE64 = _EVERY.translate(None, _ALNUM + b"+/-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def spelled(data: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """What the text in ``data`` spells: how, the bytes, and whether more may be inside them."""
    for stretch in stretches(data):
        for text in overlapping(stretch, CHUNK):
            for sign, escape in ((b"%", _PERCENT), (b"\\", _BACKSLASH)):
                if sign in text and (plain := escape.sub(_unescaped, text)) != text:
                    yield "escapes", plain, True
            for found in _base64(text):
                yield "base64", found, True
            for found in _hexadecimal(text):
                yield "hexadecimal", found, True
            for some in overlapping(text, SOME):
                if found := b"".join(_numbers(some)):
                    yield "numbers", found, False


def stretches(data: bytes) -> Iterator[bytes]:
    """``data`` if it is UTF-8 with few NULs, else its runs of ASCII, up to 7 bytes around them."""
    with contextlib.suppress(UnicodeDecodeError):
        if len(data) < 64 or (data.count(0) * 16 <= len(data) and data.decode()):
            yield data
            return
    words = np.frombuffer(data, "<u8", len(data) // 8)
    for start, end in runs(((words & _HIGH) == 0) & (((words + _TAB) & _HIGH) == _HIGH), 3):
        yield data[max(8 * start - 7, 0) : 8 * end + 7]


def runs(good: np.ndarray, shortest: int) -> Iterator[tuple[int, int]]:
    """Start and end of each run of True in a vector that is at least so long."""
    edges = np.flatnonzero(np.diff(good, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2).tolist():
        if end - start >= shortest:
            yield start, end


def overlapping(data: bytes, size: int) -> Iterator[bytes]:
    """``data`` in parts of about ``size`` that overlap by more than any secret takes."""
    for start in range(0, max(len(data) - OVERLAP, 1), size):
        yield data[start : start + size + OVERLAP]


def _unescaped(match: re.Match[bytes]) -> bytes:
    digits, *others = match.groups()
    if others and others[1]:
        return bytes([int(others[1], 8)])
    if others and others[2]:
        return _LETTERS.get(others[2], others[2])
    return bytes.fromhex((digits or others[0]).decode())


def _base64(text: bytes) -> Iterator[bytes]:
    """All of the text as base64, from each of the four places where a group may begin."""
    squeezed = _ALONE.sub(b"", text).translate(_STANDARD, _NOT_BASE64)
    if len(squeezed) >= 16:
        for start in range(4):
            part = squeezed[start:] + b"AAA"
            yield binascii.a2b_base64(part[: len(part) // 4 * 4])


def _hexadecimal(text: bytes) -> Iterator[bytes]:
    digits = _HEX.findall(re.sub(rb"0[xX]", b"", text).translate(None, _NOT_ALNUM))
    for start in (0, 1) if digits else ():
        pairs = (run[start : start + (len(run) - start) // 2 * 2] for run in digits)
        yield b"\n".join(binascii.a2b_hex(run) for run in pairs)


def _numbers(text: bytes) -> Iterator[bytes]:
    for run in _BITS.findall(text):
        yield run.translate(bytes.maketrans(b"01", b"\0\1"))
    for digits in _LARGE.findall(text):
        number = int(digits).to_bytes(34, "big")
        yield number + number[::-1]
    for word, digit in _WORDS:
        text = text.replace(word, digit)
    tokens = _NUMBER.findall(text)
    if len(tokens) >= LEAST:
        yield packed(np.array([_value(token) for token in tokens], np.uint64))


def _value(token: bytes) -> int:
    """A number modulo 2**64, so that a signed byte is the byte it stands for."""
    if token.isdigit():
        return int(token) & _MODULUS
    lower = token.lower()
    if b"x" in lower:
        return int(lower, 16) & _MODULUS
    if b"." in lower or b"e" in lower:
        number = float(lower)
        return int(number) & _MODULUS if number.is_integer() else _FRACTION
    return int(lower) & _MODULUS


def packed(values: np.ndarray) -> bytes:
    """Integers, uint64, as bytes of each size that they may need, every n-th of them too."""
    parts = []
    top = (values + np.uint64(1 << 7)).max() if len(values) else 0  # -128 counts as a byte
    for dtype in ("u1", "<u2") if top >= 1 << 8 else ("u1",):
        small = values.astype(dtype)
        parts += [small[phase::step].tobytes() for step in STRIDES for phase in range(step)]
    if top >= 1 << 16:
        words = values[values >= 1 << 16]
        parts += [values.astype("<u4").tobytes()]
        parts += [words.astype(dtype).tobytes() for dtype in ("<u4", ">u4", "<u8", ">u8")]
    return b"".join(parts)
