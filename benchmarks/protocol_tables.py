"""A protocol's figures as Markdown: beside the paper's, as access control, ablations, luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.markdown import NONE, figure, table
from benchmarks.protocol_cells import Kept
from benchmarks.protocol_findings import Figures, findings
from seglock.config import BASELINE
from seglock.report.paper import PAPER_METHODS, published_table

Document = Mapping[str, Any]
_LEFT = ("lock", "figures", "here")


def table1(document: Document) -> str:
    """The owner's mean IoU by block side and method, each beside the paper's figure."""
    figures = Figures(document)
    published, published_baseline = published_table()
    header = ["M"]
    for method in PAPER_METHODS:
        header += [method.upper(), "paper"]
    lines = []
    for side in figures.sides:
        line = [str(side)]
        for method in PAPER_METHODS:
            cell = figures.of(f"{method}-{side}")
            line += [figure(cell and cell["owner_miou"]), figure(published.get((side, method)))]
        lines.append(line)
    floors = figures.cell(BASELINE)["floors"]
    below = (
        f"Baseline {_mean_of(figures.repeats(BASELINE), 'owner_miou')} "
        f"(the paper's {published_baseline:.4f}); floors: {floors['constant']:.4f} for the best "
        f"single class, {floors['prior']:.4f} for each pixel's majority class."
    )
    return f"{table(header, lines, _LEFT)}\n\n{below}"


def access(document: Document) -> str:
    """What everyone gets from each lock."""
    figures = Figures(document)
    header = [
        "lock", "owner", "drop", "plain", "plain BN", "incorrect", "p95", "max",
        "unauthorised", "regained", "key space",
    ]  # fmt: skip
    plain = figures.plain
    lines = []
    for name in figures.locks:
        cell = figures.cell(name)
        wrong = cell["incorrect"]
        bits = cell["key_space_bits"]
        lines.append(
            [
                f"`{name}`",
                figure(cell["owner_miou"]),
                figure(plain - cell["owner_miou"]),
                figure(cell["plain"]),
                figure(cell["plain_bn"]),
                f"{wrong['mean']:.4f} ± {wrong['std']:.4f}",
                figure(wrong["p95"]),
                figure(wrong["max"]),
                figure(cell["unauthorised"]),
                NONE if cell["regained"] is None else f"{cell['regained']:.2f}",
                f"{'≥ ' if bits >= 256 else ''}{bits:.0f} bits",
            ]
        )
    keys = {figures.cell(name)["incorrect"]["keys"] for name in figures.locks}
    wrong_keys = f"{max(keys)} wrong keys" if keys else "no lock measured yet"
    most = "; all other plans where there are fewer" if len(keys) > 1 else ""
    below = f"{wrong_keys}{most}. Drops are from the baselines' mean, {plain:.4f}."
    return f"{table(header, lines, _LEFT)}\n\n{below}"


def ablations(document: Document) -> str:
    """Each variant's locks beside the same locks in ``main``."""
    figures = Figures(document)
    header = ["variant", "lock", "owner", "plain", "plain BN", "incorrect", "regained"]
    lines = []
    for variant in figures.variants:
        for name, cell in figures.in_variant(variant).items():
            before = figures.of(name)
            if before is None:
                continue
            pairs = [(before[key], cell[key]) for key in ("owner_miou", "plain", "plain_bn")] + [
                (_wrong(before), _wrong(cell)),
                (before["regained"], cell["regained"]),
            ]
            lines.append([f"`{variant}`", f"`{name}`", *(_change(*pair) for pair in pairs)])
    return table(header, lines, _LEFT)


def luck(document: Document) -> str:
    """How far apart networks are that differ in their seed or key alone."""
    figures = Figures(document)
    lines = []
    for name, cells in figures.repeated.items():
        what = "seeds" if name == BASELINE else "keys"
        owner = [cell["owner_miou"] for cell in cells]
        line = [f"`{name}`, {len(cells)} {what}", ", ".join(map(figure, owner))]
        thief = [cell["unauthorised"] for cell in cells]
        line.append(NONE if None in thief else ", ".join(map(figure, thief)))
        lines.append(line)
    return table(["networks", "owner", "unauthorised"], lines, _LEFT)


def claims(document: Document) -> str:
    """The paper's findings, whether they hold here, and the figures that say so."""
    lines = [[found.claim, found.verdict, found.figures] for found in findings(document)]
    return table(["the paper's finding", "here", "figures"], lines, _LEFT)


PARTS: Mapping[str, Callable[[Document], str]] = {
    "table1": table1,
    "access": access,
    "ablations": ablations,
    "luck": luck,
    "claims": claims,
}


def _wrong(cell: Kept) -> float | None:
    return cell["incorrect"] and float(cell["incorrect"]["mean"])


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return NONE
    return f"{before:.3f} → {after:.3f}"


def _mean_of(cells: Sequence[Kept], key: str) -> str:
    values = [cell[key] for cell in cells]
    shown = f"{sum(values) / len(values):.4f}"
    return shown if len(values) == 1 else f"{shown}, mean of {len(values)} seeds"
