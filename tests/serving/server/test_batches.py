"""Batches: each asker gets its own outcome, none waits for nothing, none is lost at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from seglock.serving.server.batches import Batcher


@pytest.mark.parametrize("threads", [1, 3])
def test_each_gets_its_own_outcome_and_batches_are_bounded(threads: int) -> None:
    sizes = list[int]()

    def work(items: Sequence[int]) -> list[Any]:
        sizes.append(len(items))
        return [ValueError(item) if item % 7 == 0 else item * 2 for item in items]

    batcher = Batcher(work, most=4, wait=0.001, room=100, threads=threads)

    async def ask_all() -> list[Any]:
        return await asyncio.gather(
            *(batcher.answer(item) for item in range(50)), return_exceptions=True
        )

    found = asyncio.run(ask_all())
    batcher.stop(5)
    assert [f.args[0] if isinstance(f, ValueError) else f // 2 for f in found] == list(range(50))
    assert sum(sizes) == 50
    assert 1 < max(sizes) <= 4


def test_what_fails_as_a_whole_fails_for_each() -> None:
    def work(items: Sequence[int]) -> list[Any]:
        raise MemoryError

    batcher = Batcher(work, most=4, wait=0, room=100)

    async def ask() -> list[Any]:
        return await asyncio.gather(*map(batcher.answer, range(3)), return_exceptions=True)

    assert [type(found) for found in asyncio.run(ask())] == [MemoryError] * 3
    batcher.stop(5)


def test_what_waits_is_answered_before_the_threads_end() -> None:
    go = threading.Event()

    def work(items: Sequence[int]) -> Sequence[int]:
        assert go.wait(5)
        return items

    batcher = Batcher(work, most=1, wait=0, room=100)

    async def ask() -> list[int]:
        asked = [asyncio.ensure_future(batcher.answer(item)) for item in range(3)]
        await asyncio.sleep(0.01)
        stopping = asyncio.to_thread(batcher.stop, 5)
        go.set()
        await stopping
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [0, 1, 2]
    assert not any(thread.is_alive() for thread in batcher._threads)


def test_who_has_gone_disturbs_nobody() -> None:
    batcher = Batcher(lambda items: items, most=8, wait=0.02, room=100)

    async def ask() -> int:
        gone = asyncio.ensure_future(batcher.answer(1))
        other = asyncio.ensure_future(batcher.answer(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await other

    assert asyncio.run(ask()) == 2
    batcher.stop(5)


def test_places_are_given_back() -> None:
    batcher = Batcher(lambda items: items, most=1, wait=0, room=1)
    with pytest.raises(KeyError), batcher.place():
        assert not batcher.has_place
        raise KeyError
    assert batcher.has_place
    batcher.stop(5)
