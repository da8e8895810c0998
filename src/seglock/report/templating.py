"""The templates of pages and tables: HTML is escaped by default, an unknown name is an error."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from seglock.report import numbers
from seglock.report.findings import least, refusals, seeds
from seglock.report.leaderboard import plan_text, shade, share_text, spent_text
from seglock.report.standings import holds_text
from seglock.steps import lock_text

TEMPLATES = Path(__file__).parent / "templates"
_LATEX = str.maketrans(
    {character: "\\" + character for character in "{}$&#%_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def escape_latex(text: str) -> str:
    r"""Text for LaTeX, every special character escaped.

    >>> print(escape_latex("50%_off & more"))
    50\%\_off \& more
    """
    return text.translate(_LATEX)


def data_url(path: Path) -> str:
    """A PNG file as a data: address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


_FILTERS = (
    numbers.four, numbers.signed, numbers.bits, numbers.plans, numbers.search_effort,
    numbers.duration, lock_text, shade, plan_text, share_text, spent_text, escape_latex,
    data_url, least, refusals, seeds, holds_text,
)  # fmt: skip


def render(template: str, **values: Any) -> str:
    """One of the templates with ``values``, as a document."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in _FILTERS}
    environment.tests["searchable"] = numbers.is_searchable
    return environment.get_template(template).render(**values)
