"""Tables and figures in Markdown, as all pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NONE = "-"


def table(header: Sequence[str], lines: Iterable[Sequence[str]], left: Iterable[str] = ()) -> str:
    """A table whose first column and those named ``left`` are aligned to the left.

    >>> print(table(["lock", "owner"], [["np-4", "0.31"]]))
    | lock | owner |
    | :-- | --: |
    | np-4 | 0.31 |
    """
    rule = [":--", *(":--" if name in left else "--:" for name in header[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines))


def figure(value: float | None) -> str:
    """Four decimals; a dash where there is none.

    >>> figure(0.31), figure(None)
    ('0.3100', '-')
    """
    return NONE if value is None else f"{value:.4f}"
