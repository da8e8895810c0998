"""A project of one's own: what is made, from which images, and what is refused whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from seglock import files
from seglock.config import SyntheticParams, load_params, load_profile
from seglock.data import write_synthetic
from seglock.errors import ConfigError, DataError
from seglock.stages import init
from seglock.stages.data import check
from seglock.stages.init import SHIPPED, init_project, shipped_folder
from seglock.stages.own_data import own_profile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "Street photos"
    write_synthetic(SyntheticParams(train=24, test=4, side=48, classes=4), folder)
    return folder


def test_a_project_has_the_files_of_this_repository(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "mine"
    assert init_project(target) is None
    for name in SHIPPED:
        if (ROOT / name).is_file():
            assert (target / name).read_bytes() == (ROOT / name).read_bytes()
    assert {p.name for p in (target / "profiles").iterdir()} == {
        p.name for p in (ROOT / "profiles").iterdir()
    }
    assert (target / ".git" / "HEAD").read_text().strip() == "ref: refs/heads/main"
    assert "# mine\n" in (target / "README.md").read_text()
    assert os.listdir(tmp_path) == ["deep"]
    assert os.listdir(tmp_path / "deep") == ["mine"]


def test_the_wheel_takes_along_what_a_project_is_made_of() -> None:
    import tomllib

    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    taken = hatch["targets"]["wheel"]["force-include"]
    assert taken == {name: f"seglock/project/{name}" for name in SHIPPED}
    assert shipped_folder() == ROOT


def test_params_for_a_folder_of_ones_own(tmp_path: Path, photos: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()  # an empty one will do
    own = init_project(target, check(photos))
    assert own is not None
    assert own.name == "street-photos"
    params = load_params(target / "params.yaml")
    assert params == load_profile(target / "profiles" / "street-photos.yaml")
    assert params.data.source == str(photos)
    assert params.data.classes == ["disc", "square", "triangle"]
    assert (params.data.val_split, params.data.test_split, params.data.image_side) == (4, "val", 32)
    assert (params.model.name, params.train.batch_size) == ("fcn_small", 5)
    assert set(params.locks) == {"baseline", "shf-4", "np-4", "ffx-4", "np-8-refuse"}


def test_a_gpu_gets_a_larger_network_and_larger_images(tmp_path: Path, photos: Path) -> None:
    large = shutil.copytree(photos, tmp_path / "camvid")
    for path in [*large.glob("*/*.png")]:
        with Image.open(path) as image:
            image.resize((320, 300), Image.Resampling.NEAREST).save(path)
    init_project(tmp_path / "mine", check(large), gpu=lambda: True)
    params = load_params(tmp_path / "mine" / "params.yaml")
    assert params.data.dataset == "camvid-own"  # camvid is another profile
    assert (params.model.name, params.data.image_side) == ("fcn_resnet50", 256)


def test_lists_of_its_own_are_used_and_unseen_classes_are_left_out(
    tmp_path: Path, photos: Path
) -> None:
    folder = shutil.copytree(photos, tmp_path / "photos")
    lists = folder / "ImageSets" / "Segmentation"
    shutil.copy(lists / "val.txt", lists / "test.txt")
    ids = (lists / "train.txt").read_text().split()
    (lists / "val.txt").write_text("\n".join(ids[:4]))
    (lists / "train.txt").write_text("\n".join(ids[4:]))
    with (folder / "classes.txt").open("a") as file:
        file.write("unicorn\n")
    own = own_profile(check(folder), taken=(), gpu=False)
    assert own.notes == ["left out, since no training mask shows them: unicorn"]
    assert "val_split: val\n  test_split: test\n" in own.text


def broken(folder: Path) -> None:
    next((folder / "SegmentationClass").iterdir()).unlink()


def few(folder: Path) -> None:
    path = folder / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text("\n".join(path.read_text().split()[:10]))


def untested(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (broken, "must be a sound dataset, got 1 problem"),
        (few, "train 6 of 16"),
        (untested, "must have a list train, and val or test"),
    ],
)
def test_images_that_do_not_suffice(
    tmp_path: Path, photos: Path, change: Callable[[Path], None], says: str
) -> None:
    folder = shutil.copytree(photos, tmp_path / "photos")
    change(folder)
    with pytest.raises(DataError, match=says):
        init_project(tmp_path / "mine", check(folder))
    assert not (tmp_path / "mine").exists()


def test_a_path_that_would_be_expanded(tmp_path: Path, photos: Path) -> None:
    folder = shutil.copytree(photos, tmp_path / "a$HOME")
    with pytest.raises(DataError, match=r"must have no \$"):
        init_project(tmp_path / "mine", check(folder))


def occupied(target: Path) -> None:
    target.mkdir()
    (target / "notes.txt").touch()


def a_file(target: Path) -> None:
    target.touch()


def a_link(target: Path) -> None:
    (target.parent / "other").mkdir()
    target.symlink_to(target.parent / "other")


def in_a_repository(target: Path) -> None:
    (target.parent / ".git").mkdir()


def in_a_project(target: Path) -> None:
    (target.parent / "params.yaml").touch()


@pytest.mark.parametrize("plant", [occupied, a_file, a_link, in_a_repository, in_a_project])
def test_places_where_there_is_something(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    target = tmp_path / "mine"
    plant(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=r"name another|name a new folder|a folder elsewhere"):
        init_project(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the folder that you are in"):
        init_project(Path())


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="got none on PATH; install git"):
        init_project(tmp_path / "mine")


def test_git_elsewhere_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook, where GIT_DIR is set."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    init_project(tmp_path / "mine")
    assert (tmp_path / "mine" / ".git" / "HEAD").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("name", ["dvc.yaml", ".dvc/.gitignore", "README.md", "mine"])
def test_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stop: BaseException
) -> None:
    def stopping(do: Callable[..., object]) -> Callable[..., object]:
        def attempt(*arguments: object, **named: object) -> object:
            if any(name in str(part) for part in arguments):
                raise stop
            return do(*arguments, **named)

        return attempt

    monkeypatch.setattr(init.shutil, "copyfile", stopping(shutil.copyfile))
    monkeypatch.setattr(files, "write_text", stopping(files.write_text))
    monkeypatch.setattr(init, "_git_init", stopping(init._git_init))
    with pytest.raises((KeyboardInterrupt, OSError)):
        init_project(tmp_path / "mine")
    assert os.listdir(tmp_path) == []


def test_what_git_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\necho fatal: no room >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ConfigError, match="got fatal: no room"):
        init_project(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
