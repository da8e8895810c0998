from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.results import RESULTS, Row, device_slug, number, write_rows
from benchmarks.tables import main, pages, refreshed, render

ROWS = [
    Row("encrypt np-4", 12.5, "GB/s", "the textbook", 20.0, "a copy", 0.8),
    Row("decrypt np-4", 1.25, "GB/s", "the textbook", 2.0, "a copy", 0.1),
]


def test_rows_are_written_with_command_and_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["transforms.py", "--batch", "64"])
    path = write_rows("transforms", ROWS, settings={"batch": 64}, folder=tmp_path)

    document = json.loads(path.read_text())
    assert document["command"] == "python -m benchmarks.transforms --batch 64"
    assert document["settings"] == {"batch": 64}
    assert document["rows"][0] == {
        "name": "encrypt np-4",
        "value": 12.5,
        "unit": "GB/s",
        "reference": "the textbook",
        "ratio": 20.0,
        "limit": "a copy",
        "share_of_limit": 0.8,
    }
    assert path.name == f"transforms-{device_slug()}.json"


@pytest.mark.parametrize("half", [{"reference": "x"}, {"ratio": 1.0}, {"limit": "x"}])
def test_a_ratio_without_its_reference_is_refused(half: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="go together"):
        Row("a", 1.0, "s", **half)  # type: ignore[arg-type]


def test_a_page_shows_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["transforms.py"])
    path = write_rows("transforms", ROWS, settings={}, folder=tmp_path)
    page = (
        f"# Speed\n\n<!-- results: {path.name} encrypt -->\nold\n<!-- end of results -->\nafter\n"
    )

    new = refreshed(page, tmp_path)

    assert "| encrypt np-4 | 12.5 GB/s | 20.0 | the textbook | 0.80 | a copy |" in new
    assert "decrypt" not in new
    assert "old" not in new
    assert new.endswith("<!-- end of results -->\nafter\n")
    assert refreshed(new, tmp_path) == new


def test_columns_without_a_figure_are_left_out() -> None:
    document = {
        "benchmark": "pipeline",
        "command": "c",
        "device": "cpu",
        "processor": "",
        "environment": {"cpu_count": "2", "torch": "2", "python": "3"},
        "rows": [vars(Row("start", 0.3, "s"))],
    }
    assert render(document).splitlines()[0] == "| what | measured |"


def test_pages_are_not_behind_their_results() -> None:
    assert main(["--check"]) == 0


def test_every_committed_benchmark_says_how_it_was_made() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in pages())
    for path in RESULTS.glob("*.json"):
        document = json.loads(path.read_text())
        if "benchmark" in document:
            assert document["command"].startswith(("python -m benchmarks.", "seglock search"))
            assert document["environment"]["torch"]
            assert path.name in shown
            for row in document.get("rows", []):
                Row(**row)


def test_numbers_have_three_digits() -> None:
    assert number(0.0456) == "0.0456"
