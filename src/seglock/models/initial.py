"""Where a network's weights start: nothing, ImageNet, COCO, a file, or a trained baseline.

``fetch_weights`` puts them into a folder, without building a network; ``load_initial_weights``
loads that folder into one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglock.config import BASELINE
from seglock.config.timm_names import TIMM
from seglock.errors import ModelError
from seglock.files import read_object, sha256_file, write_json
from seglock.models.fold import fit_stem
from seglock.models.networks import HEADS, REGISTRY, Network
from seglock.models.timm_fcn import imagenet_weights
from seglock.models.weights import misfits, read_weights, require_fit, save_weights
from seglock.variables import expand, showing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seglock.config import ModelParams

WEIGHTS_JSON = "weights.json"
WEIGHTS_FILE = "weights.safetensors"
PUBLISHED = ("imagenet", "coco")
_NO_FILE = ("none", BASELINE, *PUBLISHED)


def weights_file(source: str, root: Path) -> Path | None:
    """The file that a value of ``initial_weights`` names, from ``root``; None where it names none.

    Raises ModelError for a variable that is not set.
    """
    if source in _NO_FILE:
        return None
    return root / expand(source, "model.initial_weights", error=ModelError)


def fetch_weights(
    params: ModelParams,
    out: Path,
    *,
    file: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Write the initial weights that ``params.initial_weights`` names into the folder ``out``.

    ``weights.json`` says {"source", "network", "file", "sha256"}; ``weights.safetensors`` is
    there unless the source is ``none``. Published weights (``imagenet``: the backbone; ``coco``:
    the whole network, 21 classes) come through torchvision's loader and torch's download cache,
    those of timm's networks from a package or through timm's loader. ``file`` is the trained
    baseline's, for the source ``baseline``, or what the name of a file stands for; it is told by
    that name.

    tell: hears what is downloaded, from where, and how much it is.

    Raises ModelError when weights cannot be downloaded, or when a file is missing, damaged or not
    safetensors.
    """
    out = Path(out)
    source = params.initial_weights
    target = out / WEIGHTS_FILE
    kind = source if source in _NO_FILE else "file"
    about: dict[str, Any] = {"source": kind, "network": params.name, "file": None, "sha256": None}
    if kind == "none":
        target.unlink(missing_ok=True)
    else:
        if kind in PUBLISHED:
            about["file"], tensors = _published(params.name, kind, tell)
        else:
            named = Path(source)
            path = _given_file(source, file or (None if kind == BASELINE else named))
            about["file"] = path.name if kind == BASELINE else named.name
            with showing(source):
                tensors = read_weights(path)
        save_weights(target, tensors, {"source": kind, "network": params.name})
        about["sha256"] = sha256_file(target)
    write_json(out / WEIGHTS_JSON, about)


def _given_file(source: str, path: Path | None) -> Path:
    if path is None:
        raise ModelError(
            "initial weights from the baseline need its trained weights",
            got="none",
            fix="run `seglock weights get`, which trains them",
        )
    if not path.is_file():
        raise ModelError(
            "model.initial_weights must be none, imagenet, coco, baseline or a safetensors file",
            got=f"{source!r}, where no file is",
            fix="check the name",
        )
    if path.suffix != ".safetensors":
        raise ModelError(
            "a weights file must be safetensors, which cannot run code when it is read",
            got=source,
            fix="convert it with safetensors.torch.save_file(torch.load(FILE, weights_only=True), "
            "TARGET)",
        )
    return path


def _published(
    name: str, kind: str, tell: Callable[[str], None] | None
) -> tuple[str, dict[str, Tensor]]:
    if name.startswith(TIMM):
        return imagenet_weights(name, tell)
    from torchvision.models import get_weight

    network = REGISTRY[name]
    weights_name = network.imagenet if kind == "imagenet" else network.coco
    assert weights_name is not None  # params.yaml names what the network has
    weights = get_weight(weights_name)
    place, _, file = str(weights.url).rpartition("/")
    if tell and not (_cache() / file).is_file():
        tell(f"downloading {file} from {place}: {weights.meta['_file_size']:.0f} MB")
    with _download_errors(str(weights.url), file):
        state = weights.get_state_dict(
            progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    tensors = _as_backbone(state, network) if kind == "imagenet" else dict(state)
    return file, tensors


def _as_backbone(state: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    dropped = ("fc.", "classifier.")
    return {
        "backbone." + name.removeprefix(network.stem): tensor
        for name, tensor in state.items()
        if not name.startswith(dropped)
    }


@contextlib.contextmanager
def _download_errors(url: str, file: str) -> Iterator[None]:
    import pickle

    try:
        yield
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ModelError(
            f"published weights must be downloaded from {url}",
            got=" ".join(str(error).split()) or type(error).__name__,
            fix=f"go online, or bring that file from elsewhere and put it at {_cache() / file}, "
            "or set model.initial_weights to a safetensors file you have",
        ) from error


def _cache() -> Path:
    """Where torch keeps what it has downloaded."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints"


def load_initial_weights(model: nn.Module, folder: Path) -> list[str]:
    """Load what ``fetch_weights`` wrote into ``model``; returns the names that stay fresh.

    The backbone must be there and fit. Of the classifiers, what is missing or belongs to
    another number of classes keeps its fresh values and is named in the answer, sorted. Names
    the network does not use (a second classifier, BatchNorm statistics where it has GroupNorm)
    are ignored.

    Raises ModelError, before anything is changed, when files are missing or damaged or the
    backbone is another one.
    """
    folder = Path(folder)
    fix = "run `dvc repro weights`, or dvc pull it"
    about = read_object(folder / WEIGHTS_JSON, {"source": str}, error=ModelError, fix=fix)
    if about["source"] == "none":
        return []
    path = folder / WEIGHTS_FILE
    tensors = read_weights(path)
    fit_stem(model, tensors)
    state = model.state_dict()
    wrong = misfits(state, tensors)
    fitting = {name: tensors[name] for name in state if name not in wrong}
    # The counters are absent from older files.
    wrong = {name: at for name, at in wrong.items() if not name.endswith("num_batches_tracked")}
    require_fit(path, [at for name, at in wrong.items() if not name.startswith(HEADS)])
    model.load_state_dict(fitting, strict=False)
    return sorted(name for name in wrong if name.startswith(HEADS))
