"""How torch's threads share the cores: what is set, when, and that OpenMP hears it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglock import threads
from seglock.errors import ConfigError

STAT = """\
cpu  900 0 100 9000 0 0 0 0 0 0
cpu0 {0} 0 0 {1} 0 0 0 0 0 0
cpu1 {2} 0 0 {3} 0 0 0 0 0 0
cpu2 {4} 0 0 {5} 0 0 0 0 0 0
intr 1 2 3
"""


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.CHOICES:
        monkeypatch.delenv(name, raising=False)


def others_use(monkeypatch: pytest.MonkeyPatch, *cores: float) -> list[float]:
    """Let each look find so many cores in use; the list of looks that were made."""
    looks, left = list[float](), iter(cores)
    monkeypatch.setattr(
        threads, "busy_cores", lambda seconds: (looks.append(seconds), next(left))[1]
    )
    return looks


def test_on_an_idle_machine_nothing_is_set_or_said(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = others_use(monkeypatch, 0.1)
    threads.give_way(pytest.fail)
    assert not set(threads.CHOICES) & os.environ.keys()
    assert sum(looks) <= 0.1


def test_a_passing_moment_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    others_use(monkeypatch, 2.0, 0.1)
    threads.give_way(pytest.fail)
    assert "OMP_WAIT_POLICY" not in os.environ


def test_on_a_busy_machine_threads_wait_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others_use(monkeypatch, 2.0, 1.75)
    said = list[str]()
    threads.give_way(said.append)
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_NUM_THREADS" not in os.environ
    (line,) = said
    assert "others use 1.8 of" in line
    assert "OMP_WAIT_POLICY=PASSIVE" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", threads.CHOICES)
def test_the_users_own_choice_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    before = dict(os.environ)
    looks = others_use(monkeypatch)
    threads.give_way(pytest.fail)
    assert looks == []
    assert dict(os.environ) == before


def test_processes_that_compute_together_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 7)
    for processes, count in ((1, "7"), (2, "3"), (9, "1")):
        environ = dict[str, str]()
        threads.share_cores(environ, processes)
        assert environ == {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": count}
    chosen = {"OMP_NUM_THREADS": "5"}
    threads.share_cores(chosen, 2)
    assert chosen == {"OMP_NUM_THREADS": "5"}
    chosen = {"OMP_WAIT_POLICY": "ACTIVE"}
    threads.share_cores(chosen, 2)
    assert chosen == {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "3"}


def test_only_the_cores_of_this_process_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(threads, "_cores", lambda: {0, 1})
    monkeypatch.setattr(threads, "_STAT", stat)
    stat.write_text(STAT.format(100, 100, 100, 100, 100, 100))

    def later(seconds: float) -> None:
        stat.write_text(STAT.format(110, 100, 105, 105, 110, 100))

    monkeypatch.setattr("time.sleep", later)
    assert threads.busy_cores(0.1) == pytest.approx(1.5)
    stat.unlink()
    assert threads.busy_cores(0.0) == 0.0


def test_a_process_beside_this_one_is_seen_as_a_core_in_use() -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("needs /proc/stat")
    spin = "import os\nparent = os.getppid()\nprint(flush=True)\nwhile os.getppid() == parent: pass"
    with subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE) as beside:
        assert beside.stdout is not None
        beside.stdout.readline()
        try:
            assert threads.busy_cores(0.5) >= 0.5
        finally:
            beside.kill()


def test_openmp_hears_what_is_set_before_torch_is_loaded() -> None:
    """Loads the very library that torch brings, which says what it understood."""
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    library = next((Path(found.origin).parent / "lib").glob("libgomp*"), None)
    if library is None:
        pytest.skip("this torch brings no libgomp")
    code = (
        "import ctypes, sys; from seglock import threads\n"
        "threads.busy_cores = lambda seconds: 2.0\n"
        "threads.give_way(lambda line: None)\n"
        "assert 'torch' not in sys.modules\n"
        f"ctypes.CDLL({str(library)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"OMP_DISPLAY_ENV": "true"},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr


@pytest.mark.parametrize(
    ("workers", "each", "cards", "room"),
    [(3, 1, 2, 2), (5, 0.4, 2, 4), (2, 1.5, 3, 1), (1, 1, 0, 0)],
)
def test_more_workers_than_cards_are_refused(
    workers: int, each: float, cards: int, room: int
) -> None:
    fix = f"use at most {room} workers" if room else "set search.resources.gpus to 0"
    with pytest.raises(ConfigError, match=fix):
        threads.share_cards(workers, each, [str(index) for index in range(cards)])
    if room:
        assert len(threads.share_cards(room, each, [str(index) for index in range(cards)])) == room


def test_without_cards_workers_get_none() -> None:
    assert threads.share_cards(3, 0, []) == []
