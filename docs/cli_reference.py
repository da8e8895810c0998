"""A hook of MkDocs: the page on the command line is what Typer says of the commands."""

from __future__ import annotations

import re
import subprocess
import sys

MARK = "<!-- commands -->"
ASK = ["-m", "typer", "seglock.cli.app", "utils", "docs", "--name", "seglock"]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put it in the place of the mark, its headings below the page's own."""
    if MARK not in markdown:
        return markdown
    done = subprocess.run([sys.executable, *ASK], capture_output=True, text=True, check=True)
    return markdown.replace(MARK, re.sub(r"^(?=#+ `)", "#", done.stdout, flags=re.MULTILINE))
