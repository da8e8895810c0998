"""The local record of a run: every entry one JSON line, and how far the store has acknowledged.

``<root>/.seglock/runs/RUN_ID/`` holds ``run.json`` (what the run is), ``journal.jsonl`` (entries in
order), ``sent.json`` (the store, the run's id there, the offset acknowledged) and ``artifacts/``
(files that could not be sent yet).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import UnionType
from typing import Any

import filelock

from seglock.errors import StorageError, TrackingError
from seglock.files import read_object, sha256_file, write_json
from seglock.foreign import is_run_id, parse_json

Entry = dict[str, Any]
_DAMAGED = "delete that folder; it is damaged"
_FIELDS: dict[str, dict[str, type]] = {
    "status": {"status": str},
    "params": {"params": dict},
    "tags": {"tags": dict},
    "metrics": {"metrics": dict, "step": int},
    "dataset": dict.fromkeys(("name", "digest", "source", "use"), str),
    "artifact": dict.fromkeys(("file", "source", "sha256"), str),
}


def runs_folder(root: Path) -> Path:
    """Where the journals of a project's runs are."""
    return Path(root) / ".seglock" / "runs"


@dataclass(frozen=True)
class RunHeader:
    """What a run is, enough to create it in a store later."""

    name: str
    experiment: str
    tags: dict[str, str]
    started: int


@dataclass(frozen=True)
class Acknowledged:
    """What a store has confirmed: the run's id there, and the journal's bytes up to ``offset``."""

    store: str = ""
    run_id: str | None = None
    offset: int = 0


class Journal:
    """One run's folder. Appending is one write, so that a kill leaves at most one torn line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "journal.jsonl"
        self._alive: filelock.BaseFileLock | None = None

    @property
    def run_id(self) -> str:
        """The id the run goes by in seglock: the folder's name."""
        return self.folder.name

    @classmethod
    def at(cls, root: Path, run_id: str) -> Journal:
        """The journal of a run of the project, whether it exists or not.

        Raises TrackingError for what cannot be a run's id, and for a journal that is no plain file:
        both may come from others.
        """
        if not is_run_id(run_id):
            raise TrackingError(
                "a run's id must be 32 hexadecimal digits, or local- and 16 or 32 of them",
                got=repr(run_id),
                fix="train the lock again, or restore the file that names the run",
            )
        journal = cls(runs_folder(root) / run_id)
        if journal.file.is_symlink() or (journal.file.exists() and not journal.file.is_file()):
            raise TrackingError(
                f"{journal.file} must be a file", got="a link or a pipe", fix=_DAMAGED
            )
        return journal

    def exists(self) -> bool:
        """Whether the run was ever recorded here."""
        return (self.folder / "run.json").exists()

    @classmethod
    def create(cls, root: Path, run_id: str, header: RunHeader) -> Journal:
        """Make the folder of a run, or take it up again; its first header stays."""
        journal = cls.at(root, run_id)
        if not journal.exists():
            write_json(journal.folder / "run.json", asdict(header))
        if journal._torn():
            journal._write(b"\n")
        return journal

    def _torn(self) -> bool:
        if not self.file.exists() or not self.file.stat().st_size:
            return False
        with self.file.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"

    @property
    def header(self) -> RunHeader:
        """What the run is."""
        kinds = {"name": str, "experiment": str, "tags": dict, "started": int}
        return RunHeader(**self._object("run.json", kinds))

    def append(self, kind: str, **fields: Any) -> int:
        """Add an entry; returns the journal's length in bytes after it."""
        entry = {"kind": kind, "time": time.time_ns() // 1_000_000, **fields}
        return self._write(json.dumps(entry, allow_nan=False, ensure_ascii=False).encode() + b"\n")

    def _write(self, line: bytes) -> int:
        try:
            with self.file.open("ab", buffering=0) as file:
                file.write(line)
                return file.tell()
        except OSError as error:
            raise StorageError(
                f"{self.file} must be writable",
                got=(error.strerror or str(error)).lower(),
                fix="free some space, then run the same command again",
            ) from error

    def entries(self, offset: int = 0) -> Iterator[tuple[Entry, int]]:
        """Entries after byte ``offset``, each with the offset behind it.

        Lines that are torn, or no entries of ours, are skipped.
        """
        if not self.file.exists():
            return
        with self.file.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                with contextlib.suppress(ValueError):
                    yield _entry(parse_json(line)), offset

    def pending(self) -> int:
        """How many entries no store has acknowledged."""
        return sum(1 for _ in self.entries(self.acknowledged.offset))

    @property
    def acknowledged(self) -> Acknowledged:
        """What a store has confirmed so far."""
        path = self.folder / "sent.json"
        if not path.exists():
            return Acknowledged()
        kinds = {"store": str, "run_id": str | None, "offset": int}
        found = Acknowledged(**self._object(path.name, kinds))
        return found if found.offset >= 0 else Acknowledged()

    @acknowledged.setter
    def acknowledged(self, value: Acknowledged) -> None:
        write_json(self.folder / "sent.json", asdict(value))

    @property
    def ended(self) -> bool:
        """Whether the run's last status is final."""
        statuses = [entry["status"] for entry, _ in self.entries() if entry["kind"] == "status"]
        return bool(statuses) and statuses[-1] != "RUNNING"

    @contextlib.contextmanager
    def sending(self, wait: float = 30.0) -> Iterator[None]:
        """Keep other processes from sending this run's entries at the same time."""
        lock = filelock.FileLock(self.folder / ".sending.lock", timeout=wait)
        try:
            with lock:
                yield
        except filelock.Timeout as error:
            raise TrackingError(
                f"only one process at a time may send run {self.run_id}",
                got=f"another one has been at it for {wait:g} s",
                fix="wait for it, then run the same command again",
            ) from error

    def hold(self) -> bool:
        """Show that this process writes to the run; False if another one already shows it."""
        lock = filelock.FileLock(self.folder / ".alive.lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            return False
        self._alive = lock
        return True

    def let_go(self) -> None:
        """This process is done with the run."""
        if self._alive is not None:
            self._alive.release()
            self._alive = None

    def kept_copy(self, file: str) -> Path:
        """Where the copy of an artifact is kept until it is sent.

        Raises TrackingError where that is not in the run's folder: others may have written both.
        """
        copy = self.folder / "artifacts" / file
        if not copy.resolve().is_relative_to(self.folder.resolve()):
            raise TrackingError(
                f"an artifact of {self.file} must be kept in that folder", got=file, fix=_DAMAGED
            )
        return copy

    def _object(self, name: str, kinds: Mapping[str, type | UnionType]) -> dict[str, Any]:
        found = read_object(self.folder / name, kinds, error=TrackingError, fix=_DAMAGED)
        return {field: found[field] for field in kinds}

    def keep_artifacts(self) -> None:
        """Copy the artifacts that are not sent yet, since their originals may change."""
        for entry, _ in self.entries(self.acknowledged.offset):
            if entry["kind"] == "artifact" and not self.kept_copy(entry["file"]).exists():
                source = Path(entry["source"])
                if source.is_file() and sha256_file(source) == entry["sha256"]:
                    copy = self.kept_copy(entry["file"])
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, copy)


def _entry(value: Any) -> Entry:
    """An entry as `Journal.append` writes them; a ValueError for anything else."""
    kinds = _FIELDS.get(str(value.get("kind"))) if isinstance(value, dict) else None
    if kinds is None or not all(
        isinstance(value.get(name), kind) for name, kind in {"time": int, **kinds}.items()
    ):
        raise ValueError("no entry of a journal")
    entry: Entry = value
    return entry
