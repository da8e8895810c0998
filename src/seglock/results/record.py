"""The one way a result is written to JSON and read back, checked where others may have made it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from seglock import files
from seglock.errors import ReportError, SeglockError
from seglock.foreign import is_run_id

_FAULTS = 3


class Record(BaseModel):
    """What was measured, or a part of it. Frozen; numbers are finite.

    Fields that this version does not know are left to later ones.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, serialize_by_alias=True
    )

    def document(self) -> dict[str, Any]:
        """Plain values for JSON, in the order of the fields."""
        return self.model_dump(mode="json")

    def write(self, path: Path, *, mode: int = 0o644) -> None:
        """Write ``path``, whole or not at all."""
        files.write_json(path, self.document(), mode=mode)

    @classmethod
    def read(
        cls, path: Path, *, fix: str | None = None, error: type[SeglockError] = ReportError
    ) -> Self:
        """What ``write`` wrote; ``error`` says what is wrong with the file, ``fix`` what to run."""
        values = files.read_json(path, error=error, fix=fix or "")
        return cls.check(values, where=str(path), fix=fix, error=error)

    @classmethod
    def check(
        cls,
        values: Any,
        *,
        where: str | None = None,
        fix: str | None = None,
        error: type[SeglockError] = ReportError,
    ) -> Self:
        """Plain values as this type, or an ``error`` that names up to three faults of ``where``."""
        try:
            return cls.model_validate(values)
        except ValidationError as cause:
            faults = [
                f"{'.'.join(map(str, fault['loc'])) or 'file'}: "
                + fault["msg"].lower().removeprefix("value error, ")
                for fault in cause.errors()[:_FAULTS]
            ]
            rule = f"{where or cls.__name__} must be whole"
            raise error(rule, got="; ".join(faults), fix=fix) from cause


def _check_run_id(text: str) -> str:
    if not is_run_id(text):
        raise ValueError("must be a run's id")
    return text


RunId = Annotated[str, AfterValidator(_check_run_id)]
"""A run's id, which is safe in a path and an address."""
