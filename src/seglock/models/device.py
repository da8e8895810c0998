"""Which device a name of params.yaml means."""

from __future__ import annotations

import torch

from seglock.errors import ModelError


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name``: ``auto`` (CUDA where there is one), ``cpu``, ``cuda:1``, ...

    Raises ModelError when the name means nothing to torch or this machine lacks the device.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(
            "device must be auto, cpu, cuda or cuda:NUMBER", got=repr(name), fix="write auto"
        ) from error
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        has = f"{count} CUDA device{'s' if count != 1 else ''}"
        raise ModelError(
            "device must be one that this machine has",
            got=f"{name!r} with {has}",
            fix="write auto or cpu",
        )
    return device
