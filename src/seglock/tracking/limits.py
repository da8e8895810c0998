"""Fitting names and values to what MLflow stores accept."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

NAME_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 5000
BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # in one request
_UNSAFE = re.compile(r"[^\w\-. :/]")


def safe_name(name: str) -> str:
    """A name MLflow accepts: as it is, or with ``_`` for what MLflow refuses and a digest.

    With the digest two names never become one.

    >>> safe_name("correct/iou/potted plant"), safe_name("iou/\u732b"), safe_name("iou/c++")
    ('correct/iou/potted plant', 'iou/\u732b', 'iou/c__-de2f440a')
    """
    parts = [_UNSAFE.sub("_", part) for part in name.split("/")]
    safe = "/".join("_" if part in ("", ".", "..") else part for part in parts)
    if safe == name and len(safe) <= NAME_LENGTH:
        return safe
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{safe[: NAME_LENGTH - 9]}-{digest}"


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and texts, written as in params.yaml.

    >>> flatten({"train": {"lr": 0.2, "clip": None, "flip": True}, "steps": ["np-4"]})
    {'train.lr': '0.2', 'train.clip': 'null', 'train.flip': 'true', 'steps': '["np-4"]'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            flat[f"{prefix}{name}"] = value
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, default=str, ensure_ascii=False)
    return flat


def shortened(value: str, limit: int, where: str) -> str:
    """``value`` cut to ``limit`` characters, saying where the whole of it is."""
    if len(value) <= limit:
        return value
    note = f" … (whole: {where})"
    return value[: limit - len(note)] + note


def finite(value: float) -> float:
    """NaN for what is not finite: MLflow turns infinities into 1.8e308, which flattens charts."""
    return value if math.isfinite(value) else math.nan


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as MLflow keeps a table, the columns apart.

    >>> table_text([{"key": 0, "miou": 0.5}, {"key": 1}])
    '{"columns": ["key", "miou"], "data": [[0, 0.5], [1, null]]}'
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    data = [[row.get(name) for name in columns] for row in rows]
    return json.dumps({"columns": columns, "data": data})
