"""Clients that ask as fast as they are answered, in one light process: no imports but Python's own.

    python benchmarks/serving_load.py PORT PATH TYPE CLIENTS SECONDS BODY...

Each client keeps one connection and sends the next of the BODY files once it is answered. Prints
JSON: requests a second, p50 and p99 in milliseconds, how many replies were not 200, and the
processor's seconds a second that asking took.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection; ``taken`` gets the seconds of each reply."""

    def __init__(self, requests: Iterator[bytes], taken: list[float], bad: list[int]) -> None:
        self._requests, self._taken, self._bad = requests, taken, bad
        self._reply, self._length = bytearray(), -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._reply += data
        if self._length < 0:
            end = self._reply.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._reply[:end]).lower()
            self._length = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._reply) >= self._length:
            self._taken.append(time.perf_counter() - self._start)
            if b" 200 " not in self._reply[:16]:
                self._bad.append(1)
            self._reply, self._length = bytearray(), -1
            self._ask()

    def _ask(self) -> None:
        self._start = time.perf_counter()
        self._transport.write(next(self._requests))


async def load(
    port: int, path: str, media: str, clients: int, seconds: float, bodies: list[bytes]
) -> dict[str, float]:
    """Ask for so long; the first fifth of the time is not counted."""
    requests = itertools.cycle(
        [
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {media}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
            for body in bodies
        ]
    )
    taken, bad = list[float](), list[int]()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(requests, taken, bad), "127.0.0.1", port)
        for _ in range(clients)
    ]
    await asyncio.sleep(seconds / 5)
    taken.clear()
    start, worked = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    while len(taken) < 2 * clients:
        await asyncio.sleep(0.1)
    span, worked = time.perf_counter() - start, time.process_time() - worked
    found = sorted(taken)
    for transport, _ in made:
        transport.abort()
    at = {name: found[int(len(found) * part)] * 1e3 for name, part in (("p50", 0.5), ("p99", 0.99))}
    return {"rate": len(found) / span, **at, "bad": len(bad), "cpu": worked / span}


if __name__ == "__main__":
    _, port, path, media, clients, seconds, *files = sys.argv
    bodies = [Path(file).read_bytes() for file in files]
    print(json.dumps(asyncio.run(load(
        int(port), path, media, int(clients), float(seconds), bodies
    ))))  # fmt: skip
