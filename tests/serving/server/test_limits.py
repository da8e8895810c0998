"""What a request must keep, without a network: sizes, times, rates, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.serving.server.limits import _DRAINED, Rate, RequestError, Token, read_body, skip_body


def read(pieces: Sequence[bytes], most: int, declared: str | None = None) -> bytes:
    """What `read_body` makes of a body that arrives in these pieces."""
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        piece = left.pop(0) if left else b""
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    headers = [] if declared is None else [(b"content-length", declared.encode())]
    return asyncio.run(read_body(headers, receive, most=most, seconds=5))


@given(st.lists(st.binary(max_size=8)), st.integers(0, 40))
def test_a_body_is_read_whole_or_refused_by_its_size(pieces: list[bytes], most: int) -> None:
    whole = b"".join(pieces)
    if len(whole) <= most:
        assert read(pieces, most) == whole
    else:
        with pytest.raises(RequestError) as refused:
            read(pieces, most)
        assert refused.value.status == 413


@pytest.mark.parametrize("declared", [str(10**12), "9" * 100])
def test_a_huge_declared_size_is_refused_before_it_is_read(declared: str) -> None:
    with pytest.raises(RequestError) as refused:
        read([b"x"], 10, declared)
    assert refused.value.status == 413
    assert refused.value.headers == {"connection": "close"}


def test_an_endless_body_is_left_and_nothing_of_it_kept() -> None:
    read_so_far = 0

    async def receive() -> dict[str, Any]:
        nonlocal read_so_far
        read_so_far += 1 << 16
        return {"type": "http.request", "body": bytes(1 << 16), "more_body": True}

    assert asyncio.run(skip_body([], receive, 5)) == {"connection": "close"}
    assert read_so_far <= _DRAINED + (2 << 16)


@pytest.mark.parametrize(("arrives", "status"), [("never", 408), ("left", 400)])
def test_a_body_that_does_not_arrive(arrives: str, status: int) -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10 if arrives == "never" else 0)
        return {"type": "http.disconnect"}

    with pytest.raises(RequestError) as refused:
        asyncio.run(read_body([], receive, most=10, seconds=0.01))
    assert refused.value.status == status


def test_each_client_has_a_rate_of_its_own() -> None:
    now = 0.0
    rate = Rate(2, clock=lambda: now)
    for _ in range(2):
        rate.take("10.0.0.1")
    with pytest.raises(RequestError, match="at most 2 requests a second") as refused:
        rate.take("10.0.0.1")
    assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "1"})
    rate.take("10.0.0.2")
    now = 0.6
    rate.take("10.0.0.1")


def test_clients_that_are_many_take_no_more_memory() -> None:
    rate = Rate(1)
    for number in range(5000):
        rate.take(f"10.0.{number // 256}.{number % 256}")
    assert len(rate._clients) == 4096


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer wrong", b"Basic word", b"Bearer word2", b"\xff\xfe"]
)
def test_another_token_is_refused_and_ours_never_shown(header: bytes | None) -> None:
    token = Token("word")
    token.check([(b"authorization", b"bearer word")])
    with pytest.raises(RequestError, match="server's token") as refused:
        token.check([] if header is None else [(b"authorization", header)])
    assert refused.value.status == 401
    assert "word" not in f"{token!r}{refused.value}{vars(token)}"
