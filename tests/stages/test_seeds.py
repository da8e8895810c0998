"""A lock under other seeds: the same command, figures of its own, and nothing else is touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ruamel.yaml import YAML

from seglock.address import tracking_uri
from seglock.stages.seeds import train_seed
from tests.e2e.project import ROOT
from tests.stages.test_train import root  # noqa: F401
from tests.tracking.conftest import client_of


def test_a_seed_has_figures_and_a_run_of_its_own(root: Path) -> None:  # noqa: F811
    first, second = (train_seed("baseline", seed, root) for seed in (1, 2))
    assert first == root / "data" / "seeds" / "baseline-1.json"
    figures = [json.loads(path.read_text()) for path in (first, second)]
    assert set(figures[0]) == {"owner", "unauthorised", "regained"}
    client = client_of(tracking_uri(root))
    runs = {run.info.run_name: run for run in client.search_runs(["1"])}
    assert set(runs) == {f"baseline · synthetic · seed {seed}" for seed in (1, 2)}
    losses = {run.data.metrics["train/loss"] for run in runs.values()}
    assert len(losses) == 2  # another seed is another training
    for seed, found in enumerate(figures, start=1):
        run = runs[f"baseline · synthetic · seed {seed}"]
        assert run.data.metrics["access/owner"] == found["owner"]
        assert run.data.params["train.seed"] == str(seed)
    assert not (root / "data" / "models" / "baseline").exists()
    assert not list((root / ".seglock" / "seeds").iterdir())


def test_the_stage_that_the_docs_have_is_of_this_command() -> None:
    text = (ROOT / "docs" / "pipeline.md").read_text()
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "matrix" in b]
    stage = YAML(typ="safe").load(block)["seeds"]
    own = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["do"]
    assert stage["cmd"] == "seglock train ${item.lock} --seed ${item.seed}"
    assert stage["metrics"] == ["data/seeds/${item.lock}-${item.seed}.json"]
    wanted = {path.replace("${key}", "${item.lock}") for path in own["deps"]}
    assert wanted <= set(stage["deps"])
