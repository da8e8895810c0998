"""The journal of an attack on disk: what comes back, and what nobody else can read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import torch

from seglock.attacks.journal import Kept
from seglock.stages.sealed_journal import SealedJournal

SEAL = bytes(range(32))
KEPT = Kept({"permutation": torch.arange(12)}, {"queries": 7, "course": [[1, 0.1]], "rng": 2**100})


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    SealedJournal(tmp_path / "it", SEAL).write("draws", KEPT)
    kept = SealedJournal(tmp_path / "it", SEAL).read("draws")
    assert kept is not None
    assert kept.about == KEPT.about
    assert torch.equal(kept.tensors["permutation"], torch.arange(12))


def test_it_is_closed_to_everyone_but_its_owner(tmp_path: Path) -> None:
    SealedJournal(tmp_path / "it", SEAL).write("draws", KEPT)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "it", tmp_path / "it/draws")]
    assert modes == [0o700, 0o600]


def test_an_entry_may_hold_no_tensor(tmp_path: Path) -> None:
    journal = SealedJournal(tmp_path, SEAL)
    journal.write("plans", Kept({}, {"done": 3}))
    kept = journal.read("plans")
    assert kept is not None
    assert (dict(kept.tensors), kept.about) == ({}, {"done": 3})


def test_nothing_of_it_can_be_read_without_the_key(tmp_path: Path) -> None:
    SealedJournal(tmp_path, SEAL).write("draws", KEPT)
    content = (tmp_path / "draws").read_bytes()
    assert b"queries" not in content
    assert torch.arange(12).numpy().tobytes() not in content
    assert SealedJournal(tmp_path, bytes(32)).read("draws") is None


@pytest.mark.parametrize("damage", ["absent", "short", "empty", "turned", "renamed"])
def test_an_entry_that_cannot_be_opened_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    journal, path = SealedJournal(tmp_path, SEAL), tmp_path / "draws"
    journal.write("draws", KEPT)
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    elif damage == "renamed":  # an entry of another name is another attack's
        path.rename(tmp_path / "climb")
        assert journal.read("climb") is None
    else:
        path.write_bytes(
            {
                "short": content[:20],
                "empty": b"",
                "turned": content[:-1] + bytes([content[-1] ^ 1]),
            }[damage]
        )
    assert journal.read("draws") is None


def test_the_same_entry_is_never_written_alike(tmp_path: Path) -> None:
    journal = SealedJournal(tmp_path, SEAL)
    journal.write("draws", KEPT)
    before = (tmp_path / "draws").read_bytes()
    journal.write("draws", KEPT)
    assert (tmp_path / "draws").read_bytes() != before
