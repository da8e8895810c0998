"""The run of a lock's training, which later stages add their figures to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.stages.run_tags import lock_tags, machine_tags, run_name, run_params
from seglock.stages.tell import tell_again, tell_training

if TYPE_CHECKING:
    from seglock.config import Params
    from seglock.data import PreparedData
    from seglock.keys import PublicRecord
    from seglock.results.training import Training
    from seglock.tracking import Tracker


@contextlib.contextmanager
def trained_run(
    lock: str,
    params: Params,
    data: PreparedData,
    record: PublicRecord | None,
    training: Training,
    root: Path,
) -> Iterator[Tracker]:
    """Open the run that training.json names; what this store lacks is told it first.

    Raises TrackingError when the tracking server cannot be reached.
    """
    from seglock.address import project_root
    from seglock.tracking import open_run

    with open_run(
        params.tracking,
        name=run_name(lock, params, data),
        tags=lock_tags(lock, params, data, record, root),
        root=project_root(),
        run_id=training.run_id,
    ) as tracker:
        tracker.lasted = training.seconds  # a run lasts as long as its training
        if tracker.run_id != training.run_id:
            tracker.set_tags(machine_tags(root))
            tracker.log_params(run_params(lock, params))
        if not tracker.whole:
            tell_training(tracker, root / "data" / "models" / lock)
            tell_again(tracker, tracker.record, root)
        yield tracker
