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

from seglock.config import PARAMS_FILE, Params, load_params
from seglock.errors import SeglockError
from seglock.stages.audit_sources import (
    Piece,
    dvc_pieces,
    git_pieces,
    is_git,
    journal_pieces,
    mlflow_folders,
    mlflow_pieces,
)
from seglock.stages.locks import lock_transform

if TYPE_CHECKING:
    from seglock.keys import SecretKey
    from seglock.stages.audit_needles import Needle, Searcher

IMAGES = 128  # of each split, evenly spread


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


def audit(root: Path) -> list[Finding]:
    """All leaks found in the project at ``root``; see the module for what can be found."""
    return run_audit(root).findings


def run_audit(root: Path, progress: Callable[[str], None] | None = None) -> AuditReport:
    """Audit the project at ``root``; ``progress`` is told each place before it is searched."""
    from seglock.stages.audit_decode import buffers
    from seglock.stages.audit_needles import Searcher

    root = Path(root).resolve()
    report = AuditReport()
    params = _params(root, report)
    wanted = _key_names(root, params)
    keys = _load_keys(wanted, report)
    report.proves_nothing = bool(wanted) and wanted.isdisjoint(keys)
    needles, scales = _what_to_find(root, params, keys, report)
    searcher = Searcher(needles)
    report.keys = sorted(f"{name} ({key.id})" for name, key in keys.items())
    for place, pieces in _places(root, report):
        if progress:
            progress(place)
        _search(place, pieces, searcher, lambda data: buffers(data, scales=scales), report)
    return report


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


def _params(root: Path, report: AuditReport) -> Params | None:
    try:
        return load_params(root / PARAMS_FILE)
    except SeglockError as error:
        report.skipped.append(f"encrypted images: {error}")
        return None


def _key_names(root: Path, params: Params | None) -> set[str]:
    """The keys of this project: those its locks name, and those it has public records of."""
    names = {path.stem for path in (root / "data" / "keys").glob("*.json")}
    return names | {lock.key for lock in params.locks.values() if lock.steps} if params else names


def _load_keys(wanted: set[str], report: AuditReport) -> dict[str, SecretKey]:
    """Every key of the project and of the store that can be loaded, by name."""
    from seglock.keys import KeyStore, load_key

    store = KeyStore()
    keys = {}
    for name in sorted(wanted.union(store.names())):
        try:
            keys[name] = load_key(name, store=store)
        except SeglockError as error:
            report.skipped.append(f"key {name}: {error}")
    return keys


def _what_to_find(
    root: Path, params: Params | None, keys: dict[str, SecretKey], report: AuditReport
) -> tuple[list[Needle], tuple[int, ...]]:
    from seglock.stages.audit_needles import derived_needles, key_needles

    needles = [needle for key in keys.values() for needle in key_needles(key)]
    tops = {255}
    for name, lock in params.locks.items() if params else ():
        if params and lock.steps and lock.key in keys:
            needles += derived_needles(keys[lock.key], lock.parsed_steps, name)
            found, top = _lock_images(root, name, params, keys[lock.key], report)
            report.images += len({needle.what for needle in found})
            needles += found
            tops.add(top)
    return needles, tuple(sorted(tops))


def _lock_images(
    root: Path, name: str, params: Params, key: SecretKey, report: AuditReport
) -> tuple[list[Needle], int]:
    import numpy as np

    from seglock.data import PreparedData
    from seglock.stages.audit_needles import image_needles

    lock = params.locks[name]
    transform = lock_transform(lock, key)
    try:
        data = PreparedData.open(root / "data" / "prepared", verify=False)
        transform.encrypt(np.asarray(data.test.images[:1]))
    except SeglockError as error:
        report.skipped.append(f"images encrypted for {name}: {error}")
        return [], transform.max_value
    needles = []
    for split in (data.test, data.val, data.train):
        count = min(len(split), IMAGES)
        for index in np.linspace(0, len(split) - 1, count).astype(int):
            plain = np.ascontiguousarray(split.images[index : index + 1])
            encrypted = np.asarray(transform.encrypt(plain))
            needles += image_needles(
                plain[0],
                encrypted[0],
                block=transform.block_size,
                top=transform.max_value,
                owner=f"lock {name}, key {key.id}",
                image=f"{split.name}/{split.ids[index]}",
            )
    return needles, transform.max_value
