from __future__ import annotations

from typing import Any

import pytest

from seglock.config import LockParams, check_params
from seglock.errors import ConfigError


def lock(start: str = "baseline", **values: Any) -> LockParams:
    given = {"steps": ["np-2"], "fold": "stem"} | values
    locks = {"baseline": {"steps": []}, "np-2": given}
    return check_params({"locks": locks, "model": {"initial_weights": start}}).locks["np-2"]


@pytest.mark.parametrize(
    ("start", "values"),
    [
        ("baseline", {"fold": "only"}),
        ("file.safetensors", {"refuse": 0.1}),
        ("none", {"fold": None}),
    ],
)
def test_what_can_be_folded(start: str, values: dict[str, Any]) -> None:
    assert lock(start, **values).fold == values.get("fold", "stem")


@pytest.mark.parametrize(
    ("start", "values", "says"),
    [
        (
            "none",
            {},
            r"locks\.np-2\.fold needs model\.initial_weights, got none; set it to imagenet",
        ),
        (
            "baseline",
            {"steps": ["np-2", "ffx-2"]},
            r"move or negate values, got np-2, ffx-2; use shf",
        ),
        (
            "baseline",
            {"fold": "only", "refuse": 0.1},
            "only trains nothing, and a refusal is taught",
        ),
        ("baseline", {"fold": "mixed"}, r"locks\.np-2\.fold: must be 'only', 'stem' or 'redrawn'"),
        ("baseline", {"steps": ["np-0"]}, "a step's block side must be at least 1"),
    ],
)
def test_what_cannot(start: str, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        lock(start, **values)


def test_a_backbone_alone_must_be_trained_on() -> None:
    given = {"baseline": {"steps": []}, "np-2": {"steps": ["np-2"], "fold": "only"}}
    model = {"name": "fcn_resnet50", "initial_weights": "imagenet"}
    with pytest.raises(
        ConfigError, match="only needs the weights of a whole network, got imagenet"
    ):
        check_params({"locks": given, "model": model})
