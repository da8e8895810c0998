"""The paper's findings (its sections 3.2, 3.3 and 4) put to a protocol's figures.

A difference counts where it is larger than what chance makes: the spread of the baselines that
differ in their seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.protocol_cells import MAIN, Kept
from seglock.config import BASELINE
from seglock.report.paper import PAPER_METHODS

Verdict = Literal["holds", "does not hold", "cannot be told"]
SMALL = (2, 4)
"""The paper's small block sides; its figures name no limit."""


class Figures:
    """A protocol's cells by lock, variant and repeat; ``variants`` are those beside ``main``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        cells: list[Kept] = document["cells"]
        self._names = list(document["params"]["locks"])
        self._cells = sorted(cells, key=lambda c: (self._names.index(c["lock"]), c["repeat"]))
        self.variants = list(dict.fromkeys(c["variant"] for c in cells if c["variant"] != MAIN))

    def in_variant(self, variant: str) -> dict[str, Kept]:
        """The first cell of each lock of a variant."""
        return {c["lock"]: c for c in self._cells if (c["variant"], c["repeat"]) == (variant, 0)}

    def of(self, lock: str) -> Kept | None:
        """A lock's first cell in ``main``, or None."""
        return self.in_variant(MAIN).get(lock)

    def cell(self, lock: str) -> Kept:
        """The same; KeyError where it is missing."""
        return self.in_variant(MAIN)[lock]

    @property
    def locks(self) -> list[str]:
        """The locks of ``main`` that were measured, by method and side."""
        return [name for name, cell in self.in_variant(MAIN).items() if cell["block_size"]]

    @property
    def sides(self) -> list[int]:
        """The block sides that were measured, ascending."""
        return sorted({self.cell(name)["block_size"] for name in self.locks})

    def repeats(self, lock: str) -> list[Kept]:
        """All cells of one lock in ``main``."""
        return [c for c in self._cells if (c["variant"], c["lock"]) == (MAIN, lock)]

    @property
    def repeated(self) -> dict[str, list[Kept]]:
        """The locks with several cells in ``main``."""
        every = {name: self.repeats(name) for name in self._names}
        return {name: cells for name, cells in every.items() if len(cells) > 1}

    @property
    def plain(self) -> float:
        """The mean of the baselines that differ in their seed."""
        owner = [cell["owner_miou"] for cell in self.repeats(BASELINE)]
        return float(sum(owner) / len(owner))

    @property
    def spread(self) -> float:
        """How far the baseline's seeds are apart, largest less smallest; 0 with one."""
        owner = [cell["owner_miou"] for cell in self.repeats(BASELINE)]
        return float(max(owner) - min(owner))

    def owner(self, method: str, side: int) -> float | None:
        """The owner's mean IoU of a lock of one step."""
        cell = self.of(f"{method}-{side}")
        return None if cell is None else float(cell["owner_miou"])

    def thief(self, method: str, side: int) -> float | None:
        """The paper's measure, as share of the owner's gain: the larger of plain and incorrect."""
        cell = self.of(f"{method}-{side}")
        if cell is None:
            return None
        floor = cell["floors"]["floor"]
        best = max(cell["plain"], cell["incorrect"]["mean"])
        gain = cell["owner_miou"] - floor
        return float((best - floor) / gain) if gain > 0 else None


@dataclass(frozen=True)
class Finding:
    """One claim of the paper, what became of it here, and the figures that say so."""

    claim: str
    verdict: Verdict
    figures: str


def findings(document: Mapping[str, Any]) -> list[Finding]:
    """Every finding that the measured cells can be asked about."""
    figures = Figures(document)
    every = [
        _below_baseline(figures),
        *(_order(figures, side) for side in SMALL),
        _falls(figures, "shf"),
        *(_falls_slower(figures, method) for method in ("np", "ffx")),
        _lowest(figures),
        _still_useful(figures, "shf"),
        _still_useful(figures, "np"),
        _best_at_2(
            "FFX has the best access control at small M (plain images, wrong keys)",
            {m: figures.thief(m, 2) for m in PAPER_METHODS},
            "of the owner's gain",
        ),
        _best_at_2(
            "the same, when the thief re-estimates batch norm (not in the paper)",
            {m: (figures.of(f"{m}-2") or {}).get("regained") for m in PAPER_METHODS},
            "regained",
        ),
    ]
    return [found for found in every if found is not None]


def _below_baseline(figures: Figures) -> Finding | None:
    drops = {n: figures.plain - figures.cell(n)["owner_miou"] for n in figures.locks}
    if not drops:
        return None
    least = min(drops, key=drops.__getitem__)
    return Finding(
        "every lock costs accuracy, the best ones a little",
        _told(drops[least], figures.spread),
        f"the least drop is {drops[least]:+.3f} (`{least}`); "
        f"{sum(d > figures.spread for d in drops.values())} of {len(drops)} locks drop by more "
        f"than the baseline's seeds differ ({figures.spread:.3f})",
    )


def _order(figures: Figures, side: int) -> Finding | None:
    found = {method: figures.owner(method, side) for method in PAPER_METHODS}
    owner = {method: value for method, value in found.items() if value is not None}
    if len(owner) < len(PAPER_METHODS):
        return None
    gaps = [owner["shf"] - owner["np"], owner["np"] - owner["ffx"]]
    said = " > ".join(f"{m.upper()} {owner[m]:.3f}" for m in sorted(owner, key=lambda m: -owner[m]))
    return Finding(
        f"SHF is above NP, NP above FFX at M = {side}", _told(min(gaps), figures.spread), said
    )


def _falls(figures: Figures, method: str) -> Finding | None:
    ends = _ends(figures, method)
    if ends is None:
        return None
    small, large, low, high = ends
    floor = figures.cell(BASELINE)["floors"]["floor"]
    share = (high - floor) / (low - floor)
    verdict: Verdict = "holds" if share < 0.5 else "does not hold"
    return Finding(
        f"{method.upper()} falls sharply as the block grows",
        verdict,
        f"{low:.3f} at M = {small}, {high:.3f} at M = {large}: {share:.2f} of the gain over the "
        "floor is left",
    )


def _falls_slower(figures: Figures, method: str) -> Finding | None:
    own, shf = _ends(figures, method), _ends(figures, "shf")
    if own is None or shf is None:
        return None
    losses = {"shf": shf[2] - shf[3], method: own[2] - own[3]}
    return Finding(
        f"{method.upper()} loses less than SHF as the block grows",
        _told(losses["shf"] - losses[method], figures.spread),
        f"{losses[method]:.3f} and {losses['shf']:.3f} from M = {own[0]} to {own[1]}",
    )


def _lowest(figures: Figures) -> Finding | None:
    owner = {m: figures.owner(m, 2) for m in PAPER_METHODS}
    others = [value for m, value in owner.items() if m != "ffx" and value is not None]
    ffx = owner["ffx"]
    if ffx is None or not others:
        return None
    return Finding(
        "FFX is the least accurate at M = 2",
        _told(min(others) - ffx, figures.spread),
        f"{ffx:.3f}; the next is {min(others):.3f}",
    )


def _still_useful(figures: Figures, method: str) -> Finding | None:
    shares = {side: figures.thief(method, side) for side in SMALL}
    known = {side: share for side, share in shares.items() if share is not None}
    if not known:
        return None
    verdict: Verdict = "holds" if max(known.values()) > 0.25 else "does not hold"
    said = ", ".join(f"{share:.2f} at M = {side}" for side, share in known.items())
    return Finding(
        f"{method.upper()} at small M still serves plain images or wrong keys",
        verdict,
        f"{said} of the owner's gain over the floor",
    )


def _best_at_2(claim: str, shares: Mapping[str, float | None], what: str) -> Finding | None:
    """Whether FFX leaves others the least at M = 2."""
    known = {method: share for method, share in shares.items() if share is not None}
    if len(known) < len(PAPER_METHODS):
        return None
    verdict: Verdict = "holds" if min(known, key=known.__getitem__) == "ffx" else "does not hold"
    said = ", ".join(f"{method.upper()} {share:.2f}" for method, share in known.items())
    return Finding(claim, verdict, f"{said} {what} at M = 2")


def _ends(figures: Figures, method: str) -> tuple[int, int, float, float] | None:
    """(smallest side, largest side, owner at it, owner at that) of one method."""
    found = {side: figures.owner(method, side) for side in figures.sides}
    known = {side: value for side, value in found.items() if value is not None}
    if len(known) < 2:
        return None
    small, large = min(known), max(known)
    return small, large, known[small], known[large]


def _told(difference: float, spread: float) -> Verdict:
    if abs(difference) <= spread:
        return "cannot be told"
    return "holds" if difference > 0 else "does not hold"
