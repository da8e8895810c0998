from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.protocol import changed, main, public_key
from benchmarks.protocol_cells import ABLATIONS, MAIN, best_lock, cells, in_order
from benchmarks.protocol_findings import Figures, findings
from benchmarks.protocol_tables import PARTS
from seglock import files
from seglock.config import Params, load_profile
from seglock.data import PreparedData
from seglock.errors import ConfigError
from seglock.keys import demonstration_key
from seglock.tracking import MemoryTracker
from tests.e2e.project import ROOT

SMALL = {
    "train.epochs": 2,
    "train.batch_size": 16,
    "model.width": 4,
    "data.image_side": 32,
    "data.synthetic.side": 32,
    "data.synthetic.train": 48,
    "data.val_split": 16,
    "data.synthetic.test": 8,
    "evaluate.wrong_keys": 4,
}


PROJECTS = ("main", "finetuned", "half-data")


def arguments(folder: Path, *more: str) -> list[str]:
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    places = [f"--folder={folder / 'work'}", f"--out={folder}", "--name=small"]
    return ["--profile=synthetic", *settings, *places, *more]


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "protocol-small.json").read_text())
    return found


def synthetic() -> Params:
    return load_profile(ROOT / "profiles" / "synthetic.yaml")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The protocol and its ablations, run to the end in one go."""
    folder = tmp_path_factory.mktemp("whole")
    variants = f"--variants={','.join([MAIN, *ABLATIONS])}"
    assert main(arguments(folder, variants)) == 0
    return folder


def test_every_cell_is_measured_once(whole: Path) -> None:
    found = document(whole)["cells"]
    names = [(cell["variant"], cell["lock"], cell["repeat"]) for cell in found]
    assert len(set(names)) == len(names)
    assert {("main", name, 0) for name in synthetic().locks} <= set(names)
    assert {("main", "baseline", 1), ("main", "baseline", 2)} <= set(names)
    assert {variant for variant, _, _ in names} == {MAIN, *ABLATIONS}
    first = [cell for cell in found if (cell["variant"], cell["repeat"]) == (MAIN, 0)]
    best = best_lock(synthetic(), {f"main_{cell['lock']}_0": cell for cell in first})
    assert {("main", best, 1), ("main", best, 2)} <= set(names)


def test_a_cell_has_the_scores_of_an_evaluation(whole: Path) -> None:
    by_lock = Figures(document(whole))
    lock = by_lock.cell("np-4")
    assert lock["incorrect"]["keys"] == len(lock["incorrect"]["miou"]) == 4
    assert lock["unauthorised"] == max(lock["plain"], lock["plain_bn"], lock["incorrect"]["p95"])
    assert by_lock.cell("baseline")["unauthorised"] is None


def test_variants_change_what_they_say(whole: Path) -> None:
    by_lock = Figures(document(whole))
    same = by_lock.cell("ffx-4")["owner_miou"], by_lock.cell("ffx-4")["incorrect"]["miou"]
    for variant in ("fixed-password", "divisor-255"):
        cell = by_lock.in_variant(variant)["ffx-4"]
        assert (cell["owner_miou"], cell["incorrect"]["miou"]) != same


def test_it_goes_on_where_it_was_stopped(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = itertools.count(1)

    class Stopped(MemoryTracker):
        def log_metrics(
            self, metrics: Mapping[str, float], step: int | None = None, *, again: bool = False
        ) -> None:
            if not again and step == 2 and next(epochs) % 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("seglock.tracking.MemoryTracker", Stopped)
    ends: list[object] = []
    while not ends or ends[-1]:
        try:
            ends.append(main(arguments(tmp_path)))
        except SystemExit as stopped:
            ends.append(stopped.code)
            assert list((tmp_path / "work").glob("*/main/.seglock/checkpoints/*/epoch-*"))
    in_one_go = [cell for cell in document(whole)["cells"] if cell["variant"] == MAIN]
    resumed = document(tmp_path)["cells"]
    assert ends == [130] * len(resumed) + [0]
    for cell in in_one_go + resumed:
        del cell["train_seconds"]
    assert resumed == in_one_go


def test_variants_are_what_the_pipeline_makes_of_params_yaml(whole: Path) -> None:
    """Their projects are ordinary ones, with the weights and data that the profile says."""
    (work,) = (whole / "work").iterdir()
    assert {path.name for path in work.iterdir()} >= {"main", "finetuned", "half-data"}
    weights = [files.read_json(work / name / "data/weights/weights.json") for name in PROJECTS]
    assert [about["source"] for about in weights] == ["none", "baseline", "none"]
    opened = [PreparedData.open(work / name / "data/prepared") for name in PROJECTS]
    assert [(len(data.train), len(data.val)) for data in opened] == [(32, 16), (32, 16), (16, 16)]
    assert opened[2].train.ids == opened[0].train.ids[::2]
    assert opened[2].val.ids == opened[0].val.ids


def test_pages_show_what_was_measured(whole: Path) -> None:
    found = document(whole)
    shown = {name: part(found) for name, part in PARTS.items()}
    assert f"{Figures(found).cell('np-4')['owner_miou']:.4f} | 0.5695" in shown["table1"]
    rows = [
        line.split("|")[1].strip(" `") for line in shown["access"].splitlines() if "| `" in line
    ]
    assert sorted(rows) == sorted(synthetic().locks.keys() - {"baseline"})
    assert "| `fixed-password` | `ffx-4` |" in shown["ablations"]
    assert "`baseline`, 3 seeds" in shown["luck"]
    assert "SHF is above NP" in shown["claims"]


def test_findings_tell_a_difference_from_chance() -> None:
    def cell(lock: str, owner: float, repeat: int = 0) -> dict[str, Any]:
        side = int(lock[-1]) if lock[-1].isdigit() else None
        floors = {"floor": 0.1, "constant": 0.1, "prior": 0.1}
        return {
            "variant": "main", "lock": lock, "repeat": repeat, "owner_miou": owner,
            "block_size": side, "plain": 0.2, "regained": 0.1, "floors": floors,
            "incorrect": {"mean": 0.15},
        }  # fmt: skip

    def verdict(ffx: float) -> str:
        cells = [cell("baseline", 0.70), cell("baseline", 0.75, 1)]
        cells += [cell("shf-2", 0.65), cell("np-2", 0.60), cell("ffx-2", ffx)]
        params = {"locks": dict.fromkeys(("baseline", "shf-2", "np-2", "ffx-2"))}
        found = findings({"cells": cells, "params": params})
        return next(f.verdict for f in found if f.claim.startswith("FFX is the least"))

    assert [verdict(0.4), verdict(0.58), verdict(0.7)] == [
        "holds",
        "cannot be told",
        "does not hold",
    ]


def test_the_telling_sides_come_first() -> None:
    order = in_order(load_profile(ROOT / "profiles" / "camvid.yaml"))
    assert order[0] == "baseline"
    sides = [int(name.rpartition("-")[2]) for name in order[1:]]
    assert list(dict.fromkeys(sides)) == [2, 4, 8, 16, 64, 256, 32, 128]
    assert len(order) == 25


def test_the_best_lock_is_known_when_all_are() -> None:
    params = synthetic()
    some = {"main_np-4_0": {"lock": "np-4", "owner_miou": 0.8, "unauthorised": 0.2}}
    assert best_lock(params, some) is None
    every = some | {
        f"main_{name}_0": {"lock": name, "owner_miou": 0.8, "unauthorised": 0.3}
        for name in params.locks.keys() - {"np-4", "baseline"}
    }
    assert best_lock(params, every) == "np-4"
    assert [c.name for c in cells(params, [MAIN], every)][-2:] == ["main_np-4_1", "main_np-4_2"]


def test_keys_are_public_and_differ() -> None:
    ids = {public_key(number).id for number in range(3)}
    assert len(ids) == 3
    assert demonstration_key().id in ids


@pytest.mark.parametrize("setting", ["train.epochs", "train.epoch=3", "nothing.at.all=1"])
def test_a_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="the profile with --set has 1 fault"):
        changed(synthetic(), [setting])


def test_a_setting_may_be_text() -> None:
    params = changed(synthetic(), ["train.select=val_miou", "train.epochs=3"])
    assert (params.train.select, params.train.epochs) == ("val_miou", 3)


def test_an_unknown_variant_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments(tmp_path, "--variants=nothing"))
    assert "--variants must be of main," in capsys.readouterr().err


def test_it_needs_neither_the_pipeline_nor_a_tracking_server(tmp_path: Path) -> None:
    """A borrowed GPU machine may have torch and little else."""
    absent = ("mlflow", "dvc", "optuna", "ray", "matplotlib", "sklearn", "plotly", "argon2")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        "from benchmarks.protocol import main\n"
        f"sys.exit(main({arguments(tmp_path, '--variants=half-data')}))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {cell["variant"] for cell in document(tmp_path)["cells"]} == {"half-data"}
