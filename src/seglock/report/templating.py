"""The templates of the pages: escaped by default, an unknown name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.report import numbers
from seglock.report.countermeasures import verdict_text
from seglock.report.leaderboard import by_tier, plan_text, shade, spent_text
from seglock.report.method_style import lock_text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """One of the templates with ``values``, as an HTML document."""
    return _environment().get_template(template).render(**values)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "four": numbers.four,
        "bits": numbers.bits,
        "plans": numbers.plans,
        "duration": numbers.duration,
        "search_effort": numbers.search_effort,
        "lock_text": lock_text,
        "shade": shade,
        "plan": plan_text,
        "spent": spent_text,
        "by_tier": by_tier,
        "signed": numbers.signed,
        "moved": verdict_text,
    }
    environment.tests["searchable"] = numbers.is_searchable
    return environment
