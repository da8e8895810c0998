"""One trial as the study remembers it: what the outputs, the figures and the rules read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

State = Literal["complete", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """A trial that counts: measured, stopped early, or failed for good.

    All mean IoU are of the study's split, 0 to 1, None where nothing was measured. ``drop`` is
    the mean of the baselines of equal cost minus ``owner_miou``; ``regained`` is DESIGN's, None
    where the owner is no better than the floor. ``stopped`` says which rule ended it, and when:
    ``{"rule": "behind" | "dominated" | "pruner", "epoch": 4, "reason": "..."}``. ``curve`` is the
    validation mean IoU after each epoch. With ``search.thief``, ``attacks`` has each attack's tier
    and figures by its name, and ``strongest`` names whose mean IoU ``unauthorised`` is: an
    attack, or ``plain``, ``plain_bn`` or ``incorrect_p95``.
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
    run_id: str | None = None
    seconds: float | None = None
    worker: str | None = None
    attempt: int = 1
    stopped: dict[str, Any] | None = None
    reason: str | None = None
    curve: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"steps": list(self.steps), "curve": list(self.curve)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        lists = {name: tuple(values[name]) for name in ("steps", "curve")}
        return cls(**values | lists)


@dataclass(frozen=True)
class BaselineRecord:
    """The plain network at one cost (epochs, image side), trained with several seeds.

    ``owner_miou`` has one value a seed; ``curves`` the validation mean IoU after each epoch.
    """

    epochs: int
    image_side: int
    seeds: tuple[int, ...]
    owner_miou: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    floor: float
    run_ids: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """What a drop is measured from."""
        return sum(self.owner_miou) / len(self.owner_miou)

    @property
    def spread(self) -> float:
        """How far the seeds are apart: the largest minus the smallest."""
        return max(self.owner_miou) - min(self.owner_miou)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with mean and spread."""
        return asdict(self) | {"mean": self.mean, "spread": self.spread}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        return cls(
            epochs=values["epochs"],
            image_side=values["image_side"],
            seeds=tuple(values["seeds"]),
            owner_miou=tuple(values["owner_miou"]),
            curves=tuple(tuple(curve) for curve in values["curves"]),
            floor=values["floor"],
            run_ids=tuple(values["run_ids"]),
        )
