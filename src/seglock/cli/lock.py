"""``seglock lock``: a key folded into a plain network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.project import given, made_by
from seglock.threads import give_way


def lock_command(
    model: Annotated[
        str,
        typer.Argument(help="baseline, or a safetensors file of params.yaml's network."),
    ],
    steps: Annotated[str, typer.Option(help="Steps of SHF and NP, such as np-2,shf-2.")],
    key: Annotated[str, typer.Option(help="The key's name.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The package to write.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also as ONNX, which clients and servers open fast.")
    ] = False,
) -> None:
    """Fold a key into a plain network's first convolution: a package in seconds, and no drop.

    It falls at once where that convolution is public, and two such packages unfold each other.
    """
    from seglock.stages.lock import lock_model
    from seglock.stages.package import WEAKNESS

    typer.echo(WEAKNESS)
    give_way(partial(typer.echo, err=True))
    place = str(given(Path(model))) if model.endswith(".safetensors") else model
    parts = [step.strip() for step in steps.replace("+", ",").split(",") if step.strip()]
    with made_by("train@baseline"):
        lock_model(place, parts, key, given(out), Path.cwd(), onnx=onnx, tell=typer.echo)
