from __future__ import annotations

import pytest
import torch
from torch import nn

from seglock.config import ModelParams
from seglock.errors import EvaluationError
from seglock.evaluation import reestimate_batch_norm
from seglock.models import FrozenBatchNorm2d, build_model


def images(count: int, *, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(4)) * 2 + shift


def test_statistics_are_those_of_the_inputs() -> None:
    layer = nn.BatchNorm2d(3)
    x = images(6, shift=5)
    new = reestimate_batch_norm(nn.Sequential(layer), [x[:3], x[3:]])[0]
    halves = torch.stack([x[:3], x[3:]])
    torch.testing.assert_close(new.running_mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(new.running_var, halves.var((1, 3, 4)).mean(0))
    assert new.momentum == layer.momentum


@pytest.mark.parametrize(("name", "norm"), [("fcn_small", "batch"), ("fcn_small", "frozen")])
def test_only_the_copy_changes(name: str, norm: str) -> None:
    torch.manual_seed(0)
    model = build_model(ModelParams(name=name, norm=norm, width=8), 4).train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    twin = reestimate_batch_norm(model, [images(4, shift=3)])
    assert model.training
    assert not twin.training
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert any(not torch.equal(twin.state_dict()[n], t) for n, t in before.items())
    weights = [n for n in before if n.endswith(("weight", "bias"))]
    assert all(torch.equal(twin.state_dict()[n], before[n]) for n in weights)
    assert not any(isinstance(m, FrozenBatchNorm2d) for m in twin.modules())
    if norm == "frozen":
        assert any(isinstance(m, FrozenBatchNorm2d) for m in model.modules())


def test_dropout_stays_off() -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(3))
    x = images(4)
    new = reestimate_batch_norm(model, [x])
    torch.testing.assert_close(new[1].running_mean, x.mean((0, 2, 3)))


def test_group_norm_reads_no_input() -> None:
    model = build_model(ModelParams(norm="group", width=8), 4)

    def inputs():  # type: ignore[no-untyped-def]
        raise AssertionError("read")
        yield

    twin = reestimate_batch_norm(model, inputs())
    assert all(torch.equal(t, twin.state_dict()[n]) for n, t in model.state_dict().items())


def test_no_image_is_refused() -> None:
    with pytest.raises(EvaluationError, match="needs unlabelled images"):
        reestimate_batch_norm(nn.BatchNorm2d(3), [])


def test_one_value_has_no_variance() -> None:
    with pytest.raises(EvaluationError, match="at least two images"):
        reestimate_batch_norm(nn.BatchNorm2d(3), [torch.zeros(1, 3, 1, 1)])
