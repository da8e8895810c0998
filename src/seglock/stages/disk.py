"""How much disk a configuration needs, and how many images it has to train on. Counting only:
nothing is downloaded or encrypted."""

from __future__ import annotations

import contextlib
from pathlib import Path

from seglock.config import DataParams, ModelParams, Params
from seglock.steps import is_wide

CHANNELS = 3
VOC2012_IMAGES = {"train": 1464, "val": 1449}
VOC2012_RAW = 130_000  # bytes of an image and its mask
VOC2012_TAR = 2_000_000_000  # its train and val images, also those without masks
FLOAT = 4
OPTIMIZER_SLOTS = {"sgd": 1, "adamw": 2}
CHECKPOINTS = 3  # the two that are kept, and the one being written
CLASSES = 21


def estimate_disk(params: Params, root: Path | None = None) -> dict[str, int]:
    """Bytes that each part of a whole run will take, and their ``total``.

    ``downloads`` (the tar of VOC 2012, which is kept), ``raw`` and ``prepared`` data (3 * S * S +
    S * S bytes an image), the initial ``weights``, ``encrypted`` test splits (twice that of an
    image for FFX, whose values are int16), ``models`` of all locks, their copies in ``mlflow``, and
    the ``checkpoints`` of the one lock in training. Not counted: DVC's cache, since it links where
    the file system allows it, published weights in torch's own cache, and sources not at hand.

    >>> from seglock.config import check_params
    >>> sizes = {"image_side": 64, "synthetic": {"train": 100, "test": 28}}
    >>> need = estimate_disk(check_params({"locks": {"baseline": {"steps": []}}, "data": sizes}))
    >>> need["prepared"] == 128 * 4 * 64 * 64, need["encrypted"]
    (True, 0)
    """
    from seglock.data.download import is_url

    images, test, raw = _images(params.data, root or Path())
    from_network = params.data.source is None or is_url(params.data.source)
    side = params.data.image_side
    pixels = CHANNELS * side * side
    encrypted = sum(
        test * pixels * (2 if is_wide(lock.parsed_steps) else 1)
        for lock in params.locks.values()
        if lock.steps
    )
    weights = FLOAT * parameter_count(params.model)
    models = weights * len(params.locks)
    slots = 2 + OPTIMIZER_SLOTS[params.train.optimizer]  # the last, the best, the optimizer's
    need = {
        "downloads": VOC2012_TAR * (params.data.dataset == "voc2012" and from_network),
        "raw": raw,
        "prepared": images * (pixels + side * side),
        "weights": _initial(params, root or Path(), weights),
        "encrypted": encrypted,
        "models": models,
        "mlflow": models,
        "checkpoints": weights * slots * CHECKPOINTS,
    }
    return need | {"total": sum(need.values())}


def parameter_count(params: ModelParams) -> int:
    """How many values a network's file holds, with 21 classes; it is built without memory."""
    import torch

    from seglock.models import build_model

    with torch.device("meta"):
        model = build_model(params, CLASSES, aux=True)
    return sum(tensor.numel() for tensor in model.state_dict().values())


def _initial(params: Params, root: Path, trained: int) -> int:
    """Bytes of data/weights, published ones taken for a whole network (``trained`` bytes).

    0 for a file that is not there; its stage will say so.
    """
    from seglock.models import weights_file

    start = params.model.initial_weights
    path = weights_file(start, root)
    if path is None:
        return 0 if start == "none" else trained
    return path.stat().st_size if path.is_file() else 0


def _images(params: DataParams, root: Path) -> tuple[int, int, int]:
    """How many images in all, how many of them test images, and the raw bytes; 0 where unknown."""
    if params.dataset == "synthetic":
        made = params.synthetic
        count = made.train + made.test
        return count, made.test, count * (CHANNELS + 1) * made.side**2
    if params.dataset == "voc2012":
        count = sum(VOC2012_IMAGES.values())
        return count, VOC2012_IMAGES["val"], count * VOC2012_RAW
    return _count_folder(params, root)


def training_images(params: DataParams, root: Path) -> int | None:
    """How many images there are to train on, by the lists of a folder or of data/raw; None where
    that cannot be told yet."""
    from seglock.data import find_voc_folder, train_count
    from seglock.data.sources import resolve_source
    from seglock.errors import SeglockError

    if params.dataset == "synthetic":
        return train_count(params, {params.train_split: params.synthetic.train})
    raw, images = root / "data" / "raw", {}
    with contextlib.suppress(SeglockError, OSError):
        source = raw if raw.is_dir() else root / resolve_source(params.source or "")
        folder = find_voc_folder(source)
        images = {params.train_split: len(folder.ids(params.train_split))}
    return train_count(params, images)


def _count_folder(params: DataParams, root: Path) -> tuple[int, int, int]:
    from seglock.data import find_voc_folder
    from seglock.data.sources import resolve_source
    from seglock.data.splits import used_lists
    from seglock.errors import SeglockError

    total = size = test = 0
    sources = [(params.source, used_lists(params)), (params.extra_source, [params.train_split])]
    for text, lists in sources:
        if text is None:
            continue
        try:
            path = Path(root, resolve_source(text))
            if path.is_file():
                size += path.stat().st_size
                continue
            folder = find_voc_folder(path)
            counts = {name: len(folder.ids(name)) for name in lists}
            first = [name for ids in map(folder.ids, lists) for name in ids[:20]]
            pictures = [[*folder.images(n)[:1], *folder.masks(n)[:1]] for n in first]
            each = sum(path.stat().st_size for pair in pictures for path in pair)
        except (SeglockError, OSError):
            continue
        total += sum(counts.values())
        size += each * sum(counts.values()) // max(len(first), 1)
        test += counts.get(params.test_split, 0) if text == params.source else 0
    return total, test, size
