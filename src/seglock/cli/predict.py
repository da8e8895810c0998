"""``seglock predict``: photos into masks, with the key."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.photos import Given, KeyName, Out, follow, given_model, token
from seglock.cli.photos import ModelName as AnyModel
from seglock.threads import give_way

ModelName = Annotated[str, *AnyModel.__metadata__]


def predict_command(
    photos: Given,
    model: ModelName,
    out: Out,
    key: KeyName = None,
    masks: Annotated[
        Path | None, typer.Option(help="A folder of true masks, NAME.png, to score against.")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Use the package's model.onnx: no torch, a quick start.")
    ] = False,
    check: Annotated[
        bool, typer.Option(help="The key must be the model's; without, see what another gives.")
    ] = True,
) -> None:
    """Predict photos: masks and overlays at their own size. Photos and key stay on this machine.

    Run again, it does what is left. A server's token is read from SEGLOCK_TOKEN.
    """
    from seglock.cli.project import given
    from seglock.client import Client
    from seglock.stages.predict import onnx_of, predict_images

    where = given_model(model)
    if not onnx and not where.startswith(("http://", "https://")) and not where.endswith(".onnx"):
        give_way(partial(typer.echo, err=True))
    client = Client(onnx_of(where) if onnx else where, key, check=check, token=token())
    places = [given(photo) for photo in photos]
    follow(predict_images(places, given(out), client, masks and given(masks)), "predicting")
