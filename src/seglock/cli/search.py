"""``seglock search``: which lock costs the owner least and leaves everyone else least."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglock.cli.project import made_by, shown
from seglock.cli.terminal import AsJson, number, print_json, print_table
from seglock.threads import give_way

if TYPE_CHECKING:
    from seglock.results.study import Study

_WIDTH = 80
_study = partial(typer.Option, rich_help_panel="The study, instead of params.yaml's search section")
_compute = partial(typer.Option, rich_help_panel="Where it is computed and kept")
_result = partial(typer.Option, rich_help_panel="The result")


def search_command(
    trials: Annotated[
        int | None, _study("--trials", "-n", min=0, help="How many in all; also continues.")
    ] = None,
    study: Annotated[str | None, _study(help="The study's name.")] = None,
    sampler: Annotated[str | None, _study(help="tpe, gp, nsga2, grid or random.")] = None,
    pruner: Annotated[
        str | None,
        _study(
            help="baseline or none; median, successive_halving, hyperband with objective scalar."
        ),
    ] = None,
    max_drop: Annotated[
        str | None,
        _study(metavar="SHARE", help="What the owner may lose, in mean IoU: 2% or 0.02."),
    ] = None,
    max_regained: Annotated[
        str | None,
        _study(metavar="SHARE", help="What others may regain of the owner's lead: 5% or 0.05."),
    ] = None,
    min_key_bits: Annotated[
        float | None, _study(help="log2 of the plans that its keys must give, at least.")
    ] = None,
    thief: Annotated[
        str | None,
        _study(
            metavar="TIER",
            help="T0 to T3: judge by the strongest attack up to that tier; none: by no attack.",
        ),
    ] = None,
    workers: Annotated[
        int | None, _compute("--workers", "-w", help="Processes on this machine.")
    ] = None,
    ray: Annotated[
        str | None,
        _compute(metavar="ADDRESS", help="A Ray cluster that is there: HOST:PORT, or auto."),
    ] = None,
    storage: Annotated[
        str | None,
        _compute(
            metavar="URL",
            help="Where the study is kept: PostgreSQL or SQLite, a URL without a password.",
        ),
    ] = None,
    apply: Annotated[
        bool,
        _result(
            "--apply",
            help="Write the lock that the study recommends as it stands into params.yaml; "
            "run nothing.",
        ),
    ] = False,
    show: Annotated[bool, _result("--show", help="Show the study as it is; run nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search the trade-off between the owner's accuracy and everyone else's; recommend a lock.

    Trains one small network a trial and continues where it was stopped. The same command goes on.
    """
    from seglock.cli.search_progress import watch
    from seglock.stages.search import run_study, show_study

    given = {
        "trials": trials, "study": study, "sampler": sampler, "pruner": pruner, "workers": workers,
        "min_key_bits": min_key_bits, "storage": storage,
    }  # fmt: skip
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, share in (("max_drop", max_drop), ("max_regained", max_regained)):
        if share is not None:
            overrides[name] = number(share)
    if thief is not None:
        overrides["thief.tier"] = None if thief == "none" else thief
    root = Path.cwd()
    if show or apply:
        with made_by("search"):
            outcome = show_study(root, overrides=overrides)
    else:
        give_way(partial(typer.echo, err=True))
        with made_by("search"), watch() as observer:
            outcome = run_study(root, overrides=overrides, ray=ray, observer=observer)
    if as_json:
        print_json(outcome.document())
    elif os.environ.get("DVC_STAGE") and not (show or apply):
        typer.echo(_line(outcome))  # one of many stages: the report shows the rest
    else:
        _print_study(outcome, root, last=not apply)
    if apply:
        _apply(outcome, overrides, root, say=partial(_say, err=as_json))


def _line(study: Study) -> str:
    if not study.trials:
        return "search: no trial is asked for (search.trials)"
    from seglock.report.searchsummary import advice_sentence

    verdict = advice_sentence(study)
    return f"search: {len(study.trials)} trials; {verdict[:1].lower()}{verdict[1:]}"


def _print_study(study: Study, root: Path, *, last: bool = True) -> None:
    from seglock.report.numbers import duration
    from seglock.report.searchsummary import advice_sentence, keys_sentence, objective_sentence

    ended = ", ".join(f"{count} {state}" for state, count in study.counts if count)
    _say(
        f"Study {study.study}: {len(study.trials)} of {study.asked} trials"
        + (f" ({ended})" if ended else "")
        + (f"; this command took {duration(study.seconds)}" if study.seconds else "")
    )
    if not study.trials:
        _say("Nothing was tried yet; `seglock search --trials 12` does.")
        return
    _print_locks(study)
    baseline = study.baseline
    if baseline:
        _say(
            f"Mean IoU on the {study.about.split} split of {study.about.dataset}. "
            f"Baseline {baseline.mean:.4f} ({len(baseline.owner_miou)} seeds, "
            f"{baseline.spread:.4f} apart), floor {baseline.floor:.4f}."
        )
    if objective := objective_sentence(study):
        _say(objective)
    typer.echo("")
    if (missing := study.asked - len(study.trials)) > 0:
        _say(f"Unfinished: {missing} trials are to come; `seglock search` goes on.")
    _say(advice_sentence(study))
    if tried := keys_sentence(study):
        _say(tried)
    typer.echo("")
    typer.echo(f"Outputs     {root / 'data' / 'search'}")
    typer.echo(f"Dashboard   {dashboard_command(study.storage)}")
    if last and study.recommendation.status == "recommended":
        typer.echo("Next        seglock search --apply, then `dvc repro` trains it in full")


def _print_locks(study: Study) -> None:
    """The locks of the front and the one that is named, which has a star; the owner's best first.

    Of several keys the means, and half of what lies between the least and the most of them.
    """
    from seglock.report.numbers import four
    from seglock.results.standing import LockLimits
    from seglock.results.tried import Spread, tried_locks
    from seglock.steps import lock_text

    def told(figure: Spread) -> str:
        return four(figure.mean) + (f"\n±{figure.half:.4f}" if figure.half else "")

    limits, chosen = LockLimits.of(study.limits), study.recommendation.chosen
    shown = [
        lock
        for lock in tried_locks(study.trials)
        if {trial.number for trial in lock.trials} & {*study.front, chosen}
    ]
    rows = []
    for lock in sorted(shown, key=lambda lock: -lock.owner.mean):
        star = " *" if chosen in [trial.number for trial in lock.trials] else ""
        figures = (lock.owner, lock.drop, lock.unauthorised, lock.regained)
        words = (lock_text(lock.first.lock) + star, lock.verdict(limits), str(len(lock.trials)))
        rows.append((*words, *map(told, figures), f"{int(lock.first.key_space_bits or 0)}"))
    if rows:
        columns = ("Keys", "Owner", "Drop", "Unauth.", "Regained", "Bits")
        print_table(["Lock", "Holds?"], columns, rows)
    if any(len(lock.trials) > 1 for lock in shown):
        _say("Of a lock with several keys: means, ± half of their range.")


def _say(text: str, *, err: bool = False) -> None:
    import textwrap

    filled = textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    typer.echo(filled, err=err)


def dashboard_command(storage: str) -> str:
    """A line for a POSIX shell that opens a storage in optuna-dashboard, which knows nothing of
    our ``$VARIABLES`` and drivers. ``storage``: as study.json has it, without a password.

    The shell would put a password in the URL as it is: PostgreSQL reads it from the environment.

    >>> dashboard_command("postgresql+psycopg://ann:$SECRET@db/studies?sslmode=require")
    'PGPASSWORD="$SECRET" optuna-dashboard "postgresql+psycopg://ann@db/studies?sslmode=require"'
    """
    from seglock.address import project_root, sqlite_uri
    from seglock.search.database import DRIVERS, installed_driver

    scheme, found, rest = storage.partition("://")
    if not found and not storage.startswith("$"):  # the study's own file
        return f"optuna-dashboard {shlex.quote(sqlite_uri(shown(project_root() / storage)))}"
    before = ""
    if scheme.partition("+")[0] in DRIVERS:
        with contextlib.suppress(ImportError):  # then this machine cannot open it at all
            scheme = installed_driver(scheme)
        user, at, place = rest.rpartition("@")
        user, _, password = user.partition(":")
        rest = f"{user}{at}{place}"
        before = f'PGPASSWORD="{password}" ' if password.startswith("$") else ""
    address = f"{scheme}{found}{rest}"
    quoted = address if re.fullmatch(r"[\w.:/@+%=,-]*", address) else f'"{address}"'
    return f"{before}optuna-dashboard {quoted}"


def _apply(study: Study, overrides: dict[str, Any], root: Path, say: Callable[[str], None]) -> None:
    from seglock.stages.apply import apply_recommendation
    from seglock.stages.search import search_params

    applied = apply_recommendation(study, search_params(root, overrides), root)
    refuse = f", refuse: {applied.refuse:g}" if applied.refuse else ""
    shown = f"{applied.name}: {{steps: [{', '.join(applied.steps)}]{refuse}}}"
    if applied.added:
        say(f"Added to params.yaml under locks: {shown}. `dvc repro` trains it.")
    else:
        say(f"params.yaml has this lock already: {shown}. Nothing was changed.")
    for name, now, tried in applied.recipe:
        say(f"The trial had {name} {tried:g}; params.yaml keeps {now:g}.")
