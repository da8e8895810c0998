"""A trained lock becomes a package, a logged model of its run, and a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.errors import ConfigError, KeyRefusedError, ReportError
from seglock.keys import KeyStore
from seglock.keys.secret_access import reveal
from seglock.serving.files import read_description
from seglock.stages.evaluate import evaluate_locks
from seglock.stages.package import package_locks
from seglock.tracking import MemoryTracker
from seglock.tracking.registry import Registry
from tests.stages.conftest import PARAMS
from tests.tracking.aliases import current


def test_a_package_is_made_of_public_facts(project: Path, tracker: MemoryTracker) -> None:
    with pytest.raises(ReportError, match="run dvc repro evaluate@mixed"):
        package_locks(["mixed"], project, register=False)
    evaluate_locks(["baseline", "mixed"], project)
    (packaged,) = package_locks(["mixed"], project, register=False)
    assert packaged.version is None
    about = read_description(packaged.folder)
    assert (about.steps, about.dtype, about.ffx_password) == (
        ("np-2", "ffx-2"),
        "int16",
        "from_key",
    )
    secret = reveal(KeyStore().load("main"))
    for path in packaged.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret not in content
            assert secret.hex().encode() not in content
    again = package_locks(["baseline"], project, register=False)[0]
    assert read_description(again.folder).key is None


def test_it_is_registered_on_its_run(project: Path) -> None:
    (project / "params.yaml").write_text(
        (project / "params.yaml").read_text() + "search: {max_drop: 1.0, max_regained: 1.0}\n"
    )
    evaluate_locks(["baseline", "np-2"], project)
    (packaged,) = package_locks(["np-2"], project)
    assert packaged.version is not None
    assert packaged.version.address == "models:/seglock-np-2/1"
    champion = current(Registry(project), "seglock-np-2", "champion")
    assert champion == (packaged.version if packaged.standing.keeps else None)
    assert read_description(Registry(project).fetch(packaged.version.address)).lock == "np-2"


def test_the_pipeline_packages_what_params_name(project: Path, tracker: MemoryTracker) -> None:
    assert package_locks(None, project, register=False) == []
    assert (project / "data/packages").is_dir()
    evaluate_locks(["baseline"], project)
    path = project / "params.yaml"
    path.write_text(path.read_text() + "package: {register: [baseline]}\n")
    (packaged,) = package_locks(None, project, register=False)
    assert packaged.folder == project / "data/packages/baseline"
    path.write_text(PARAMS + "package: {register: [np-3]}\n")
    with pytest.raises(ConfigError, match=r"package\.register must name locks, got np-3"):
        package_locks(None, project, register=False)


def test_another_key_is_refused(
    project: Path, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_DIR", str(project / "empty"))
    with pytest.raises(KeyRefusedError):
        package_locks(["np-2"], project, register=False)
    assert not [*(project / "data/packages").iterdir()]
