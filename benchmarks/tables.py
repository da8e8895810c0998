"""Render the tables in README and docs from the JSON under docs/results.

    python -m benchmarks.tables            # write them anew
    python -m benchmarks.tables --check    # say which pages are behind; exit 1 if any is

A page shows a file between two comments, and its heading is kept above them:

    <!-- results: transforms-cpu.json -->
    <!-- end of results -->

Words after the file's name keep the rows that have them in theirs, as in
``<!-- results: transforms-cpu.json encrypt -->``. Of a protocol's file they name the part: table1,
access, ablations, luck or claims; of the attacks' leaderboard, labels, beyond or plans; of the
locks' verdicts, judged, beside-paper or attacks.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import attack_tables, lock_tables, protocol_tables
from benchmarks.markdown import table
from benchmarks.recipe_table import recipe_table
from benchmarks.results import HEADER, LEFT, REPOSITORY, RESULTS, cells
from seglock.files import read_json, write_bytes

_PARTS = {
    "protocol": protocol_tables.PARTS,
    "attacks": attack_tables.PARTS,
    "locks": lock_tables.PARTS,
}
_PLACE = re.compile(
    r"<!-- results: (?P<file>\S+?)(?: (?P<words>[^\n]+?))? -->\n.*?<!-- end of results -->",
    flags=re.DOTALL,
)


def render(document: Mapping[str, Any], words: str = "") -> str:
    """A benchmark's rows as a Markdown table, with the command and the device under it.

    Columns that are empty in every row are left out. Of a protocol, ``words`` name the part.
    """
    if document["benchmark"] == "recipe":
        return f"{recipe_table(document)}\n\n{_source(document)}\n"
    if document["benchmark"] in _PARTS:
        return f"{_PARTS[document['benchmark']][words](document)}\n\n{_source(document)}\n"
    rows = [cells(row) for row in document["rows"] if words in row["name"]]
    used = [i for i in range(len(HEADER)) if i < 2 or any(row[i] for row in rows)]
    shown = table([HEADER[i] for i in used], ([row[i] for i in used] for row in rows), LEFT)
    return f"{shown}\n\n{_source(document)}\n"


def _source(document: Mapping[str, Any]) -> str:
    about = document["environment"]
    device = document["device"]
    if device == "cpu":
        cores = "1 core" if about["cpu_count"] == "1" else f"{about['cpu_count']} cores"
        device = f"{cores} ({document['processor'] or 'CPU'}), no GPU"
    return f"`{document['command']}`; {device}, torch {about['torch']}, Python {about['python']}."


def refreshed(page: str, results: Path = RESULTS) -> str:
    """A page with every table between its comments rendered anew."""

    def anew(found: re.Match[str]) -> str:
        name, words = found["file"], found["words"] or ""
        opening = found[0].partition("\n")[0]
        body = render(read_json(results / name), words)
        return f"{opening}\n{body}<!-- end of results -->"

    return _PLACE.sub(anew, page)


def pages(root: Path = REPOSITORY) -> Iterable[Path]:
    """Every page that may show results."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if behind")
    given = parser.parse_args(arguments)
    behind = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = refreshed(text)
        if new != text:
            behind.append(page)
            if not given.check:
                write_bytes(page, new.encode())
    for page in behind:
        print(f"{'is behind' if given.check else 'written'}: {page.relative_to(REPOSITORY)}")
    return 1 if behind and given.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
