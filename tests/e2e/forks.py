"""``seglock``, ``dvc`` and ``python -c`` as forks of one process that has imported everything.

A folder with these programs in it, to be put first on a PATH, so that a start takes no ten seconds.
Each hands its arguments, folder, environment, umask and open files to the server, whose fork runs
the command as the real one does; but where a page holds plotly, 4.8 MB that an audit takes seconds
for, it has a line.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from filelock import FileLock

PROGRAMS = ("seglock", "dvc", "python")
IMPORTED = (
    "alembic.command", "argon2", "dvc.api", "dvc.cli", "dvc.commands.experiments.run",
    "dvc.commands.repro", "dvc.repo", "matplotlib.pyplot", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking", "optuna.importance", "optuna.storages", "pandas", "plotly.io",
    "seglock.attacks", "seglock.report", "seglock.search.coordinator", "seglock.stages.attack",
    "seglock.stages.evaluate", "seglock.stages.report", "seglock.stages.train", "seglock.training",
    "sklearn.ensemble", "torch._dynamo", "torch.optim", "torchvision.models",
)  # fmt: skip
ROOT = Path(__file__).parents[2]
STARTED: list[subprocess.Popen[bytes]] = []
CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"0"], [0, 1, 2])
    call = [sys.argv, os.getcwd(), dict(os.environ), os.umask(0)]
    server.sendall(json.dumps(call).encode() + b"\\n")
    sys.exit(int(server.makefile().readline() or 70))  # it says nothing if it was killed
"""


def forked_programs(folder: Path, owner: int) -> Path:
    """The folder for PATH, which serves as long as the process ``owner`` lives."""
    address, programs = folder / "socket", folder / "bin"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if programs.exists():
            return programs
        command = [sys.executable, "-m", "tests.e2e.forks", str(address), str(owner)]
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        STARTED.append(server)  # held, or Python would say that nobody waits for it
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        programs.mkdir()
        for name in PROGRAMS:
            (programs / name).write_text(CLIENT.format(python=sys.executable, address=str(address)))
            (programs / name).chmod(0o755)
    return programs


def serve(address: str, owner: int) -> None:
    """Fork for every call, as long as the process ``owner`` lives."""
    gc.disable()  # what is imported stays, and is shared with the forks
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    importlib.import_module("plotly.offline").get_plotlyjs = lambda: "/* plotly */"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        listener.settimeout(2.0)
        print("ready", flush=True)
        while is_alive(owner):
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.setblocking(True)
            if os.fork() == 0:
                listener.close()
                run(connection)
            connection.close()
    gc.unfreeze()  # or extension modules say that it was leaked


def run(connection: socket.socket) -> NoReturn:
    """One call in this fork; the exit code is the answer."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    (program, *arguments), folder, environment, mask = json.loads(connection.makefile().readline())
    gc.enable()
    os.umask(mask)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # Python found out what its own were when it started.
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    name = Path(program).name
    sys.argv = [name, *arguments]
    code = 1
    try:
        code = call(name, arguments)
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


def call(program: str, arguments: list[str]) -> int:
    """What the program does; its exit code."""
    if program == "dvc":
        from dvc.cli import main as dvc

        return dvc(arguments)
    if program == "seglock":
        from seglock.cli import main as seglock

        seglock()
    else:
        exec(arguments[arguments.index("-c") + 1], {"__name__": "__main__"})
    return 0


def is_alive(process: int) -> bool:
    """Whether a process of this user runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
