"""Where a leak could be: all that git tracks, DVC would push, MLflow stores and journals hold.

Each source yields ``(where, bytes)``. Files come in pieces that overlap, so that nothing on a
border is missed and memory stays flat.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from seglock.errors import SeglockError
from seglock.tracking import artifact_folder, shown_uri, sqlite_file

Piece = tuple[str, bytes]
WHOLE = 1 << 28  # files up to this size are read whole, and decoded
OVERLAP = 1 << 20  # more than the windows of one strip can span


def file_pieces(path: Path, where: str) -> Iterator[Piece]:
    """A file's bytes, in one piece or in overlapping ones."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError), path.open("rb") as file:
        before = b""
        while piece := file.read(WHOLE):
            yield where, before + piece
            before = piece[-OVERLAP:]


def git_pieces(root: Path) -> Iterator[Piece]:
    """Every object reachable from any ref or the index, then the tracked files as they are now."""
    listed = _git(root, "rev-list", "--objects", "--all", "--reflog", "--indexed-objects")
    names = dict(line.partition(" ")[::2] for line in listed.splitlines())
    yield from _git_objects(root, names)
    for name in _git(root, "ls-files", "-z").split("\0"):
        path = root / name
        if name and not path.is_symlink():
            yield from file_pieces(path, name)


def _git_objects(root: Path, names: dict[str, str]) -> Iterator[Piece]:
    command = ["git", "-C", str(root), "cat-file", "--batch", "--buffer"]
    with (
        _temporary("\n".join(names) + "\n") as wanted,
        subprocess.Popen(command, stdin=wanted, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        while header := process.stdout.readline().split():
            oid, kind, size = header[0].decode(), header[1].decode(), int(header[2])
            content = process.stdout.read(size + 1)[:-1]
            yield f"git {kind} {oid[:12]} {names.get(oid, '')}".rstrip(), content


@contextlib.contextmanager
def _temporary(text: str) -> Iterator[IO[str]]:
    import tempfile

    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        yield file


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
    """What ``dvc push``, with any option, would send: cached outputs of the workspace and of every
    commit and experiment, less those with ``push: false`` or a remote of their own; and the run
    cache. A commit whose pipeline DVC cannot read joins ``skipped``: it cannot push it either."""
    seen: set[Path] = set()
    for name, path in _dvc_objects(root, skipped):
        if path not in seen:
            seen.add(path)
            yield from file_pieces(path, f"dvc {name}")
    for path in sorted((root / ".dvc" / "cache" / "runs").rglob("*")):
        if path.is_file():
            yield from file_pieces(path, f"dvc run cache {path.name[:12]}")


def _dvc_objects(root: Path, skipped: list[str]) -> Iterator[tuple[str, Path]]:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
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
                    if out.use_cache and out.can_push and not out.remote and out.hash_info:
                        yield from _out_objects(out)
            if unreadable:
                said = f"commits whose pipeline DVC cannot read: {', '.join(unreadable)}"
                skipped.append(f"dvc: {said}")
    except DvcException as error:
        raise SeglockError(
            "dvc must be able to read the pipeline",
            got=" ".join(str(error).split()),
            fix="mend dvc.yaml or dvc.lock, then run `seglock audit` again",
        ) from error


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
    for place in _artifact_locations(database):
        parts = urlsplit(place)
        if parts.scheme in ("", "file"):
            folders.append(root / unquote(parts.path))
        else:
            elsewhere.append(f"{shown_uri(place)} is not on this machine")
    return folders, elsewhere


def _artifact_locations(database: Path) -> list[str]:
    if not database.is_file():
        return []
    uri = f"{database.resolve().as_uri()}?mode=ro"
    wanted = "SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location <> ''"
    with (
        contextlib.suppress(sqlite3.Error),  # not made by mlflow
        contextlib.closing(sqlite3.connect(uri, uri=True)) as connection,
    ):
        return [str(row[0]) for row in connection.execute(wanted)]
    return []


def _cells(database: Path) -> Iterator[tuple[str, bytes]]:
    uri = f"{database.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            quoted = table.replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - its own names
            while some := rows.fetchmany(10_000):
                cells = [cell for row in some for cell in row if isinstance(cell, str | bytes)]
                yield table, b"\n".join(c.encode() if isinstance(c, str) else c for c in cells)


def journal_pieces(root: Path) -> Iterator[Piece]:
    """What ``seglock track sync`` may still send of runs, and what studies keep of their trials."""
    for room in ("runs", "search"):
        for path in sorted((root / ".seglock" / room).rglob("*")):
            if path.is_file():
                yield from file_pieces(path, str(path.relative_to(root)))
