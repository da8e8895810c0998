"""One writer at a time for each of a stage's outputs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from seglock.files import exclusive


def sole_writer(root: Path, *output: str) -> AbstractContextManager[None]:
    """Hold a stage's output, given as path parts under ``data``, for the block.

    Raises BusyError at once when another process writes the same output of the same project.
    """
    folder = root / ".seglock" / "writers" / "-".join(output)
    return exclusive(folder, what="/".join(("data", *output)))
