"""``seglock profile``: alternatives to params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seglock.cli.terminal import AsJson, print_json

app = typer.Typer(no_args_is_help=True, help="Alternatives to params.yaml.")


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the profiles, and which one params.yaml is."""
    from seglock.stages.profile import list_profiles

    profiles = list_profiles(Path.cwd())
    if as_json:
        print_json([vars(profile) for profile in profiles])
        return
    for profile in profiles:
        marker = "*" if profile.in_use else " "
        typer.echo(f"{marker} {profile.name:<14} {profile.summary}")


@app.command("use")
def use_command(
    name: Annotated[str, typer.Argument(help="A profile's name, see `seglock profile list`.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace a params.yaml with changes of your own.")
    ] = False,
) -> None:
    """Make a profile the project's params.yaml."""
    from seglock.stages.profile import use_profile

    use_profile(Path.cwd(), name, force=force)
    typer.echo(f"params.yaml is now profile {name}; `seglock doctor` says what it needs, then:")
    typer.echo("  dvc repro")


@app.command("diff")
def diff_command(
    name: Annotated[
        str | None, typer.Argument(help="A profile's name, see `seglock profile list`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a profile would change in params.yaml.

    Without a name: what params.yaml changes against profile synthetic, the default.
    """
    from seglock.stages.profile import diff_profile

    changes = diff_profile(Path.cwd(), name)
    if as_json:
        print_json([vars(change) for change in changes])
        return
    for change in changes:
        typer.echo(f"{change.name}: {change.before} -> {change.after}")
    if not changes:
        typer.echo("no value differs")
