from __future__ import annotations

import pytest
import torch

from seglock.errors import ModelError
from seglock.models import pick_device


def test_auto_is_what_the_machine_has() -> None:
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="auto, cpu, cuda"):
        pick_device(name)


def test_a_card_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'cuda:99' with \d+ CUDA device"):
        pick_device("cuda:99")
