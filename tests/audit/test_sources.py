"""Large files and objects come in pieces that overlap, and large archives member by member."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.audit import sources
from seglock.audit.sources import file_pieces, git_pieces, stream_pieces
from tests.audit.project import SECRET, commit, run

LARGE = np.random.default_rng(0).bytes(9000)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "WHOLE", 1000)
    monkeypatch.setattr(sources, "OVERLAP", 100)


@given(st.integers(0, 3000), st.binary(min_size=32, max_size=101))
def test_no_border_cuts_what_is_shorter_than_the_overlap(place: int, secret: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "WHOLE", 1000)
        patch.setattr(sources, "OVERLAP", 100)
        file = io.BytesIO(LARGE[:place] + secret + LARGE[place:] + b"next")
        pieces = [piece for _, piece in stream_pieces(file, "x", len(LARGE) + len(secret))]
        assert any(secret in piece for piece in pieces)
        assert max(map(len, pieces)) <= 1100
        assert file.read() == b"next"


def packed_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.bin", data)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, packed_zip])
def test_an_archive_too_large_for_memory_is_unpacked_as_a_stream(
    small_pieces: None, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "large"
    path.write_bytes(pack(LARGE + SECRET + LARGE))
    assert path.stat().st_size > sources.WHOLE
    pieces = [*file_pieces(path, "large")]
    assert any(SECRET in piece for _, piece in pieces)
    assert {where.partition(":")[0] for where, _ in pieces} == {"large"}
    path.write_bytes(path.read_bytes()[:5000])  # cut off: what is left is read
    assert [*file_pieces(path, "large")]


def test_large_objects_of_git_come_in_pieces_and_all_others_after_them(
    small_pieces: None, tmp_path: Path
) -> None:
    run(tmp_path, "git", "init", "-q")
    (tmp_path / "large").write_bytes(LARGE[:980] + SECRET + LARGE)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "small").write_bytes(b"after it")
    commit(tmp_path, "files")
    pieces = [*git_pieces(tmp_path)]
    blobs = [(where, piece) for where, piece in pieces if where.startswith("git blob")]
    assert any(SECRET in piece for _, piece in blobs)
    assert {where.split()[-1] for where, _ in blobs} == {"large", "empty", "small"}
    assert any(piece == b"after it" for _, piece in blobs)


def test_what_is_untracked_is_read_and_what_is_ignored_is_not(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "-q")
    (tmp_path / ".gitignore").write_text("/ignored\n")
    (tmp_path / "ignored").write_bytes(SECRET)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "näu").write_bytes(SECRET)
    assert [where for where, piece in git_pieces(tmp_path) if SECRET in piece] == ["sub/näu"]
