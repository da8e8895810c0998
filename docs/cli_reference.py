"""A hook of MkDocs: the page on the command line is what Typer says of the commands."""

from __future__ import annotations

import re
import subprocess
import sys

MARK = "<!-- commands -->"
ASK = ["-m", "typer", "seglock.cli.app", "utils", "docs", "--name", "seglock"]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put it in the place of the mark, its headings below the page's own.

    Its lists of commands, which cut what they say short, are left to the table of contents.
    """
    if MARK not in markdown:
        return markdown
    done = subprocess.run([sys.executable, *ASK], capture_output=True, text=True, check=True)
    text = re.sub(r"^\*\*Commands\*\*:\n\n(\* .*\n)+", "", done.stdout, flags=re.MULTILINE)
    return markdown.replace(MARK, re.sub(r"^(?=#+ `)", "#", text, flags=re.MULTILINE))
