"""How the methods of a study look in its figures, and how its trials are named there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seglock.report.locks import method_label
from seglock.report.paper import PAPER_METHODS
from seglock.report.style import Access
from seglock.results.study import Study
from seglock.results.trial import TrialRecord
from seglock.steps import lock_text

# Hues after Okabe and Ito; the shape tells methods apart without any colour.
_LOOKS = (
    ("#0072b2", "#56b4e9", "o"),
    ("#d55e00", "#e8743b", "s"),
    ("#009e73", "#1fb88c", "^"),
    ("#b0578d", "#d58bb8", "D"),
    ("#8a6d00", "#e0b93a", "v"),
    ("#4d5d6c", "#b3bfca", "P"),
    ("#6f4fb0", "#a98be0", "X"),
    ("#7a4a21", "#c59a74", "p"),
)


def look(label: str, place: int) -> Access:
    """How the line at ``place`` among others looks; from the ninth on looks repeat."""
    return Access(label, *_LOOKS[place % len(_LOOKS)])


LOOKS_OF_PAPER = {method: look(method.upper(), n) for n, method in enumerate(PAPER_METHODS)}


def method_looks(trials: Sequence[TrialRecord]) -> dict[str, Access]:
    """The label, colours and marker of each method among ``trials``, the single ones first: they
    look the same in every study, whichever of them it has."""
    labels = {
        trial.method: method_label([step.partition("-f")[0] for step in trial.steps])
        for trial in trials
    }
    listed = [*PAPER_METHODS, *sorted(labels.keys() - set(PAPER_METHODS))]
    return {
        method: look(labels[method], place)
        for place, method in enumerate(listed)
        if method in labels
    }


def trial_labels(study: Study) -> dict[int, str]:
    """What each trial of the front is called: its lock, with its number where that occurs twice."""
    front = [found.trial for found in study.front_trials]
    count = Counter(trial.lock for trial in front)
    return {
        trial.number: lock_text(trial.lock)
        + (f" (trial {trial.number})" if count[trial.lock] > 1 else "")
        for trial in front
    }
