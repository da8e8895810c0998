"""Runs and where they are recorded: one small file a run here, and MLflow.

The only room that imports mlflow, and only inside the functions that talk to its store; importing
the room costs nothing. Nothing here sees a secret: a key enters as its id and its Argon2id hash.
"""

from seglock.tracking.memory import NOTE, MemoryTracker, Status, picture_cell
from seglock.tracking.record import RunRecord, runs_folder
from seglock.tracking.runs import RunTracker, end_killed, open_run
from seglock.tracking.store import Store

Tracker = MemoryTracker  # what a run is told through, whether a store is behind it or not

__all__ = [
    "NOTE",
    "MemoryTracker",
    "RunRecord",
    "RunTracker",
    "Status",
    "Store",
    "Tracker",
    "end_killed",
    "open_run",
    "picture_cell",
    "runs_folder",
]
