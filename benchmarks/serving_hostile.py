"""Bodies that nobody honest sends, and what a server makes of them: statuses, memory, the next."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Told:
    """What came back: how many replies of each status (0: none), the slowest, the memory."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    memory: list[int] = field(default_factory=list)
    good: int = 0

    @property
    def broken(self) -> int:
        """Replies that say the server failed, and those that never came."""
        return sum(count for status, count in self.statuses.items() if not 0 < status < 500)


def bodies(good: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """So many hostile bodies, kind by kind: what it is, the body, and headers of its own."""
    draw = random.Random(seed)
    kinds = list(_KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        body = _KINDS[kind](good, draw)
        yield kind, body, {"content-length": str(10**12)} if kind == "huge declared size" else {}


def tell(port: int, process: int, good: bytes, count: int) -> Told:
    """Send ``count`` bodies, and after each hundredth the good one, which must be answered."""
    told = Told()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number, (_, body, headers) in enumerate(bodies(good, count)):
        start = time.perf_counter()
        told.statuses[_status(connection, body, headers)] += 1
        told.slowest = max(told.slowest, time.perf_counter() - start)
        if number % 100 == 99:
            told.good += _status(connection, good, {}) == 200
        if number % max(1, count // 10) == count // 10 - 1:
            told.memory.append(resident(process))
    connection.close()
    return told


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def _status(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> int:
    try:
        connection.request("POST", "/predict", body, headers)
        with contextlib.closing(connection.getresponse()) as reply:
            reply.read()
            return reply.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    finally:
        if headers:  # the server does not wait for the rest, and neither do we
            connection.close()


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _picture(side: int, content: bytes, *more: bytes) -> bytes:
    head = side.to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    parts = (_chunk(b"IHDR", head), *more, _chunk(b"IDAT", content), _chunk(b"IEND", b""))
    return _PNG + b"".join(parts)


def _text(good: bytes) -> dict[str, object]:
    start = good.index(b"seglock\0") + 8
    found: dict[str, object] = json.loads(good[start : good.index(b"}", start) + 1])
    return found


def _retold(good: bytes, draw: random.Random) -> bytes:
    """Another description than the pixels': types, shapes, names and depths at random."""
    values = (None, -1, 10**30, "x" * 1000, [[]] * 50, {"a": {}}, "int64", [3, 1, 10**9], True, 1.5)
    about = _text(good)
    about[draw.choice(list(about))] = draw.choice(values)
    side = int.from_bytes(good[16:20], "big")
    told = _chunk(b"tEXt", b"seglock\0" + json.dumps(about).encode("latin-1"))
    return _picture(side, zlib.compress(bytes(side * (3 * side + 1))), told)


def _flipped(good: bytes, draw: random.Random) -> bytes:
    spoilt = bytearray(good)
    for _ in range(draw.randint(1, 8)):
        spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
    return bytes(spoilt)


_ZEROS = zlib.compress(bytes(20_000_000), 9)
_NESTED = b'{"a":' * 5000
_KINDS = {
    "random bytes": lambda _good, draw: draw.randbytes(draw.randint(0, 4000)),
    "random after a PNG's mark": lambda _good, draw: _PNG + draw.randbytes(draw.randint(0, 4000)),
    "truncated": lambda good, draw: good[: draw.randrange(len(good))],
    "bits flipped": _flipped,
    "huge declared size": lambda good, _draw: good,
    "too large": lambda _good, draw: bytes(draw.randint(1 << 20, 4 << 20)),
    "nested JSON": lambda _good, draw: b"[" * draw.randint(1, 60_000),
    "JSON of numbers": lambda _good, _draw: json.dumps({"inputs": [[1e308] * 2000]}).encode(),
    "nested JSON inside": lambda _good, _draw: _picture(
        1, b"", _chunk(b"tEXt", b"seglock\0" + _NESTED)
    ),
    "wrong types inside": _retold,
    "a bomb of pixels": lambda _good, draw: _picture(draw.choice((64, 4096, 60_000)), _ZEROS),
    "a bomb of text": lambda _good, _draw: _picture(
        1, b"", _chunk(b"zTXt", b"seglock\0\0" + _ZEROS), _chunk(b"iCCP", b"a\0\0" + _ZEROS)
    ),
    "a JPEG": lambda _good, draw: b"\xff\xd8\xff\xe0" + draw.randbytes(2000),
}
