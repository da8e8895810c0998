"""pictures.npz: some test images and what the model made of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seglock.errors import ReportError
from seglock.foreign import read_plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOID = 255
_MOST_BYTES = 1 << 30
_DAMAGE = (OSError, MemoryError, ValueError, KeyError, EOFError, TypeError, AttributeError)


@dataclass(frozen=True)
class Pictures:
    """P test images: some spread evenly over the split, then the owner's worst and best; which is
    which stands with their scores in evaluation.json.

    Shapes: ids (P,) str; images (P, 3, S, S) uint8, never encrypted; target and predictions
    (P, S, S) uint8 class indices, 255 void. A prediction the lock has not (the baseline's
    ``correct``) is None; ``incorrect`` is that of the first wrong key.
    """

    ids: NDArray[np.str_]
    images: NDArray[np.uint8]
    target: NDArray[np.uint8]
    plain: NDArray[np.uint8]
    correct: NDArray[np.uint8] | None = None
    incorrect: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def write(self, path: Path) -> None:
        """Write ``path``; what the lock has not is left out."""
        import numpy as np

        arrays = {name: array for name, array in vars(self).items() if array is not None}
        np.savez_compressed(path, **arrays)

    @classmethod
    def read(cls, path: Path, classes: int, fix: str) -> Self:
        """What ``write`` wrote; raises ReportError for a file that is missing or damaged."""
        import zipfile
        import zlib

        import numpy as np

        try:
            whole = io.BytesIO(read_plain(path, most=_MOST_BYTES))
            with np.load(whole, allow_pickle=False) as stored:
                if sum(part.file_size for part in stored.zip.infolist()) > _MOST_BYTES:
                    raise ValueError(f"more than {_MOST_BYTES} bytes of pictures")
                return cls(**_checked({name: stored[name] for name in stored.files}, classes))
        except FileNotFoundError as error:
            raise ReportError(f"{path} must exist", got="no such file", fix=fix) from error
        except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
            raise ReportError(f"{path} must be whole", got=str(error), fix=fix) from error


def _checked(arrays: Mapping[str, Any], classes: int) -> dict[str, Any]:
    images = arrays["images"]
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != "uint8":
        raise ValueError(f"images of shape {images.shape} and type {images.dtype}")
    count, _, height, width = images.shape
    masks: dict[str, Any] = {"target": arrays["target"], "plain": arrays["plain"]}
    for name in ("correct", "incorrect"):
        given = arrays.get(name)
        # The baseline has neither; an empty array says the same as none.
        masks[name] = None if given is None or (given.size == 0 and count) else given
    for name, mask in masks.items():
        if mask is not None and mask.shape != (count, height, width):
            raise ValueError(f"{name} of shape {mask.shape} beside images of {images.shape}")
        if mask is not None and (mask[mask != VOID] >= classes).any():
            raise ValueError(f"{name} has a class that is not one of {classes}")
    ids = arrays["ids"].astype(str)
    if ids.shape != (count,):
        raise ValueError(f"{len(ids)} ids for {count} images")
    return {"ids": ids, "images": images, **masks}
