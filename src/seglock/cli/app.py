"""The command tree. One line a command; what a command does is in its own module."""

from __future__ import annotations

from typing import Annotated

import typer

from seglock import __version__
from seglock.cli import data, key, profile, track, weights
from seglock.cli.attack import attack_command
from seglock.cli.audit import audit_command
from seglock.cli.doctor import doctor_command
from seglock.cli.encrypt import decrypt_command, encrypt_command
from seglock.cli.init import init_command
from seglock.cli.lock import evaluate_command, train_command
from seglock.cli.package import package_command
from seglock.cli.playground import playground_command
from seglock.cli.predict import predict_command
from seglock.cli.preview import preview_command
from seglock.cli.report import report_command
from seglock.cli.rotate import rotate_command
from seglock.cli.search import search_command
from seglock.cli.serve import serve_command

PIPELINE = "The pipeline's stages (dvc repro runs them)"
USE = "Use a locked model"
LOOK = "Look and check"

app = typer.Typer(
    name="seglock",
    no_args_is_help=True,
    # A traceback that shows local variables could show a key.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Lock a semantic segmentation model behind a secret key.\n\n"
    "Train on block-wise encrypted images, measure what the key's owner and everyone else get, "
    "and keep every run in MLflow. `dvc repro` runs the whole pipeline of params.yaml.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"seglock {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    del version


app.command("init", rich_help_panel=PIPELINE)(init_command)
app.add_typer(data.app, name="data", rich_help_panel=PIPELINE)
app.add_typer(key.app, name="key", rich_help_panel=PIPELINE)
app.add_typer(weights.app, name="weights", rich_help_panel=PIPELINE)
app.command("train", rich_help_panel=PIPELINE)(train_command)
app.command("evaluate", rich_help_panel=PIPELINE)(evaluate_command)
app.command("attack", rich_help_panel=PIPELINE)(attack_command)
app.command("search", rich_help_panel=PIPELINE)(search_command)
app.command("report", rich_help_panel=PIPELINE)(report_command)
app.command("predict", rich_help_panel=USE)(predict_command)
app.command("encrypt", rich_help_panel=USE)(encrypt_command)
app.command("decrypt", rich_help_panel=USE)(decrypt_command)
app.command("serve", rich_help_panel=USE)(serve_command)
app.command("package", rich_help_panel=USE)(package_command)
app.command("playground", rich_help_panel=USE)(playground_command)
app.command("rotate", rich_help_panel=USE)(rotate_command)
app.add_typer(profile.app, name="profile", rich_help_panel=LOOK)
app.command("doctor", rich_help_panel=LOOK)(doctor_command)
app.command("audit", rich_help_panel=LOOK)(audit_command)
app.command("preview", rich_help_panel=LOOK)(preview_command)
app.add_typer(track.app, name="track", rich_help_panel=LOOK)
