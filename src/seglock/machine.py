"""What a run says about the machine and the code it ran on: an allow-list, never os.environ."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

from seglock.threads import available_cores

PACKAGES = (
    "seglock",
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "cryptography",
    "argon2-cffi",
    "pyffx",
    "safetensors",
    "mlflow",
    "dvc",
)


def describe_environment() -> dict[str, str]:
    """Python, platform, processors, package versions and, where torch is loaded, its devices.

    Host, user, paths and environment variables are left out on purpose.

    >>> "python" in describe_environment(), "PATH" in describe_environment()
    (True, False)
    """
    found = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu_count": str(available_cores()),
    }
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found | _devices()


def _devices() -> dict[str, str]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {"device": "cpu"}
    count = torch.cuda.device_count()
    names = sorted({torch.cuda.get_device_name(index) for index in range(count)})
    return {
        "device": f"{count} x {', '.join(names)}",
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
    }


def git_commit(root: Path) -> str | None:
    """The commit that is checked out at ``root``; None outside a git repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
