"""A coordinator to be killed: two workers wait for ever; it says their numbers and a child's."""

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
    gate, child = [2, str(folder / "never")], folder / "child"
    executor.submit(fake_job("one", gate=gate, started=str(folder / "one")))
    executor.submit(fake_job("two", gate=gate, child=str(child)))
    while not (folder / "one").exists() or not child.exists():
        time.sleep(0.01)
    processes = [*executor.processes.values(), int(child.read_text())]
    write_whole(folder / "pids.json", json.dumps(processes))
    while True:
        executor.poll(lambda job, row: False, timeout=10.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
