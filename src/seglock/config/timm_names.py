"""Networks of timm's by name: whether it has them, and how each wants its inputs.

A file of params is read without timm; it is asked, and torch with it imported, when one of its
networks is first needed.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib.util import find_spec
from typing import Any

from seglock.errors import ModelError
from seglock.normalisation import Normalisation

TIMM = "timm/"
"""What names of timm's networks begin with in params.yaml."""
_NEAREST = 3
_EXAMPLES = ("tf_efficientnet_lite0", "resnet50", "convnext_tiny")


@cache
def timm_config(name: str) -> Any:
    """What timm knows of a network's published weights: its ``PretrainedCfg``.

    name: as in params.yaml, ``timm/NAME`` or ``timm/NAME.TAG``, which says which of its weights.

    Raises ModelError where timm is missing, or has no such network.
    """
    if find_spec("timm") is None:
        raise ModelError(
            f"model.name: {name} needs the extra `timm`",
            got="no timm",
            fix="install it with `pip install 'seglock[timm]'`",
        )
    import timm

    own = name.removeprefix(TIMM)
    try:
        return timm.get_pretrained_cfg(own, allow_unregistered=False)
    except RuntimeError:
        known = [*timm.list_models(), *timm.list_pretrained()]
        near = difflib.get_close_matches(own, known, n=_NEAREST)
        raise ModelError(
            f"model.name must be one of the {len(known)} networks that timm {timm.__version__} has",
            got=repr(name),
            fix=f"use one such as {', '.join(TIMM + other for other in near or _EXAMPLES)}",
        ) from None


def timm_normalisation(name: str) -> Normalisation:
    """What the inputs of ``timm/NAME`` are normalised by; raises as `timm_config`."""
    about = timm_config(name)
    return Normalisation(about.mean, about.std)
