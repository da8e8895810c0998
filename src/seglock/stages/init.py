"""``seglock init``: a project of one's own, from the very files that this repository uses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seglock import files
from seglock.config import PARAMS_FILE, merge_profile
from seglock.errors import ConfigError, as_command, in_short
from seglock.stages.own_data import OwnData, own_profile

if TYPE_CHECKING:
    from seglock.data import Findings

SHIPPED = (
    "dvc.yaml", "params.yaml", "profiles", ".gitignore", ".dvcignore", "data/.gitignore",
    ".dvc/config", ".dvc/.gitignore",
)  # fmt: skip
"""What makes a folder a project: the wheel has them, and a checkout has them at its root."""

_README = """\
# {title}

A seglock project: segmentation models that are locked behind a secret key.

```console
$ seglock doctor          # what this machine offers, and what is wrong
$ dvc repro               # everything, from data to report; goes on where it was stopped
$ seglock report --show
$ seglock profile list    # other studies
$ seglock audit           # before anything is published
```

`params.yaml` says what is done{about}.
Keys are outside of this folder (`seglock key list` says where): back them up.
"""


def init_project(
    target: Path, found: Findings | None = None, *, gpu: Callable[[], bool] = lambda: False
) -> OwnData | None:
    """Make a project in the new or empty folder ``target``, whole or not at all.

    found: what `seglock.stages.data.check` says of the user's images, which params.yaml is then
    for. gpu: whether this machine has one. Raises ConfigError for a folder that has something in
    it, or lies in another project or repository, and without git; DataError for images with
    problems, or too few; StorageError if the disk refuses.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - a link stays where it is
    check_place(target)
    shipped = shipped_folder()
    own = None
    if found is not None:
        from seglock.data import require_sound

        require_sound(found.problems, found.folder)
        taken = {path.stem for path in (shipped / "profiles").glob("*.yaml")}
        own = own_profile(found, taken=taken, gpu=gpu())
    with files.replacing_folder(target) as draft:
        for name in SHIPPED:
            _copy(shipped / name, draft / name)
        if own is not None:
            profile = draft / "profiles" / f"{own.name}.yaml"
            files.write_text(profile, own.text)
            files.write_text(draft / PARAMS_FILE, merge_profile(profile))
        about = f": profile `{own.name}`, for the images that it names" if own else ""
        files.write_text(draft / "README.md", _README.format(title=target.name, about=about))
        _git_init(draft)
    return own


def check_place(target: Path) -> None:
    """Raise ConfigError unless a project can be made in ``target``, and there is git."""
    if os.path.lexists(target) and not target.is_dir():
        raise ConfigError(
            "a project is made in a new or empty folder", got=f"a file {target}", fix="name another"
        )
    if target.is_symlink() or (target.is_dir() and target == Path.cwd()):
        what = "a link" if target.is_symlink() else "the folder that you are in"
        raise ConfigError(
            "a project is made in a new or empty folder",
            got=f"{target}, {what}",
            fix="name a new folder",
        )
    if target.is_dir() and any(target.iterdir()):
        raise ConfigError(
            "a project is made in a new or empty folder",
            got=f"{target} with {len(list(target.iterdir()))} entries",
            fix="name another",
        )
    for folder in target.resolve().parents:
        mark = next((m for m in (".git", ".dvc", PARAMS_FILE) if (folder / m).exists()), None)
        if mark:
            raise ConfigError(
                "a project must be a repository of its own, in no other",
                got=f"{target} inside {folder}, which has {mark}",
                fix="name a folder elsewhere",
            )
    if shutil.which("git") is None:
        raise ConfigError(
            "a project needs git, which DVC works with", got="none on PATH", fix="install git"
        )


def shipped_folder() -> Path:
    """Where the files of ``SHIPPED`` are: in the installed package, or at a checkout's root."""
    import seglock

    package = Path(seglock.__file__).parent
    installed = package / "project"
    found = installed if installed.is_dir() else package.parents[1]
    if missing := [name for name in SHIPPED if not (found / name).exists()]:
        raise ConfigError(
            "an installation of seglock must have what a project is made of",
            got=f"no {', '.join(missing)} in {found}",
            fix="install it again from its wheel, or run it from its repository",
        )
    return found


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def _git_init(folder: Path) -> None:
    """Elsewhere than a hook's or a user's GIT_DIR says."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "init.defaultBranch=main", "init", "--quiet", str(folder)]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise ConfigError(
            "git must be able to make a repository",
            got=in_short(done.stderr) or f"exit code {done.returncode}",
            fix=f"mend what {as_command('git', 'init')} says; nothing was made",
        )
