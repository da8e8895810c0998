"""Figures: drawn without pyplot, the same bytes again, and nothing under a lock's key."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import seglock
from seglock.errors import ReportError
from seglock.keys import SecretKey, demonstration_key
from seglock.report.gallery import block_sides, demonstrate, draw_transforms
from seglock.report.lockfigure import draw_lock_figure
from seglock.report.locks import group_series, representatives
from seglock.report.style import colour_mask
from seglock.results.evaluation import Evaluation
from seglock.transforms import build_transform, compose

MakeEvaluation = Callable[..., dict[str, Any]]
PACKAGE = Path(seglock.__file__).parent
SOURCES = [
    *sorted((PACKAGE / "report").glob("*.py")),
    PACKAGE / "stages" / "report.py",
    PACKAGE / "stages" / "preview.py",
    PACKAGE / "cli" / "report.py",
    PACKAGE / "cli" / "preview.py",
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_report_can_reach_no_key_but_the_demonstration_key(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seglock.keys"):
            assert [alias.name for alias in node.names] == ["demonstration_key"]
        if isinstance(node, ast.ImportFrom) and node.module == "seglock":
            assert not {alias.name for alias in node.names} & {"SecretKey", "keys"}
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("seglock.keys") for alias in node.names)
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            assert name not in {"SecretKey", "KeyStore", "load_key", "reveal"}


def test_nothing_heavy_is_imported_until_something_is_drawn() -> None:
    program = (
        "import sys, seglock.report, seglock.report.page, seglock.report.illustrations, "
        "seglock.report.pareto_html, "
        "seglock.stages.report, seglock.cli.report, seglock.cli.preview\n"
        "print({'torch', 'mlflow', 'matplotlib', 'PIL', 'jinja2', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_drawing_needs_no_torch_and_no_pyplot(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from seglock.report.gallery import draw_transforms\n"
        f"draw_transforms(np.zeros((3, 16, 16), np.uint8), Path({str(tmp_path / 'x.png')!r}))\n"
        "print({'torch', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("steps", [[], ["shf-4"], ["np-4", "shf-4"]])
def test_a_lock_s_figure_is_drawn_and_repeats(
    tmp_path: Path, make_evaluation: MakeEvaluation, steps: list[str]
) -> None:
    evaluation = Evaluation.check(make_evaluation("odd $name_^", steps))
    for name in ("a.png", "b.png"):
        draw_lock_figure(evaluation, tmp_path / name)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 1152
        assert "Software" not in image.info
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("side", [2, 8, 16, 24, 64])
def test_transforms_are_drawn_at_any_square_size(tmp_path: Path, side: int) -> None:
    image = np.full((3, side, side), 90, np.uint8)
    draw_transforms(image, tmp_path / "t.png")
    assert block_sides(side, side)[-1] == side
    assert all(side % m == 0 for m in block_sides(side, side))


def test_transforms_refuse_an_oblong_image(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="square, got 32x16"):
        draw_transforms(np.zeros((3, 16, 32), np.uint8), tmp_path / "t.png")


@pytest.mark.parametrize("steps", [["shf-4"], ["np-4"], ["ffx-4"], ["np-4", "shf-4", "ffx-4"]])
def test_shown_images_are_the_demonstration_key_s(steps: list[str]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    transform = compose(steps, key=demonstration_key())
    shown = demonstrate(image, steps)
    assert np.array_equal(
        shown, (transform.encrypt(image[None])[0] / transform.max_value).astype(np.float32)
    )
    other = compose(steps, key=SecretKey.generate())
    assert not np.array_equal(shown * transform.max_value, other.encrypt(image[None])[0])
    assert 0 <= shown.min() <= shown.max() <= 1


def test_ffx_is_shown_over_its_own_range() -> None:
    image = np.full((3, 4, 4), 255, np.uint8)
    shown = demonstrate(image, ["ffx-4"])
    top = build_transform("ffx", block_size=4, key=demonstration_key()).max_value
    assert np.isclose(shown, 255 / top).sum() == 24


def test_masks_have_voc_s_colours() -> None:
    coloured = colour_mask(np.array([[0, 1], [15, 255]], np.uint8))
    assert coloured.tolist() == [[[0, 0, 0], [128, 0, 0]], [[192, 128, 128], [224, 224, 192]]]


def test_panels_group_locks_by_method_share_key_password_and_divisor(
    make_project: Callable[..., Path],
) -> None:
    from seglock.report import read_results

    locks = {
        "baseline": [],
        "b": ["np-8"],
        "a": ["np-2"],
        "quarter": ["np-8-f25"],
        "f": ["ffx-4"],
        "fixed": ["ffx-4"],
        "mixed": ["np-4", "shf-4"],
    }
    root = make_project(locks)
    path = root / "data/evaluations/fixed/evaluation.json"
    path.write_text(path.read_text().replace('"from_key"', '"fixed"'))
    results = read_results(root, {name: tuple(steps) for name, steps in locks.items()})
    panels = {group.label: [r.lock for r in group.results] for group in group_series(results)}
    assert panels == {
        "NP": ["a", "b"],
        "NP 25%": ["quarter"],
        "FFX, password from_key": ["f"],
        "FFX, password fixed": ["fixed"],
        "NP + SHF": ["mixed"],
    }
    path.write_text(path.read_text().replace('"ffx_divisor": null', '"ffx_divisor": 1000'))
    results = read_results(root, {name: tuple(steps) for name, steps in locks.items()})
    labels = [group.label for group in group_series(results)]
    assert "FFX, password from_key, divisor max" in labels
    assert "FFX, password fixed, divisor 1000" in labels
    path.write_text(path.read_text().replace('"fixed", "ffx_div', '"from_key", "ffx_div'))
    results = read_results(root, {name: tuple(steps) for name, steps in locks.items()})
    labels = [group.label for group in group_series(results)]
    assert labels == ["NP", "NP 25%", "FFX, divisor max", "FFX, divisor 1000", "NP + SHF"]
    kept = [result.lock for result in representatives(results, most=6)]
    assert kept == ["baseline", "a", "quarter", "f", "fixed", "mixed"]
    assert len(representatives(results, most=7)) == 7
