"""``seglock playground``: a trained lock in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def playground_command(
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Its port; else the first free one from 7860 on."),
    ] = None,
) -> None:
    """Try a trained lock in the browser: an image with the key, without one, with a wrong one.

    The page is for this machine alone. Photos stay on it, and are gone when it stops.
    """
    from seglock.stages.playground import run_playground

    run_playground(Path.cwd(), port=port, say=typer.echo)
