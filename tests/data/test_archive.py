"""Archives of strangers: nothing of theirs decides where a byte goes, or how many there are."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seglock.data import archive_members, get_dataset
from seglock.data.archive import extract_voc
from seglock.errors import DataError, StorageError

SPLITS = ("train", "val")
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def members(voc) -> dict[str, bytes]:
    return {
        f"set/{path.relative_to(voc.root)}": path.read_bytes()
        for path in sorted(voc.root.rglob("*"))
        if path.is_file()
    }


def tar_of(path: Path, content: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in content.items():
            tar.addfile(info(name, size=len(data)), io.BytesIO(data))
        for member in more:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def info(
    name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE, to: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, to
    return member


def zip_of(path: Path, content: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        for name, target in (links or {}).items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, target)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def get(voc, params, tmp_path: Path) -> Callable[[Path], dict[str, bytes]]:
    """What `get_dataset` takes of an archive."""

    def got(archive: Path) -> dict[str, bytes]:
        target = tmp_path / "data" / "raw"
        get_dataset(params.model_copy(update={"source": str(archive)}), target)
        return tree(target)

    return got


@pytest.fixture
def expected(voc, params, tmp_path: Path) -> dict[str, bytes]:
    get_dataset(params, tmp_path / "expected")
    return tree(tmp_path / "expected")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_an_archive_is_told_by_its_content(voc, get, expected, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "download"  # no ending
    if kind == "zip":
        zip_of(path, members(voc))
    else:
        tar_of(path, members(voc), mode=f"w:{kind.partition('.')[2]}")
    assert get(path) == expected


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"Rar!\x1a\x07\x00", b"PK\x03\x04", b"7z\xbc\xaf"]
)
def test_anything_else_is_refused_in_one_line(get, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a whole tar or zip file.*unpack it yourself") as e:
        get(tmp_path / "a.tar")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_images_that_are_links_are_taken_by_content(voc, get, expected, tmp_path, kind) -> None:
    content = members(voc)
    links = []
    for name in [name for name in content if "JPEGImages" in name]:
        pool = f"set/pool/{Path(name).name}"
        content[pool] = content.pop(name)
        to = pool if kind == tarfile.LNKTYPE else f"../pool/{Path(name).name}"
        links.append(info(name, kind=kind, to=to))
    assert get(tar_of(tmp_path / "a.tar", content, *links)) == expected
    assert get(tar_of(tmp_path / "a.tgz", content, *links, mode="w:gz")) == expected


def test_linked_folders_lists_and_chains_of_links_too(voc, get, expected, tmp_path: Path) -> None:
    content = {
        name.replace("JPEGImages", "pool").replace("train.txt", "t.txt"): data
        for name, data in members(voc).items()
    }
    links = {
        "set/JPEGImages": "./b",
        "set/b": "../set/c/",
        "set/c": "pool",
        "set/ImageSets/Segmentation/train.txt": "t.txt",
    }
    tar = [info(name, kind=tarfile.SYMTYPE, to=to) for name, to in links.items()]
    assert get(tar_of(tmp_path / "a.tar", content, *tar)) == expected
    assert get(zip_of(tmp_path / "a.zip", content, links)) == expected


@pytest.mark.parametrize(
    "to", ["/etc/passwd", "../../../../etc/passwd", "../JPEGImages/a1.png", "../x", "..", ""]
)
def test_a_link_that_leads_out_or_in_a_circle_or_nowhere(voc, get, tmp_path: Path, to: str) -> None:
    content = members(voc)
    del content["set/JPEGImages/a1.png"]
    (tmp_path / "victim.png").write_bytes(b"mine")
    circle = info("set/x", kind=tarfile.SYMTYPE, to="x")
    link = info("set/JPEGImages/a1.png", kind=tarfile.SYMTYPE, to=to)
    with pytest.raises(DataError, match=r"leads out of it|missing image|in a circle"):
        get(tar_of(tmp_path / "a.tar", content, circle, link))
    assert not (tmp_path / "data" / "raw").exists()


NASTY = [
    "/abs/JPEGImages/a1.png", "../JPEGImages/a1.png", "set/../../JPEGImages/a1.png", "set\\x.png",
    "..", "/", "set/JPEGImages/..",
]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_names_of_no_honest_archive_are_refused(voc, get, tmp_path: Path, name: str) -> None:
    evil = tarfile.TarInfo(name)
    evil.size = 4
    with pytest.raises(DataError, match="a member called"):
        get(tar_of(tmp_path / "a.tar", members(voc), evil))
    if name not in ("..", "/"):
        with pytest.raises(DataError, match="a member called"):
            get(zip_of(tmp_path / "a.zip", members(voc) | {name: b"evil"}))


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_what_is_no_file_is_no_image(voc, get, tmp_path: Path, kind: bytes) -> None:
    content = members(voc)
    del content["set/JPEGImages/a1.png"]
    with pytest.raises(DataError, match="missing image"):
        get(tar_of(tmp_path / "a.tar", content, info("set/JPEGImages/a1.png", kind=kind)))


def test_odd_names_beside_the_dataset_do_no_harm(voc, get, expected, tmp_path: Path) -> None:
    content = members(voc)
    odd = [
        info("set/\udcff\x1b[2J/JPEGImages/a1.png", size=4),
        info("set/JPEGImages/A1.png", size=4),
    ]
    odd += [
        info("set/JPEGImages/\udcff.png", size=4),
        info("x" * 300, size=4),
        info("dev", kind=b"3"),
    ]
    odd += [info("set/ImageSets/Segmentation/._train.txt", size=4)]
    assert get(tar_of(tmp_path / "a.tar", content, *odd)) == expected


def test_of_two_members_of_one_name_the_later_counts(voc, get, expected, tmp_path: Path) -> None:
    first = {"set/JPEGImages/a1.png": b"older"}
    path = tar_of(tmp_path / "a.tar", first)
    with tarfile.open(path, "a") as tar:
        tar.add(voc.root, "set")
    assert get(path) == expected


# Bounds


def test_a_bomb_is_refused_before_the_disk_is_full(voc, get, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archive_members, "_LEAST_LIMIT", 1 << 20)
    content = members(voc) | {"set/JPEGImages/a1.png": bytes(40 << 20)}
    for path in (
        tar_of(tmp_path / "a.tgz", content, mode="w:gz"),
        zip_of(tmp_path / "a.zip", content),
    ):
        with pytest.raises(DataError, match="far more bytes than its size can hold"):
            get(path)


def test_links_to_one_file_are_counted_as_often_as_they_are_met(
    voc, get, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(archive_members, "_LEAST_LIMIT", 4 << 20)
    monkeypatch.setattr(archive_members, "_MOST_RATIO", 1)
    content = members(voc)
    links = [info(n, kind=tarfile.LNKTYPE, to="set/pool") for n in content if "JPEGImages" in n]
    content = {n: data for n, data in content.items() if "JPEGImages" not in n}
    with pytest.raises(DataError, match="far more bytes"):
        get(tar_of(tmp_path / "a.tar", content | {"set/pool": os.urandom(1 << 20)}, *links))


def test_a_zip_that_says_less_than_it_holds(voc, get, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", members(voc) | {"set/JPEGImages/a1.png": bytes(5_000_000)})
    content = path.read_bytes()
    path.write_bytes(
        content.replace((5_000_000).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    )
    with pytest.raises(DataError):
        get(path)


def header(size: bytes, kind: bytes = b"0", name: bytes = b"set/x") -> bytes:
    block = bytearray(
        name.ljust(124, b"\0") + size.ljust(12, b"\0") + bytes(20) + kind + bytes(355)
    )
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block[:148] + b" " * 8 + block[156:])
    return bytes(block)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (header(b"\xff" * 11 + b"\x00"), "size below nothing|too long"),
        (header(b"\xff" * 12, b"x"), "must be whole|must be a whole"),
        (header(b"%011o" % (1 << 30), b"x") + bytes(1 << 20), "too long"),
        (header(b"%011o" % (1 << 30), b"L") + bytes(1 << 20), "too long"),
        (header(b"%011o" % 60_000, b"x") + b"1" * 60_416, "digits"),
        (b"".join([header(b"%011o" % 20, b"x") + b"20 path=aaaaaaaaaaa\n".ljust(512, b"\0")] * 900),
         "too long|whole"),
    ],
)  # fmt: skip
def test_headers_that_ask_for_too_much(get, tmp_path: Path, block: bytes, message: str) -> None:
    (tmp_path / "a.tar").write_bytes(block + bytes(1024))
    with pytest.raises(DataError, match=message):
        get(tmp_path / "a.tar")


def test_so_many_members(voc, get, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archive_members, "_MOST_MEMBERS", 20)
    with pytest.raises(DataError, match="more than 20 members"):
        get(tar_of(tmp_path / "a.tar", members(voc), *(info(f"{n}") for n in range(20))))


def test_a_full_disk_is_told_and_leaves_nothing(voc, get, tmp_path: Path, monkeypatch) -> None:
    tar = tar_of(tmp_path / "a.tar", members(voc))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive_members.Limit, "spend", full)
    with pytest.raises(StorageError, match="no space left on device"):
        get(tar)
    assert [*(tmp_path / "data").iterdir()] == []


# Whatever else there is

names = st.sampled_from(
    [*NASTY, "set/JPEGImages/a1.png", "set/JPEGImages", "set/ImageSets/Segmentation/train.txt",
     "set", "set/ImageSets", "JPEGImages/a1.png", "set/classes.txt", "set/SegmentationClass",
     "a", "b", "."]
)  # fmt: skip
kinds = st.sampled_from(
    [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
     tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, b"V"]
)  # fmt: skip
targets = st.sampled_from(
    ["..", "../..", "/", "a", "b", "JPEGImages", "set", "../victim", ".", "/tmp"]
)


def stays_inside(tmp_path: Path, archive: Path) -> None:
    """The archive is taken, or refused by a DataError; beside it nothing has changed."""
    place = tmp_path / "place"
    shutil.rmtree(place, ignore_errors=True)
    (place / "out").mkdir(parents=True)
    (place / "victim").write_text("mine")
    with contextlib.suppress(DataError):
        extract_voc(archive, SPLITS, place / "out")
    assert {p.name for p in place.iterdir()} == {"out", "victim"}
    assert (place / "victim").read_text() == "mine"
    for path in (place / "out").rglob("*"):
        assert stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR)
        assert path.relative_to(place / "out").parts[0] in (
            "JPEGImages", "SegmentationClass", "ImageSets", "classes.txt"
        )  # fmt: skip


@many
@given(st.lists(st.tuples(names, kinds, targets), max_size=6), st.booleans())
def test_no_members_write_outside(voc, tmp_path: Path, more, before: bool) -> None:
    evil = [info(name, kind=kind, to=to) for name, kind, to in more]
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for member in evil if before else []:
            tar.addfile(member)
        tar.add(voc.root, "set")
        for member in [] if before else evil:
            tar.addfile(member)
    stays_inside(tmp_path, path)


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=8),
       st.sampled_from(["tar", "gz", "zip"]), st.floats(0.05, 1))  # fmt: skip
def test_a_damaged_archive_is_one_message(voc, tmp_path: Path, changes, kind, kept) -> None:
    path = tmp_path / "a"
    if kind == "zip":
        zip_of(path, members(voc))
    else:
        tar_of(path, members(voc))
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    content = content[: int(len(content) * kept)]
    path.write_bytes(gzip.compress(content, 1) if kind == "gz" else content)
    stays_inside(tmp_path, path)
