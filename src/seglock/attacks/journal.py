"""What an attack has done so far, kept so that one that was stopped goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, repr=False)
class Kept:
    """One entry: tensors, and plain values for JSON. It may hold an estimate: it prints nothing."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


class Journal(Protocol):
    """Entries by name. An estimate may be the true plan: what is written is sealed."""

    def read(self, name: str) -> Kept | None:
        """The entry written last under that name; None where there is none."""

    def write(self, name: str, kept: Kept) -> None:
        """Write an entry, whole or not at all, over one of the same name."""
