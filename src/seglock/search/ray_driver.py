"""What is connected to a Ray cluster, and what runs on its nodes.

The connection is a process of its own, started by `seglock.search.cluster.RayExecutor`: a minute
after the head of a cluster is lost Ray ends the process that is connected to it, whatever that is
doing; until then calls into Ray hang, deaf to signals, as they do for a quarter of an hour where an
address is silent; and it prints. Nothing in Ray turns that off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.errors import in_short
from seglock.search.executor import ANSWER_SECONDS, Failed, Outcome, TrialJob, TrialResult
from seglock.search.in_process import outcome_of
from seglock.variables import without_secrets

if TYPE_CHECKING:
    from seglock.search.process import Pipe
    from seglock.search.trial import RunTrial
    from seglock.training import EpochRow

Answers = dict[str, tuple[int, bool]]
"""Of each job that runs: the last epoch that the study has heard of, and whether the job stops."""

_IDLE_SECONDS = 1.0
_WAIT_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Report:
    """What became of the jobs: new rows, and the ends of some.

    nodes: what every living node has in all, as Ray names it.
    """

    nodes: list[dict[str, float]]
    rows: dict[str, list[EpochRow]] = field(default_factory=dict)
    ended: list[Outcome] = field(default_factory=list)


def drive(pipe: Pipe, address: str, needs: dict[str, float], run: RunTrial, version: str) -> None:
    """In the process: connect, and report; then start each TrialJob that comes, hand on Answers,
    and report what happens, or after Answers that nothing does. None cancels what runs, and
    disconnects. What Ray says where it cannot connect is sent as a text.
    """
    import ray

    try:
        _probe(address)
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        driver = Driver(needs, run, version)
        nodes = driver.nodes()
    except Exception as error:
        pipe.send(_refusal(error))
        return
    pipe.send(Report(nodes))
    answers: Answers = {}
    while True:
        asked, patience = False, 0.0 if driver.told else _IDLE_SECONDS
        while pipe.poll(patience):
            message, patience = pipe.recv(), 0.0
            if message is None:
                driver.close()
                return
            if isinstance(message, TrialJob):
                driver.start(message)
            else:
                answers, asked = message, True
        rows, ended = driver.news(answers)
        if asked or rows or ended:
            pipe.send(Report(nodes, rows, ended))
        nodes = driver.nodes()  # hangs without a head, so what has ended is told first


class Driver:
    """Jobs in, as Ray tasks; reports out."""

    def __init__(self, needs: dict[str, float], run: RunTrial, version: str) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self._given = (run, version)
        # Whoever tries a job again is the coordinator; two would count it twice.
        self._task = ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0.0),
            memory=int(needs.get("memory", 0)) or None,
            max_retries=0,
            retry_exceptions=False,
        )(compute)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Mailbox)
        self._mailbox = mailbox.remote()
        self._tasks: dict[Any, str] = {}  # the task's result, still to come -> job
        self.told: dict[str, int] = {}  # of each job that runs, the last epoch that was told

    def nodes(self) -> list[dict[str, float]]:
        """What every living node has."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def start(self, job: TrialJob) -> None:
        """Hand a job to Ray."""
        task = self._task.options(name=job.id)
        self._tasks[task.remote(job, *self._given, self._mailbox)] = job.id
        self.told[job.id] = 0

    def news(self, answers: Answers) -> tuple[dict[str, list[EpochRow]], list[Outcome]]:
        """Hand over the answers, and wait a moment for new rows and ends of jobs."""
        if not self._tasks:
            time.sleep(_LOOK_SECONDS)
            return {}, []
        exchange = self._mailbox.exchange.remote(answers, self.told)
        refs = [exchange, *self._tasks]
        self._ray.wait(refs, timeout=2 * _WAIT_SECONDS)
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        rows: dict[str, list[EpochRow]] = {}
        if exchange in done:
            try:
                rows = self._ray.get(exchange)
            except self._ray.exceptions.RayError:  # the mailbox died; Ray starts another
                time.sleep(_LOOK_SECONDS)
        self.told |= {job: new[-1]["epoch"] for job, new in rows.items()}
        ended = [self._end(task, self._tasks.pop(task)) for task in done if task != exchange]
        for outcome in ended:
            del self.told[outcome.job]
        return rows, ended

    def close(self) -> None:
        """Cancel what runs, and disconnect."""
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def _end(self, task: Any, job: str) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(task)
        except Exception as error:
            return Failed(job, _words(error), permanent=False)
        return outcome


class Mailbox:
    """Epochs on their way to the coordinator, and its answers: an actor beside the driver.

    It may be killed at any moment: a trial sends all its rows each time, the driver all answers.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[EpochRow]] = {}
        self._answers: Answers = {}

    async def report(self, job: str, rows: list[EpochRow]) -> bool:
        """From a trial, all its rows so far: whether to stop, as far as that is known in time."""
        self._rows[job] = rows
        stop = False
        for _ in range(round(ANSWER_SECONDS / _LOOK_SECONDS)):
            epoch, stop = self._answers.get(job, (0, False))
            if stop or epoch >= rows[-1]["epoch"]:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return stop

    async def exchange(self, answers: Answers, told: dict[str, int]) -> dict[str, list[EpochRow]]:
        """From the driver: the rows of the jobs that run which it has not told, once there are any,
        or none after a moment."""
        self._answers = answers
        self._rows = {job: rows for job, rows in self._rows.items() if job in told}
        for _ in range(round(_WAIT_SECONDS / _LOOK_SECONDS)):
            later = {
                job: [row for row in rows if row["epoch"] > told[job]]
                for job, rows in self._rows.items()
                if job in told
            }
            if new := {job: rows for job, rows in later.items() if rows}:
                return new
            await asyncio.sleep(_LOOK_SECONDS)
        return {}


def compute(job: TrialJob, run: RunTrial, version: str, mailbox: Any) -> Outcome:
    """One job in a worker of some node.

    Whatever it raises is told in the outcome: Ray would keep it with its traceback.
    """
    import ray

    import seglock

    # A node's shell may have exported what no trial needs.
    for name in os.environ.keys() - without_secrets(os.environ).keys():
        del os.environ[name]
    worker = f"ray-{ray.get_runtime_context().get_node_id()[:8]}"
    rows: list[EpochRow] = []

    def on_epoch(row: EpochRow) -> bool:
        rows.append(row)
        try:
            return bool(ray.get(mailbox.report.remote(job.id, rows), timeout=2 * ANSWER_SECONDS))
        except ray.exceptions.RayError:  # the mailbox is being started anew; training goes on
            return False

    def here() -> TrialResult:
        if version != seglock.__version__:
            raise RuntimeError(f"{worker} has seglock {seglock.__version__}, not {version}")
        with tempfile.TemporaryDirectory(prefix="seglock-", ignore_cleanup_errors=True) as scratch:
            return run(job, scratch=Path(scratch), on_epoch=on_epoch, worker=worker)

    return outcome_of(job.id, here)


def _probe(address: str) -> None:
    """Raise OSError where nothing listens: Ray itself would try for minutes."""
    from ray.util import get_node_ip_address

    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        # A node listens on its own address, which Ray puts in the place of the loopback's.
        host = host.strip("[]")
        local = host in ("localhost", "127.0.0.1", "::1") and not address.startswith("ray://")
        place = (get_node_ip_address() if local else host, int(port))
        socket.create_connection(place, timeout=_PROBE_SECONDS).close()


def _refusal(error: Exception) -> str:
    """Why there is no connection, in one line; Ray hides the cause below it."""
    cause: BaseException | None = error
    while cause is not None:
        if "AuthenticationError" in f"{type(cause).__name__}: {cause}":
            return (
                "it asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH where the "
                "token is not in ~/.ray/auth_token"
            )
        cause = cause.__cause__
    return " ".join(f"{error}".split()) or type(error).__name__


def _words(error: Exception) -> str:
    """Why Ray has no result, in one line: Ray's own words fill a page."""
    from ray import exceptions

    known = {
        exceptions.WorkerCrashedError: "the worker process was killed, or its node was lost",
        exceptions.NodeDiedError: "the node was lost",
        exceptions.OutOfMemoryError: "the node ran out of memory, and Ray killed the worker",
        exceptions.OutOfDiskError: "the node's disk is full",
    }
    for kind, words in known.items():
        if isinstance(error, kind):
            return words
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return in_short(f"{type(cause).__name__}: {lines[-1] if lines else 'no reason given'}")
