"""What every test shares: no user's key store, no user's tracking server, one modest thread."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import browser  # noqa: F401 - a fixture
from tests.ray_cluster import _ray, _two_nodes, ray_cluster, ray_loopback  # noqa: F401 - fixtures

# Before torch is imported anywhere: images of 16 pixels give a second thread nothing to do but
# wait, and other processes want the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

# A deadline would be a timed assertion, and fail on a busy machine.
settings.register_profile("seglock", deadline=None)
settings.load_profile("seglock")

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, and of them the longest story, so that no process is left with one
    when the others are done."""
    slow = (ROOT / "tests" / "slow.txt").read_text(encoding="utf-8").split()

    def place(item: pytest.Item) -> tuple[bool, bool]:
        name = os.path.relpath(item.path, ROOT / "tests")
        return item.path.parent.name != "e2e", not any(name.startswith(entry) for entry in slow)

    items.sort(key=place)


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


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys made in a test's own process are hashed at little cost; ``tests/keys/test_record.py``,
    which is about the hash, has it at the full one."""
    monkeypatch.setattr("seglock.keys.record._MEMORY_KIB", 64)
    monkeypatch.setattr("seglock.keys.record._PASSES", 1)
    monkeypatch.setattr("seglock.keys.sealed._MEMORY", 1 << 13)
    monkeypatch.setattr("seglock.keys.sealed._PASSES", 1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real images; the test is skipped where there is none."""
    named = os.environ.get("SEGLOCK_REAL_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "camvid").is_dir():
        pytest.skip("real images are absent (set SEGLOCK_REAL_DATA)")
    return folder.resolve()
