"""What a request must keep before anything is worked out for it: who asks, how often, how much."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from seglock.errors import SeglockError

Receive = Callable[[], Awaitable[Any]]
Headers = Iterable[tuple[bytes, bytes]]

_ROOM = 64 << 10  # for what an envelope says of itself
_DRAINED = 8 << 20  # so much more is read of a body that is too large, so that the reply is seen
_MOST_CLIENTS = 4096


@dataclass(frozen=True)
class ServerLimits:
    """What a server takes.

    ``batch``: images that the network is given at once; ``wait``: seconds that a batch waits to be
    full; ``queue``: requests that may be inside; ``rate``: requests a second of each client, None
    for any number; ``body_bytes``: 0 for what one envelope of the model's size can have.
    """

    batch: int = 8
    wait: float = 0.0
    queue: int = 256
    rate: float | None = None
    body_bytes: int = 0
    body_seconds: float = 10.0


class RequestError(SeglockError):
    """A request that is not answered: the status of the reply, and what else its headers say."""

    def __init__(
        self,
        status: int,
        rule: str,
        *,
        got: object = None,
        fix: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(rule, got=got, fix=fix)
        self.status = status
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["retry-after"] = str(max(1, math.ceil(retry_after)))


def largest_body(side: int, bytes_a_value: int) -> int:
    """How many bytes an envelope of a (3, side, side) image can have.

    Where nothing compresses, PNG adds less than a hundredth, a filter's byte a row among it.

    >>> largest_body(256, 1) - 3 * 256 * 256
    77824
    """
    raw = 3 * side * side * bytes_a_value
    return raw + raw // 16 + _ROOM


async def read_body(headers: Headers, receive: Receive, *, most: int, seconds: float) -> bytes:
    """A request's body, ``most`` bytes at most, however long it is said or not said to be.

    Raises RequestError: 413 when it is larger, 408 when it takes longer than ``seconds``, 400 when
    the client leaves.
    """
    declared = next((value for name, value in headers if name == b"content-length"), b"0")
    size = int(declared) if declared.isdigit() else 0
    if size > most + _DRAINED:
        raise _too_large(most, close=True)
    body = bytearray()
    length = 0
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestError(400, "a body must arrive whole", fix="send it again")
                piece = message.get("body", b"")
                length += len(piece)
                if length > most + _DRAINED:
                    raise _too_large(most, close=True)
                if length <= most:
                    body += piece
                more = message.get("more_body", False)
    except TimeoutError:
        raise RequestError(
            408, f"a body must arrive within {seconds:g} seconds", fix="send it again",
            headers={"connection": "close"},
        ) from None  # fmt: skip
    if length > most:
        raise _too_large(most, close=False)
    return bytes(body)


async def skip_body(headers: Headers, receive: Receive, seconds: float) -> dict[str, str]:
    """Read a body that nobody wants, so that the client sees the reply; keep nothing of it.

    Returns what the reply's headers must say more: that the connection ends, where it was not read
    to its end.
    """
    try:
        await read_body(headers, receive, most=0, seconds=seconds)
    except RequestError as refusal:
        return refusal.headers
    return {}


def _too_large(most: int, *, close: bool) -> RequestError:
    return RequestError(
        413,
        f"a body must have at most {most} bytes, which one envelope of this model's size has",
        got="more",
        fix="send one image a request",
        headers={"connection": "close"} if close else None,
    )


class Rate:
    """At most ``a_second`` requests a second of each client, and as many at once."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_second
        self._most = max(1.0, a_second)
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request of a client; a RequestError with 429 where that is too many.

        Of the clients that were not seen for longest nothing is remembered.
        """
        name, now = _network(client), self._clock()
        left, seen = self._clients.pop(name, (self._most, now))
        left = min(self._most, left + (now - seen) * self._a_second)
        allowed = left >= 1
        self._clients[name] = (left - allowed, now)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        if not allowed:
            raise RequestError(
                429, f"a client must send at most {self._a_second:g} requests a second",
                fix="wait as long as Retry-After says", retry_after=(1 - left) / self._a_second,
            )  # fmt: skip


def _network(client: str) -> str:
    """Who counts as one client: an IPv6 user has a whole /64 of addresses.

    >>> _network("2001:db8::1"), _network("127.0.0.1"), _network("unix")
    ('2001:db8::', '127.0.0.1', 'unix')
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


class Token:
    """A bearer token that is compared in constant time and never shown: only its hash is kept."""

    def __init__(self, text: str) -> None:
        self._hash = hashlib.sha256(text.encode()).digest()

    def check(self, headers: Headers) -> None:
        """A RequestError with 401 unless the headers have the token, as ``Bearer TOKEN``."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, word = given.partition(b" ")
        right = hmac.compare_digest(hashlib.sha256(word.strip()).digest(), self._hash)
        if scheme.lower() != b"bearer" or not right:
            raise RequestError(
                401,
                "a request must have the server's token",
                fix="send `Authorization: Bearer TOKEN`; ask whoever runs the server for it",
                headers={"www-authenticate": "Bearer"},
            )

    def __repr__(self) -> str:
        return "Token()"
