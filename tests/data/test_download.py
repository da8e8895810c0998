from __future__ import annotations

import errno
import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from seglock.data import download as module
from seglock.data.download import download, is_url, shown, split_digest
from seglock.errors import BusyError, DataError, StorageError
from seglock.files import exclusive

CONTENT = np.random.default_rng(0).bytes(3_000_000)
DIGEST = f"sha256={hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5={hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves CONTENT under any name; ``cut`` ends an answer early, ``ranges`` allows resuming."""

    cut: int | None = None
    ranges = True
    status = 200
    seen: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.server.seen.append(given)
        start = int(given[6:-1]) if given and self.server.ranges else 0
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.seen = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def _url(server: Server, name: str = "a.tar") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/pub/{name}"


@pytest.mark.parametrize("digest", [None, DIGEST, MD5, MD5.upper().replace("MD5", "md5")])
def test_fetches_the_file_whole(server, tmp_path: Path, digest: str | None) -> None:
    steps: list[tuple[str, int, int | None]] = []
    url = _url(server)
    path = download(url, tmp_path, digest=digest, progress=lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("-a.tar")
    assert steps[-1] == ("downloading", len(CONTENT), len(CONTENT))
    assert {p.name for p in tmp_path.iterdir()} == {path.name, ".lock"}


def test_a_whole_file_is_not_fetched_again(server, tmp_path: Path) -> None:
    first = download(_url(server), tmp_path, digest=DIGEST)
    assert download(_url(server), tmp_path, digest=DIGEST) == first
    assert len(server.seen) == 1
    first.write_bytes(b"damaged since")
    assert download(_url(server), tmp_path, digest=DIGEST).read_bytes() == CONTENT


def test_a_cut_connection_is_resumed(server, tmp_path: Path) -> None:
    server.cut = 2_000_000
    with pytest.raises(DataError, match=r"a\.tar must be reachable, got .*; ask around"):
        download(_url(server), tmp_path, digest=DIGEST, advice="ask around")
    server.cut = None
    assert download(_url(server), tmp_path, digest=DIGEST).read_bytes() == CONTENT
    assert server.seen == [None, "bytes=2000000-"]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path: Path) -> None:
    server.cut, server.ranges = 2_000_000, False
    with pytest.raises(DataError):
        download(_url(server), tmp_path, digest=DIGEST)
    server.cut = None
    assert download(_url(server), tmp_path, digest=DIGEST).read_bytes() == CONTENT


def test_without_a_digest_nothing_is_resumed(server, tmp_path: Path) -> None:
    server.cut = 2_000_000
    with pytest.raises(DataError):
        download(_url(server), tmp_path, digest=None)
    server.cut = None
    assert download(_url(server), tmp_path, digest=None).read_bytes() == CONTENT
    assert server.seen == [None, None]


def test_a_part_that_is_already_whole_is_used(server, tmp_path: Path) -> None:
    name = f"{hashlib.sha256(_url(server).encode()).hexdigest()[:12]}-a.tar.part"
    (tmp_path / name).write_bytes(CONTENT)
    assert download(_url(server), tmp_path, digest=DIGEST).read_bytes() == CONTENT


def test_another_file_is_refused_and_removed(server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must send the file with md5 0+, got another.*; use mine"):
        download(_url(server), tmp_path, digest="md5=" + "0" * 32, advice="use mine")
    assert {p.name for p in tmp_path.iterdir()} == {".lock"}


def test_answers_that_are_no_file(server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DataError, match=r"must be reachable, got HTTP 404.*; try again later"):
        download(_url(server), tmp_path, digest=None)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match=r"must be reachable, got .*refused"):
        download(_url(server), tmp_path, digest=None)


def test_a_full_disk_is_not_called_a_network_fault(server, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(StorageError, match="no space left on device; free some space"):
        download(_url(server), tmp_path, digest=DIGEST)


def test_a_second_download_waits_for_no_one(server, tmp_path: Path) -> None:
    with exclusive(tmp_path, what="downloads"), pytest.raises(BusyError):
        download(_url(server), tmp_path, digest=None)


def test_file_addresses(tmp_path: Path) -> None:
    (tmp_path / "a b.tar").write_bytes(CONTENT)
    url = (tmp_path / "a b.tar").as_uri()
    assert download(url, tmp_path / "to", digest=DIGEST).read_bytes() == CONTENT
    with pytest.raises(DataError, match="no-such"):
        download(url.replace("a%20b", "no-such"), tmp_path / "to", digest=None)


def test_what_may_be_secret_is_not_shown(server, tmp_path: Path) -> None:
    server.status = 403
    with pytest.raises(DataError) as caught:
        download(_url(server) + "?token=hunter2", tmp_path, digest=None)
    assert "hunter2" not in str(caught.value)
    assert shown("https://me:hunter2@example.org/a?b=c#d") == "https://example.org/a"
    with pytest.raises(DataError, match="must not hold a user") as caught:
        download("https://me:hunter2@example.org/a", tmp_path, digest=None)
    assert "hunter2" not in str(caught.value)


def test_addresses_and_digests() -> None:
    assert is_url("https://example.org/a.tar")
    assert is_url("file:///a.tar")
    assert not is_url("/data/a.tar")
    assert not is_url("a.tar")
    assert split_digest("http://a/b") == ("http://a/b", None)
    with pytest.raises(DataError, match="got #crc=1"):
        split_digest("http://a/b#crc=1")


@pytest.mark.parametrize("name", ["x" * 240, "a\nb", "a\x1b[2J;b", "...", "\u202ea"])
def test_an_address_does_not_choose_the_files_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    found = download((tmp_path / name).as_uri(), tmp_path / "to", digest=None)
    assert found.read_bytes() == CONTENT
    assert re.fullmatch(r"[\w.-]{13,93}", found.name)
