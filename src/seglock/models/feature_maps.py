"""The feature maps of a network that a key may act on, and their permutation while it does.

An order of channels stands in memory only, for as long as the network runs under it: weights,
checkpoints and copies of the network have nothing of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from seglock.errors import ModelError
from seglock.models.networks import build_model
from seglock.steps import LEAST_CHANNELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seglock.config import ModelParams

_SIDE = 64


class ChannelOrder(Protocol):
    """What is done to the output of one layer: channel ``i`` becomes channel ``order[i]``."""

    @property
    def layer(self) -> str:
        """The layer's name among `layers_of`."""

    @property
    def order(self) -> NDArray[np.int64]:
        """(C,), a permutation."""


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """The layers of a network's backbone by name, in order, each before the parts of its sequence,
    which are ``NAME.0``, ``NAME.1``, ...; one that has only a number is ``blockN``."""
    found = dict[str, nn.Module]()
    for name, layer in network.get_submodule("backbone").named_children():
        found[f"block{name}" if name.isdigit() else name] = layer
        if isinstance(layer, nn.Sequential) and not name.isdigit():
            found |= {f"{name}.{number}": part for number, part in enumerate(layer)}
    return found


def feature_maps(params: ModelParams) -> dict[str, int]:
    """The layers of the network's backbone that give one feature map, by name, with its channels.

    Those of fewer than ``LEAST_CHANNELS`` are left out, and so are parts of a sequence that is run
    as a whole. The network is built and run without memory.

    >>> from seglock.config import ModelParams
    >>> feature_maps(ModelParams(name="fcn_small", width=24))
    {'block0': 24, 'block1': 24, 'block2': 24, 'block3': 24, 'block4': 24, 'block5': 24}
    """
    with torch.device("meta"):
        network = build_model(params, 2).eval()
        images = torch.zeros(1, 3, _SIDE, _SIDE)
    found: dict[str, int] = {}
    with contextlib.ExitStack() as stack, torch.inference_mode():
        for name, layer in layers_of(network).items():

            def note(_layer: nn.Module, _given: object, output: object, name: str = name) -> None:
                if isinstance(output, Tensor) and output.dim() == 4:
                    found[name] = output.shape[1]

            stack.callback(layer.register_forward_hook(note).remove)
        network(images)
    parts = {name for name in found if "." in name and name.partition(".")[0] in found}
    few = {name for name, count in found.items() if count < LEAST_CHANNELS}
    return {name: count for name, count in found.items() if name not in parts | few}


class _Hook:
    """Permutes the output of a layer; refuses to be copied along with the network."""

    __slots__ = ("_order",)

    def __init__(self, order: NDArray[np.int64]) -> None:
        self._order = order

    def __call__(self, _layer: nn.Module, _given: Any, output: Tensor) -> Tensor:
        if output.shape[1] != len(self._order):
            raise ModelError(
                "a feature map must have as many channels as its plan",
                got=f"{output.shape[1]} and {len(self._order)}",
                fix="use the network that the lock was planned for",
            )
        return output.index_select(1, torch.from_numpy(self._order.copy()).to(output.device))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise ModelError(
            "a network under its key is as secret as the key and must not be pickled or copied",
            fix="do it before the key is set, or afterwards",
        )


@contextlib.contextmanager
def permuted(network: nn.Module, plans: Sequence[ChannelOrder]) -> Iterator[None]:
    """Within it the network runs with its feature maps permuted; else it is as its file has it.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> network = nn.ModuleDict({"backbone": nn.Sequential(nn.Identity())})
    >>> images = torch.tensor([5, 6, 7]).view(1, 3, 1, 1)
    >>> with permuted(network, [SimpleNamespace(layer="block0", order=np.array([2, 0, 1]))]):
    ...     network["backbone"](images).flatten().tolist()
    [7, 5, 6]
    >>> network["backbone"](images).flatten().tolist()
    [5, 6, 7]
    """
    layers = layers_of(network) if plans else {}
    with contextlib.ExitStack() as stack:
        for plan in plans:
            stack.callback(layers[plan.layer].register_forward_hook(_Hook(plan.order)).remove)
        yield
