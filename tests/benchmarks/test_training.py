"""The training benchmark runs, and its rows say what they must; never how fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.training import GPU as GPU_CASES
from benchmarks.training import case_params, flop_per_image, main
from seglock.models import build_model


def test_a_quick_run_writes_each_figure(tmp_path: Path) -> None:
    main(["--quick", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("training-*.json")
    document = json.loads(path.read_text())
    whole, *rest = document["rows"]
    assert whole["name"].endswith(": whole step")
    assert whole["ratio"] > 0
    assert 0 < whole["share_of_limit"] < 1
    assert whole["unit"] == "images/s"
    parts = [row for row in rest if row["limit"] == "the parts"]
    assert [row["name"].rpartition(": ")[2] for row in parts] == [
        "load", "augment", "encrypt", "forward and loss", "backward", "optimizer",
        "average of weights",
    ]  # fmt: skip
    assert sum(row["share_of_limit"] for row in parts) == pytest.approx(1)
    assert all(row["value"] > 0 for row in rest)
    assert document["settings"]["cases"][0]["reference_batch"] == 4


def test_fcn_resnet50_is_as_large_as_it_is_said_to_be() -> None:
    """69 GFLOP forward at 256 pixels, three times that for a step; the auxiliary head adds 5."""
    case = GPU_CASES[0]
    with torch.device("meta"):
        networks = [build_model(case_params(case).model, 21, aux=aux) for aux in (False, True)]
    plain, aux = (flop_per_image(network, case.side) / 1e9 for network in networks)
    assert plain == pytest.approx(207, abs=2)
    assert aux == pytest.approx(222, abs=2)
