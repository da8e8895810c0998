"""Finding the runs of a project and sending later what a store could not take at the time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.errors import SeglockError, TrackingError
from seglock.files import read_json
from seglock.tracking.address import tracking_uri
from seglock.tracking.delivery import Delivery
from seglock.tracking.journal import Journal, runs_folder
from seglock.tracking.store import Store

if TYPE_CHECKING:
    from seglock.config import TrackingParams


@dataclass(frozen=True)
class RunSummary:
    """A run as its journal knows it; ``started`` in milliseconds since 1970."""

    run_id: str
    name: str
    started: int
    unsent: int
    store_run_id: str | None
    ended: bool


@dataclass(frozen=True)
class Synced:
    """What `sync_run` did: entries sent, the run's id in the store, what the store refused."""

    run_id: str
    store_run_id: str
    store: str
    sent: int
    refused: list[str]


def list_runs(root: Path) -> list[RunSummary]:
    """Every run with a journal in the project, oldest first."""
    runs = []
    for file in runs_folder(root).glob("*/run.json"):
        journal = Journal(file.parent)
        header = journal.header
        runs.append(
            RunSummary(
                journal.run_id,
                header.name,
                header.started,
                journal.pending(),
                journal.acknowledged.run_id,
                journal.ended,
            )
        )
    return sorted(runs, key=lambda run: run.started)


def find_run(text: str, root: Path) -> str:
    """The run that ``text`` means: an id, the unique start of one, or a trained lock's name.

    Raises TrackingError, listing the runs there are, when it means none or several.
    """
    folder = runs_folder(root)
    known = sorted(file.parent.name for file in folder.glob("*/run.json"))
    if text in known:
        return text
    lock = _run_of_lock(text, root)
    if lock in known:
        return str(lock)
    stored = {Journal(folder / name).acknowledged.run_id: name for name in known}
    if text in stored:
        return stored[text]
    matches = [name for name in known if text and name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    raise TrackingError(
        "RUN must be a run's id, the unique start of one, or the name of a trained lock",
        got=f"{text!r}, which fits {', '.join(matches) or 'none'}",
        fix="`seglock track list` shows the runs there are",
    )


def _run_of_lock(text: str, root: Path) -> str | None:
    try:
        training = read_json(Path(root) / "data" / "models" / text / "training.json")
    except SeglockError:
        return None
    run_id = training.get("run_id") if isinstance(training, dict) else None
    return run_id if isinstance(run_id, str) else None


def sync_run(run_id: str, *, root: Path, params: TrackingParams) -> Synced:
    """Send what the store lacks of a run; a second call sends nothing.

    A run whose process is gone without an end is ended as KILLED. Raises TrackingError when the
    run has no journal or the store is away.
    """
    journal = Journal.at(root, run_id)
    if not journal.exists():
        raise TrackingError(
            "the run must have a journal here",
            got=f"no {journal.folder}",
            fix="`seglock track list` shows the runs there are",
        )
    if journal.hold():
        try:
            if not journal.ended:
                journal.append("status", status="KILLED")
        finally:
            journal.let_go()
    store = Store(tracking_uri(root), timeout=params.timeout_seconds)
    store.check()
    delivery = Delivery(journal, store)
    sent = delivery.send()
    return Synced(run_id, str(journal.acknowledged.run_id), store.shown, sent, delivery.refused)
