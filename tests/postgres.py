"""A real PostgreSQL server on the loopback address, which tests may stop, kill and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, PASSWORD = "studies", "p@ss/w{or}d%"
"""A password of everything that a URL, a template or a config file could misread."""

DEBIAN = Path("/usr/lib/postgresql")


class Postgres:
    """One server with a folder of its own, run by an unprivileged user (it refuses root)."""

    def __init__(self, programs: Path, user: str | None) -> None:
        self.programs = programs
        self.user = user
        self.folder = Path(tempfile.mkdtemp(prefix="seglock-postgres-"))
        if user is not None:
            shutil.chown(self.folder, user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def create(self) -> None:
        """Make the cluster, with a password for its one user."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run("initdb", "-D", "data", "-U", USER, "--pwfile", str(secret), "-A",
                 "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync")  # fmt: skip

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        """One of PostgreSQL's programs, in the server's folder."""
        command = [str(self.programs / program), *arguments]
        if self.user is not None:
            command = ["runuser", "-u", self.user, "--", *command]
        log = self.folder / f"{program}.log"
        with log.open("ab") as out:
            done = subprocess.run(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                timeout=60, check=False,
            )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"{program}: {log.read_text()[-2000:]}")

    def _control(self, action: str, *arguments: str, check: bool = True) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -F"
        self.run("pg_ctl", action, "-D", "data", "-w", "-l", str(self.folder / "server.log"),
                 "-o", options, *arguments, check=check)  # fmt: skip

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._control("start")

    def restart(self) -> None:
        """As after a crash: nothing is ended in order, the log is replayed."""
        self._control("restart", "-m", "immediate")

    def stop(self) -> None:
        """Stop at once; every connection breaks."""
        self.run("pg_ctl", "stop", "-D", "data", "-m", "immediate", "-w", check=False)

    def new_database(self, name: str) -> str:
        """An empty database; its URL, with the password as $STUDY_PASSWORD."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres",
            autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://{USER}:$STUDY_PASSWORD@127.0.0.1:{self.port}/{name}"


def _programs() -> Path:
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is absent (`make services` installs it)")
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def _unprivileged() -> str | None:
    """Whose server it is: root must lend it to someone else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("PostgreSQL refuses root, and there is no user postgres or nobody to run it")


@pytest.fixture(scope="session")
def _server() -> Iterator[Postgres]:
    server = Postgres(_programs(), _unprivileged())
    server.create()
    server.start()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def postgres(_server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server that answers; a test that stops it leaves it to be started again."""
    monkeypatch.setenv("STUDY_PASSWORD", PASSWORD)
    yield _server
    _server.run("pg_ctl", "status", "-D", "data", check=False)
    if not _answers(_server.port):
        _server.start()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
