"""Trials on a Ray cluster that is already there."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING

from seglock.errors import ClusterError, ConfigError
from seglock.search.channel import Message
from seglock.search.executor import Decide, Failed, Finished, Outcome, TrialJob, TrialResult
from seglock.search.ray_process import RayProcess
from seglock.search.ray_slots import fit_fault, needs_of, slots
from seglock.search.trial import RunTrial, run_trial

if TYPE_CHECKING:
    from seglock.config import ResourceParams
    from seglock.training import EpochRow

CONNECT_SECONDS = 30.0
"""How long a cluster may take to answer. Ray itself would try for a quarter of an hour."""

SILENCE_SECONDS = 120.0
"""How long the connection may be silent. Ray itself ends it a minute after its head is lost."""

NODELESS_SECONDS = 60.0
"""How long no node may be there that holds a trial, before the cluster counts as lost."""


class RayExecutor:
    """Computes jobs as tasks of a Ray cluster, as many at once as its nodes hold.

    ``address``: as for ``ray.init``, ``HOST:PORT`` or ``auto``; this machine is one of the nodes.
    ``resources``: what each trial reserves. ``limit``: at most so many trials at once.
    ``storage``: of the study, whose variables no process of the cluster gets. Nodes that join later
    are used; the trials of a node that is lost are Failed, and the others go on. On a cluster that
    others use too a trial may wait in Ray's queue.

    A process of its own holds the connection, and ends with this one. Raises ConfigError when ray
    is not installed or no node can hold a trial, ClusterError when the address does not answer.
    Once the cluster is lost ``free``, ``submit`` and ``poll`` raise ClusterError; what ended before
    comes back first, and the jobs that were running never do.
    """

    def __init__(
        self,
        address: str,
        *,
        resources: ResourceParams,
        limit: int | None = None,
        storage: str | None = None,
        run: RunTrial = run_trial,
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "--ray needs the package ray",
                got="an environment without it",
                fix="pip install 'seglock[ray]', or leave --ray out",
            )
        if address in ("", "local"):  # Ray would start a cluster of its own
            raise _no_answer(address, "that names no cluster; for this machine alone: --workers")
        self._address = address
        self._limit = limit
        self._needs = needs_of(resources)
        self._function = f"{run.__module__}:{run.__qualname__}"  # type: ignore[attr-defined]
        self._running: dict[str, int] = {}  # job -> the last epoch that ``decide`` has had
        self._messages: list[Message] = []  # that came while nobody polled
        self._ended: list[Outcome] = []
        self._lost: ClusterError | None = None
        self._nodes: list[dict[str, float]] = []
        self._heard = self._held = time.monotonic()
        self._process: RayProcess | None = RayProcess(storage)
        try:
            self._connect(self._process)
        except BaseException:
            self._process.end()
            raise

    @property
    def free(self) -> int:
        """How many more trials the nodes hold, by what they have in all."""
        self._listen(0.0)
        return self._room

    def submit(self, job: TrialJob) -> None:
        """Hand a job to Ray; where no node has room just now it waits there."""
        if self._lost is not None:
            raise self._lost
        if self._process is None:
            raise RuntimeError("the executor is closed")
        self._process.send({"kind": "run", "job": job.id, "text": job.to_json()})
        self._running[job.id] = 0

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        """Wait until a job ends, ``timeout`` seconds at most; answers epochs meanwhile."""
        deadline = time.monotonic() + timeout
        while self._process is not None and not self._ended:
            # Nothing runs though something could: waiting would be in vain.
            idle = not self._running and self._room > 0
            left = 0.0 if idle or self._messages else deadline - time.monotonic()
            self._listen(left)
            self._answer(decide)
            if idle or time.monotonic() >= deadline:
                break
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Cancel what runs, at once, and disconnect; those jobs never come back."""
        for kept in (self._running, self._messages, self._ended, self._nodes):
            kept.clear()
        if self._process is not None:
            self._process.close()
        self._process = None

    def _connect(self, process: RayProcess) -> None:
        """Wait for the first word of the cluster, and see that a trial fits."""
        import seglock

        process.send(
            {
                "address": self._address,
                "needs": self._needs,
                "function": self._function,
                "version": seglock.__version__,
            }
        )
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self._nodes:
            left = deadline - time.monotonic()
            for message in process.receive(left):
                if message["kind"] == "refused":
                    raise _no_answer(self._address, message["reason"])
                self._note(message)
            if process.ended:
                raise _no_answer(self._address, process.end())
            if left <= 0:
                raise _no_answer(self._address, f"no answer within {CONNECT_SECONDS:g} s")
        if fault := fit_fault(self._needs, self._nodes):
            raise fault

    @property
    def _room(self) -> int:
        if self._lost is not None:
            return 0
        places = slots(self._needs, self._nodes)
        return max(0, min(places, self._limit or places) - len(self._running))

    def _listen(self, timeout: float) -> None:
        """Take in what comes within ``timeout`` seconds; raise when the cluster is lost."""
        process = self._process
        if self._lost is not None or process is None:
            if self._lost is not None and not (self._messages or self._ended):
                raise self._lost
            return
        for message in process.receive(timeout):
            self._note(message)
        now = time.monotonic()
        if process.ended:
            why = "its head, or this machine's node, ended"
        elif now - self._heard > SILENCE_SECONDS:
            why = f"it was silent for {SILENCE_SECONDS:g} s"
        elif now - self._held > NODELESS_SECONDS:
            why = f"for {NODELESS_SECONDS:g} s no node was there that holds a trial"
        else:
            return
        process.end()
        self._lost = ClusterError(
            "the Ray cluster must stay while trials run",
            got=f"{self._address}: {why}",
            fix="start it again (`ray start`) and run the same command; the study goes on",
        )
        if not (self._messages or self._ended):
            raise self._lost

    def _note(self, message: Message) -> None:
        """Take in what the nodes have; keep what is for ``poll``."""
        self._heard = time.monotonic()
        if message["kind"] != "nodes":
            self._messages.append(message)
            return
        self._nodes = message["nodes"]
        if slots(self._needs, self._nodes):
            self._held = self._heard

    def _answer(self, decide: Decide) -> None:
        """Let ``decide`` hear of the epochs that came."""
        messages, self._messages = self._messages, []
        # The end of a job first: what ``decide`` raises must not lose one.
        for job, row in [new for message in messages for new in self._take(message)]:
            stop = decide(job, row)
            answer = {"kind": "answer", "job": job, "epoch": row["epoch"], "stop": stop}
            if self._process is not None:
                self._process.send(answer)

    def _take(self, message: Message) -> list[tuple[str, EpochRow]]:
        """Take in a message of a job; the epochs of which ``decide`` must hear now."""
        job: str = message["job"]
        if job not in self._running:
            return []
        rows: list[EpochRow] = []
        if message["kind"] == "epoch":
            rows = [message["row"]]
        elif message["kind"] == "finished":
            values = message["result"]
            rows = values["curve"]  # some may not have arrived by themselves
            self._ended.append(Finished(job, TrialResult(**values | {"curve": tuple(rows)})))
        else:
            self._ended.append(Failed(job, message["reason"], message["permanent"]))
        new = [(job, row) for row in rows if row["epoch"] > self._running[job]]
        if message["kind"] != "epoch":
            del self._running[job]
        elif new:
            self._running[job] = rows[-1]["epoch"]
        return new


def _no_answer(address: str, reason: str) -> ClusterError:
    return ClusterError(
        "--ray must name a Ray cluster that runs, and of which this machine is a node",
        got=f"{address!r} ({reason})",
        fix="see `ray status`; start its head with `ray start --head`, and on this machine "
        "`ray start --address=HOST:PORT`",
    )
