"""What data.source may say: a path, an address, and $VARIABLES in either."""

from __future__ import annotations

import os
from pathlib import Path

from seglock.data.download import is_url
from seglock.errors import DataError
from seglock.variables import expand

VOC2012_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
VOC2012_DIGEST = "md5=6cd6e144f989b92b3379bac3b3de84fd"
VOC2012_ADVICE = (
    "the official host is often down: try again later, or get VOCtrainval_11-May-2012.tar from "
    "anywhere (its md5 is checked) and set data.source to that file, to the folder it unpacks to, "
    "or to a mirror's URL"
)
REAL_DATA = "SEGLOCK_REAL_DATA"
REAL_DATA_DEFAULT = "../shared/data"


def resolve_source(source: str) -> str:
    """Expand $VARIABLES and ~ in a source.

    ``$SEGLOCK_REAL_DATA`` is ``../shared/data`` where that folder exists and nothing else is set.
    A relative path that is not here is looked for in DVC's root. Raises DataError for a variable
    that is not set, KeyRefusedError for one that supplies a key.
    """
    real = _locate(REAL_DATA_DEFAULT)
    defaults = {REAL_DATA: str(real)} if real.is_dir() else {}
    text = expand(source, "data.source", error=DataError, defaults=defaults)
    return text if is_url(text) else str(_locate(text))


def _locate(path: str) -> Path:
    found = Path(path)
    root = os.environ.get("DVC_ROOT")
    return found if found.exists() or not root else Path(root) / found
