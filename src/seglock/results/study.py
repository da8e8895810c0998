"""study.json: the whole of a trade-off search, and what follows from its trials."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from seglock.errors import ReportError
from seglock.results.record import Record, RunId
from seglock.results.trial import BaselineRecord, MeasuredTrial, TrialRecord, baseline_for

STUDY_FILE = Path("data/search/study.json")
_FIX = "run dvc repro search"

Status = Literal["recommended", "none", "undecided", "empty"]


class StudyThief(Record):
    """Whose attacks ``unauthorised`` counts, beside plain images and wrong keys; each a budget."""

    tier: str
    attacks: tuple[str, ...]
    queries: int
    seconds: float
    labelled: float

    @property
    def text(self) -> str:
        """In words, for labels and captions."""
        queries = "1 query" if self.queries == 1 else f"{self.queries} queries"
        return f"strongest attack up to {self.tier}, {queries}, {self.seconds:g} s each"


class About(Record):
    """What all trials of a study share; side and epochs are params.yaml's own.

    ``thief`` is None where no attack is run.
    """

    dataset: str
    dataset_digest: str | None = None
    image_side: int
    classes: tuple[str, ...]
    model: str
    split: str
    epochs: int
    wrong_keys: int | None = None
    thief: StudyThief | None = None

    @property
    def unauthorised_text(self) -> str:
        """What ``unauthorised`` is, as an axis says it."""
        whose = self.thief.text if self.thief else "mean IoU without the key"
        return f"unauthorised: {whose}"


class Limits(Record):
    """What a recommended lock may cost its owner and leave to a thief, and the bits of key space
    that it must have; studies of before that was asked have none."""

    max_drop: float
    max_regained: float
    min_key_bits: float = 0.0

    @property
    def text(self) -> str:
        """In words, for legends."""
        text = f"drop ≤ {self.max_drop:g}, regained ≤ {self.max_regained:g}"
        return f"{text}, key ≥ {self.min_key_bits:g} bits" if self.min_key_bits else text


class Hypervolume(Record):
    """The area between the front and one reference (owner, unauthorised), after each trial.

    No reference before there are baselines.
    """

    reference: tuple[float, float] | None = None
    values: tuple[tuple[int, float], ...] = ()


class Hypervolumes(Record):
    """Against both references: thief at the floor, thief at the baseline."""

    floor: Hypervolume = Hypervolume()
    baseline: Hypervolume = Hypervolume()


class Counts(Record):
    """How the trials ended; ``running`` are those of a study that still goes on."""

    complete: int
    stopped: int
    failed: int
    running: int = 0


class Nearest(Record):
    """The lock that breaks the limits least, where none keeps them."""

    trial: int
    lock: str
    steps: tuple[str, ...]
    drop: float | None
    regained: float
    key_space_bits: float | None = None


class Recommendation(Record):
    """One lock, or why there is none.

    status: ``recommended``; ``none``: no lock keeps the limits; ``undecided``: the baseline's
    seeds are too far apart to tell; ``empty``: nothing was measured. trial, lock, steps and
    refuse name the recommended lock, where undecided the candidate if there is one.
    """

    status: Status
    trial: int | None = None
    lock: str | None = None
    steps: tuple[str, ...] | None = None
    refuse: float = 0.0
    reason: str
    nearest: Nearest | None = None

    @property
    def chosen(self) -> int | None:
        """The trial to point at: the recommended one, the candidate, or the nearest."""
        if self.trial is None and self.nearest is not None:
            return self.nearest.trial
        return self.trial


class Saved(Record):
    """What stopping trials early saved; trials that failed neither ran in full nor were stopped."""

    stopped: int
    epochs_saved: int
    epochs_full: int


class Study(Record):
    """study.json: the whole of one study.

    storage: where it is kept, as shown to people, never with a password. asked: how many trials it
    shall have. front: the numbers of the trials that no other dominates, the owner's best first.
    importances: for each objective, parameter -> share of its variance, largest first, sum 1.
    seconds: what this command took, for the terminal only: a study that is done leaves the same
    files whenever they are written again.
    """

    study: str
    storage: str
    asked: int
    about: About
    objective: str
    sampler: str
    seed: int
    pruner: str
    limits: Limits
    baselines: tuple[BaselineRecord, ...]
    trials: tuple[TrialRecord, ...]
    counts: Counts
    front: tuple[int, ...]
    hypervolume: Hypervolumes
    importances: dict[str, dict[str, float]] | None = None
    importances_reason: str | None = None
    recommendation: Recommendation
    early_stopping: Saved
    run_id: RunId | None = None
    seconds: float | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _front_is_known(self) -> Self:
        known = {found.trial.number for found in self.measured}
        strangers = [number for number in self.front if number not in known]
        if strangers:
            raise ValueError(f"front: no complete trial {strangers[0]}")
        return self

    @property
    def baseline(self) -> BaselineRecord | None:
        """The plain network at params.yaml's own cost, else at the first that was measured."""
        return baseline_for(self.baselines, self.about.epochs, self.about.image_side) or next(
            iter(self.baselines), None
        )

    @property
    def measured(self) -> list[MeasuredTrial]:
        """The trials that ended with figures, in order."""
        return [
            MeasuredTrial(trial, *reached)
            for trial in self.trials
            if (reached := trial.objectives) is not None
        ]

    @property
    def front_trials(self) -> list[MeasuredTrial]:
        """The trials that no other beats in both figures, by what they leave to a thief."""
        chosen = [found for found in self.measured if found.trial.number in self.front]
        return sorted(chosen, key=lambda found: (found.unauthorised, found.owner))

    @property
    def chosen(self) -> MeasuredTrial | None:
        """The trial to point at: the recommended one, the candidate, or the nearest."""
        number = self.recommendation.chosen
        return next((found for found in self.measured if found.trial.number == number), None)

    def same_lock(self, number: int) -> list[MeasuredTrial]:
        """The measured trials of one trial's lock and recipe: each had a key of its own."""
        chosen = self.trial(number)
        return [found for found in self.measured if chosen and found.trial.recipe == chosen.recipe]

    def trial(self, number: int | None) -> TrialRecord | None:
        """The trial of that number, if there is one."""
        return next((trial for trial in self.trials if trial.number == number), None)


def read_study_file(root: Path) -> Study | None:
    """The study of the project at ``root``; None where none was asked for or none has a trial.

    Raises ReportError, naming the stage to run, for a damaged file.
    """
    path = root / STUDY_FILE
    study = Study.read(path, fix=_FIX) if path.exists() else None
    return study if study and study.trials else None


def require_same_data(study: Study, digest: str | None) -> None:
    """Refuse a study of other data than the rest of a report; raises ReportError."""
    if digest is not None and study.about.dataset_digest not in (None, digest):
        raise ReportError(
            f"{STUDY_FILE} must be about the data of data/evaluations",
            got=f"dataset digest {study.about.dataset_digest} beside {digest}",
            fix=_FIX,
        )
