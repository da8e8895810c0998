"""The report stage, the preview, and their commands."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from seglock.cli.preview import preview_command
from seglock.cli.report import report_command
from seglock.errors import ConfigError, DataError, ReportError
from seglock.stages.preview import preview, read_square
from seglock.stages.report import mlflow_ui, write_report
from tests.report.test_tables import refusing

Make = Callable[..., Path]
FILES = {
    "access_control.png",
    "predictions.png",
    "report.html",
    "summary.json",
    "table.csv",
    "table.tex",
    "transforms.png",
}


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_same_results_give_the_same_files(make_project: Make) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=1)
    write_report(root)
    before = digests(root / "data/reports")
    assert set(before) == FILES
    write_report(root)
    assert digests(root / "data/reports") == before


@pytest.mark.usefixtures("sketched")
def test_the_list_in_params_counts_not_the_folder(make_project: Make) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"], "shf-4": ["shf-4"]}, pictures=0)
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("  shf-4: {steps: [shf-4]}\n", ""))
    assert list(write_report(root)["locks"]) == ["baseline", "np-4"]
    assert "shf-4" not in (root / "data/reports/table.csv").read_text()


@pytest.mark.usefixtures("sketched")
def test_a_failing_report_leaves_the_last_one(make_project: Make) -> None:
    root = make_project({"baseline": []}, pictures=0)
    write_report(root)
    before = digests(root / "data/reports")
    (root / "data/models/baseline/history.csv").unlink()
    with pytest.raises(ReportError, match="dvc repro train@baseline"):
        write_report(root)
    assert digests(root / "data/reports") == before
    assert [path.name for path in (root / "data").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("uri", "ui"),
    [
        ("", "http://127.0.0.1:5000"),
        ("sqlite:///x.db", "http://127.0.0.1:5000"),
        ("https://me:secret@host:8/ml/?token=1", "https://host:8/ml"),
    ],
)
def test_run_links_follow_the_server_without_its_password(
    monkeypatch: pytest.MonkeyPatch, uri: str, ui: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert mlflow_ui() == ui


def run(command: Callable[..., None], *arguments: str) -> str:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("sketched")
def test_the_command_prints_the_table_and_where_to_look(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=0)
    monkeypatch.chdir(root)
    output = run(report_command)
    print(output)
    scores = json.loads((root / "data/evaluations/np-4/evaluation.json").read_text())["scores"]
    row = next(line for line in output.splitlines() if "np-4" in line)
    assert f"{scores['owner_miou']:.4f}" in row
    assert f" {scores['regained']:.2f} " in row
    assert "broken: bits" in row
    assert "No attack was run" in output
    assert max(map(len, output.partition("\nReport ")[0].splitlines())) <= 80
    for name in ("constant", "prior"):
        assert f"{scores['floors'][name]:.4f} ({name})" in output
    assert str(root / "data/reports/report.html") in output
    assert "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db --host 127.0.0.1" in output


@pytest.mark.usefixtures("sketched")
def test_the_command_says_which_locks_refuse(
    make_project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=0)
    refusing(root, "np-4")
    monkeypatch.chdir(root)
    assert "Note: np-4 refuses: without the key at least 90%" in " ".join(
        run(report_command).split()
    )


@pytest.mark.usefixtures("sketched")
def test_what_is_to_be_pasted_is_a_word_for_the_shell_that_it_is_shown_in(
    make_project: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = make_project({"baseline": [], "np-4": ["np-4"]}, pictures=0)
    monkeypatch.chdir(root)
    monkeypatch.setattr("seglock.cli.project._started", root / "data")
    assert f"--backend-store-uri sqlite:///{root}/mlruns/mlflow.db " in run(report_command)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/my%20runs%3F.db")
    assert f"--backend-store-uri 'sqlite:///{tmp_path}/my runs%3F.db' " in run(report_command)
    assert "sqlite:///mlruns/mlflow.db" not in (root / "data/reports/report.html").read_text()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ann:secret@db/runs")
    assert '--backend-store-uri "$MLFLOW_TRACKING_URI" ' in run(report_command)


def test_preview_draws_a_synthetic_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(preview_command, "--side", "32")
    assert "preview.png (demonstration key)" in output
    with Image.open(tmp_path / "preview.png") as image:
        assert image.width > 1000


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_preview_takes_any_image_and_its_centre(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    Image.fromarray(pixels).convert(mode).save(tmp_path / "in.png")
    square = read_square(tmp_path / "in.png", 16)
    assert square.shape == (3, 16, 16)
    assert square.dtype == np.uint8
    assert square.min() > 150
    out = preview(tmp_path / "in.png", tmp_path / "out" / "p.png", 16)
    assert out.stat().st_size > 0


@pytest.mark.parametrize("side", [0, 8, 100, 4096])
def test_preview_refuses_a_side_that_no_block_divides(tmp_path: Path, side: int) -> None:
    with pytest.raises(ConfigError, match=r"multiple of 16 .*; use \d+"):
        preview(None, tmp_path / "p.png", side)


def test_preview_refuses_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(DataError, match="must be a whole image"):
        preview(tmp_path / "note.txt", tmp_path / "p.png", 32)
    with pytest.raises(DataError, match="must exist"):
        preview(tmp_path / "gone.png", tmp_path / "p.png", 32)
    Image.new("CMYK", (32, 32)).save(tmp_path / "print.jpg")
    with pytest.raises(DataError, match=r"print\.jpg must have 8 bits .*, got JPEG of mode CMYK"):
        preview(tmp_path / "print.jpg", tmp_path / "p.png", 32)
    with pytest.raises(ConfigError, match=r"is a PNG.*p\.jpg\.png"):
        preview(None, tmp_path / "p.jpg", 32)
    assert sorted(os.listdir(tmp_path)) == ["note.txt", "print.jpg"]
