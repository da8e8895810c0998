"""The pages people read, and the commands on them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.project import ROOT

PAGES = sorted(p.relative_to(ROOT) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def commands(page: Path) -> list[str]:
    """What a page has people type, in its order: lines after a prompt, without their remarks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    typed = re.findall(r"^\w*\$ (.+)", "\n".join(blocks).replace("\\\n", ""), flags=re.MULTILINE)
    return [re.sub(r"\s+#.*$", "", line).strip() for line in typed]
