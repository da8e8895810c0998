"""The data and the initial weights of a job, on the machine that computes it.

They are there (the project's own folder, or a path shared by the nodes), or they are pulled with
DVC into the node's own checkout, which ``SEGLOCK_ROOT`` names. Another image side than the
project's is made from the raw data, once for all workers of that folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from seglock.errors import DataError
from seglock.files import read_object, sha256_file
from seglock.search.executor import TrialJob
from seglock.variables import without_secrets

if TYPE_CHECKING:
    from seglock.data import PreparedData

ROOT_VARIABLE = "SEGLOCK_ROOT"
PREPARED = "data/prepared"
RAW = "data/raw"
WEIGHTS = "data/weights"

T = TypeVar("T")

# Opened and checked before, in this process; the arrays are mapped, not held.
_opened: dict[tuple[Path, int, str], PreparedData] = {}
_checked: set[tuple[Path, str | None]] = set()


def root_of(job: TrialJob) -> Path:
    """The project's folder on this machine."""
    return Path(os.environ.get(ROOT_VARIABLE) or job.root).absolute()


def open_for(job: TrialJob) -> PreparedData:
    """The job's data at its image side; opened, and its bytes checked, once a process.

    Raises DataError when ``data/prepared`` is not the dataset that the study is about and cannot be
    pulled, or when another side cannot be made from ``data/raw``.
    """
    from seglock.data import PreparedData

    root, side = root_of(job), int(job.params["data"]["image_side"])
    place = (root, side, job.data_digest)
    if place not in _opened:
        own = _require(root, PREPARED, lambda: _described(root / PREPARED, job.data_digest))
        same = own["image_side"] == side
        folder = root / PREPARED if same else _resized(job, root, side, own["image_side"])
        _opened[place] = PreparedData.open(folder)
    return _opened[place]


def weights_for(job: TrialJob) -> Path | None:
    """The folder of initial weights, checked once a process; None where networks begin fresh.

    Raises DataError when it is not there, or not what ``job.weights_sha256`` says.
    """
    if job.params["model"]["initial_weights"] == "none":
        return None
    root = root_of(job)
    if (root, job.weights_sha256) not in _checked:
        _require(root, WEIGHTS, lambda: _weights(root / WEIGHTS, job.weights_sha256))
        _checked.add((root, job.weights_sha256))
    return root / WEIGHTS


def _described(folder: Path, digest: str) -> dict[str, Any]:
    """prepared.json of a folder that holds the dataset ``digest``; DataError otherwise."""
    about = read_object(folder / "prepared.json", {"digest": str}, error=DataError)
    if about["digest"] != digest:
        raise DataError(
            f"{folder} must hold the dataset of the study, digest {digest[:16]}",
            got=f"digest {about['digest'][:16]}",
        )
    return about


def _weights(folder: Path, digest: str | None) -> None:
    file = folder / "weights.safetensors"
    _must_exist(file)
    if digest is not None and (found := sha256_file(file)) != digest:
        raise DataError(
            f"{file} must be the weights of the study, SHA-256 {digest[:16]}",
            got=f"SHA-256 {found[:16]}",
        )


def _require(root: Path, output: str, check: Callable[[], T]) -> T:
    """What ``check`` returns, after a ``dvc pull`` of the output if it is not so yet."""
    with contextlib.suppress(DataError):
        return check()
    with _held(root):
        with contextlib.suppress(DataError):
            return check()  # another worker has pulled it meanwhile
        said = _pull(root, output)
        try:
            return check()
        except DataError as error:
            raise DataError(
                error.rule,
                got=f"{error.got}, and dvc pull in {root}: {said}",
                fix=f"let this machine see the project's folder, or let {ROOT_VARIABLE} name a "
                "checkout of it whose DVC remote has the data (dvc push)",
            ) from error


def _pull(root: Path, output: str) -> str:
    """Pull one output of the pipeline into a checkout; the last line that DVC says."""
    if not (root / ".dvc").is_dir():
        return "no DVC project there"
    # DVC asks before it replaces what it does not know: without a terminal it then refuses.
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "pull", output],
        cwd=root,
        env=without_secrets(os.environ) | {"DVC_NO_ANALYTICS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]


def _resized(job: TrialJob, root: Path, side: int, own_side: int) -> Path:
    """The folder with the study's dataset at another image side, made if it is not there."""
    from seglock.config import check_params
    from seglock.data import prepare_dataset

    base = root / ".seglock" / "prepared"
    folder = base / f"side-{side}-{job.data_digest[:16]}"
    if folder.is_dir():
        return folder
    params, raw = check_params(job.params).data, root / RAW
    own = params.model_copy(update={"image_side": own_side})
    _require(root, RAW, lambda: _must_exist(raw))
    with _held(root):
        if folder.is_dir():
            return folder
        check, digest = base / "check", job.data_digest
        try:  # the raw data is what data/prepared came from if, prepared again, it has its digest
            found = prepare_dataset(own, raw, check).digest
        finally:
            shutil.rmtree(check, ignore_errors=True)
        if found != digest:
            raise DataError(
                f"{raw} must be what the study's data was prepared from, digest {digest[:16]}",
                got=f"digest {found[:16]}",
                fix="run dvc pull, or dvc repro prepare and begin a new study",
            )
        prepare_dataset(params, raw, folder)
    return folder


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path} must exist", got="no such file or folder")


@contextlib.contextmanager
def _held(root: Path) -> Iterator[None]:
    """Let one worker at a time change a project's data; the others wait for it."""
    import filelock

    folder = root / ".seglock" / "prepared"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock"):
        yield
