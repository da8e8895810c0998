"""What compiles in a test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture
def compile_with(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Choose what compiles, by its name; counts graphs from nothing.

    Inductor, torch's choice, needs a C++ compiler on the CPU.
    """
    from torch._dynamo.utils import counters

    usual = torch.compile
    torch._dynamo.reset()
    counters.clear()

    def choose(backend: str) -> None:
        monkeypatch.setattr(torch, "compile", functools.partial(usual, backend=backend))

    yield choose
    torch._dynamo.reset()
