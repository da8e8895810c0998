"""The members of a tar or zip file, by name, read within bounds; nothing is written here.

The standard library reads the formats, but trusts them: a header may ask for any amount of memory,
a size may be negative and lead back to the start, and a few bytes may unpack to a full disk.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from seglock.errors import DataError
from seglock.foreign import open_plain

_CHUNK = 1 << 20
_MOST_MEMBERS = 1_000_000
_MOST_HEADER = 1 << 16
_MOST_HOPS = 40
_LEAST_LIMIT, _MOST_RATIO = 1 << 30, 100
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open
}  # fmt: skip
_ZIP = b"PK\x03\x04"
_DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError,
    ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError,
)  # fmt: skip
"""What the standard library's readers raise where a file is not as they expect."""


class HostileError(ValueError):
    """Something that no honest archive holds."""


@dataclass
class Limit:
    """How many bytes an archive may unpack to: images do not shrink a hundredfold."""

    left: int

    @classmethod
    def of(cls, path: Path) -> Limit:
        """For an archive of the size that ``path`` has."""
        return cls(max(_LEAST_LIMIT, _MOST_RATIO * path.stat().st_size))

    def spend(self, count: int) -> None:
        """Count bytes; HostileError where they are too many."""
        self.left -= count
        if self.left < 0:
            raise HostileError("far more bytes than its size can hold")


@dataclass
class Archive:
    """The plain files and links of an archive, by their names in it, without ``./``.

    Where two members have one name the later one counts, as it does for tar itself.
    """

    read: Callable[[Any], Iterator[bytes]]
    files: dict[str, tuple[int, int, Any]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    _inside: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, *, file: tuple[int, int, Any] | None, link: str | None) -> None:
        """Enter a member: a plain file's place, size and handle, or where a link leads."""
        if len(self.files) + len(self.links) >= _MOST_MEMBERS:
            raise HostileError(f"more than {_MOST_MEMBERS} members")
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or {"\0", "\\"} & set(name):
            raise HostileError(f"a member called {name!r}")
        name = "/".join(part for part in parts if part not in ("", "."))
        if name not in self.files and name not in self.links:
            self._inside.setdefault(name.rpartition("/")[0], []).append(name)
        self.files.pop(name, None)
        self.links.pop(name, None)
        if file is not None:
            self.files[name] = file
        elif link is not None:
            self.links[name] = link

    @property
    def folders(self) -> list[str]:
        """The folders that have something in them, and the links, which may lead to folders."""
        return [*self._inside, *self.links]

    def files_in(self, root: str, place: str) -> dict[str, str]:
        """The files of a folder, or links to files: their own names, and the member each means."""
        found = {}
        for name in self._inside.get(self._real(f"{root}/{place}"), []):
            real = self._real(name)
            if real in self.files:
                found[name.rpartition("/")[2]] = real
        return found

    def place(self, name: str) -> int:
        """Where a file lies in the archive."""
        return self.files[name][0]

    def chunks(self, name: str, most: int) -> Iterator[bytes]:
        """The bytes of a file; HostileError where they are more than ``most``."""
        _, size, handle = self.files[name]
        if not 0 <= size <= most:
            raise HostileError(f"{name!r} of {size} bytes, where {most} are allowed")
        for chunk in self.read(handle):
            size -= len(chunk)
            if size < 0:
                raise HostileError(f"{name!r} of more bytes than it says")
            yield chunk
        if size:
            raise EOFError(f"{name!r} ends early")

    def _real(self, name: str) -> str:
        """The member that a name means, with all links on the way followed inside the archive."""
        todo, done, hops = name.split("/")[::-1], list[str](), 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    raise HostileError(f"a link that leads out of it, {name!r}")
                done.pop()
                continue
            target = self.links.get("/".join([*done, part]))
            if target is None:
                done.append(part)
                continue
            hops += 1
            if target.startswith("/") or hops > _MOST_HOPS:
                raise HostileError(f"a link that leads out of it or in a circle, {name!r}")
            todo += target.split("/")[::-1]
        return "/".join(done)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The members of a tar, however compressed, or of a zip, told apart by their content.

    Raises DataError for anything else, and for what is found only while the members are read.
    """
    fix = "fetch it again, or unpack it yourself and name the folder"
    try:
        handle = open_plain(path.resolve())
    except OSError as error:
        raise DataError(f"{path} must be readable", got=error.strerror) from error
    try:
        with os.fdopen(handle, "rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(_ZIP):
                yield _zip(file)
                return
            unpack = next((f for magic, f in _COMPRESSED.items() if start.startswith(magic)), None)
            with unpack(file) if unpack else contextlib.nullcontext(file) as stream:
                yield _tar(stream, Limit.of(path))
    except DataError:
        raise
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of a disk; what is wrong with the content has no number
        rule = f"{path} must be a whole tar or zip file with safe members"
        raise DataError(rule, got=str(error) or type(error).__name__, fix=fix) from error


class _Headers:
    """What `tarfile` reads of a stream: headers of a sound size, within a limit."""

    def __init__(self, stream: IO[bytes], limit: Limit) -> None:
        self._stream, self._most = stream, limit.left
        self.tell = stream.tell
        self.spent = 0

    def read(self, size: int = -1) -> bytes:
        self.spent += size
        if size < 0 or self.spent > _MOST_HEADER:
            raise HostileError("a header too long to be one")
        content = self._stream.read(size)
        if size > tarfile.BLOCKSIZE and re.search(rb"[0-9]{100}", content):
            raise HostileError("a header of digits")  # Python before 3.11.10 is at it for ever
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or not 0 <= position <= self._most:
            raise HostileError("far more bytes than its size can hold")
        return self._stream.seek(position)


def _tar(stream: IO[bytes], limit: Limit) -> Archive:
    def read(place: tuple[int, int]) -> Iterator[bytes]:
        offset, size = place
        stream.seek(offset)
        while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
            size -= len(chunk)
            yield chunk

    archive = Archive(read)
    headers = _Headers(stream, limit)
    tar = tarfile.open(fileobj=headers, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
    member, before = tar.next(), -1
    while member is not None:
        if member.size < 0 or member.offset <= before:
            raise HostileError("a size below nothing")
        before = member.offset
        _add_from_tar(archive, member)
        headers.spent = 0
        tar.members = []  # or it would keep them all
        member = tar.next()
    return archive


def _add_from_tar(archive: Archive, member: tarfile.TarInfo) -> None:
    file = link = None
    if member.isreg() and not member.issparse():
        place = member.offset_data, member.size
        file = (member.offset, member.size, place)
    elif member.issym():
        link = member.linkname
    elif member.islnk():  # told from the archive's root, not from the member's folder
        depth = sum(part not in ("", ".") for part in member.name.split("/")) - 1
        link = "../" * depth + member.linkname
    if file or link:
        archive.add(member.name, file=file, link=link)


def _zip(file: IO[bytes]) -> Archive:
    whole = zipfile.ZipFile(file)

    def read(member: zipfile.ZipInfo) -> Iterator[bytes]:
        with whole.open(member) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk

    archive = Archive(read)
    for member in whole.infolist():
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            link = b"".join(read(member)) if member.file_size <= _MOST_HEADER else b""
            archive.add(member.filename, file=None, link=link.decode())
        elif not member.is_dir() and stat.S_IFMT(mode) in (0, stat.S_IFREG):
            place = (member.header_offset, member.file_size, member)
            archive.add(member.filename, file=place, link=None)
    return archive
