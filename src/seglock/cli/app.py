"""The command tree. One line a command; what a command does is in its own module."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seglock import __version__
from seglock.cli import data, key, profile, track, weights
from seglock.cli.attack import attack_command
from seglock.cli.audit import audit_command
from seglock.cli.doctor import doctor_command
from seglock.cli.encrypt import decrypt_command, encrypt_command
from seglock.cli.init import init_command
from seglock.cli.lock import lock_command
from seglock.cli.package import package_command
from seglock.cli.playground import playground_command
from seglock.cli.predict import predict_command
from seglock.cli.preview import preview_command
from seglock.cli.report import report_command
from seglock.cli.rotate import rotate_command
from seglock.cli.search import search_command
from seglock.cli.serve import serve_command
from seglock.cli.terminal import INTERRUPTED, STOPPED
from seglock.cli.train import evaluate_command, train_command

PIPELINE = "The pipeline's stages (dvc repro runs them)"
USE = "Use a locked model"
LOOK = "Look and check"

_ALL = "`dvc repro` runs the whole pipeline of params.yaml"
_REPORT = "`seglock report --show` prints the table and says where the report and the runs are"
ELSEWHERE = {
    "all": _ALL,
    "attacks": "`seglock attack LOCK` plays all attacks of params.yaml, --attack NAME one",
    "config": "params.yaml is the configuration, `seglock profile list` shows complete others",
    "dashboard": _REPORT,
    "demo": f"{_ALL}, a demonstration as it is checked in",
    "download": "`seglock data get` gets the dataset, `seglock weights get` initial weights",
    "eval": "`seglock evaluate LOCK` measures who gets what",
    "export": "`seglock key export NAME` is for keys, `seglock package LOCK` for models",
    "experiment": "`dvc exp run -S train.epochs=20` runs the pipeline with a changed value",
    "generate-key": "`seglock key new NAME` makes a key; `dvc repro` makes those it needs",
    "infer": "`seglock predict PHOTOS --model MODEL --key NAME` predicts photos",
    "keygen": "`seglock key new NAME` makes a key; `dvc repro` makes those it needs",
    "keys": "`seglock key list` shows the keys of this machine",
    "locks": _REPORT,
    "mlflow": _REPORT,
    "new": "`seglock init DIR` makes a project, `seglock key new NAME` a key",
    "optimize": "`seglock search` looks for the best lock",
    "params": "params.yaml is the configuration, `seglock profile diff` shows your changes in it",
    "pipeline": _ALL,
    "profiles": "`seglock profile list` shows the profiles",
    "recommend": "`seglock search` looks for the best lock and recommends one",
    "repro": _ALL,
    "results": _REPORT,
    "run": _ALL,
    "setup": "`seglock init DIR` makes a project, `seglock doctor` says what it lacks",
    "show": _REPORT,
    "status": "`dvc status` says what is to be done, `seglock doctor` what is wrong",
    "study": "`seglock search` runs the study, `seglock search --show` shows it",
    "sweep": "`seglock search` looks for the best lock",
    "test": "`seglock evaluate LOCK` measures who gets what, `seglock doctor` looks at the machine",
    "train-all": "`dvc repro` trains all locks and judges them, `seglock train LOCK...` some",
    "tune": "`seglock search` looks for the best lock",
    "ui": "`seglock playground` tries a model in the browser, `mlflow ui` shows the runs "
    "(`seglock report --show` has the whole line)",
    "validate": "`seglock data check FOLDER` checks a dataset, `seglock doctor` the project",
    "version": "`seglock --version` says which this is",
}
"""What people try first and is none of the commands, each with what does it."""


class Commands(TyperGroup):
    """The commands, and for names of ``ELSEWHERE`` which other one it is."""

    def invoke(self, ctx: Any) -> Any:
        """As usual; Ctrl-C is one message, and what is done stays."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo(f"seglock: {STOPPED}", err=True)
            raise SystemExit(INTERRUPTED) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, but for a name that another command goes by."""
        if args[0] not in self.commands and args[0] in ELSEWHERE:
            ctx.fail(f"No such command {args[0]!r}; {ELSEWHERE[args[0]]}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="seglock",
    cls=Commands,
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
app.command("lock", rich_help_panel=USE)(lock_command)
app.command("rotate", rich_help_panel=USE)(rotate_command)
app.add_typer(profile.app, name="profile", rich_help_panel=LOOK)
app.command("doctor", rich_help_panel=LOOK)(doctor_command)
app.command("audit", rich_help_panel=LOOK)(audit_command)
app.command("preview", rich_help_panel=LOOK)(preview_command)
app.add_typer(track.app, name="track", rich_help_panel=LOOK)
