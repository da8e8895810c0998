"""What a lock's run says of it in few figures and in words, as all its result files have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seglock.config import BASELINE
from seglock.results.attack import TIERS, read_attacks
from seglock.results.evaluation import EVALUATIONS, Evaluation
from seglock.results.metrics import lock_metrics
from seglock.results.standing import LockLimits, LockStanding
from seglock.tracking import NOTE

if TYPE_CHECKING:
    from seglock.config import LockParams, Params
    from seglock.tracking import Tracker


ATTACKED = "attacked"
"""The tag of a run whose verdict counts attacks."""


@dataclass(frozen=True)
class LockSummary:
    """A lock's figures by their names in MLflow, and its tags, the description among them."""

    metrics: dict[str, float]
    tags: dict[str, str]

    def news(self, known: Mapping[str, str]) -> dict[str, str]:
        """The tags that are new to a run with these: the verdict of attacks that it was told of is
        not taken back where their files are not, as in an experiment's folder."""
        if known.get(ATTACKED) and not self.tags.get(ATTACKED):
            return {}
        return {name: value for name, value in self.tags.items() if known.get(name) != value}

    def tell(self, tracker: Tracker) -> None:
        """Tell a run."""
        tracker.log_metrics(self.metrics, again=True)
        if news := self.news(tracker.tags):
            tracker.set_tags(news)


def summarise_lock(
    lock: str, params: Params, root: Path, runs: Collection[str | None], link: str = ""
) -> LockSummary:
    """What the files in data say of the network that a run trained, whose ids here and in the store
    are ``runs``: before its evaluation, what it is and no figure. Files of an earlier training of
    the lock are left out.

    link: where the report is, as Markdown takes it.
    """
    about = _about(lock, params.locks[lock])
    found = read_evaluation(lock, params, root)
    if found is None or found.run_id not in (None, *runs):
        return LockSummary({}, {NOTE: about})
    attacks = [
        one
        for one in read_attacks(root, [lock])
        if not one.is_analysis and one.run_id in (None, *runs)
    ]
    plain = None if found.is_baseline else read_evaluation(BASELINE, params, root)
    same = plain is not None and plain.dataset_digest == found.dataset_digest
    drop = plain.scores.owner_miou - found.scores.owner_miou if plain and same else None
    standing = None
    if not found.is_baseline:
        standing = LockStanding.of(found, attacks, drop, LockLimits.of(params.search))
    metrics = lock_metrics(found, drop, standing)
    holds = standing.verdict if standing else "no lock"
    tags = {"holds": holds, NOTE: "\n\n".join(_words(about, holds, metrics, standing, link))}
    if attacks:
        tags[ATTACKED] = "true"
    if standing:
        tags["strongest"] = ", ".join(f"{t} {x.name}" for t, x in standing.thieves.items())
    return LockSummary(metrics, tags)


def read_evaluation(lock: str, params: Params, root: Path) -> Evaluation | None:
    """evaluation.json of a lock of params.yaml; None where there is none."""
    path = root / EVALUATIONS / lock / "evaluation.json"
    if lock not in params.locks or not path.is_file():
        return None
    return Evaluation.read(path, fix=f"run dvc repro evaluate@{lock}")


def _about(name: str, lock: LockParams) -> str:
    if not lock.steps:
        return f"**{name}**: a plain network, without a lock."
    text = f"**{name}**: images under `{'+'.join(lock.steps)}`, key `{lock.key}`"
    if lock.fold:
        text += f", folded into the first convolution ({lock.fold})"
    if lock.refuse:
        text += f", taught to refuse all others (weight {lock.refuse.weight:g})"
    return f"{text}."


def _words(
    about: str,
    holds: str,
    metrics: dict[str, float],
    standing: LockStanding | None,
    link: str,
) -> Sequence[str]:
    figures = {
        name.removeprefix("access/"): f"{value:.4f}"
        for name, value in metrics.items()
        if name.removeprefix("access/") in ("owner", "drop", "unauthorised", "regained", "floor")
    }
    words = [about, f"Verdict by the limits of params.yaml: **{holds}**.", _table(figures)]
    if standing:
        rows = [
            f"| {tier}: {TIERS[tier]} | {thief.name} | {thief.miou:.4f} | {thief.lost:.2f} |"
            for tier, thief in standing.thieves.items()
        ]
        head = ["| thief with | strongest | mean IoU | regained |", "| --- | --- | --: | --: |"]
        words.append("\n".join([*head, *rows]))
    return [*words, *([f"[The report]({link})"] if link else [])]


def _table(values: dict[str, str]) -> str:
    return "\n".join(
        f"| {' | '.join(row)} |" for row in (values, ["--:"] * len(values), values.values())
    )
