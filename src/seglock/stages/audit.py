"""``seglock audit``: the keys and locks of this project, and what there is to look for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.audit import AuditReport, Progress, exposures, search_project
from seglock.config import FOLDED, PARAMS_FILE, Params, load_params
from seglock.errors import SeglockError, as_command
from seglock.keys import demonstration_key
from seglock.stages.locks import OpenLock

if TYPE_CHECKING:
    from seglock.audit.decode import Scales
    from seglock.audit.needles import Needle
    from seglock.keys import SecretKey
    from seglock.transforms import Transform

IMAGES = 128  # of each split, evenly spread


def run_audit(
    root: Path,
    progress: Progress | None = None,
    tell: Callable[[str], None] = print,
) -> AuditReport:
    """All leaks of the project at ``root`` that ``seglock.audit.report`` can find.

    Without any key there is nothing to look for: only what others can read is told then.

    tell: is told at once what is looked for, and where the project's keys are not among it.
    """
    root = Path(root).resolve()
    report = AuditReport()
    params = _params(root, report)
    wanted = _key_names(root, params)
    keys = _load_keys(wanted, report)
    report.proves_nothing = bool(wanted) and wanted.isdisjoint(keys)
    report.keys = sorted(f"{name} ({key.id})" for name, key in keys.items())
    if report.proves_nothing:
        tell(_without(wanted))
    if not keys:
        report.exposures += exposures(root)
        return report
    tell(f"looking for {', '.join(report.keys)}, and what equals them")
    needles, scales = _what_to_find(root, params, keys, report)
    search_project(root, needles, report, scales=scales, progress=progress)
    return report


def _without(wanted: set[str]) -> str:
    name = min(wanted)
    one = f"key {name} is" if len(wanted) == 1 else f"keys {', '.join(sorted(wanted))} are"
    return (
        f"this project's {one} not at hand, so nothing of it can be looked for; audit where it is, "
        f"or bring it here: {as_command('seglock', 'key', 'export', name, '--out', 'FILE')} there, "
        "then `seglock key import FILE`"
    )


def _params(root: Path, report: AuditReport) -> Params | None:
    try:
        return load_params(root / PARAMS_FILE)
    except SeglockError as error:
        report.skipped.append(f"encrypted images: {error}")
        return None


def _key_names(root: Path, params: Params | None) -> set[str]:
    """The keys of this project: those its locks name, and those it has public records of."""
    names = {path.stem for path in (root / "data" / "keys").glob("*.json")}
    return names | {lock.key for lock in params.locks.values() if lock.steps} if params else names


def _load_keys(wanted: set[str], report: AuditReport) -> dict[str, SecretKey]:
    """Every key of the project and of the store that can be loaded, by name."""
    from seglock.keys import KeyStore, load_key

    store = KeyStore()
    keys = {}
    for name in sorted(wanted.union(store.names())):
        try:
            keys[name] = load_key(name, store=store)
        except SeglockError as error:
            report.skipped.append(f"key {name}: {error}")
    if store.has_machine:
        keys["this machine's own"] = store.machine()
    return keys


def _what_to_find(
    root: Path, params: Params | None, keys: dict[str, SecretKey], report: AuditReport
) -> tuple[list[Needle], Scales]:
    from seglock.audit.decode import Scales
    from seglock.audit.needles import Needle, NotedKey, key_needles, plan_needles, too_short

    needles = [needle for key in keys.values() for needle in key_needles(key)]
    if params is None:
        return needles, Scales()
    tops, normalisation = {255}, params.model.normalisation
    for name, lock in params.locks.items():
        if not lock.steps or lock.key not in keys:
            continue
        key = keys[lock.key]
        noted = NotedKey(key)
        opened = OpenLock(name, lock, params.model, key)
        transform = replace(opened, key=noted.as_key).transform()
        owner = f"lock {name}, key {key.id}"
        needles += noted.needles(transform, owner)
        needles += plan_needles(transform, owner)
        needles.append(Needle("encrypted split", owner, (opened.encryption_nonce(),)))
        report.skipped += [f"plan of {name}: chance gives its {p}" for p in too_short(transform)]
        if lock.fold in FOLDED:
            report.skipped.append(f"plan of {name}: its weights beside the plain network's give it")
        if transform.same_plan(replace(opened, key=demonstration_key()).transform()):
            report.skipped.append(f"images of {name}: the public demonstration key gives the same")
            continue
        if not transform.steps:  # its images are plain
            continue
        found = _lock_images(root, transform, owner, report)
        report.images += len({needle.what for needle in found})
        needles += found
        tops.add(transform.max_value)
    return needles, Scales(tuple(sorted(tops)), normalisation)


def _lock_images(root: Path, transform: Transform, owner: str, report: AuditReport) -> list[Needle]:
    import numpy as np

    from seglock.audit.needles import image_needles
    from seglock.data import PreparedData

    try:
        data = PreparedData.open(root / "data" / "prepared", verify=False)
        transform.encrypt(np.asarray(data.test.images[:1]))
    except SeglockError as error:
        report.skipped.append(f"images of {owner}: {error}")
        return []
    needles = []
    for split in (data.test, data.val, data.train):
        count = min(len(split), IMAGES)
        for index in np.linspace(0, len(split) - 1, count).astype(int):
            plain = np.ascontiguousarray(split.images[index : index + 1])
            needles += image_needles(
                plain[0],
                np.asarray(transform.encrypt(plain))[0],
                block=transform.block_size,
                top=transform.max_value,
                owner=owner,
                image=f"{split.name}/{split.ids[index]}",
            )
    return needles
