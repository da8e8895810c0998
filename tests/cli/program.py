"""``seglock`` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def seglock(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command and its output, in a folder and with more variables."""
    return subprocess.run(
        [sys.executable, "-m", "seglock", *arguments], cwd=cwd, text=True, capture_output=True,
        env=os.environ | environment, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
