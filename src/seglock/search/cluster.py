"""Trials on a Ray cluster that is already there."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seglock.errors import ClusterError, ConfigError
from seglock.search.executor import Decide, Finished, Outcome, TrialJob
from seglock.search.process import Process
from seglock.search.ray_driver import Answers, Report, drive
from seglock.search.trial import RunTrial, run_trial
from seglock.variables import without_secrets

if TYPE_CHECKING:
    from seglock.config import ResourceParams

CONNECT_SECONDS = 30.0
"""How long a cluster may take to answer. Ray itself would try for a quarter of an hour."""

SILENCE_SECONDS = 120.0
"""How long the connection may be silent, as when this machine's node is lost. Ray itself ends it a
minute after its head is."""

NODELESS_SECONDS = 60.0
"""How long no node may be there that holds a trial, before the cluster counts as lost."""

_CLOSE_SECONDS = 5.0
_GIB = 2.0**30
_ROUNDING = 1e-6

Node = Mapping[str, float]
"""What Ray tells of a node: each resource's name and how much there is of it in all, ``{"CPU": 8.0,
"GPU": 1.0, "memory": 33285996544.0, ...}``, memory in bytes."""


class RayExecutor:
    """Computes jobs as tasks of a Ray cluster, as many at once as its nodes hold.

    ``address``: as for ``ray.init``, ``HOST:PORT`` or ``auto``; this machine is one of the nodes.
    ``resources``: what each trial reserves. ``limit``: at most so many trials at once.
    ``storage``: of the study, whose variables no process of the cluster gets. Nodes that join later
    are used; the trials of a node that is lost are Failed, and the others go on. On a cluster that
    others use too a trial may wait in Ray's queue.

    A process of its own holds the connection, and ends with this one (`seglock.search.ray_driver`
    says why). Raises ConfigError when ray is not installed or no node can hold a trial,
    ClusterError when the address does not answer. Once the cluster is lost ``free``, ``submit`` and
    ``poll`` raise ClusterError; what ended before comes back first, and the jobs that were running
    never do.
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
        self._answers: Answers = {}  # of the jobs that run
        self._ended: list[Outcome] = []
        self._lost: ClusterError | None = None
        self._nodes: Sequence[Node] = ()
        self._asked = False  # a report is on its way
        self._heard = self._held = time.monotonic()
        self._process: Process | None = self._connect(storage, run)

    @property
    def free(self) -> int:
        """How many more trials the nodes hold, by what they had in all when last polled."""
        if self._lost is not None:
            raise self._lost
        places = slots(self._needs, self._nodes)
        return max(0, min(places, self._limit or places) - len(self._answers))

    def submit(self, job: TrialJob) -> None:
        """Hand a job to Ray; where no node has room just now it waits there."""
        if self._lost is not None:
            raise self._lost
        if self._process is None:
            raise RuntimeError("the executor is closed")
        self._process.send(job)
        self._answers[job.id] = (0, False)

    def poll(self, decide: Decide, timeout: float) -> list[Outcome]:
        """Wait until a job ends, ``timeout`` seconds at most; answers epochs meanwhile."""
        deadline = time.monotonic() + timeout
        while self._process is not None and not self._ended:
            # Nothing runs though something could: waiting would be in vain.
            idle = not self._answers and self.free > 0
            if report := self._report(self._process, 0.0 if idle else deadline - time.monotonic()):
                self._tell(report, decide)
            if idle or time.monotonic() >= deadline:
                break
        if self._lost is not None and not self._ended:
            raise self._lost
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Cancel what runs, at once, and disconnect; those jobs never come back."""
        self._answers, self._ended, self._nodes = {}, [], ()
        if self._process is not None:
            self._process.send(None)
            self._process.end(_CLOSE_SECONDS)
        self._process = None

    def _connect(self, storage: str | None, run: RunTrial) -> Process:
        """Wait for the first word of the cluster, and see that a trial fits."""
        import seglock

        arguments = (self._address, self._needs, run, seglock.__version__)
        environ = without_secrets(os.environ, storage)
        process = Process.start(drive, *arguments, environ=environ)
        found: Report | str = f"no answer within {CONNECT_SECONDS:g} s"
        try:
            if process.pipe.poll(CONNECT_SECONDS):
                found = process.pipe.recv()
        except (EOFError, OSError):
            found = ""
        finally:
            how = "" if isinstance(found, Report) else process.end()
        if not isinstance(found, Report):
            raise _no_answer(self._address, found or how)
        self._note(found)
        if fault := fit_fault(self._needs, self._nodes):
            process.end()
            raise fault
        return process

    def _report(self, process: Process, timeout: float) -> Report | None:
        """What comes within ``timeout`` seconds; the cluster may turn out to be lost."""
        if not self._asked:
            process.send(self._answers)
            self._asked, self._heard = True, time.monotonic()
        report: Report | None = None
        why = ""
        try:
            if process.pipe.poll(max(0.0, timeout)):
                report = process.pipe.recv()
                self._asked = False
        except (EOFError, OSError):
            why = "its head ended"
        if report is not None:
            self._note(report)
            if self._heard - self._held > NODELESS_SECONDS:
                why = f"for {NODELESS_SECONDS:g} s no node was there that holds a trial"
        elif time.monotonic() - self._heard > SILENCE_SECONDS:
            why = f"it was silent for {SILENCE_SECONDS:g} s"
        if why:
            process.end()
            self._process = None
            self._lost = ClusterError(
                "the Ray cluster must stay while trials run",
                got=f"{self._address}: {why}",
                fix="start it again (`ray start`) and run the same command; the study goes on",
            )
        return report

    def _note(self, report: Report) -> None:
        """Take in what the nodes have, and that jobs have ended."""
        self._heard = time.monotonic()
        self._nodes = report.nodes
        if slots(self._needs, self._nodes):
            self._held = self._heard
        self._ended += report.ended

    def _tell(self, report: Report, decide: Decide) -> None:
        """Let ``decide`` hear of epochs. What it raises loses no job's end."""
        running, rows = dict(self._answers), dict(report.rows)
        for outcome in report.ended:
            del self._answers[outcome.job]
            if isinstance(outcome, Finished):  # some may not have arrived by themselves
                rows[outcome.job] = list(outcome.result.curve)
        for job, found in rows.items():
            seen, stop = running[job]
            for row in found:
                if row["epoch"] > seen:
                    stop = decide(job, row) or stop
                    if job in self._answers:
                        self._answers[job] = (row["epoch"], stop)


def _no_answer(address: str, reason: str) -> ClusterError:
    return ClusterError(
        "--ray must name a Ray cluster that runs, and of which this machine is a node",
        got=f"{address!r} ({reason})",
        fix="see `ray status`; start its head with `ray start --head`, and on this machine "
        "`ray start --address=HOST:PORT`",
    )


def needs_of(resources: ResourceParams) -> dict[str, float]:
    """What one trial reserves, under Ray's names; what it does not need is left out."""
    memory = None if resources.memory_gib is None else resources.memory_gib * _GIB
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": memory}
    return {name: amount for name, amount in wanted.items() if amount}


def slots(needs: Node, nodes: Sequence[Node]) -> int:
    """How many trials all nodes hold at once; one trial is on one node.

    >>> slots({"CPU": 2.0}, [{"CPU": 5.0}, {"CPU": 4.0}, {"CPU": 1.0}])
    4
    >>> slots({"CPU": 1.0, "GPU": 0.5}, [{"CPU": 16.0, "GPU": 1.0}, {"CPU": 16.0}])
    2
    """
    return sum(
        min(int(node.get(name, 0.0) / amount + _ROUNDING) for name, amount in needs.items())
        for node in nodes
    )


def fit_fault(needs: Node, nodes: Sequence[Node]) -> ConfigError | None:
    """The error to raise when no node holds one trial, however long it waits.

    >>> print(fit_fault({"CPU": 1.0, "GPU": 1.0}, [{"CPU": 4.0}, {"CPU": 8.0, "memory": 2.0**34}]))
    search.resources must fit a node of the Ray cluster, got 1 CPU and 1 GPU for a trial where the \
largest of 2 nodes has 8 CPU and 0 GPU; reserve less, or add a larger node
    """
    if slots(needs, nodes):
        return None
    wanted = in_words(needs)
    if not nodes:
        got = f"{wanted} for a trial where no node is alive"
    else:
        # The largest: has most of what is scarcest for a trial, then of what is next.
        largest = max(nodes, key=lambda node: sorted(node.get(n, 0.0) / needs[n] for n in needs))
        has = in_words({name: largest.get(name, 0.0) for name in needs})
        which = f"the largest of {len(nodes)} nodes" if len(nodes) > 1 else "the only node"
        got = f"{wanted} for a trial where {which} has {has}"
    return ConfigError(
        "search.resources must fit a node of the Ray cluster",
        got=got,
        fix="reserve less, or add a larger node",
    )


def in_words(amounts: Node) -> str:
    """Amounts for a message.

    >>> in_words({"CPU": 2.0, "GPU": 0.5, "memory": 2.0**31})
    '2 CPU, 0.5 GPU and 2 GiB of memory'
    """
    units = {"memory": (_GIB, "GiB of memory")}
    parts = []
    for name, amount in amounts.items():
        size, unit = units.get(name, (1.0, name))
        parts.append(f"{round(amount / size, 2):g} {unit}")
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
