"""Two processes on 127.0.0.1, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [
    sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
    "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1", "-m",
]  # fmt: skip


def torchrun(module: str, *arguments: str, folder: Path, timeout: float = 200) -> None:
    """Run a module in two processes in ``folder``; raises AssertionError with what they said."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    agent = subprocess.Popen(
        [*COMMAND, module, *arguments], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = agent.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        agent.terminate()  # not kill: the agent then ends its processes
        output, _ = agent.communicate()
    assert agent.returncode == 0, output[-4000:]
