"""``seglock`` as forks of one process that has imported everything: a start takes no ten seconds.

A folder with a program ``seglock`` in it, to be put first on a PATH. It hands its arguments,
folder, environment and open files to the server, whose fork runs the command as the real one does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

IMPORTED = (
    "alembic.command", "argon2", "matplotlib.pyplot", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "optuna.importance", "optuna.storages", "pandas", "plotly.io",
    "seglock.attacks", "seglock.report", "seglock.search.coordinator", "seglock.stages.attack",
    "seglock.stages.evaluate", "seglock.stages.report", "seglock.stages.train", "seglock.training",
    "sklearn.ensemble", "torch._dynamo", "torch.optim", "torchvision.models",
)  # fmt: skip
ROOT = Path(__file__).parents[2]
CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"0"], [0, 1, 2])
    call = [sys.argv[1:], os.getcwd(), dict(os.environ)]
    server.sendall(json.dumps(call).encode() + b"\\n")
    sys.exit(int(server.makefile().readline() or 70))  # it says nothing if it was killed
"""


@contextlib.contextmanager
def forked_seglock(folder: Path) -> Iterator[Path]:
    """The folder for PATH, as long as the server runs."""
    address, program = folder / "socket", folder / "bin" / "seglock"
    program.parent.mkdir()
    program.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    command = [sys.executable, "-m", "tests.e2e.forks", str(address)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            yield program.parent
        finally:
            server.kill()


def serve(address: str) -> None:
    """Fork for every call, as long as the process lives that started this one."""
    parent = os.getppid()
    for module in IMPORTED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(2.0)
        print("ready", flush=True)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.setblocking(True)
            if os.fork() == 0:
                listener.close()
                run(connection)
            connection.close()


def run(connection: socket.socket) -> NoReturn:
    """One call in this fork; the exit code is the answer."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    arguments, folder, environment = json.loads(connection.makefile().readline())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # Python found out what its own were when it started.
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["seglock", *arguments]
    code = 1
    try:
        from seglock.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(b"%d\n" % code)
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
