"""``seglock encrypt`` and ``seglock decrypt``: photos under a lock's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglock.cli.photos import Given, KeyName, ModelName, Out, follow, given_model, token

if TYPE_CHECKING:
    from seglock.client.sealer import Sealer

Lock = Annotated[
    str | None, typer.Option("--lock", "-l", help="A lock of params.yaml, with its key.")
]


def encrypt_command(
    photos: Given, out: Out, lock: Lock = None, model: ModelName = None, key: KeyName = None
) -> None:
    """Encrypt photos: NAME.enc.png each, as a lock's network is sent it. As secret as the key."""
    from seglock.cli.project import given
    from seglock.stages.encrypt_images import encrypt_images

    sealer = _sealer(lock, model, key)
    follow(encrypt_images([given(photo) for photo in photos], given(out), sealer), "encrypting")


def decrypt_command(
    envelopes: Given, out: Out, lock: Lock = None, model: ModelName = None, key: KeyName = None
) -> None:
    """Decrypt what `seglock encrypt` wrote: NAME.png each, at the network's size."""
    from seglock.cli.project import given
    from seglock.stages.encrypt_images import decrypt_images

    sealer = _sealer(lock, model, key)
    follow(decrypt_images([given(place) for place in envelopes], given(out), sealer), "decrypting")


def _sealer(lock: str | None, model: str | None, key: str | None) -> Sealer:
    from seglock.errors import ConfigError
    from seglock.stages.encrypt_images import lock_sealer, model_sealer

    if lock is not None and model is None:
        return lock_sealer(lock, key, Path())
    if lock is None and model is not None and key is not None:
        return model_sealer(given_model(model), key, token())
    raise ConfigError(
        "name a lock of params.yaml, or a model and a key",
        got="both" if lock and model else "no key" if model else "neither",
        fix="write `--lock LOCK`, or `--model MODEL --key NAME`",
    )
