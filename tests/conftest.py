"""What every test shares: no user's key store, no user's tracking server, one modest thread."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from seglock.keys import record, sealed
from tests.browser import browser  # noqa: F401 - a fixture
from tests.ray_cluster import _ray, _two_nodes, ray_cluster, ray_loopback  # noqa: F401 - fixtures

# What is imported and collected stays: to look through it for garbage took a fifth of that time,
# and time again in every long test.
gc.disable()

# Before torch is imported anywhere: images of 16 pixels give a second thread nothing to do but
# wait, and other processes want the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

# A deadline would be a timed assertion, and fail on a busy machine.
settings.register_profile("seglock", deadline=None)
settings.load_profile("seglock")

# Keys made in a test's own process are hashed at little cost, those of modules too.
FULL_HASH = record._MEMORY_KIB, record._PASSES
record._MEMORY_KIB, record._PASSES = 64, 1
sealed._MEMORY, sealed._PASSES = 1 << 13, 1

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, and of them the longest story, so that no process is left with one
    when the others are done."""
    slow = (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split()

    @cache
    def place(path: Path) -> tuple[bool, bool]:
        name = os.path.relpath(path, ROOT / "tests")
        return path.parent.name != "e2e", not any(name.startswith(entry) for entry in slow)

    items.sort(key=lambda item: place(item.path))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or extension modules say that it was leaked


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each file in one process; those that share a Ray cluster in the same one."""
    from xdist.scheduler import LoadFileScheduling

    files = {str(file.relative_to(ROOT)): file for file in (ROOT / "tests").rglob("test_*.py")}
    sharing = {name for name, file in files.items() if "ray_cluster" in file.read_text("utf-8")}

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "the Ray cluster" if file in sharing else file

    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Iterator[Any]:
    """Tests have no doctests; to look for them would take each process a second."""
    found = yield
    return [one for one in found if type(one) is pytest.Module]


@pytest.fixture
def live_plans(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many of the plans that were made since are held by anyone."""
    from seglock.transforms.plan import Plan

    made: list[weakref.ref[Plan]] = []
    checked = Plan.__post_init__

    def noted(plan: Plan) -> None:
        made.append(weakref.ref(plan))
        checked(plan)

    monkeypatch.setattr(Plan, "__post_init__", noted)
    return lambda: sum(plan() is not None for plan in made)


@pytest.fixture(autouse=True)
def _nothing_of_the_users(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Point key store and tracking away from the machine's own; drop keys in the environment."""
    monkeypatch.setattr("seglock.keys.environment._taken", {})
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in [n for n in os.environ if n.startswith("SEGLOCK_KEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(tmp_path_factory.mktemp("keys")))


@pytest.fixture
def full_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys' records are hashed at the cost that users have."""
    monkeypatch.setattr("seglock.keys.record._MEMORY_KIB", FULL_HASH[0])
    monkeypatch.setattr("seglock.keys.record._PASSES", FULL_HASH[1])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real images; the test is skipped where there is none."""
    named = os.environ.get("SEGLOCK_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "camvid").is_dir():
        pytest.skip("real images are absent (set SEGLOCK_REAL_DATA)")
    return folder.resolve()
