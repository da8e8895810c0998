"""``seglock doctor``: what this machine offers, and what is wrong."""

from __future__ import annotations

import typer

MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def doctor_command() -> None:
    """Say what this machine offers and what is wrong, with the fix; exit 1 if anything is."""
    from seglock.address import project_root
    from seglock.stages.doctor import doctor

    checks = doctor(project_root())
    width = max(len(check.topic) for check in checks)
    for check in checks:
        indented = check.text.replace("\n", "\n" + " " * (width + 8))
        typer.echo(f"{MARKS[check.level]}  {check.topic:<{width}}  {indented}")
        if check.level == "wrong" and check.fix:
            typer.echo(f"{'':<{width + 9}}fix: {check.fix}")
    wrong = sum(check.level == "wrong" for check in checks)
    if wrong:
        typer.echo(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong")
        raise typer.Exit(1)
    typer.echo("all is fine")
