"""Data: VOC layout in, uint8 arrays out.

Lives here: the VOC reader and its checks, splits, the synthetic set, resized memory-mapped
arrays, the encrypted split's file, augmentation (``seglock.data.augment``, the only module here
that imports torch). May not live here: keys, plans, networks, YAML.
"""

from seglock.data.check import Findings, check_dataset
from seglock.data.encrypted import NONCE_SIZE, open_encrypted, write_encrypted
from seglock.data.get import get_dataset
from seglock.data.layout import VOC_CLASSES, VOID, VocFolder, find_voc_folder
from seglock.data.prepare import prepare_dataset
from seglock.data.prepared import PreparedData, Split
from seglock.data.problems import Problem, require_sound
from seglock.data.remarks import class_notes
from seglock.data.splits import train_count
from seglock.data.synthetic import write_synthetic

__all__ = [
    "NONCE_SIZE",
    "VOC_CLASSES",
    "VOID",
    "Findings",
    "PreparedData",
    "Problem",
    "Split",
    "VocFolder",
    "check_dataset",
    "class_notes",
    "find_voc_folder",
    "get_dataset",
    "open_encrypted",
    "prepare_dataset",
    "require_sound",
    "train_count",
    "write_encrypted",
    "write_synthetic",
]
