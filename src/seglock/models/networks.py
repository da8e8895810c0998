"""Networks by name. To add one: an entry in ``config.rules.PUBLISHED_WEIGHTS`` and ``REGISTRY``;
those of timm need none.

Parameters that depend on the classes must be under ``classifier.`` or ``aux_classifier.``, all
others under ``backbone.``; ``tests/contracts/test_networks.py`` runs over every entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.config.rules import RESIDUAL
from seglock.config.timm_names import TIMM
from seglock.errors import ModelError
from seglock.models.fcn_small import SmallFCN
from seglock.models.norm import replace_norm
from seglock.models.timm_fcn import build_timm
from seglock.models.weights import load_weights, read_names

if TYPE_CHECKING:
    from torch import nn

    from seglock.config import ModelParams

HEADS = ("classifier.", "aux_classifier.")
Builder = Callable[["ModelParams", int, bool], "nn.Module"]


@dataclass(frozen=True)
class Network:
    """How a network is built, and which published weights it has.

    ``imagenet`` and ``coco`` are names of torchvision weights, or None. ``stem`` is what the
    names of the classifier's ImageNet weights begin with where the backbone's begin with
    ``backbone.``.
    """

    build: Builder
    has_aux: bool = False
    imagenet: str | None = None
    coco: str | None = None
    stem: str = ""


def _torchvision(
    name: str, imagenet: str, coco: str, *, has_aux: bool = True, stem: str = ""
) -> Network:
    def build(_params: ModelParams, num_classes: int, aux: bool) -> nn.Module:
        from torchvision.models import segmentation

        options: dict[str, Any] = {"aux_loss": aux} if has_aux else {}
        model: nn.Module = getattr(segmentation, name)(
            weights=None, weights_backbone=None, num_classes=num_classes, **options
        )
        return model

    return Network(
        build,
        has_aux,
        imagenet=f"{imagenet}_Weights.IMAGENET1K_V1",
        coco=f"{coco}_Weights.COCO_WITH_VOC_LABELS_V1",
        stem=stem,
    )


REGISTRY: Mapping[str, Network] = {
    "fcn_small": Network(lambda params, num_classes, _aux: SmallFCN(num_classes, params.width)),
    "fcn_resnet50": _torchvision("fcn_resnet50", "ResNet50", "FCN_ResNet50"),
    "fcn_resnet101": _torchvision("fcn_resnet101", "ResNet101", "FCN_ResNet101"),
    "deeplabv3_resnet50": _torchvision("deeplabv3_resnet50", "ResNet50", "DeepLabV3_ResNet50"),
    "lraspp_mobilenet_v3_large": _torchvision(
        "lraspp_mobilenet_v3_large", "MobileNet_V3_Large", "LRASPP_MobileNet_V3_Large",
        has_aux=False, stem="features.",
    ),
}  # fmt: skip


def network_of(name: str) -> Network:
    """The entry of a network that params.yaml may name."""
    return Network(build_timm) if name.startswith(TIMM) else REGISTRY[name]


def build_model(params: ModelParams, num_classes: int, *, aux: bool = False) -> nn.Module:
    """Build the network ``params.name`` with fresh weights and ``params.norm``.

    Fresh weights come from torch's global generator: seed it first for repeatable ones. With
    ``params.zero_init_residual`` the residual branches start at zero.

    Shape: the module maps (B, 3, H, W) float to {"out": (B, num_classes, H, W)} logits at the
    input's size, H and W at least 16; with ``aux`` and a network that has an auxiliary
    classifier, also "aux" of the same shape.

    Raises ModelError for fewer than one class, and for a network of timm's that cannot be had.

    >>> import torch
    >>> from seglock.config import ModelParams
    >>> model = build_model(ModelParams(name="fcn_small", width=8), num_classes=7).eval()
    >>> {name: tuple(logits.shape) for name, logits in model(torch.zeros(1, 3, 32, 32)).items()}
    {'out': (1, 7, 32, 32)}
    """
    if num_classes < 1:
        raise ModelError("num_classes must be at least 1", got=num_classes)
    network = network_of(params.name)
    model = network.build(params, num_classes, aux and network.has_aux)
    model = replace_norm(model, params.norm)
    if params.zero_init_residual and params.name in RESIDUAL:
        _silence_residuals(model)
    return model


def _silence_residuals(model: nn.Module) -> None:
    """Start every residual block as the identity: the last scale of its branch is zero.

    After "Accurate, Large Minibatch SGD" (Goyal et al., 2017), section 5.1.
    """
    from torch import nn
    from torchvision.models.resnet import Bottleneck

    for module in model.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)


def count_parameters(model: nn.Module) -> int:
    """How many trainable numbers a network has.

    >>> from seglock.config import ModelParams
    >>> count_parameters(build_model(ModelParams(name="fcn_small", width=32), num_classes=7))
    47559
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def load_model(path: Path, params: ModelParams, num_classes: int) -> nn.Module:
    """Build the network of ``params`` and load the weights of ``path``; it is in eval mode.

    An auxiliary classifier, which helps training only, is loaded and then dropped, so the
    network answers "out" alone.

    Raises ModelError when the file is missing, damaged, or of another network.
    """
    aux = any(name.startswith(HEADS[1]) for name in read_names(path))
    model = build_model(params, num_classes, aux=aux)
    load_weights(path, model)
    if aux:
        model.aux_classifier = None  # type: ignore[assignment]
    return model.eval()
