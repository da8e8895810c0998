"""``seglock doctor``: what this machine offers, and what is wrong."""

from __future__ import annotations

import typer

from seglock.cli.terminal import AsJson, print_json

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def doctor_command(as_json: AsJson = False) -> None:
    """Say what this machine offers and what is wrong, with the fix; exit 1 if anything is."""
    from seglock.address import project_root
    from seglock.stages.doctor import doctor

    checks = doctor(project_root())
    wrong = sum(check.level == "wrong" for check in checks)
    if as_json:
        print_json([vars(check) for check in checks])
        raise typer.Exit(1 if wrong else 0)
    width = max(len(check.topic) for check in checks)
    for check in checks:
        indented = check.text.replace("\n", "\n" + " " * (width + 8))
        typer.echo(f"{MARKS[check.level]}  {check.topic:<{width}}  {indented}")
        if check.level == "wrong" and check.fix:
            typer.echo(f"{'':<{width + 9}}fix: {check.fix}")
    if wrong:
        typer.echo(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong")
        raise typer.Exit(1)
    typer.echo("all is fine")
