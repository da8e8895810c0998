"""What every section of params.yaml is made of: closed, frozen models and a few checked types."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from seglock.foreign import is_name

LARGEST = 10**9
MOST_SECONDS = 10**6  # eleven days; a socket waits 24 at most


class Section(BaseModel):
    """Frozen, strict, and closed: an unknown name is a fault, and so is a number without an end."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    def faults(self) -> list[str]:
        """What is wrong between its values, one line each."""
        return []

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        refuse(self.faults())
        return self


def refuse(faults: list[str]) -> None:
    """Raise ValueError with all faults, one a line; nothing without any."""
    if faults:
        raise ValueError("\n".join(faults))


def without(faults: Callable[[Any], list[str]]) -> Callable[[Any], Any]:
    """A validator that takes a value in which a rule finds no faults."""

    def check(value: Any) -> Any:
        refuse(faults(value))
        return value

    return check


def percent(value: Any) -> Any:
    """``10%`` as 10.0, which is how shares in percent are written; else the value as it is."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(Decimal(value[:-1]))
        except InvalidOperation:
            pass
    return value


def share(value: Any) -> Any:
    """``2.9%`` as 0.029, which is how other shares are written; else the value as it is.

    >>> share("2.9%"), share(0.02), share("2.9")
    (0.029, 0.02, '2.9')
    """
    in_percent = percent(value)
    return value if in_percent is value else float(Decimal(value[:-1]) / 100)


def _check_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(
            "a name must be lower-case letters, digits, '-', '_' or '.', at most 63 and no sign "
            f"first, got {name!r}; it names a folder"
        )
    return name


def _check_lock(name: str) -> str:
    if not is_name(name) or "." in name:
        raise ValueError(
            "a lock's name must be lower-case letters, digits, '-' or '_', at most 63 and no sign "
            f"first, got {name!r}; it names a folder, a word of a command and a DVC stage, and DVC "
            "reads a dot as a step into a section"
        )
    return name


def _check_list(name: str | int) -> str | int:
    if isinstance(name, str) and (
        not 0 < len(name) <= 100
        or name.startswith(".")
        or {"/", "\\"} & set(name)
        or not name.isprintable()
    ):
        raise ValueError(
            "a list's name must be a file's name without its ending, and not begin with a dot, "
            f"got {name!r}; write train for ImageSets/Segmentation/train.txt"
        )
    return name


Name = Annotated[str, AfterValidator(_check_name)]
LockName = Annotated[str, AfterValidator(_check_lock)]
# Every number has an end: infinity is no JSON, and what counts, waits or reserves cannot take any.
PositiveInt = Annotated[int, Field(ge=1, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, BeforeValidator(percent), Field(gt=0, le=100)]
Share = Annotated[float, BeforeValidator(share), Field(ge=0, le=1)]
"""0 to 1, or as ``2%``."""
Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
ListName = Annotated[str, AfterValidator(_check_list)]
ListNameOrNumber = Annotated[str | PositiveInt, AfterValidator(_check_list)]
