"""What this machine offers to the project, and what is wrong, each with its fix.

Looks, and changes nothing. Shows names and ids of keys, never a secret.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.filesize import decimal

from seglock.config import PARAMS_FILE, DataParams, Params, load_params, require_batch
from seglock.errors import SeglockError, as_command
from seglock.keys import demonstration_key
from seglock.stages.disk import estimate_disk, parameter_count, training_images
from seglock.stages.locks import OpenLock
from seglock.variables import as_written

if TYPE_CHECKING:
    from seglock.keys import KeyStore

Level = Literal["ok", "note", "wrong"]
NETWORK_SECONDS = 3.0
GIB = 1 << 30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``fix`` says what to do where ``level`` is ``wrong``."""

    topic: str
    level: Level
    text: str
    fix: str = ""


def doctor(root: Path) -> list[Check]:
    """Look at everything the project at ``root`` needs. A fault of one check stops no other."""
    checks: list[Check] = []
    params: Params | None = None
    try:
        params = load_params(root / PARAMS_FILE)
        checks.append(Check("params", "ok", f"{PARAMS_FILE} is valid, {len(params.locks)} locks"))
    except SeglockError as error:
        checks.append(_wrong("params", error, f"mend {PARAMS_FILE}"))
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "python": _python,
        "torch": _torch,
        "machine": _machine,
        "dvc": lambda: _dvc(root),
        "mlflow": lambda: _mlflow(root, params),
        "key store": lambda: _key_store(root, params),
        "encrypted": lambda: _encrypted(root),
    }
    if params is not None:
        given = params
        looks["network"] = lambda: _network(given)
        looks["dataset"] = lambda: _dataset(root, given.data)
        looks["batch"] = lambda: _batch(root, given)
        looks["checkpoints"] = lambda: _checkpoints(root)
        looks["disk"] = lambda: _disk(root, given)
    for topic, look in looks.items():
        try:
            checks.extend(look())
        except SeglockError as error:
            if (wrong := _wrong(topic, error)).text not in [check.text for check in checks]:
                checks.append(wrong)
        except Exception as error:  # a doctor must not fall ill
            text = f"cannot be looked at: {type(error).__name__}: {error}"
            checks.append(Check(topic, "wrong", text, "mend that, then run it again"))
    return checks


def _wrong(topic: str, error: SeglockError, fix: str = "") -> Check:
    text = error.rule if error.got is None else f"{error.rule}, got {error.got}"
    return Check(topic, "wrong", text, error.fix or fix)


def _python() -> Iterator[Check]:
    text = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Check("python", "ok", text)


def _torch() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", "wrong", f"torch cannot be imported: {error}", "run make env")
        return
    yield Check("torch", "ok", f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        yield Check("cuda", "note", "no CUDA device; training runs on the CPU in float32")
        return
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if device.major >= 8 else "no bf16"
        text = f"cuda:{index} {device.name}, {device.total_memory / GIB:.0f} GiB, {bf16}"
        yield Check("cuda", "ok", text)


def _machine() -> Iterator[Check]:
    from seglock.threads import available_cores

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Check("machine", "ok", f"{available_cores()} cores, {memory / GIB:.1f} GiB of memory")


def _dvc(root: Path) -> Iterator[Check]:
    from importlib.metadata import version

    found = version("dvc")
    if not (root / ".dvc").is_dir() or not (root / "dvc.yaml").is_file():
        yield Check(
            "dvc", "wrong", f"DVC {found}, but no pipeline in {root}", "run in the project's folder"
        )
        return
    yield Check("dvc", "ok", f"DVC {found}, pipeline in {root / 'dvc.yaml'}")
    place = str(root.resolve())
    if not place.isascii() or {*"#?"} & {*place}:
        text = "DVC's --temp and --queue cannot take this folder's name, for its # or ? or a letter"
        yield Check("dvc", "note", f"{text} beyond ASCII; dvc repro and dvc exp run can")


def _mlflow(root: Path, params: Params | None) -> Iterator[Check]:
    from seglock.address import reason_unreachable, shown_uri, sqlite_file, tracking_uri
    from seglock.tracking import RunRecord

    uri = tracking_uri(root)
    timeout = params.tracking.timeout_seconds if params else NETWORK_SECONDS
    reason = reason_unreachable(uri, timeout)
    if reason is None:
        file = sqlite_file(uri)
        state = "made on first use" if file and not file.exists() else "which answers"
        yield Check("mlflow", "ok", f"runs go to {shown_uri(uri)}, {state}")
    else:
        fix = "start the server, or correct or unset MLFLOW_TRACKING_URI"
        yield Check("mlflow", "wrong", f"{shown_uri(uri)} does not answer: {reason}", fix)
    lacking = [run for run in RunRecord.every(root) if run.status != "RUNNING" and not run.complete]
    if lacking:
        text = f"MLflow does not have all of {len(lacking)} runs; see `seglock track list`"
        yield Check("mlflow", "note", text)


def _key_store(root: Path, params: Params | None) -> Iterator[Check]:
    from seglock.keys import KeyStore

    store = KeyStore()
    store.check()
    if not store.folder.exists():
        yield Check("key store", "ok", f"{store.folder}, not made yet")
    else:
        yield _owner_only(store.folder, 0o700)
        names = store.names()
        yield Check("key store", "ok", f"{store.folder} holds {', '.join(names) or 'no keys'}")
        for name in names:
            path = store.secret_path(name)
            if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                yield _owner_only(path, 0o600)
    used = sorted({lock.key for lock in params.locks.values() if lock.steps}) if params else []
    for name in used:
        yield _key(root, name, store, may_make=bool(params and params.keys.create_missing))


def _owner_only(path: Path, wanted: int) -> Check:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"{path} is open to others, mode {mode:04o}"
        return Check("key store", "wrong", text, f"run {as_command('chmod', f'{wanted:o}', path)}")
    return Check("key store", "ok", f"{path} is its owner's only, mode {mode:04o}")


def _key(root: Path, name: str, store: KeyStore, *, may_make: bool) -> Check:
    from seglock.keys import PublicRecord, load_key

    published = root / "data" / "keys" / f"{name}.json"
    try:
        record = PublicRecord.from_file(published) if published.exists() else None
        key = load_key(name, record=record, store=store)
    except SeglockError as error:
        if may_make and not published.exists() and name not in store:
            return Check("key", "note", f"key {name} does not exist yet; the pipeline makes it")
        return _wrong("key", error)
    where = f"matches {published}" if record else "matches its record"
    return Check("key", "ok", f"key {name}, id {key.id}, {where}")


def _encrypted(root: Path) -> Iterator[Check]:
    from seglock.audit.exposed import exposures

    for exposure in exposures(root):
        yield Check("encrypted", "wrong", exposure.text, exposure.fix)


def _dataset(root: Path, params: DataParams) -> Iterator[Check]:
    raw = root / "data" / "raw"
    here = raw.is_dir()
    state = "in data/raw" if here else "not in data/raw yet; `dvc repro` puts it there"
    if params.dataset == "synthetic":
        yield Check("dataset", "ok", f"synthetic, generated; {state}")
        return
    from seglock.data.sources import VOC2012_ADVICE, VOC2012_URL, resolve_source
    from seglock.data.splits import EXTRA

    for text, copy in ((params.source or VOC2012_URL, raw), (params.extra_source, raw / EXTRA)):
        if text is None:
            continue
        problem, fix = _source_problem(root, resolve_source(text))
        problem, fix = problem and as_written(problem, text), as_written(fix, text)
        if text == VOC2012_URL:
            fix = VOC2012_ADVICE
        if problem is None:
            yield Check("dataset", "ok", f"{params.dataset} from {text}, which is there; {state}")
            if here and (note := _changed(root / resolve_source(text), copy, params)):
                yield Check("dataset", "note", f"{text} {note}")
        elif here:
            yield Check("dataset", "note", f"{params.dataset} is {state}; {text}: {problem}")
        else:
            yield Check("dataset", "wrong", f"{params.dataset} from {text}: {problem}", fix)


def _changed(source: Path, copy: Path, params: DataParams) -> str | None:
    """What became of a folder after it was copied; DVC does not watch it."""
    from seglock.data.changes import changed_files
    from seglock.data.splits import used_lists

    lists = used_lists(params) if copy.name == "raw" else [params.train_split]
    changed = changed_files(source, copy, lists) if source.is_dir() else []
    if not changed:
        return None
    shown = ", ".join(changed[:3]) + ", ..." * (len(changed) > 3)
    return (
        f"is not as it was copied to data/raw ({shown}), and DVC does not watch it; "
        "`dvc repro -f data` and then `dvc repro` take it as it is now"
    )


def _source_problem(root: Path, source: str) -> tuple[str | None, str]:
    """What is wrong with a source, if anything, and the fix."""
    from seglock.address import reason_unreachable
    from seglock.data import check_dataset, find_voc_folder
    from seglock.data.download import is_url

    if is_url(source) and not source.startswith("file:"):
        return reason_unreachable(source, NETWORK_SECONDS), "correct data.source, or try later"
    path = Path(root, source.removeprefix("file://"))
    if not path.exists():
        return "no such file or folder", "correct data.source"
    if path.is_dir():
        try:
            problems = check_dataset(find_voc_folder(path).root, pixels=False).problems
        except SeglockError as error:
            return str(error), "correct data.source"
        if problems:
            check = as_command("seglock", "data", "check", path)
            return f"{len(problems)} problems", f"run {check}"
    return None, ""


def _batch(root: Path, params: Params) -> Iterator[Check]:
    if (images := training_images(params.data, root)) is not None:
        require_batch(dict(params.train), images)
        yield Check("batch", "ok", f"{images} images to train on, {params.train.batch_size} a step")


def _network(params: Params) -> Iterator[Check]:
    model = params.model
    parameter_count(model)  # builds it
    yield Check("network", "ok", f"{model.name}, which starts from {model.initial_weights}")
    for name, own in params.locks.items():
        OpenLock(name, own, model, demonstration_key()).check_network()


def _disk(root: Path, params: Params) -> Iterator[Check]:
    need = estimate_disk(params, root)
    free = shutil.disk_usage(root).free
    parts = ", ".join(f"{name} {decimal(size)}" for name, size in need.items() if name != "total")
    text = f"{decimal(free)} free; a whole run takes about {decimal(need['total'])} ({parts})"
    if free < need["total"]:
        yield Check("disk", "wrong", text, "free some space, or choose a smaller profile")
    else:
        yield Check("disk", "ok", text)


def _checkpoints(root: Path) -> Iterator[Check]:
    """Folders of trainings that did not end; those whose settings changed stay until removed."""
    folders = {path.parent for path in (root / ".seglock/checkpoints").glob("*/epoch-*")}
    for folder in sorted(folders):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        text = (
            f"{decimal(size)} of a training that runs or was stopped; the same command and "
            f"settings continue it; if it was given up, {as_command('rm', '-r', folder)}"
        )
        yield Check("checkpoints", "note", text)
