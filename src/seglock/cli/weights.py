"""``seglock weights``: what the networks start from."""

from __future__ import annotations

from pathlib import Path

import typer

from seglock.cli.project import made_by
from seglock.cli.terminal import told_once

app = typer.Typer(no_args_is_help=True, help="Initial weights, versioned like the data.")


@app.callback()
def _weights() -> None:
    """Initial weights, versioned like the data."""


@app.command("get")
def get_command() -> None:
    """Fetch model.initial_weights into data/weights (for `baseline`: train the plain network)."""
    from seglock.config import load_params
    from seglock.stages.weights import get_weights

    params = load_params()
    with made_by("weights"):
        get_weights(params, Path.cwd(), tell=told_once)
