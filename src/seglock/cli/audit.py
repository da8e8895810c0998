"""``seglock audit``: does a key, or something equal to one, leak from this project?"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from seglock.cli.terminal import AsJson, print_json, progress_bars

if TYPE_CHECKING:
    from seglock.audit import AuditReport


def audit_command(as_json: AsJson = False) -> None:
    """Search what git, DVC and MLflow hold for keys and encrypted images.

    Looks through git's history, index, names of refs and files, the files it
    tracks or does not ignore, DVC's cache, and what MLflow and the runs'
    records hold on this machine, for the keys at hand, their subkeys, FFX
    passwords and tables, plans (orders, masks, positions), and for images of
    data/prepared encrypted under them: as bytes, integers, lists of numbers,
    hexadecimal, base64 and escapes in any layout, arrays, lossless pictures,
    also compressed. Then whether others can read data/encrypted, and whether
    DVC copies it. Exits 1 if anything is found.

    Cannot find keys that are not on this machine, parts of keys, plans of
    which there are fewer than 2**32 (chance gives those: np-2, shf-2),
    anything encrypted or encoded in another way, encrypted images in lossy
    or freely resized pictures, what git ignores outside DVC's cache, or what
    a remote server holds. A clean audit is evidence, no proof. Exits 1 too
    when none of the project's keys is at hand, since nothing was looked for
    then.
    """
    from seglock.address import project_root
    from seglock.stages.audit import run_audit

    with progress_bars() as progress:
        report = run_audit(project_root(), progress, tell=partial(typer.echo, err=as_json))
    if as_json:
        print_json(asdict(report) | {"clean": report.clean})
    else:
        _print(report)
    if not report.clean:
        raise typer.Exit(1)


def _print(report: AuditReport) -> None:
    if report.keys:
        keys = "key" if len(report.keys) == 1 else "keys"
        typer.echo(f"looked for {len(report.keys)} {keys}: {', '.join(report.keys)}")
        typer.echo(f"and for {report.images} images encrypted under them")
    for searched in report.searched:
        typer.echo(f"  {searched.place:<9}{searched.files:>8} items {searched.size:>16,} bytes")
    for skipped in report.skipped:
        typer.echo(f"not searched: {skipped}")
    for finding in report.findings:
        typer.echo(f"LEAK {finding}")
    if report.findings:
        typer.echo(
            "treat these keys as known to others: remove what leaked, make new keys with "
            "`seglock key new`, and train their locks again; from DVC's cache it goes with the "
            "file named, or with `dvc gc -w` once nothing in the workspace names it"
        )
    for exposure in report.exposures:
        typer.echo(f"OPEN {exposure}")
    if report.findings or report.exposures:
        return
    if report.searched_nothing:
        typer.echo("nothing was searched; run seglock in the project's folder")
    elif report.proves_nothing:
        typer.echo("none of this project's keys was looked for: no proof")
    else:
        typer.echo(
            "nothing found" if report.keys else "no lock has a key, so there is nothing to find"
        )
