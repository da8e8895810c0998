"""The model card of a package: what the model is, who gets what from it, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seglock.results.attack import TIERS, beyond_scratch
from seglock.results.standing import LockStanding, strongest

if TYPE_CHECKING:
    from seglock.results.attack import AttackResult
    from seglock.results.evaluation import Evaluation
    from seglock.results.standing import LockLimits
    from seglock.serving.description import Description


@dataclass(frozen=True)
class Standing:
    """Whether a lock keeps the limits of params.yaml, and in a sentence each why or why not."""

    keeps: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.reasons)


def judge(
    evaluation: Evaluation,
    baseline: Evaluation | None,
    attacks: Sequence[AttackResult],
    limits: LockLimits,
) -> Standing:
    """The owner's drop from the baseline, and what a thief with the model alone regains (T0, as
    far as such attacks were run), beside the limits."""
    scores = evaluation.scores
    drop = baseline.scores.owner_miou - scores.owner_miou if baseline else None
    standing = LockStanding.of(evaluation, attacks, drop, limits)
    thief, faults = standing.thieves.get("T0"), {"drop", "T0"}.intersection(standing.broken)
    reasons = (
        "The drop is not known: no baseline was evaluated."
        if drop is None
        else f"The owner's drop is {drop:.4f}, {_beside('drop' in faults, limits.drop)}.",
        "What a thief regains is not known."
        if thief is None or thief.regained is None
        else f"A thief with the model alone regains {thief.regained:.4f} ({thief.name}), "
        f"{_beside('T0' in faults, limits.regained)}.",
    )
    return Standing(not faults and drop is not None and thief is not None, reasons)


def _beside(over: bool, limit: float) -> str:
    return f"{'over' if over else 'within'} the limit of {limit:g}"


def model_card(
    about: Description,
    evaluation: Evaluation | None,
    attacks: Sequence[AttackResult],
    standing: Standing | None,
    *,
    remark: str = "",
) -> str:
    """The card as Markdown, of public facts alone; ``remark`` is what it says first of all."""
    key = f"key `{about.key_id}`" if about.key else "no key: this model is not locked"
    lines = [
        f"# {about.lock}",
        "",
        *([f"**{remark}**", ""] if remark else []),
        f"A semantic segmentation network, `{about.network['name']}`, for {len(about.classes)} "
        f"classes: {', '.join(about.classes)}. Made by seglock {about.seglock}.",
        "",
        f"It answers images of {about.image_side} x {about.image_side} pixels that were encrypted "
        f"by `{'+'.join(about.steps) or 'nothing'}` under {key}. Plain images, or another key, get "
        "answers that are of no use, as far as the figures below say.",
        "",
        *_figures(evaluation, attacks, standing),
        "## Limits",
        "",
        "- Whoever has this file and labelled images of the task can train on.",
        "- Whoever sees some dozens of encrypted images, or one beside its plain image, can work "
        "out the key's plan. Guard them like the key.",
        "- The figures are of the data below, and of these attacks with their budgets.",
        "",
        f"Data: digest `{about.data_digest}`. Weights: SHA-256 `{about.weights_sha256}`.",
        "",
        "## Use",
        "",
        "```console",
        "$ seglock predict photo.jpg --model PACKAGE --key NAME -o OUT",
        "$ seglock serve --model PACKAGE",
        "$ mlflow models serve -m PACKAGE --env-manager local",
        "```",
        "",
        "`requirements.txt` has the exact packages; seglock itself is installed from its wheel.",
    ]
    return "\n".join(lines) + "\n"


def _figures(
    evaluation: Evaluation | None, attacks: Sequence[AttackResult], standing: Standing | None
) -> list[str]:
    if evaluation is None:
        return ["It was not evaluated.", ""]
    scores = evaluation.scores
    rows: list[tuple[str, float, float | None]] = [("the key's owner", scores.owner_miou, None)]
    rows += _tried(evaluation)
    for tier in TIERS:
        if best := strongest(tier, attacks):
            who = f"a thief with {TIERS[tier]} ({tier}, `{best.name}`)"
            rows.append((who, best.miou, best.regained))
    table = ["| who | mean IoU | regained |", "| --- | --: | --: |"]
    for who, miou, share in rows:
        table.append(f"| {who} | {miou:.4f} | {'' if share is None else f'{share:.4f}'} |")
    beyond = [
        f"With {line.labelled} labelled images `{line.attack}` is {line.beyond:+.4f} beyond "
        "training from scratch on the same images."
        for line in beyond_scratch(attacks)
    ]
    said = [] if attacks else ["No attack was run: these are the weakest thieves."]
    return [
        "## Figures",
        "",
        *table,
        "",
        f"On {evaluation.dataset}; a guess that sees no image has {scores.floors.floor:.4f}.",
        *beyond,
        *said,
        *([str(standing)] if standing else []),
        "",
    ]


def _tried(evaluation: Evaluation) -> list[tuple[str, float, float | None]]:
    scores = evaluation.scores
    if scores.unauthorised is None:
        return []
    return [("plain images or wrong keys, the best", scores.unauthorised, scores.regained)]


def tags(about: Description, standing: Standing) -> Mapping[str, str]:
    """What the registry can be searched by."""
    return {
        "seglock.lock": about.lock,
        "seglock.steps": "+".join(about.steps) or "none",
        "seglock.key_id": about.key_id or "none",
        "seglock.data_digest": about.data_digest,
        "seglock.keeps_limits": str(standing.keeps).lower(),
    }
