"""What README and docs say of figures is so, and what README shows works."""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks.protocol_findings import Figures
from seglock.config import check_params
from tests.e2e.project import ROOT

REAL = ("camvid", "voc-animals")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_runs() -> None:
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})


def test_the_locks_shown_are_valid() -> None:
    from ruamel.yaml import YAML

    (example,) = blocks("yaml")
    assert len(check_params(YAML(typ="safe").load(example)).locks) == 4


def test_the_measured_table_says_what_the_pages_say() -> None:
    study = json.loads((ROOT / "docs/results/search-table.json").read_text())["study"]
    threats = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    trials = study["trials"]
    assert f"`regained` for {len(trials)} locks" in threats
    cheap = [trial for trial in trials if trial["drop"] <= 0.02]
    assert f"- {len(cheap)} of them cost" in threats
    assert "ffx" not in {trial["method"] for trial in cheap}
    close = [t for t in cheap if t["block_size"] in (2, 4, 8) and t["fraction"] != "25"]
    least = {m: [t for t in close if t["method"] == m] for m in ("np+shf", "np", "shf")}
    assert [len(some) for some in least.values()] == [6, 6, 6]
    composed, *others = least.values()
    for trial in composed:
        for other in others:
            (beside,) = [t for t in other if _place(t) == _place(trial)]
            assert trial["regained"] < beside["regained"]
    spans = [_span(some) for some in least.values()]
    assert f"{spans[0]}, NP alone {spans[1]}, SHF alone {spans[2]}." in threats
    few = [trial for trial in trials if trial["fraction"] == "25"]
    assert f"{_span(few)} given back, {_mean(few):.2f} on average" in threats
    ffx = [trial for trial in trials if trial["method"] == "ffx"]
    assert f"FFX gives {min(t['regained'] for t in ffx):.2f} or more back" in threats
    assert f"every point, {_mean(ffx):.2f} on average" in threats
    scaling = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    at_floor = [trial for trial in trials if trial["unauthorised"] <= trial["floor"]]
    assert f"none of\nthe {len(trials) - len(at_floor)} locks" in scaling
    (baseline,) = study["baselines"]
    search = (ROOT / "docs/search.md").read_text(encoding="utf-8").replace("\n", " ")
    limit = study["limits"]["max_drop"]
    assert f"{baseline['spread']:.3f} apart, against the {limit:.2f}" in search


def test_the_threat_model_says_what_was_measured_on_real_images() -> None:
    sets = [_regained(f"docs/results/protocol-{name}-small-cpu.json") for name in REAL]
    threats = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    told = [f"{found['shf-2']:.2f}" for found in sets]
    assert f"SHF at M = 2: {told[0]} and {told[1]}." in threats
    spans = {m: [_ends(found, m) for found in sets] for m in ("shf", "np", "ffx")}
    assert f"NP at M = 2 to 16: {spans['np'][0]} on CamVid, {spans['np'][1]} on" in threats
    assert f"FFX at M = 2 to 16: {spans['ffx'][0]}, and {spans['ffx'][1]} on" in threats
    for found in sets:
        most = {m: max(found[f"{m}-{side}"] for side in (2, 4, 8, 16)) for m in spans}
        assert min(most, key=most.__getitem__) == "np"
    whole = [[f"{found[f'{m}-64']:.2f}" for found in sets] for m in ("np", "ffx")]
    assert whole[0][0] == whole[0][1]
    assert f"gives {whole[0][0]} back on both sets, FFX at M = 64\n  {' and '.join(whole[1])}" in (
        threats
    )


def test_the_reproduction_says_what_its_ablations_show() -> None:
    page = (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")
    path = ROOT / "docs/results/protocol-camvid-small-cpu.json"
    figures = Figures(json.loads(path.read_text()))
    tuned = figures.in_variant("finetuned")
    locks = [name for name in tuned if name != "baseline"]
    assert len(locks) == 9
    assert "every one of the nine locks" in page
    assert all(tuned[name]["regained"] > figures.cell(name)["regained"] for name in locks)
    for side in (2, 4):
        owner = [tuned[f"{method}-{side}"]["owner_miou"] for method in ("shf", "np", "ffx")]
        assert owner == sorted(owner, reverse=True)
    gains = {n: tuned[n]["owner_miou"] - figures.cell(n)["owner_miou"] for n in locks}
    assert f"up\n  to {max(gains.values()):.3f} of mean IoU" in page
    assert max(gains["ffx-2"], gains["ffx-4"]) < 0
    divided = figures.in_variant("divisor-255")
    moved = [abs(c["owner_miou"] - figures.cell(n)["owner_miou"]) for n, c in divided.items()]
    assert f"by {max(moved):.3f} at most" in page
    half = figures.in_variant("half-data")
    lost = {n: figures.cell(n)["owner_miou"] - c["owner_miou"] for n, c in half.items()}
    plain = lost.pop("baseline")
    assert len(lost) == 6
    assert max(lost.values()) < plain
    assert f"less than they cost the baseline, {plain:.3f}." in page
    bn = [tuned[name]["plain_bn"] - figures.cell(name)["plain_bn"] for name in locks]
    assert min(bn) > 0
    fixed = figures.in_variant("fixed-password")
    assert {c["incorrect"]["mean"] < c["floors"]["floor"] for c in fixed.values()} == {True}


def _regained(path: str) -> dict[str, float]:
    cells = json.loads((ROOT / path).read_text())["cells"]
    first = [c for c in cells if c["variant"] == "main" and c["repeat"] == 0]
    return {cell["lock"]: cell["regained"] for cell in first}


def _ends(found: dict[str, float], method: str) -> str:
    shares = [found[f"{method}-{side}"] for side in (2, 4, 8, 16)]
    return f"{min(shares):.2f} to {max(shares):.2f}"


def test_the_search_is_worth_what_its_page_says() -> None:
    figures = json.loads((ROOT / "docs/results/search-cpu.json").read_text())
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    samplers = figures["samplers"]
    for name, found in samplers["samplers"].items():
        row = found["hypervolume"]["baseline"][-1]
        shown = f"{row['mean']:.4f} ± {row['stdev']:.4f} | {row['of_random']:.3f}"
        assert f"| `{name}` | {shown} | {found['recommended']} of 20 seeds |" in page
        assert [row["mean"] for row in found["hypervolume"]["floor"]] == [0.0] * 3
    assert f"together reach {samplers['whole_table']['baseline']:.4f}" in page
    stopping = figures["early_stopping"]
    (own,) = [row for row in stopping["margins"] if row["margin"] == stopping["own_margin"]]
    assert f"saves {100 * own['epochs_saved']['mean']:.1f} %" in page
    assert own["within_unchanged"] == own["recommended_unchanged"] == stopping["orders"] == 20
    assert (own["front_unchanged"], own["front_locks_stopped"]) == (0, ["np-64_shf-64"])
    assert f"one of its {len(stopping['front'])} locks" in page
    assert f"are {figures['workers']['speedup']:.2f} times as fast" in page


def _place(trial: dict[str, Any]) -> tuple[int, str]:
    return trial["block_size"], trial["fraction"]


def _span(trials: list[dict[str, Any]]) -> str:
    found = [trial["regained"] for trial in trials]
    return f"{min(found):.2f} to {max(found):.2f}"


def _mean(trials: list[dict[str, Any]]) -> float:
    return sum(trial["regained"] for trial in trials) / len(trials)
