"""``seglock preview``: what encrypted images look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def preview_command(
    image: Annotated[
        Path | None, typer.Argument(help="Any image file; a synthetic one if left out.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")] = Path(
        "preview.png"
    ),
    side: Annotated[
        int, typer.Option(help="Pixels a side after cropping and resizing; a multiple of 16.")
    ] = 128,
) -> None:
    """Draw an image under every method and block side, with the public demonstration key."""
    from seglock.cli.project import given
    from seglock.stages.preview import preview

    typer.echo(f"wrote {preview(image and given(image), given(out), side)} (demonstration key)")
