"""Two processes never write one output at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglock.errors import BusyError
from seglock.stages.outputs import sole_writer


def test_a_second_writer_of_the_same_output_is_refused(tmp_path: Path) -> None:
    with sole_writer(tmp_path, "evaluations", "np-4"):
        with (
            pytest.raises(BusyError, match="work on data/evaluations/np-4"),
            sole_writer(tmp_path, "evaluations", "np-4"),
        ):
            pass
        with sole_writer(tmp_path, "evaluations", "shf-4"):
            pass
    with sole_writer(tmp_path, "evaluations", "np-4"):
        pass
