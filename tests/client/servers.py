"""Servers that clients meet: a real one of a tiny model, one that says what a test wants, and a
relay that keeps what went through."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, bytes, dict[str, str]]


@contextlib.contextmanager
def saying(answer: Callable[[str, str, bytes], Answer]) -> Iterator[str]:
    """The address of a server that answers (method, path, body) with (status, body, headers)."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, reply, headers = answer(self.command, self.path, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(reply)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(reply)

        do_GET = do_POST = _reply  # noqa: N815 - as http.server asks for them

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def relayed(port: int) -> Iterator[tuple[int, bytearray]]:
    """A port that leads to another, and all bytes that were sent to it, over real sockets."""
    sent = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        threads: list[threading.Thread] = []

        def pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
            with contextlib.suppress(OSError):
                while piece := source.recv(1 << 16):
                    if kept is not None:
                        kept += piece
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    one, _ = listener.accept()
                    two = socket.create_connection(("127.0.0.1", port))
                    stack.callback(_end, one, two)
                    for args in ((one, two, sent), (two, one, None)):
                        threads.append(threading.Thread(target=pump, args=args))
                        threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1], sent
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            stack.close()
            for thread in threads:
                thread.join()


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
        connection.close()
