"""Search for leaks: keys, and images encrypted under them, where others could get at them.

Searched: every object git reaches from a ref, a reflog or its index, and the tracked files; what
``dvc push`` would send; what MLflow stores on this machine; the journals of runs and studies.

Found: the bytes of every key at hand and of its subkeys and FFX passwords, raw, in hexadecimal, in
base64 at any alignment; plans as arrays of little-endian integers: the order of a shuffle, the mask
of NP and FFX as a selector or as positions, of single steps and of a whole lock; encrypted test,
validation and training images in any file, in either memory order, also inside PNG and other
lossless pictures (enlarged up to four times by a whole factor, or as a part of a larger picture),
npy, npz, zip, gzip, safetensors, base64 in text, and scaled or normalised floats.

Not found: keys that are not on this machine; parts of keys; plans in another spelling, NP and FFX
masks at M = 2, selectors at M < 5, and shares so small that chance gives the same; anything
encrypted, compressed or encoded in another way; encrypted images in lossy pictures (JPEG), resized
by a fraction, rotated, mixed with others, listed as numbers in text, flat ones, augmented crops,
and those of a dataset other than data/prepared. A clean audit is evidence, no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.audit.sources import (
    Piece,
    dvc_pieces,
    git_pieces,
    is_git,
    journal_pieces,
    mlflow_folders,
    mlflow_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.audit.needles import Needle, Searcher


@dataclass(frozen=True)
class Finding:
    """A leak: where it is, what it is, and which key or lock it gives away. No secret bytes."""

    where: str
    what: str
    owner: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.owner})"


@dataclass
class Searched:
    """How much of one place was looked through."""

    place: str
    files: int = 0
    size: int = 0


@dataclass
class AuditReport:
    """What was found, what was searched and for what, and what could not be searched."""

    findings: list[Finding] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    proves_nothing: bool = False  # the project's keys are none of those that were looked for
    images: int = 0
    skipped: list[str] = field(default_factory=list)


def search_project(
    root: Path,
    needles: Sequence[Needle],
    report: AuditReport,
    *,
    scales: tuple[int, ...] = (255,),
    progress: Callable[[str], None] | None = None,
) -> None:
    """Look for ``needles`` in every place of the project at ``root``, and enter it in ``report``.

    ``scales`` are the maxima by which encrypted values may have been divided.
    """
    from seglock.audit.decode import buffers
    from seglock.audit.needles import Searcher

    searcher = Searcher(needles)
    for place, pieces in _places(root, report):
        if progress:
            progress(place)
        _search(place, pieces, searcher, lambda data: buffers(data, scales=scales), report)


def _search(
    place: str,
    pieces: Iterator[Piece],
    searcher: Searcher,
    expand: Callable[[bytes], Iterator[bytes]],
    report: AuditReport,
) -> None:
    searched = Searched(place)
    found: dict[Finding, None] = {}
    for where, data in pieces:
        searched.files += 1
        searched.size += len(data)
        for buffer in expand(data):
            for what, owner in searcher.find(buffer):
                found[Finding(where, what, owner)] = None
    report.searched.append(searched)
    report.findings += found


def _places(root: Path, report: AuditReport) -> Iterator[tuple[str, Iterator[Piece]]]:
    from seglock.tracking import sqlite_file, tracking_uri

    if is_git(root):
        yield "git", git_pieces(root)
    else:
        report.skipped.append("git: no repository here")
    if (root / ".dvc").is_dir():
        yield "dvc", dvc_pieces(root, report.skipped)
    else:
        report.skipped.append("dvc: no repository here")
    uri = tracking_uri(root)
    folders, elsewhere = mlflow_folders(root, uri)
    report.skipped += [f"mlflow: {place}" for place in elsewhere]
    yield "mlflow", mlflow_pieces(root, folders, sqlite_file(uri))
    yield "journals", journal_pieces(root)
