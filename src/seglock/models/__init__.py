"""Networks by name, their normalisation, and their weights on disk and at the start.

May touch: torch, safetensors, torchvision (inside functions), weight files.
May not: keys, plans, images, MLflow. A network never knows which lock it is trained under.
"""

from seglock.models.device import pick_device
from seglock.models.feature_maps import ChannelOrder, feature_maps, layers_of, permuted
from seglock.models.fold import fold_stem, redraw_stem
from seglock.models.initial import fetch_weights, load_initial_weights, weights_file
from seglock.models.networks import build_model, count_parameters, load_model
from seglock.models.norm import FrozenBatchNorm2d, replace_norm
from seglock.models.weights import load_weights, read_metadata, read_weights, save_weights

__all__ = [
    "ChannelOrder",
    "FrozenBatchNorm2d",
    "build_model",
    "count_parameters",
    "feature_maps",
    "fetch_weights",
    "fold_stem",
    "layers_of",
    "load_initial_weights",
    "load_model",
    "load_weights",
    "permuted",
    "pick_device",
    "read_metadata",
    "read_weights",
    "redraw_stem",
    "replace_norm",
    "save_weights",
    "weights_file",
]
