"""What a package says of its model survives JSON, and nothing else passes for it."""

from __future__ import annotations

import pytest

from seglock.errors import ModelError
from seglock.serving.description import Description


def made(**other: object) -> Description:
    about = {
        "seglock": "0.1.0",
        "lock": "np-4",
        "steps": ("np-4",),
        "ffx_password": None,
        "key": {"id": "0" * 16, "hash": "h", "created": "c", "derivation": 1},
        "network": {"name": "fcn_small", "width": 32, "norm": "batch"},
        "classes": ("background", "square"),
        "image_side": 64,
        "dtype": "uint8",
        "divisor": 255,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "data_digest": "d",
        "weights_sha256": "w",
    }
    return Description(**{**about, **other})  # type: ignore[arg-type]


def test_it_survives_json() -> None:
    description = made()
    assert Description.from_json(description.to_json(), where="x") == description
    assert description.key_id == "0" * 16
    assert made(key=None).key_id is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "\x00"])
def test_anything_else_is_one_message(text: str) -> None:
    with pytest.raises(ModelError, match=r"there/description\.json must be of a seglock package"):
        Description.from_json(text, where="there/description.json")
