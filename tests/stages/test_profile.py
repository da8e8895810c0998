"""`seglock profile`: list, use without loss, and what it would change."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seglock.cli.app import app
from seglock.config import load_params, load_profile
from seglock.errors import ConfigError
from seglock.stages.profile import Difference, diff_profile, list_profiles, use_profile

ROOT = Path(__file__).parents[2]
EPOCHS = load_profile(ROOT / "profiles" / "synthetic.yaml").train.epochs
NAMES = [path.stem for path in sorted((ROOT / "profiles").glob("*.yaml"))]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the shipped profiles, params.yaml being the default one."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.yaml").write_bytes((ROOT / "profiles" / f"{name}.yaml").read_bytes())
    use_profile(tmp_path, "synthetic")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed_text(path: Path) -> str:
    """The params file's text with another number of epochs."""
    before = path.read_text()
    after = before.replace(f"\n  epochs: {EPOCHS}", f"\n  epochs: {EPOCHS + 1}")
    assert after != before
    return after


@pytest.mark.parametrize("name", NAMES)
def test_profiles_are_listed_and_used(project: Path, name: str) -> None:
    use_profile(project, name)
    assert [p.name for p in list_profiles(project) if p.in_use] == [name]
    assert load_params(project / "params.yaml") == load_profile(
        project / "profiles" / f"{name}.yaml"
    )
    assert diff_profile(project, name) == []


def test_a_params_file_with_changes_is_not_overwritten(project: Path) -> None:
    path = project / "params.yaml"
    changed = changed_text(path)
    path.write_text(changed)
    assert not any(profile.in_use for profile in list_profiles(project))
    with pytest.raises(ConfigError, match="changes of your own"):
        use_profile(project, "camvid")
    assert path.read_text() == changed
    use_profile(project, "camvid", force=True)
    with pytest.raises(ConfigError, match="did you mean 'camvid'"):
        use_profile(project, "camvit")


def test_a_copy_of_params_yaml_is_a_profile(project: Path) -> None:
    path = project / "params.yaml"
    mine = changed_text(path)
    path.write_text(mine)
    (project / "profiles" / "mine.yaml").write_text(mine)
    assert [p.name for p in list_profiles(project) if p.in_use] == ["mine"]
    use_profile(project, "paper")
    use_profile(project, "mine")
    assert path.read_text() == mine


def test_a_faulty_profile_is_listed_and_never_used(project: Path) -> None:
    before = (project / "params.yaml").read_text()
    first = before.split("\n", 1)[0]
    (project / "profiles" / "bad.yaml").write_text(f"{first}\ntrain: {{epochs: 0}}\n")
    assert [p.name for p in list_profiles(project) if p.in_use] == ["synthetic"]
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        use_profile(project, "bad")
    assert (project / "params.yaml").read_text() == before


def test_diff_is_what_use_would_change(project: Path) -> None:
    (project / "profiles" / "mine.yaml").write_text(
        "# Mine\ntrain: {epochs: 3, optimizer: adamw, crop_scale: [0.25, 1.0]}\n"
        "search: {space: {lr: {low: 0.1, high: 0.2}}}\n"
        "locks: {baseline: {steps: []}, shf-4: {steps: [shf-4]}, ffx-4: {steps: [ffx-4],"
        " ffx_password: fixed}, np-2: {steps: [np-2]}}\n"
    )
    assert diff_profile(project) == []
    lines = [
        'locks.np-4: {"steps": ["np-4"]} -> absent',
        'locks.np-8-refuse: {"steps": ["np-8"], "refuse": {"weight": 0.1}} -> absent',
        "locks.ffx-4.ffx_password: absent -> fixed",
        'locks.np-2: absent -> {"steps": ["np-2"]}',
        f"train.epochs: {EPOCHS} -> 3",
        "train.optimizer: sgd -> adamw",
        "train.crop_scale: [0.5, 1.0] -> [0.25, 1.0]",
        'search.space.lr: null -> {"low": 0.1, "high": 0.2}',
    ]
    shown = CliRunner().invoke(app, ["profile", "diff", "mine"], catch_exceptions=False)
    assert sorted(shown.output.splitlines()) == sorted(lines)
    use_profile(project, "mine")
    shown = CliRunner().invoke(app, ["profile", "diff"], catch_exceptions=False)
    assert sorted(shown.output.splitlines()) == sorted(lines)
    same = CliRunner().invoke(app, ["profile", "diff", "mine"], catch_exceptions=False)
    assert same.output == "no value differs\n"
    assert Difference("train.epochs", "3", str(EPOCHS)) in diff_profile(project, "synthetic")
