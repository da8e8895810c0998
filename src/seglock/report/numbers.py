"""How numbers read in every table: four decimals, like the paper's."""

from __future__ import annotations

import math

from seglock.steps import SEARCHABLE_BITS

NOTHING = "\N{EN DASH}"
_COUNTED_BITS = 40
_SAFE_BITS = 112
_MOST_BITS = 256
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def four(value: float | None, nothing: str = NOTHING) -> str:
    """A mean IoU or a difference of two.

    >>> four(0.70804), four(-0.01), four(None)
    ('0.7080', '-0.0100', '–')
    """
    if value is None:
        return nothing
    text = f"{value:.4f}"
    return "0.0000" if text == "-0.0000" else text


def signed(value: float) -> str:
    """A difference, with its sign.

    >>> signed(0.25), signed(-0.25), signed(0.0)
    ('+0.2500', '-0.2500', '0.0000')
    """
    text = four(value)
    return f"+{text}" if value > 0 and float(text) else text


def bits(value: float | None, nothing: str = NOTHING) -> str:
    """A key space in bits; the transforms report 256 at most.

    >>> bits(9.8517), bits(256.0), bits(None)
    ('9.85', '256+', '–')
    """
    if value is None:
        return nothing
    return f"{_MOST_BITS}+" if value >= _MOST_BITS else f"{value:.2f}"


def plans(value: float) -> str:
    """How many plans a key space holds, counted where a person could count them.

    >>> plans(math.log2(924)), plans(203.0)
    ('924', 'about 10⁶¹')
    """
    if value <= _COUNTED_BITS:
        return f"{round(2**value):,}"
    power = "10" + str(math.floor(value * math.log10(2))).translate(_RAISED)
    return f"more than {power}" if value >= _MOST_BITS else f"about {power}"


def is_searchable(value: float | None) -> bool:
    """True for a key space that a determined attacker can try out whole."""
    return value is not None and value < SEARCHABLE_BITS


def search_effort(value: float) -> str:
    """What trying all plans takes, in words.

    >>> search_effort(44.9), search_effort(80.0), search_effort(203.0)
    ('can be searched', 'very costly', 'out of reach')
    """
    if is_searchable(value):
        return "can be searched"
    return "very costly" if value < _SAFE_BITS else "out of reach"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them.

    >>> duration(14.2), duration(754), duration(7300)
    ('14 s', '12 min 34 s', '2 h 1 min')
    """
    if seconds is None:
        return NOTHING
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"
