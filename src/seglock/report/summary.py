"""summary.json: every lock's figures in one place. The tables are rendered from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seglock import __version__
from seglock.report.leaderboard import leaderboard
from seglock.report.locks import LockResult, baseline_of
from seglock.report.searchsummary import summarise_study
from seglock.report.standings import standings
from seglock.results.attack import AttackResult
from seglock.results.standing import LockLimits
from seglock.results.study import Study

_LOCK = {
    "lock", "method", "steps", "block_size", "key", "key_id", "ffx_password", "ffx_divisor",
    "refuse", "key_space_bits",
}  # fmt: skip
_NO_FFX = {"ffx_password": None, "ffx_divisor": None}
_INCORRECT = ("keys", "all_plans", "mean", "std", "p95", "max", "min", "refused")


def summarise(
    results: Sequence[LockResult],
    study: Study | None = None,
    attacks: Sequence[AttackResult] = (),
    limits: LockLimits = LockLimits(),  # noqa: B008 - frozen
) -> dict[str, Any]:
    """All locks' figures as plain values, ready for JSON.

    ``locks`` maps a lock's name to its figures; what all locks share stands beside it. ``search``
    is what the trade-off search found, ``attacks`` the leaderboard, each None where there was none;
    ``standings`` has each lock's strongest thieves, and says whether it keeps to ``limits``.
    """
    first = results[0].evaluation
    baseline = baseline_of(results)
    reference = baseline.scores.owner_miou if baseline else None
    locks = {result.lock: _figures(result, reference) for result in results}
    return {
        "seglock": __version__,
        "dataset": first.dataset,
        "dataset_digest": first.dataset_digest,
        "image_side": first.image_side,
        "classes": list(first.classes),
        "models": sorted({result.evaluation.model for result in results}),
        "seeds": sorted({result.evaluation.seed for result in results}),
        "epochs": sorted({result.training.epochs for result in results}),
        "locks": locks,
        "search": summarise_study(study, locks) if study else None,
        "standings": standings(locks, [one.evaluation for one in results], attacks, limits),
        "attacks": leaderboard(attacks, locks),
    }


def _figures(result: LockResult, reference: float | None) -> dict[str, Any]:
    evaluation, scores = result.evaluation, result.scores
    drop = None
    if reference is not None and not evaluation.is_baseline:
        drop = reference - scores.owner_miou
    return {
        **evaluation.model_dump(mode="json", include=_LOCK),
        **({} if "ffx" in evaluation.method.split("+") else _NO_FFX),
        "owner_miou": scores.owner_miou,
        "drop": drop,
        "plain": scores.plain.miou,
        "plain_bn": scores.plain_bn.miou if scores.plain_bn else None,
        **{f"incorrect_{name}": getattr(scores.incorrect, name, None) for name in _INCORRECT},
        "plain_refused": scores.plain.refused,
        "plain_bn_refused": scores.plain_bn.refused if scores.plain_bn else None,
        "refused": scores.refused,
        "unauthorised": scores.unauthorised,
        "regained": scores.regained,
        "floor_constant": scores.floors.constant,
        "floor_prior": scores.floors.prior,
        "floor": scores.floors.floor,
        **result.training.model_dump(include={"best_epoch", "epochs", "seconds", "parameters"}),
        "run_id": evaluation.run_id or result.training.run_id,
    }
