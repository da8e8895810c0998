"""What `make test-fast` leaves out is named in one list, and the list names what there is."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent


def test_the_list_of_slow_tests_names_files_that_exist() -> None:
    listed = (TESTS / "slow.txt").read_text(encoding="utf-8").splitlines()
    assert listed == sorted(set(listed))
    assert [name for name in listed if not (TESTS / name).exists()] == []
