"""Where a leak could be: what git holds or would add, DVC's cache, MLflow's store, records of runs.

Each source yields ``(where, bytes)``. Files come in pieces that overlap, so that nothing on a
border is missed and memory stays flat.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import sqlite3
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

from seglock.address import artifact_folder, shown_uri, sqlite_file
from seglock.audit.decode import DAMAGED
from seglock.errors import SeglockError

Piece = tuple[str, bytes]
WHOLE = 1 << 28  # files up to this size are read whole, and decoded
OVERLAP = 1 << 20  # more than the windows of one strip can span
RECORDS = ("runs", "search")
_HISTORY = ("log", "--all", "--reflog", "-m", "--no-renames", "--name-only", "--format=", "-z")
NAMES: dict[str, tuple[str, ...]] = {
    "git names of refs": ("for-each-ref", "--format=%(refname)"),
    "git names in the reflogs": ("reflog", "--all", "--format=%gs"),
    "git names in its configuration": ("config", "--local", "--list"),
    "git names of files in history": _HISTORY,
    "git names of files": ("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
}


def file_pieces(path: Path, where: str) -> Iterator[Piece]:
    """A file's bytes, in one piece or in overlapping ones; of a link, where it points to."""
    if path.is_symlink():
        yield where, os.fsencode(path.readlink())
        return
    with contextlib.suppress(FileNotFoundError, IsADirectoryError), path.open("rb") as file:
        yield from stream_pieces(file, where)
        if path.stat().st_size > WHOLE:  # too large to be unpacked in memory
            yield from _unpacked(path, where)


def stream_pieces(file: IO[bytes], where: str, size: int | None = None) -> Iterator[Piece]:
    """What can be read from ``file``, or the next ``size`` bytes of it."""
    before = b""
    left = float("inf") if size is None else size
    while piece := file.read(int(min(WHOLE, left))):
        yield where, before + piece
        before = piece[-OVERLAP:]
        left -= len(piece)
    if size == 0:
        yield where, b""


def _unpacked(path: Path, where: str) -> Iterator[Piece]:
    """The members of a zip file, or what a compressed one holds, as streams."""
    with contextlib.suppress(*DAMAGED):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        yield from stream_pieces(member, f"{where}: {name}")
        for opener in (gzip.open, bz2.open, lzma.open):
            with contextlib.suppress(*DAMAGED), opener(path) as stream:
                yield from stream_pieces(cast(IO[bytes], stream), where)


def git_pieces(root: Path) -> Iterator[Piece]:
    """Every object reachable from any ref, reflog or the index; names, of refs and files, and what
    reflogs say; then the files as they are now that git tracks, or would add."""
    listed = _git(root, "rev-list", "--objects", "--all", "--reflog", "--indexed-objects")
    names = dict(line.partition(" ")[::2] for line in listed.splitlines())
    yield from _git_objects(root, names)
    for where, command in NAMES.items():
        yield where, os.fsencode(_git(root, *command))
    for kind in ([], ["--others", "--exclude-standard"]):
        for name in _git(root, "ls-files", "-z", *kind).split("\0"):
            if name:
                yield from file_pieces(root / name, name)


def git_size(root: Path) -> int:
    """About how many bytes ``git_pieces`` yields: of all objects, and of the files as they are."""
    sizes = _git(root, "cat-file", "--batch-all-objects", "--batch-check=%(objectsize)")
    names = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    paths = [root / name for name in names if name]
    here = sum(path.stat().st_size for path in paths if path.is_file())
    return sum(map(int, sizes.split())) + here


def files_size(*folders: Path) -> int:
    """How many bytes are in the files of folders."""
    paths = {path for folder in folders for path in folder.rglob("*")}
    return sum(path.stat().st_size for path in paths if path.is_file())


def _git_objects(root: Path, names: dict[str, str]) -> Iterator[Piece]:
    command = ["git", "-C", str(root), "cat-file", "--batch", "--buffer"]
    with tempfile.TemporaryFile("w+") as wanted:
        wanted.writelines(f"{name}\n" for name in names)
        wanted.seek(0)
        with subprocess.Popen(command, stdin=wanted, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while header := process.stdout.readline().split():
                oid, kind, size = header[0].decode(), header[1].decode(), int(header[2])
                where = f"git {kind} {oid[:12]} {names.get(oid, '')}".rstrip()
                yield from stream_pieces(process.stdout, where, size)
                process.stdout.read(1)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "core.quotepath=off", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        raise SeglockError(
            "git must be able to list what it tracks",
            got=" ".join(done.stderr.split()),
            fix="mend the repository (`git fsck`), then run `seglock audit` again",
        )
    return done.stdout


def is_git(root: Path) -> bool:
    """Whether ``root`` is inside a git repository."""
    try:
        _git(root, "rev-parse", "--git-dir")
    except (SeglockError, OSError):
        return False
    return True


def dvc_pieces(root: Path, skipped: list[str]) -> Iterator[Piece]:
    """DVC's cache: cached outputs of the workspace and of every commit and experiment, by name,
    then whatever else lies there, as what is no output any more. A commit whose pipeline DVC
    cannot read joins ``skipped``."""
    seen: set[Path] = set()
    with dvc_repo(root) as repo:
        for name, path in _dvc_objects(root, repo, skipped):
            if path not in seen:
                seen.add(path)
                yield from file_pieces(path, f"dvc {name} in {_shown(path, root)}")
        cache = Path(repo.cache.local.path).parents[1]
    for path in sorted(cache.rglob("*")):
        if path.is_file() and path not in seen:
            yield from file_pieces(path, f"dvc {_shown(path, root)}")


@contextlib.contextmanager
def dvc_repo(root: Path) -> Iterator[Any]:
    """DVC's view of the project; its complaints become a SeglockError."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise SeglockError(
            "dvc must be able to read the pipeline",
            got=" ".join(str(error).split()),
            fix="mend dvc.yaml or dvc.lock, then run the same command again",
        ) from error


def _dvc_objects(root: Path, repo: Any, skipped: list[str]) -> Iterator[tuple[str, Path]]:
    from dvc.exceptions import DvcException

    history = is_git(root) and not repo.config["core"].get("no_scm", False)
    every: dict[str, Any] = {"all_commits": True, "all_experiments": True}
    unreadable: list[str] = []
    for revision in repo.brancher(**every if history else {}):
        try:
            outs = repo.index.outs
        except DvcException:
            if revision in ("", "workspace"):
                raise
            unreadable.append(revision[:7])
            continue
        for out in outs:
            if out.use_cache and out.hash_info and out.protocol in ("local", "file"):
                yield from _out_objects(out)
    if unreadable:
        said = f"commits whose pipeline DVC cannot read: {', '.join(unreadable)}"
        skipped.append(f"dvc: {said}")


def _out_objects(out: Any) -> Iterator[tuple[str, Path]]:
    """The cache files of one output: itself, and for a folder the files in it."""
    path = Path(out.cache.oid_to_path(out.hash_info.value))
    yield str(out), path
    if path.suffix == ".dir" and path.is_file():
        for entry in json.loads(path.read_text()):
            digest = entry.get("md5") or entry.get(out.hash_name)
            yield f"{out}/{entry['relpath']}", Path(out.cache.oid_to_path(digest))


def mlflow_pieces(root: Path, folders: list[Path], database: Path | None) -> Iterator[Piece]:
    """Files under ``folders``, and every cell of the SQLite store (a long one spans pages)."""
    seen: set[Path] = set()
    for path in [path for folder in folders for path in sorted(folder.rglob("*"))]:
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield from file_pieces(path, _shown(path, root))
    if database is not None and database.is_file():
        if database.resolve() not in seen:
            yield from file_pieces(database, _shown(database, root))
        for table, cells in _cells(database):
            yield f"{database.name} table {table}", cells


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def mlflow_folders(root: Path, uri: str) -> tuple[list[Path], list[str]]:
    """Where MLflow keeps files on this machine: mlruns, the store's own folder of artifacts, and
    those its experiments name. Second, what lies elsewhere: it cannot be searched from here."""
    database, artifacts = sqlite_file(uri), artifact_folder(uri)
    folders, elsewhere = [root / "mlruns"], []
    if database is None or artifacts is None:
        return folders, [f"{shown_uri(uri)} is no SQLite file on this machine"]
    folders.append(artifacts)
    wanted = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location <> ''"
    with contextlib.suppress(sqlite3.Error), _reading(database) as connection:  # else not mlflow's
        for (place,) in connection.execute(wanted):
            parts = urlsplit(str(place))
            if parts.scheme in ("", "file"):
                folders.append(root / unquote(parts.path))
            else:
                elsewhere.append(f"{shown_uri(str(place))} is not on this machine")
    return folders, elsewhere


def _reading(database: Path) -> contextlib.closing[sqlite3.Connection]:
    uri = f"{database.resolve().as_uri()}?mode=ro"
    return contextlib.closing(sqlite3.connect(uri, uri=True))


def _cells(database: Path) -> Iterator[tuple[str, bytes]]:
    with _reading(database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            quoted = table.replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - its own names
            while some := rows.fetchmany(10_000):
                cells = [cell for row in some for cell in row if isinstance(cell, str | bytes)]
                yield table, b"\n".join(c.encode() if isinstance(c, str) else c for c in cells)


def record_pieces(root: Path) -> Iterator[Piece]:
    """What is on record of runs, and what studies keep of their trials."""
    for room in RECORDS:
        for path in sorted((root / ".seglock" / room).rglob("*")):
            if path.is_file():
                yield from file_pieces(path, str(path.relative_to(root)))
            if path.suffix == ".db" and path.is_file():
                with contextlib.suppress(sqlite3.Error):  # damaged, or to be mended by its writer
                    for table, cells in _cells(path):
                        yield f"{path.relative_to(root)} table {table}", cells
