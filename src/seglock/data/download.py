"""Fetch a file over http(s) or file://, resumed where a digest can vouch for the result."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import DataError, StorageError
from seglock.files import exclusive

if TYPE_CHECKING:
    from seglock.data.check import Progress

_CHUNK = 1 << 20
_TIMEOUT = 30.0
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
_SCHEMES = ("http", "https", "file")


def is_url(source: str) -> bool:
    """Whether a source is an address rather than a path."""
    return urllib.parse.urlsplit(source).scheme in _SCHEMES


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def split_digest(url: str) -> tuple[str, str | None]:
    """Take ``#md5=...`` or ``#sha256=...`` off an address.

    >>> split_digest("https://example.org/a.tar#sha256=00ff")
    ('https://example.org/a.tar', 'sha256=00ff')
    """
    address, _, fragment = url.partition("#")
    if fragment and fragment.partition("=")[0] not in ("md5", "sha256"):
        raise DataError(
            "a digest in data.source must read #md5=... or #sha256=...", got=f"#{fragment}"
        )
    return address, fragment or None


def download(
    url: str,
    folder: Path,
    *,
    digest: str | None,
    advice: str = "",
    progress: Progress | None = None,
) -> Path:
    """Fetch ``url`` into ``folder``, whole or not at all, and return the file.

    ``digest`` (``md5=...`` or ``sha256=...``) is checked; with it, what an earlier try left is
    continued, and a whole file is not fetched again. Raises DataError, ending in ``advice``, when
    the host does not answer or sends something else.
    """
    parts = urllib.parse.urlsplit(url)
    if "@" in parts.netloc:
        raise DataError(
            "data.source must not hold a user or a password", got=shown(url), fix="use a local file"
        )
    name = re.sub(r"[^\w.-]", "_", Path(urllib.parse.unquote(parts.path)).name)[-80:] or "download"
    target = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"
    with exclusive(folder, what="downloads"):
        if target.exists() and digest is not None and matches(target, digest):
            return target
        part = target.with_name(target.name + ".part")
        if digest is None:
            part.unlink(missing_ok=True)
        try:
            _fetch(url, part, progress)
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in _DISK:
                raise StorageError(
                    f"{folder} must be writable",
                    got=str(getattr(error, "strerror", None) or error).lower(),
                    fix="free some space, then run the same command again; it goes on from there",
                ) from error
            raise _unreachable(url, error, advice) from error
        if digest is not None and not matches(part, digest):
            part.unlink()
            raise DataError(
                f"{shown(url)} must send the file with {digest.replace('=', ' ')}",
                got="another file",
                fix=advice or None,
            )
        part.replace(target)
    return target


def matches(path: Path, digest: str) -> bool:
    """Whether a file has a digest such as ``md5=...``."""
    kind, _, wanted = digest.partition("=")
    # MD5 is what PASCAL VOC publishes; it guards against damage, not against an attacker.
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    return found.hexdigest() == wanted.lower()


def _fetch(url: str, part: Path, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "seglock"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is here already; the digest decides
        raise
    with answer:
        resumed = have and _starts_at(answer) == have
        length = answer.headers.get("Content-Length")
        total = None
        if length and length.isdecimal():
            total = int(length[:20]) + (have if resumed else 0)
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress("downloading", done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def _starts_at(answer: http.client.HTTPResponse) -> int | None:
    """The offset a 206 answer begins at, or None if it is the whole file."""
    given = answer.headers.get("Content-Range", "")
    start = given.removeprefix("bytes ").partition("-")[0]
    return int(start) if getattr(answer, "status", None) == 206 and start.isdigit() else None


def _unreachable(url: str, error: Exception, advice: str) -> DataError:
    if isinstance(error, urllib.error.HTTPError):
        reason = f"HTTP {error.code} {error.reason}"
    elif isinstance(error, http.client.IncompleteRead):
        reason = f"the connection ended {error.expected} bytes early"
    else:
        reason = str(getattr(error, "reason", None) or error)
    return DataError(f"{shown(url)} must be reachable", got=reason, fix=advice or "try again later")
