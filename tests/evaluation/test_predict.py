from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from seglock.config import ModelParams
from seglock.evaluation import predict
from seglock.evaluation.predict import Predictor, classes_of
from seglock.models import build_model


def test_classes_are_those_of_argmax_and_the_first_of_equals() -> None:
    torch.manual_seed(0)
    logits = torch.randint(-2, 3, (3, 6, 8, 8)).float()  # with many ties
    logits[0, 2], logits[1, 4, 0], logits[2, :, 0] = math.inf, math.nan, -0.0
    for given in (logits, logits.bfloat16(), logits.to(memory_format=torch.channels_last)):
        found = classes_of(given)
        assert found.dtype == torch.uint8
        assert torch.equal(found.long(), given.argmax(1))


class Recorder(nn.Module):
    """Remembers how many images came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) logits: the inputs."""
        self.sizes.append(len(inputs))
        return {"out": inputs}


@pytest.mark.parametrize(
    ("images", "expected"), [(1, [1]), (3, [3]), (4, [4]), (8, [4, 4]), (11, [6, 5])]
)
def test_no_piece_on_the_cpu_is_smaller_than_the_least(
    images: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "PIECE", 4 * 10 * 10)
    model = Recorder()
    inputs = torch.randn(images, 3, 10, 10)
    assert torch.equal(Predictor(model, "cpu")(inputs), classes_of(inputs))
    assert model.sizes == expected


def test_pieces_change_no_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, inputs = build_model(ModelParams(width=8), 5), torch.randn(9, 3, 32, 32)
    with torch.no_grad():
        model.train()(inputs)  # statistics with which answers vary
    owner = Predictor(model, "cpu")
    whole = owner(inputs)
    assert len(whole.unique()) > 1
    monkeypatch.setattr(predict, "PIECE", 0)
    assert len(owner._pieces(inputs)) == 4
    assert torch.equal(owner(inputs), whole)
