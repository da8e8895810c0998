"""What data.source may say: a path, an address, and $VARIABLES in either."""

from __future__ import annotations

import os
import re
from pathlib import Path

from seglock.data.download import is_url
from seglock.errors import DataError

VOC2012_URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
VOC2012_DIGEST = "md5=6cd6e144f989b92b3379bac3b3de84fd"
VOC2012_ADVICE = (
    "the official host is often down: try again later, or get VOCtrainval_11-May-2012.tar from "
    "anywhere (its md5 is checked) and set data.source to that file, to the folder it unpacks to, "
    "or to a mirror's URL"
)
REAL_DATA = "SEGLOCK_REAL_DATA"
REAL_DATA_DEFAULT = "../shared/data"
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def resolve_source(source: str) -> str:
    """Expand $VARIABLES and ~ in a source.

    ``$SEGLOCK_REAL_DATA`` is ``../shared/data`` where that folder exists and nothing else is set.
    A relative path that is not here is looked for in DVC's root. Raises DataError for a variable
    that is not set.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = os.environ.get(name) or _default(name)
        if not found:
            raise DataError(
                f"${name} in data.source must be set",
                got=source,
                fix=f"set {name} in the environment, or write the path itself",
            )
        return found

    text = _VARIABLE.sub(value, source)
    return text if is_url(text) else str(_locate(text))


def _default(name: str) -> str | None:
    folder = _locate(REAL_DATA_DEFAULT)
    return str(folder) if name == REAL_DATA and folder.is_dir() else None


def _locate(path: str) -> Path:
    found = Path(path).expanduser()
    root = os.environ.get("DVC_ROOT")
    return found if found.exists() or not root else Path(root) / found
