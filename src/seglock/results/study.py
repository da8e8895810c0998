"""study.json: what a trade-off search found; its trials, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, computed_field, model_validator

from seglock.errors import ReportError
from seglock.results.record import Record, RunId

STUDY_FILE = Path("data/search/study.json")
_FIX = "run dvc repro search"

State = Literal["complete", "stopped", "failed"]
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
    """What a recommended lock may cost its owner, and leave to a thief."""

    max_drop: float
    max_regained: float


class BaselineRecord(Record):
    """The plain network at one cost (epochs, image side), trained with several seeds.

    ``owner_miou`` has one value a seed; ``curves`` the validation mean IoU after each epoch.
    """

    epochs: int
    image_side: int
    seeds: tuple[int, ...]
    owner_miou: Annotated[tuple[float, ...], Field(min_length=1)]
    curves: tuple[tuple[float, ...], ...] = ()
    floor: float
    run_ids: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean(self) -> float:
        """What a drop is measured from."""
        return sum(self.owner_miou) / len(self.owner_miou)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def spread(self) -> float:
        """How far the seeds are apart: the largest minus the smallest."""
        return max(self.owner_miou) - min(self.owner_miou)


class Stopped(Record):
    """Which rule ended a trial early, and after which epoch."""

    rule: str
    epoch: int
    reason: str


class TrialRecord(Record):
    """A trial that counts: measured, stopped early, or failed for good.

    All mean IoU are of the study's split, 0 to 1, None where nothing was measured. ``drop`` is
    the mean of the baselines of equal cost minus ``owner_miou``; ``regained`` is DESIGN's, None
    where the owner is no better than the floor. ``curve`` is the validation mean IoU after each
    epoch. With ``search.thief``, ``attacks`` has each attack's tier and figures by its name, and
    ``strongest`` names whose mean IoU ``unauthorised`` is: an attack, or ``plain``, ``plain_bn``
    or ``incorrect_p95``.
    """

    number: int
    state: State
    lock: str
    steps: tuple[str, ...]
    method: str
    block_size: int
    fraction: str
    lr: float
    weight_decay: float
    epochs: int
    image_side: int
    owner_miou: float | None = None
    unauthorised: float | None = None
    plain: float | None = None
    plain_bn: float | None = None
    incorrect_mean: float | None = None
    incorrect_p95: float | None = None
    drop: float | None = None
    regained: float | None = None
    strongest: str | None = None
    strongest_tier: str | None = None
    attacks: dict[str, dict[str, Any]] | None = None
    floor: float | None = None
    key_id: str | None = None
    key_hash: str | None = None
    key_space_bits: float | None = None
    run_id: RunId | None = None
    seconds: float | None = None
    worker: str | None = None
    attempt: int = 1
    stopped: Stopped | None = None
    reason: str | None = None
    curve: tuple[float, ...] = ()

    @property
    def strongest_text(self) -> str | None:
        """Whose figure ``unauthorised`` is; None in a study without attacks."""
        return f"{self.strongest} ({self.strongest_tier})" if self.strongest else None

    @property
    def recipe(self) -> tuple[object, ...]:
        """What trials have in common that differ in nothing but their keys."""
        return self.steps, self.lr, self.weight_decay, self.epochs, self.image_side

    @property
    def lost(self) -> float:
        """``regained``; all of it where the owner is no better than the floor."""
        return 1.0 if self.regained is None else self.regained


class MeasuredTrial(NamedTuple):
    """A complete trial, with its two objectives."""

    trial: TrialRecord
    owner: float
    unauthorised: float


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


class Recommendation(Record):
    """One lock, or why there is none.

    status: ``recommended``; ``none``: no lock keeps the limits; ``undecided``: the baseline's
    seeds are too far apart to tell; ``empty``: nothing was measured. trial, lock and steps name
    the recommended lock, where undecided the candidate if there is one.
    """

    status: Status
    trial: int | None = None
    lock: str | None = None
    steps: tuple[str, ...] | None = None
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
            MeasuredTrial(trial, trial.owner_miou, trial.unauthorised)
            for trial in self.trials
            if trial.state == "complete"
            and trial.owner_miou is not None
            and trial.unauthorised is not None
        ]

    @property
    def front_trials(self) -> list[MeasuredTrial]:
        """The trials that no other beats in both figures, by what they leave to a thief."""
        chosen = [found for found in self.measured if found.trial.number in self.front]
        return sorted(chosen, key=lambda found: (found.unauthorised, found.owner))

    def same_lock(self, number: int) -> list[MeasuredTrial]:
        """The measured trials of one trial's lock and recipe: each had a key of its own."""
        chosen = self.trial(number)
        return [found for found in self.measured if chosen and found.trial.recipe == chosen.recipe]

    def trial(self, number: int | None) -> TrialRecord | None:
        """The trial of that number, if there is one."""
        return next((trial for trial in self.trials if trial.number == number), None)


def baseline_for(
    baselines: Sequence[BaselineRecord], epochs: int, image_side: int
) -> BaselineRecord | None:
    """The baselines of one cost, if they are there."""
    cost = epochs, image_side
    return next((group for group in baselines if (group.epochs, group.image_side) == cost), None)


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
