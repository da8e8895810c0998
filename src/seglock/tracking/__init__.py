"""Runs and where they are recorded: a local journal first, then MLflow.

The only room that imports mlflow, and only inside the functions that talk to its store; importing
the room costs nothing. Nothing here sees a secret: a key enters as its id and its Argon2id hash.
"""

from seglock.tracking.address import (
    artifact_folder,
    project_root,
    rooted,
    shown_uri,
    sqlite_file,
    sqlite_uri,
    tracking_uri,
)
from seglock.tracking.environment import describe_environment, git_commit
from seglock.tracking.journal import Journal, runs_folder
from seglock.tracking.memory import MemoryTracker
from seglock.tracking.protocol import Tracker
from seglock.tracking.runs import JournalTracker, open_run
from seglock.tracking.store import reason_unreachable
from seglock.tracking.sync import RunSummary, Synced, find_run, list_runs, sync_run

__all__ = [
    "Journal",
    "JournalTracker",
    "MemoryTracker",
    "RunSummary",
    "Synced",
    "Tracker",
    "artifact_folder",
    "describe_environment",
    "find_run",
    "git_commit",
    "list_runs",
    "open_run",
    "project_root",
    "reason_unreachable",
    "rooted",
    "runs_folder",
    "shown_uri",
    "sqlite_file",
    "sqlite_uri",
    "sync_run",
    "tracking_uri",
]
