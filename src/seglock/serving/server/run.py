"""The process around the application: its port, its signals, and nothing in its log."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from seglock.errors import BusyError, ConfigError, SeglockError
from seglock.serving.server.app import Server

if TYPE_CHECKING:
    import uvicorn

GRACE = 30
"""Seconds in which a server that was told to stop answers those who asked before."""

_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket of this address, not listening yet; port 0: one that the system chooses.

    Raises BusyError when the port is in use, ConfigError when the address is not to be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, port, error) from None
    try:
        # A server that was killed leaves connections that the system keeps for a minute.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _no_address(host, port, error) from None
    return bound


def process_of(server: Server) -> uvicorn.Server:
    """The process around an application. It logs no request and believes no header on who asks."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            server, lifespan="off", ws="none", interface="asgi3", log_config=None,
            log_level="error", access_log=False, server_header=False, proxy_headers=False,
            backlog=_BACKLOG, timeout_graceful_shutdown=GRACE,
        )
    )  # fmt: skip


def run(server: Server, listener: socket.socket, *, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, answer what was asked before, and return.

    A second Ctrl-C drops what is not answered yet. ``started`` is called once clients are let in.
    """
    process = process_of(server)

    async def serve() -> None:
        serving = asyncio.ensure_future(process.serve(sockets=[listener]))
        while not (process.started or serving.done()):
            await asyncio.sleep(0.01)
        if process.started:
            started()
        await serving

    # uvicorn raises the signal that ended it once more; it has done what it was for.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=process.config.get_loop_factory()) as runner:
        runner.run(serve())
    server.stop(0 if process.force_exit else GRACE)


def shown_address(listener: socket.socket) -> str:
    """The address as a client is given it.

    >>> with socket.socket() as free: shown_address(free)
    'http://0.0.0.0:0'
    """
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _no_address(host: str, port: int, error: OSError | UnicodeError) -> SeglockError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return BusyError(
            f"port {port} of {host} must be free", got="one in use",
            fix="stop what listens there, or choose another with --port",
        )  # fmt: skip
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return ConfigError(
        "--host and --port must be an address of this machine", got=f"{host}:{port} ({reason})",
        fix="use 127.0.0.1, or 0.0.0.0 for every address, and a port above 1023",
    )  # fmt: skip
