"""Search for leaks: keys, plans, and images encrypted under them, where others could get at them.

Searched: every object git reaches from a ref, a reflog or its index, the names of refs and files,
its configuration, and all files that git tracks or does not ignore; DVC's cache; what MLflow stores
on this machine; the records of runs and studies.

Found, of the keys at hand: their 32 bytes, those of their locks' subkeys and FFX passwords; FFX
tables and their inverse; plans: the order of a shuffle and its inverse, masks, positions, of whole
locks and as they were drawn for single steps; encrypted test, validation and training images, in
either memory order, also enlarged up to four times by a whole factor or as a part of a picture.

Spelled as: bytes; integers of 1 to 8 bytes, floats, masks also as bits; hexadecimal, base64 in both
alphabets and escapes, all with any case, prefixes, separators, quotes and line breaks; lists of
numbers in JSON, YAML, CSV (up to 8 numbers a line), Python's and NumPy's repr, or a number of 256
bits; lossless pictures; npy, npz, safetensors, scaled and normalised floats; inside zip, gzip, bz2
and xz, to a depth of four. Files over 256 MB are searched in pieces: arrays and pictures in them
are found as plain bytes only.

Chance: bytes of a key occur nowhere by chance. A plan of which fewer than 2**32 are equally likely
(np-1, np-2, shf-2, small shares) is not looked for, since lists of numbers hold such by accident;
of a longer one as many entries are as make it one of 2**64, or all of them. Masks packed into less
than 8 bytes are looked for in parts of up to 4 kB only. A lock whose plan is that of the public
demonstration key has no images of its own to look for.

Not found: keys that are not on this machine; parts of keys; plans as another block order or with
other values between, or folded into weights; anything encrypted, compressed or encoded in another
way (base32, pickled lists, one sign a line); encrypted images in lossy pictures (JPEG), resized by
a fraction, rotated, mixed with others, flat ones, augmented crops, and those of a dataset other
than data/prepared.
A clean audit is evidence, no proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.audit.exposed import Exposure, exposures
from seglock.audit.sources import (
    RECORDS,
    Piece,
    dvc_pieces,
    files_size,
    git_pieces,
    git_size,
    is_git,
    mlflow_folders,
    mlflow_pieces,
    record_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seglock.audit.decode import Scales
    from seglock.audit.needles import Needle

Progress = Callable[[str, int, int | None], None]
"""Called with what is being searched, how many bytes were, and about how many there are."""


@dataclass(frozen=True)
class Leak:
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

    findings: list[Leak] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    proves_nothing: bool = False  # the project's keys are none of those that were looked for
    images: int = 0
    skipped: list[str] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)

    @property
    def searched_nothing(self) -> bool:
        """There are keys to look for, and no place to look in."""
        return bool(self.keys) and not any(searched.files for searched in self.searched)

    @property
    def clean(self) -> bool:
        """Nothing was found, nothing stands open, and what the locks need was looked for."""
        wrong = (self.findings, self.exposures, self.searched_nothing, self.proves_nothing)
        return not any(wrong)


def search_project(
    root: Path,
    needles: Sequence[Needle],
    report: AuditReport,
    *,
    scales: Scales | None = None,
    progress: Progress | None = None,
) -> None:
    """Look for ``needles`` in every place of the project at ``root``, and enter it in ``report``.

    ``scales``: by what encrypted values may have been divided and normalised; None: the usual.
    """
    look = _Look(needles, scales)
    for place, size, pieces in _places(root, report):
        searched = Searched(place)
        found: dict[tuple[str, str, str], str] = {}
        for where, data in pieces:
            searched.files += 1
            searched.size += len(data)
            for what, owner, how in look(data):
                found.setdefault((where, what, owner), how)
            if progress:
                progress(f"searching {place}", searched.size, size)
        report.searched.append(searched)
        for (where, what, owner), how in found.items():
            spelled = f"{what} in {how}" if how else what
            report.findings.append(Leak(look.shown(where), spelled, owner))
    report.exposures += exposures(root)


class _Look:
    """Every needle in a piece, however spelled: what it is, whose, and how it stood there.

    The same bytes stand in many places, as a file and what git, DVC and MLflow keep of it: what
    was seen in them once is told again.
    """

    def __init__(self, needles: Sequence[Needle], scales: Scales | None) -> None:
        from seglock.audit.decode import USUAL
        from seglock.audit.searcher import Searcher

        self._searcher, self._scales = Searcher(needles), scales or USUAL
        self._seen: dict[bytes, tuple[tuple[str, str, str], ...]] = {}

    def __call__(self, data: bytes) -> tuple[tuple[str, str, str], ...]:
        digest = hashlib.sha256(data).digest()
        if digest not in self._seen:
            self._seen[digest] = tuple(self._found(data))
        return self._seen[digest]

    def _found(self, data: bytes) -> Iterator[tuple[str, str, str]]:
        from seglock.audit.decode import buffers

        for how, buffer in buffers(data, scales=self._scales):
            for what, owner in self._searcher.find(buffer):
                yield what, owner, how

    def shown(self, where: str) -> str:
        """``where``, unless a name in it is itself the secret: that part is left out."""
        for kept in (where, " ".join(where.split(" ")[:3]) if where.startswith("git ") else ""):
            if not any(self(kept.encode(errors="surrogateescape"))):
                return kept or "a file whose name holds the secret"
        return "git"


def _places(root: Path, report: AuditReport) -> Iterator[tuple[str, int, Iterator[Piece]]]:
    """Each place, about how many bytes are in it, and these."""
    from seglock.address import sqlite_file, tracking_uri

    if is_git(root):
        yield "git", git_size(root), git_pieces(root)
    else:
        report.skipped.append("git: no repository here")
    if (root / ".dvc").is_dir():
        yield "dvc", files_size(root / ".dvc" / "cache"), dvc_pieces(root, report.skipped)
    else:
        report.skipped.append("dvc: no repository here")
    uri = tracking_uri(root)
    folders, elsewhere = mlflow_folders(root, uri)
    report.skipped += [f"mlflow: {place}" for place in elsewhere]
    yield "mlflow", files_size(*folders), mlflow_pieces(root, folders, sqlite_file(uri))
    kept = [root / ".seglock" / room for room in RECORDS]
    yield "records", files_size(*kept), record_pieces(root)
