"""Weights on disk: safetensors only, written whole, equal bytes for equal tensors."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from seglock.errors import ModelError
from seglock.files import replacing
from seglock.models.fold import fit_stem

FORMAT_VERSION = "1"
_SHOWN = 4


def save_weights(
    path: Path, model: nn.Module | Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a network's ``state_dict`` to ``path`` as safetensors, whole or not at all.

    Parameters and buffers are stored with their shape and dtype, whatever device and memory
    format they are in. ``metadata`` holds strings (a nonce, a run id); the file always also has
    ``format`` and ``seglock_format``. Equal tensors and metadata give equal bytes.

    Raises StorageError when the disk refuses the write.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "w.safetensors"
    >>> save_weights(path, nn.Linear(2, 1), {"lock": "np-4"})
    >>> read_metadata(path)["lock"], load_weights(path, nn.Linear(2, 1))["seglock_format"]
    ('np-4', '1')
    """
    import safetensors.torch

    state = model.state_dict() if isinstance(model, nn.Module) else model
    # clone: safetensors refuses tensors that share storage
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.items()}
    about = {**(metadata or {}), "format": "pt", "seglock_format": FORMAT_VERSION}
    content = _with_sorted_header(safetensors.torch.save(tensors, metadata=about))
    with replacing(Path(path)) as file:
        file.write(content)


def _with_sorted_header(content: bytes) -> bytes:
    # safetensors keeps metadata in a hash map, whose order differs from process to process
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU.

    Raises ModelError for a missing, damaged or truncated file, or one of another format.
    """
    with _opened(path) as file:
        # clone: the file's memory map would otherwise live as long as a tensor
        return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """The strings stored beside the tensors; raises ModelError as ``read_weights`` does."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_names(path: Path) -> list[str]:
    """The names of the tensors, sorted; raises ModelError as ``read_weights`` does."""
    with _opened(path) as file:
        return sorted(file.keys())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import safetensors

    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except FileNotFoundError as error:
        raise ModelError(
            f"{path} must exist", got="no such file", fix="train the model, or dvc pull it"
        ) from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} must be a whole safetensors file",
            got=" ".join(str(error).split()),
            fix="restore it with dvc checkout, or make it again",
        ) from error


def load_weights(path: Path, model: nn.Module) -> dict[str, str]:
    """Load a safetensors file into ``model``, which must match exactly; returns the metadata.

    Where a key is folded into the file's first convolution, the model gets such a one.

    Raises ModelError, before any value is changed, when the file is missing or damaged, or when
    names or shapes differ (the message names the first few).
    """
    tensors = read_weights(path)
    fit_stem(model, tensors)
    state = model.state_dict()
    faults = [*misfits(state, tensors).values()]
    faults += [f"{name} is unknown to the network" for name in tensors if name not in state]
    require_fit(path, faults)
    model.load_state_dict(tensors)
    return read_metadata(path)


def misfits(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """What of a network's ``state`` is missing in ``tensors`` or has another shape there."""
    found = {name: f"{name} is missing" for name in state if name not in tensors}
    return found | {
        name: f"{name} is {shape(tensors[name])}, not {shape(own)}"
        for name, own in state.items()
        if name in tensors and tensors[name].shape != own.shape
    }


def require_fit(path: Path, faults: list[str]) -> None:
    """Raise the ModelError for weights of another network, naming the first few faults."""
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ModelError(
            f"{path} must fit the network",
            got=", ".join(faults[:_SHOWN]) + more,
            fix="use weights of the same network, width, normalisation and classes as params.yaml",
        )


def shape(tensor: Tensor) -> str:
    """A shape as people write it.

    >>> import torch
    >>> shape(torch.zeros(2, 3))
    '2x3'
    """
    return "x".join(map(str, tensor.shape)) or "one number"
