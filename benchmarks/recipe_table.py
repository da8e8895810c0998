"""What studies found for a recipe, as Markdown: one row a study, its best trials first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.markdown import table

_BEST = 3
_BEST_OF = "best: learning rate, weight decay, mean IoU"


def recipe_table(document: Mapping[str, Any]) -> str:
    """The studies of ``docs/results/recipe-PROFILE.json``, each a kind of recipe.

    A study's trials differ in learning rate, weight decay and key; figures are the owner's mean
    IoU on the validation images.
    """
    lines = []
    for study in document["studies"]:
        ended = [trial for trial in study["trials"] if trial["owner_miou"] is not None]
        best = sorted(ended, key=lambda trial: -trial["owner_miou"])[:_BEST]
        shown = "; ".join(
            f"{t['lr']:.4f}, {t['weight_decay']:g}, **{t['owner_miou']:.3f}**" for t in best
        )
        lines.append([_said(study["recipe"]), str(len(study["trials"])), shown])
    return table(["recipe", "trials", _BEST_OF], lines, (_BEST_OF,))


def _said(recipe: Mapping[str, Any]) -> str:
    parts = [str(recipe["optimizer"])]
    if recipe.get("nesterov"):
        parts.append("Nesterov")
    if recipe["average"]:
        parts.append(f"average {recipe['average']:g}")
    if recipe["color_jitter"]:
        parts.append(f"colour jitter {recipe['color_jitter']:g}")
    return ", ".join(parts)
