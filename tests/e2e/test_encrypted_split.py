"""The encrypted split in a real DVC repository: made anew, never in the cache, never in git."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.e2e.project import Project, make_project, shrink

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
LOCK = "encrypt@np-4"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, forks: Path) -> Project:
    """One whose .gitignore says nothing of the encrypted split, as in a folder of the user's own;
    its split is made under umask 000."""
    made = make_project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("keys"))
    made.change(shrink)
    ignored = made.root / "data/.gitignore"
    ignored.write_text(ignored.read_text().replace("/encrypted\n", ""))
    made.run("sh", "-c", f"umask 000; exec dvc repro {LOCK}")
    made.commit("made")
    made.fork_from(forks)
    return made


def split(project: Project) -> Path:
    return project.root / "data/encrypted/np-4/test.enc"


def modes(project: Project) -> list[int]:
    path = split(project)
    return [stat.S_IMODE(p.stat().st_mode) for p in (path.parent.parent, path.parent, path)]


def objects(project: Project) -> set[str]:
    """Digests of all that git has."""
    listed = project.run("git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(listed.split())


def test_it_is_made_once_closed_and_kept_out_of_the_cache_and_of_git(project: Project) -> None:
    assert modes(project) == [0o700, 0o700, 0o600]
    assert project.repro(LOCK) == []
    content = split(project).read_bytes()
    cached = [path for path in (project.root / ".dvc/cache").rglob("*") if path.is_file()]
    assert cached
    assert content not in [path.read_bytes() for path in cached]
    assert "test.enc" not in project.run("git", "ls-files")


def test_an_experiment_does_not_commit_it(project: Project) -> None:
    project.run("sh", "-c", f"umask 000; exec dvc exp run -f -n again {LOCK}")
    digest = project.run("git", "hash-object", str(split(project))).strip()
    assert "refs/exps/" in project.run("git", "for-each-ref")
    assert digest not in objects(project)
    assert modes(project) == [0o700, 0o700, 0o600]


def test_a_clone_makes_it_again(project: Project, tmp_path: Path) -> None:
    content = split(project).read_bytes()
    project.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"))
    project.run("dvc", "push")
    project.commit("pushed")
    project.run("git", "clone", "-q", str(project.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone", project.environment)
    clone.run("dvc", "pull", "--allow-missing")
    assert not split(clone).exists()
    assert clone.repro(LOCK) == [LOCK]
    assert split(clone).read_bytes() == content
    assert modes(clone) == [0o700, 0o700, 0o600]
    assert clone.run("git", "status", "--porcelain") == ""
