"""Block-wise transforms of images under a key: SHF, NP, FFX and their compositions.

Steps become one plan (`sequence`), one kernel applies any plan (`apply`), a transform is a thin
class over both.
Uses NumPy, pyffx, and torch once a tensor is passed. No files, no clock, no random numbers: the
same key gives the same plan everywhere.
"""

from seglock.transforms.build import build_transform, compose, identity
from seglock.transforms.features import FeaturePlan
from seglock.transforms.incorrect import incorrect_transforms
from seglock.transforms.transform import Transform
from seglock.transforms.unauthorised import Unauthorised

__all__ = [
    "FeaturePlan",
    "Transform",
    "Unauthorised",
    "build_transform",
    "compose",
    "identity",
    "incorrect_transforms",
]
