"""Which CUDA devices each worker of this machine sees."""

from __future__ import annotations

import math
import os
from pathlib import Path

from seglock.errors import ConfigError

_DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # NVIDIA; under Windows' Linux; AMD


def visible_cards() -> list[str]:
    """The CUDA devices of this process, as ``CUDA_VISIBLE_DEVICES`` names them.

    torch, which knows, is asked only where there is a device's file.
    """
    if not any(next(Path("/dev").glob(name), None) for name in _DEVICE_FILES):
        return []
    import torch

    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    count = torch.cuda.device_count()
    return named[:count] if named else [str(index) for index in range(count)]


def share_cards(workers: int, each: float, cards: list[str] | None = None) -> list[str]:
    """For each worker a value of ``CUDA_VISIBLE_DEVICES``; no values on a machine without cards.

    ``each``: how many cards a trial takes (``search.resources.gpus``); 0: one worker a card as
    far as they go, then the cards are shared. ``cards``: this machine's by default.

    Raises ConfigError when the cards do not suffice.

    >>> share_cards(3, 0, ["0", "1"]), share_cards(2, 2, ["0", "1", "2", "3"])
    (['0', '1', '0'], ['0,1', '2,3'])
    >>> share_cards(4, 0.5, ["0", "1"])
    ['0', '0', '1', '1']
    """
    cards = visible_cards() if cards is None else cards
    if not each:
        return [cards[index % len(cards)] for index in range(workers)] if cards else []
    own = math.ceil(each)  # cards of one trial, or
    together = max(1, math.floor(1 / each + 1e-9))  # trials of one card
    room = len(cards) // own * together
    if workers > room:
        raise ConfigError(
            "search.workers must fit this machine's CUDA devices",
            got=f"{workers} workers with search.resources.gpus={each:g} and {len(cards)} devices",
            fix=f"use at most {room} workers" if room else "set search.resources.gpus to 0",
        )
    first = [index // together * own for index in range(workers)]
    return [",".join(cards[start : start + own]) for start in first]
