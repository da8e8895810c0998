"""``seglock serve``: the hardened front of a packaged model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve_command(
    model: Annotated[
        str,
        typer.Option(
            help="A package's folder, its weights.safetensors or model.onnx, or models:/NAME@ALIAS."
        ),
    ],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its port; 0: one that is free.")
    ] = 8700,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token that clients must send (else SEGLOCK_SERVE_TOKEN)."
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Requests a second of each client, at most.")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests that may wait; more get 503.")
    ] = 256,
    max_batch: Annotated[
        int, typer.Option(min=1, max=1024, help="Images that the network is given at once.")
    ] = 8,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, max=10_000, help="How long a batch waits to be full.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Serve a locked model over HTTP; it needs no key and learns none.

    POST /predict takes one envelope (`seglock encrypt`) and answers a PNG of
    class indices. /description, /health, /ready and /metrics are for those
    who call and watch it. Nothing that is sent is written, logged or kept.
    """
    from seglock.cli.project import given
    from seglock.serving.server.limits import ServerLimits
    from seglock.stages.serve import serve_model

    serve_model(
        model if ":/" in model else str(given(Path(model))),
        ServerLimits(batch=max_batch, wait=max_wait_ms / 1000, queue=queue, rate=rate),
        host=host, port=port, token_file=token_file and given(token_file), device=device,
        say=typer.echo,
    )  # fmt: skip
