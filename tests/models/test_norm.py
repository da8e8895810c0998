from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seglock.models import FrozenBatchNorm2d, replace_norm
from seglock.models.norm import MAX_GROUPS, MIN_CHANNELS, group_count


@given(st.integers(1, 4096))
def test_groups_divide_the_channels_and_are_not_small(channels: int) -> None:
    groups = group_count(channels)
    assert channels % groups == 0
    assert 1 <= groups <= MAX_GROUPS
    assert groups == 1 or channels // groups >= MIN_CHANNELS


def test_frozen_is_batch_norm_in_eval_even_in_train() -> None:
    batch = nn.BatchNorm2d(6, eps=1e-3)
    nn.init.normal_(batch.weight)
    nn.init.normal_(batch.bias)
    batch.train()(torch.randn(4, 6, 5, 5) * 3 + 1)
    batch.eval()
    frozen = replace_norm(nn.Sequential(nn.BatchNorm2d(6, eps=1e-3)), "frozen")
    frozen[0].load_state_dict(
        {n: t for n, t in batch.state_dict().items() if n != "num_batches_tracked"}
    )
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(frozen.train()(x), batch(x))
    assert torch.equal(frozen[0].thawed().eval()(x), batch(x))


def test_nested_layers_are_replaced() -> None:
    model = nn.Sequential(nn.Sequential(nn.BatchNorm2d(8)), nn.BatchNorm2d(4))
    replace_norm(model, "frozen")
    kinds = [type(m) for m in model.modules() if not isinstance(m, nn.Sequential)]
    assert kinds == [FrozenBatchNorm2d, FrozenBatchNorm2d]
