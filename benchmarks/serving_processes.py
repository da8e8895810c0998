"""The processes that are measured beside each other: a server, its clients, the bare network."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from seglock.stages.serve import batch_threads
from seglock.threads import share_cores

_LOAD = Path(__file__).with_name("serving_load.py")


class Bare:
    """The network alone in a process of its own: answers batches that lie in memory."""

    def __init__(self, model: Path) -> None:
        environ = dict(os.environ)
        environ.pop("OMP_NUM_THREADS", None)
        share_cores(environ, batch_threads(model, "cpu"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving_processes", str(model)],
            env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rate(self, batch: int, seconds: float) -> float:
        """Images a second in batches of so many."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(batch, seconds, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def answer_batches(model: Path) -> None:
    """What `Bare`'s process does: for each line ``BATCH SECONDS``, images a second."""
    from seglock.serving.runtime import open_runtime

    runtime, threads = open_runtime(model), batch_threads(model, "cpu")
    side = runtime.description.image_side
    for line in sys.stdin:
        batch, seconds = line.split()
        values = np.random.default_rng(0).integers(0, 256, (int(batch), 3, side, side), np.uint8)
        runtime.predict(values)
        with ThreadPoolExecutor(threads) as pool:
            until = time.perf_counter() + float(seconds)
            work = partial(_until, until, runtime, values)
            counts = [pool.submit(work) for _ in range(threads)]
            print(sum(count.result() for count in counts) / float(seconds), flush=True)


def _until(until: float, runtime: Any, values: np.ndarray) -> int:
    done = 0
    while time.perf_counter() < until:
        runtime.predict(values)
        done += len(values)
    return done


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, path: str, log: Path) -> Iterator[int]:
    """A server's process number, once it answers ``path``; it is stopped at the end."""
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    with log.open("w") as out, subprocess.Popen(
        [sys.executable, "-m", *command], stdout=out, stderr=out, env=environ,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            until = time.monotonic() + 120
            while not _answers(f"http://127.0.0.1:{port}{path}"):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not answer: {log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def load(
    port: int, path: str, media: str, clients: int, seconds: float, bodies: Sequence[Path]
) -> dict[str, float]:
    """What so many clients see of a server: rate, p50, p99, bad replies."""
    done = subprocess.run(
        [sys.executable, _LOAD, str(port), path, media, str(clients), str(seconds), *bodies],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    if found["bad"]:
        raise RuntimeError(f"{found['bad']:.0f} replies of {path} were not 200")
    return found


if __name__ == "__main__":
    answer_batches(Path(sys.argv[1]))
