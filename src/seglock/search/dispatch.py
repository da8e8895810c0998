"""What is to be computed next: baselines before the trials they are compared with, retries last."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seglock.search.ledger import Asked
from seglock.search.measured import baseline_name
from seglock.search.point import Cost

if TYPE_CHECKING:
    from seglock.config import SearchParams
    from seglock.results.trial import BaselineRecord
    from seglock.search.ledger import Ledger

FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class Baseline:
    """One seed of the plain network at one cost."""

    cost: Cost
    index: int
    failures: int = field(default=0, compare=False)

    @property
    def job(self) -> str:
        """The job's id, and the study's attribute that will hold it."""
        return baseline_name(self.cost, self.index)


Work = Asked | Baseline


@dataclass
class Dispatch:
    """Chooses work, and remembers what was chosen and is not handed out.

    held: trials whose baselines are not there yet. to_retry: trials that failed and will be tried
    again. in_a_row: whose failures there were since the last result; of what was under way at the
    same time only the first, for a lost machine takes all of its trials with it. The others' are
    free: they use up no retry.
    """

    ledger: Ledger
    search: SearchParams
    held: list[Asked] = field(default_factory=list)
    to_retry: list[Asked] = field(default_factory=list)
    in_a_row: list[str] = field(default_factory=list)
    _to_do: list[Baseline] = field(default_factory=list)
    _groups: dict[Cost, BaselineRecord] = field(default_factory=dict)
    _beside: set[str] = field(default_factory=set)
    _free: set[str] = field(default_factory=set)
    _exhausted: bool = False

    def next(self, free: int, missing: int, flying: list[Work]) -> Work | None:
        """Something for a worker, or None.

        free: how many workers have nothing to do; no more trials than that are held back.
        missing: how many trials the study lacks, those under way not counted as there. flying:
        what workers have now.
        """
        for asked in self.held:
            if self.group(asked.point.cost) is not None:
                self.held.remove(asked)
                return asked
        while not self._to_do:
            new = self._ask(missing, flying) if len(self.held) < free else None
            if new is None or self.group(new.point.cost) is not None:
                return new
            self.held.append(new)
            self._want_baselines(new.point.cost, flying)
        return self._to_do.pop(0)

    def is_done(self, missing: int) -> bool:
        """Whether nothing is left to hand out."""
        waiting = self.held or self.to_retry or self._to_do
        return not waiting and (missing <= 0 or self._exhausted)

    def group(self, cost: Cost) -> BaselineRecord | None:
        """The baselines of a cost, None until all seeds are there."""
        if cost not in self._groups:
            for record in self.ledger.log.baselines([cost], self.search.baseline_seeds):
                self._groups[cost] = record
        return self._groups.get(cost)

    def _ask(self, missing: int, flying: list[Work]) -> Asked | None:
        """A new trial. What failed is tried again after another one: if that fails too, it was
        not the trial's fault."""
        under_way = sum(isinstance(work, Asked) for work in flying)
        under_way += len(self.held) + len(self.to_retry)
        fresh = missing > under_way and not self._exhausted
        if self.to_retry and not (fresh and self.in_a_row):
            self.requeue(self.to_retry[0])
            del self.to_retry[0]
        elif not fresh:
            return None
        asked = self.ledger.ask()
        self._exhausted = asked is None
        return asked

    def requeue(self, asked: Asked) -> None:
        """Queue a trial of ``to_retry`` again."""
        self.ledger.requeue(asked.number, failed=asked.job not in self._free)

    def _want_baselines(self, cost: Cost, flying: list[Work]) -> None:
        for index in range(self.search.baseline_seeds):
            baseline = Baseline(cost, index)
            known = self.ledger.log.attribute(baseline.job) is not None
            if not known and baseline not in self._to_do and baseline not in flying:
                self._to_do.append(baseline)

    def succeeded(self) -> None:
        """A job came to a result: workers work."""
        self.in_a_row.clear()
        self._beside.clear()

    def failed(self, work: Work, flying: list[Work], *, permanent: bool) -> bool:
        """Take note of a failure; True when ``work`` is to be tried no more.

        flying: what workers have now. A trial whose retries are used up is given up only where no
        other one failed meanwhile.
        """
        if not permanent and work.job in self._beside:
            self._beside.remove(work.job)
            self._free.add(work.job)
            self._again(work, failed=False)
            return False
        if not permanent:
            self.in_a_row.append(work.job if isinstance(work, Baseline) else f"trial {work.line}")
            self._beside = {other.job for other in flying} - {work.job}
        given_up = permanent or (
            work.failures >= self.search.retries and (isinstance(work, Baseline) or self._alone())
        )
        if not given_up:
            self._again(work, failed=True)
        elif not permanent and work.failures:
            self.in_a_row.clear()
        return given_up

    def _again(self, work: Work, *, failed: bool) -> None:
        if isinstance(work, Baseline):
            self._to_do.append(replace(work, failures=work.failures + failed))
        else:
            self.to_retry.append(work)

    @property
    def nothing_works(self) -> bool:
        """Whether so many failures in a row were of several trials: the machine is to blame."""
        return len(self.in_a_row) >= FAILURES_IN_A_ROW and not self._alone()

    def _alone(self) -> bool:
        return len(set(self.in_a_row)) == 1
