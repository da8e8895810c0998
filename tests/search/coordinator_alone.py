"""A coordinator to be killed: starts two workers that wait for ever, and says their numbers."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from seglock.config import ResourceParams
from seglock.search.workers import LocalExecutor
from tests.search.fakes import fake_job, fake_run, write_whole


def main(folder: Path) -> None:
    resources = ResourceParams()
    executor = LocalExecutor(2, scratch=folder / "work", resources=resources, run=fake_run)
    for name in ("one", "two"):
        executor.submit(fake_job(name, gate=[2, str(folder / "never")], started=str(folder / name)))
    while not all((folder / name).exists() for name in ("one", "two")):
        time.sleep(0.01)
    write_whole(folder / "pids.json", json.dumps(list(executor.processes.values())))
    while True:
        executor.poll(lambda job, row: False, timeout=10.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
