"""What runs on the nodes of a Ray cluster: a trial, and the mailbox between trials and driver."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.search.environment import without_secrets
from seglock.search.executor import ANSWER_SECONDS, TrialJob
from seglock.search.trial import RunTrial, failure

if TYPE_CHECKING:
    from seglock.training import EpochRow

NEWS_SECONDS = 1.0
"""How long the mailbox holds the driver's question for new rows when there are none."""


class Mailbox:
    """Epochs on their way to the coordinator, and its answers: an actor beside the driver.

    It may be killed at any moment: a trial sends all its rows each time and the driver counts what
    it has had, so the next epoch brings what was lost.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[EpochRow]] = {}
        self._answered: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._changed = asyncio.Condition()

    async def report(self, job: str, rows: list[EpochRow]) -> bool:
        """From a trial, all its rows so far: whether to stop, as far as that is known in time."""
        epoch = rows[-1]["epoch"]

        def is_answered() -> bool:
            return job in self._stopped or self._answered.get(job, 0) >= epoch

        async with self._changed:
            self._rows[job] = rows
            self._changed.notify_all()
            await self._wait(is_answered, ANSWER_SECONDS)
            return job in self._stopped

    async def answer(self, job: str, epoch: int, stop: bool) -> None:
        """From the driver: whether the trial stops after this epoch."""
        async with self._changed:
            self._answered[job] = epoch
            if stop:
                self._stopped.add(job)
            self._changed.notify_all()

    async def news(self, seen: dict[str, int]) -> dict[str, list[EpochRow]]:
        """From the driver: the rows after the epochs it has had, once there are any."""

        def new() -> dict[str, list[EpochRow]]:
            later = {
                job: [row for row in rows if row["epoch"] > seen.get(job, 0)]
                for job, rows in self._rows.items()
            }
            return {job: rows for job, rows in later.items() if rows}

        async with self._changed:
            await self._wait(lambda: bool(new()), NEWS_SECONDS)
            return new()

    async def forget(self, job: str) -> None:
        """From the driver: the trial has ended."""
        self._rows.pop(job, None)
        self._answered.pop(job, None)
        self._stopped.discard(job)

    async def _wait(self, happened: Callable[[], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait_for(happened)
        except TimeoutError:
            pass


def compute(job_text: str, function: str, version: str, mailbox: Any) -> str:
    """One job in a worker of some node: its last message, as JSON.

    Whatever the job raises is told in that message: Ray would keep it with its traceback.
    """
    import ray

    import seglock

    # A node's shell may have exported what no trial needs.
    for name in os.environ.keys() - without_secrets(os.environ).keys():
        del os.environ[name]
    job = TrialJob.from_json(job_text)
    worker = f"ray-{ray.get_runtime_context().get_node_id()[:8]}"
    rows: list[EpochRow] = []

    def on_epoch(row: EpochRow) -> bool:
        rows.append(row)
        try:
            return bool(ray.get(mailbox.report.remote(job.id, rows), timeout=2 * ANSWER_SECONDS))
        except ray.exceptions.RayError:  # the mailbox is being started anew; training goes on
            return False

    try:
        if version != seglock.__version__:
            raise RuntimeError(f"{worker} has seglock {seglock.__version__}, not {version}")
        with tempfile.TemporaryDirectory(prefix="seglock-", ignore_cleanup_errors=True) as scratch:
            module, _, name = function.partition(":")
            run: RunTrial = getattr(importlib.import_module(module), name)
            result = run(job, scratch=Path(scratch), on_epoch=on_epoch, worker=worker)
        return json.dumps({"kind": "finished", "job": job.id, "result": asdict(result)})
    except Exception as error:  # whatever it is, it is this job's and no other's
        reason, permanent = failure(error)
        return json.dumps(
            {"kind": "failed", "job": job.id, "reason": reason, "permanent": permanent}
        )
