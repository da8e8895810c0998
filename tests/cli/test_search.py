"""``seglock search``: what it prints, what it passes on, and its progress display."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from seglock.cli.search import search_command
from seglock.cli.search_progress import Bar, Lines, trial_line, watch
from seglock.config import RefuseParams, load_params
from seglock.errors import ConfigError
from seglock.results.study import Study, StudyThief
from seglock.search.observer import Totals
from seglock.search.point import Point
from tests.report.outcomes import make_outcome
from tests.report.studies import THIEF
from tests.search.small_study import not_judged

POINT = Point("np+shf", 16, 25, 0.2, 0.0, 12, 64)
ROW: Any = {"epoch": 7, "lr": 0.1, "train_loss": 1.0, "val_loss": 1.0, "val_miou": 0.5}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglock.search.outcome.importances", not_judged)  # nor shown
    (tmp_path / "params.yaml").write_text("locks:\n  baseline: {steps: []}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stage was asked for; ``outcome`` is what it gives."""
    asked: dict[str, Any] = {"outcome": make_outcome()}

    def run_study(root: Path, **options: Any) -> Study:
        asked.update(options, called="run")
        return asked["outcome"]

    def show_study(root: Path, **options: Any) -> Study:
        asked.update(options, called="show")
        return asked["outcome"]

    monkeypatch.setattr("seglock.stages.search.run_study", run_study)
    monkeypatch.setattr("seglock.stages.search.show_study", show_study)
    return asked


def invoke(*arguments: str, check: bool = True) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(search_command)
    done = CliRunner().invoke(app, arguments, catch_exceptions=not check)
    if check:
        assert done.exit_code == 0, done.output
    return done


def test_options_replace_only_what_was_given(found: dict[str, Any]) -> None:
    invoke("--trials", "24", "--max-drop", "0.05", "--ray", "auto", "--storage", "sqlite:///x.db")
    assert found["called"] == "run"
    assert found["overrides"] == {"trials": 24, "max_drop": 0.05, "storage": "sqlite:///x.db"}
    assert found["ray"] == "auto"


def test_a_thief_is_named_by_its_tier(found: dict[str, Any]) -> None:
    invoke("--thief", "T1")
    assert found["overrides"] == {"thief.tier": "T1"}
    invoke("--thief", "none", "--show")
    assert found["overrides"] == {"thief.tier": None}


def test_an_unknown_tier_is_told_in_a_line() -> None:
    done = invoke("--thief", "T7", "--show", check=False)
    assert "search.thief.tier: must be 'T0', 'T1', 'T2' or 'T3', got 'T7'" in str(done.exception)


def test_whose_figure_the_objective_is(found: dict[str, Any]) -> None:
    assert "strongest attack" not in invoke("--show").output
    outcome = make_outcome(strongest="hill-climb", strongest_tier="T1")
    about = outcome.about.model_copy(update={"thief": StudyThief.check(THIEF)})
    found["outcome"] = outcome.model_copy(update={"about": about})
    output = " ".join(invoke("--show").output.split())
    assert "strongest attack up to T1, 200 queries, 2 s each" in output
    assert "for np-2+shf-2 it is hill-climb (T1)" in output


def test_the_result_fits_80_columns_and_has_every_figure(found: dict[str, Any]) -> None:
    output = invoke("--show").output
    assert found["called"] == "show"
    outcome = found["outcome"]
    for trial in map(outcome.trial, outcome.front):
        (row,) = [line for line in output.splitlines() if f"{trial.owner_miou:.4f} " in line][:1]
        for value in (trial.drop, trial.unauthorised, trial.regained):
            assert f"{value:.4f}" in row
        assert row.split()[-1] == str(int(trial.key_space_bits))
        assert (" * " in row) == (trial.number == outcome.recommendation.trial)
    sentence = " ".join(output.split())
    assert "This lock was tried under one key only" in sentence
    assert "; this command took 2 min 51 s" in sentence
    reason = outcome.recommendation.reason
    assert f"Recommended: np-2+shf-2. {reason[0].upper()}{reason[1:]}." in sentence
    assert "optuna-dashboard sqlite:///.seglock/search/tradeoff-1a2b3c4d/study.db" in output
    assert "16 complete, 3 stopped, 1 failed" in output
    for line in output.splitlines():
        if not line.startswith(("Outputs", "Dashboard")):  # paths, however long
            assert len(line) <= 80, line


@pytest.mark.parametrize(
    ("storage", "printed"),
    [
        ("sqlite:///studies.db", "optuna-dashboard sqlite:///studies.db"),
        ("postgresql://me@db/x", "optuna-dashboard postgresql+psycopg://me@db/x"),
        (
            "postgresql://me:${SECRET}@db:5432/x?sslmode=require",
            'PGPASSWORD="${SECRET}" optuna-dashboard '
            '"postgresql+psycopg://me@db:5432/x?sslmode=require"',
        ),
        ("postgresql://me:***@db/x", "optuna-dashboard postgresql+psycopg://me@db/x"),
        ("$STORAGE", 'optuna-dashboard "$STORAGE"'),
    ],
)
def test_the_dashboards_command_can_be_pasted(
    found: dict[str, Any], storage: str, printed: str
) -> None:
    found["outcome"] = found["outcome"].model_copy(update={"storage": storage})
    (line,) = [line for line in invoke("--show").output.splitlines() if "optuna-dashboard" in line]
    assert line == f"Dashboard   {printed}"


def test_where_none_is_recommended_the_nearest_is_shown(found: dict[str, Any]) -> None:
    found["outcome"] = make_outcome(search={"max_regained": 0.01})
    output = " ".join(invoke("--show").output.split())
    assert "No recommendation: no lock keeps all limits. The nearest is" in output
    assert "--apply" not in output


def test_each_lock_has_its_means_its_keys_and_how_far_they_are_apart(
    found: dict[str, Any],
) -> None:
    outcome = make_outcome(search={"max_drop": 0.0})
    named = outcome.trials[outcome.recommendation.chosen or 0]
    other = named.model_copy(update={"number": 99, "owner_miou": 0.5, "regained": 0.3})
    trials = (*outcome.trials, other)
    found["outcome"] = outcome.model_copy(update={"trials": trials, "front": ()})
    output = invoke("--show").output
    (row,) = [line for line in output.splitlines() if " * " in line]  # named, not on the front
    assert f"2 {(named.owner_miou + 0.5) / 2:.4f}" in " ".join(row.split())
    spread = output.splitlines()[output.splitlines().index(row) + 1]
    assert f"±{(named.owner_miou - 0.5) / 2:.4f}" in spread
    assert f"±{abs(named.regained - 0.3) / 2:.4f}" in spread
    assert "Of a lock with several keys: means, ± half of their range." in output


def test_an_empty_study_says_how_to_begin(found: dict[str, Any]) -> None:
    found["outcome"] = make_outcome(count=0)
    assert "`seglock search --trials 12` does" in invoke("--show").output


def test_inside_dvc_it_is_one_line(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "search")
    output = invoke().output
    assert output.startswith("search: 20 trials; recommended: np-2+shf-2.")
    assert output.count("\n") == 1


def test_apply_says_what_changed_and_what_did_not(found: dict[str, Any], tmp_path: Path) -> None:
    found["outcome"] = make_outcome(lr=0.0123)
    output = " ".join(invoke("--show", "--apply").output.split())
    assert "Added to params.yaml under locks: np-2_shf-2: {steps: [np-2, shf-2]}" in output
    assert "The trial had train.lr 0.0123; params.yaml keeps" in output
    assert "np-2_shf-2" in (tmp_path / "params.yaml").read_text()
    again = " ".join(invoke("--show", "--apply").output.split())
    assert "params.yaml has this lock already" in again


def test_a_lock_that_refuses_is_named_and_applied_as_one(
    found: dict[str, Any], tmp_path: Path
) -> None:
    found["outcome"] = make_outcome(refuse=0.1)
    output = " ".join(invoke("--show", "--apply").output.split())
    assert "Recommended: np-2+shf-2 refuse 0.1." in output
    assert "under locks: np-2_shf-2_refuse-0-1: {steps: [np-2, shf-2], refuse: 0.1}. `dvc" in output
    lock = load_params(tmp_path / "params.yaml").locks["np-2_shf-2_refuse-0-1"]
    assert lock.refuse == RefuseParams(weight=0.1)


def test_the_least_key_space_is_an_option(found: dict[str, Any]) -> None:
    invoke("--min-key-bits", "128", "--show")
    assert found["overrides"] == {"min_key_bits": 128.0}


def test_apply_takes_the_study_as_it_stands_and_runs_nothing(
    found: dict[str, Any], tmp_path: Path
) -> None:
    found["outcome"] = make_outcome(search={"trials": 30})
    output = " ".join(invoke("--apply").output.split())
    assert found["called"] == "show"
    assert "Unfinished: 10 trials are to come; `seglock search` goes on." in output
    assert "Added to params.yaml under locks: np-2_shf-2" in output
    assert "seglock search --apply" not in output
    found["outcome"] = make_outcome(count=0, search={"trials": 9})
    with pytest.raises(ConfigError, match=r"goes on with the study \(0 of 9 trials\)"):
        invoke("--apply")


def test_apply_is_refused_with_the_reason(found: dict[str, Any], tmp_path: Path) -> None:
    found["outcome"] = make_outcome(search={"max_drop": 0.01})
    before = (tmp_path / "params.yaml").read_text()
    with pytest.raises(ConfigError, match="undecided: it cannot be decided") as raised:
        invoke("--show", "--apply")
    assert raised.value.exit_code == 2
    assert (tmp_path / "params.yaml").read_text() == before


def test_a_log_gets_a_line_a_trial(capsys: pytest.CaptureFixture[str]) -> None:
    with watch() as observer:
        assert isinstance(observer, Lines)
        observer.study_opened("s", "x.log", Totals(20, 3, 0, 2))
        observer.job_started("baseline-e12-s64-0", POINT)
        observer.job_ended("baseline-e12-s64-0", None)
        for record in make_outcome().trials:
            observer.job_started(f"trial-{record.number}-1", POINT)
            observer.job_ended(f"trial-{record.number}-1", record)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "study s, 3 of 20 trials done, in x.log"
    assert lines[1] == "baseline-e12-s64-0 done"
    assert len(lines) == 22
    assert "stopped after epoch 5 (behind)" in lines[2 + 11]
    assert lines[2 + 19].endswith("failed: the loss must be finite, got nan")
    assert [line.endswith(" left") for line in lines[2:]] == [True] * 16 + [False] * 4


def test_a_trial_in_a_log_tells_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 160.0, 340.0])
    monkeypatch.setattr("seglock.progress.time.monotonic", lambda: next(clock))
    lines, record = Lines(), make_outcome().trials[0]
    lines.study_opened("s", "x.log", Totals(asked=6, counted=2, running=0, front=0))
    lines.job_ended("trial-2-1", record)
    lines.totals(Totals(asked=6, counted=4, running=0, front=0))  # another command ended one
    lines.job_ended("trial-4-1", record)
    first, second = capsys.readouterr().err.splitlines()[1:]
    assert first.endswith("  0:03:00 left")  # 60 s for one, three to come
    assert second.endswith("  0:01:20 left")  # 240 s for three, one to come


def test_a_line_names_a_lock_that_refuses_as_it_is_enqueued() -> None:
    record = make_outcome(refuse=0.1).trials[3]
    assert trial_line(record).startswith("trial 3 np-4+shf-4 refuse 0.1: owner 0.7")


def test_a_study_with_more_trials_than_asked_for_is_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Lines().study_opened("s", "x.log", Totals(asked=12, counted=48, running=0, front=5))
    assert capsys.readouterr().err == "study s, 48 of 48 trials done, in x.log\n"


def test_the_bar_shows_trials_lock_epoch_front_and_time() -> None:
    from rich.console import Console
    from rich.progress import Progress

    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    record = make_outcome().trials[0]
    with Progress(*progress_columns(), console=console, expand=True) as progress:
        bar = Bar(progress)
        bar.study_opened("s", "x.log", Totals(20, 3, 0, 2))
        bar.job_started("trial-3-1", POINT)
        bar.epoch("trial-3-1", ROW)
        progress.refresh()
        first = screen.getvalue()
        bar.job_started("trial-4-1", POINT)
        progress.refresh()
        second = screen.getvalue()[len(first) :]
        bar.job_ended("trial-3-1", record)
        bar.totals(Totals(20, 4, 1, 3))
        progress.refresh()
        third = screen.getvalue()[len(first) + len(second) :]
    assert "3/20 trials" in first
    assert "np-16-f25+shf-16-f25 epoch 7/12, front 2" in first
    assert "2 running, front 2" in second
    assert trial_line(record) in third
    assert "4/20 trials" in third
    assert "epoch 0/12, front 3" in third
    assert "front 3" in third


def progress_columns() -> list[Any]:
    from seglock.cli.search_progress import columns

    return columns()
