"""HTTP with a server that may be any: encrypted off this machine, bounded, one message a fault."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from seglock.address import is_loopback, shown_uri
from seglock.errors import ServerError, in_short
from seglock.foreign import parse_json

_CONNECT, _READ = 10.0, 300.0  # seconds
_BUSY = (429, 503)
_TRIES, _LONGEST_WAIT = 8, 10.0
_DENIED = (401, 403)
_RUNNING = "see that `seglock serve` runs there, and what its log says"


class Reply:
    """A status and a body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body


class Connection:
    """Requests to one address, of which redirects are not followed.

    Raises ServerError for one that is no http(s) address, and for plain HTTP to another machine:
    whoever reads a few dozen encrypted images on the way has the plan.
    """

    def __init__(self, address: str, token: str | None) -> None:
        import requests

        self.address = _checked(address)
        self._session = requests.Session()
        # A proxy would be another machine, and a .netrc would take the token's place.
        self._session.trust_env = self.address.startswith("https:")
        self._session.headers = {"Accept-Encoding": "identity", "User-Agent": "seglock"}
        self._session.auth = _Bearer(token)

    def ask(self, path: str, *, most: int, **request: Any) -> Reply:
        """The reply to GET, or to POST where there is a body (``data`` or ``json``); waits and
        asks again while the server is busy.

        Raises ServerError where nothing answers, or with more than ``most`` bytes.
        """
        for attempt in range(_TRIES):
            reply, wait = self._once(path, most, request)
            if reply.status not in _BUSY or attempt == _TRIES - 1:
                break
            time.sleep(min(wait, _LONGEST_WAIT))
        if 300 <= reply.status < 400:
            raise self.fault("a redirect to another address", "give that address itself")
        if reply.status in _DENIED:
            fix = "give it as SEGLOCK_TOKEN, or as `token` of seglock.Client"
            raise self.fault(f"status {reply.status}: it asks for a token, or another one", fix)
        return reply

    def fault(self, got: str, fix: str = _RUNNING) -> ServerError:
        """That the server does not answer as it should."""
        return ServerError(
            f"{self.address} must answer as a server of a locked model", got=got, fix=fix
        )

    def refusal(self, reply: Reply) -> ServerError:
        """What a server says of a request that it did not take."""
        try:
            about = parse_json(reply.body)
            said = about.get("error", about.get("message"))  # the latter is MLflow's
        except (ValueError, AttributeError):
            said = ""
        text = in_short(said, 300) if isinstance(said, str) else ""
        return self.fault(f"status {reply.status}" + (f": {text}" if text else ""))

    def _once(self, path: str, most: int, request: dict[str, Any]) -> tuple[Reply, float]:
        import requests

        method = "POST" if request else "GET"
        try:
            with self._session.request(
                method, self.address + path, stream=True, allow_redirects=False,
                timeout=(_CONNECT, _READ), **request,
            ) as answer:  # fmt: skip
                body = bytearray()
                for piece in answer.iter_content(1 << 16):
                    body += piece
                    if len(body) > most:
                        raise self.fault(f"more than {most} bytes")
                return Reply(answer.status_code, bytes(body)), _wait(answer.headers)
        except requests.RequestException as error:
            raise self.fault(_reason(error)) from None


class _Bearer:
    """Sends the token, and nothing else in its place."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ServerError(
            "a server's address must be https://HOST:PORT",
            got=shown_uri(address),
            fix="leave out user names, queries and fragments; a token is given as SEGLOCK_TOKEN",
        )
    if parts.scheme != "https" and not is_loopback(host):
        raise ServerError(
            "images are sent by plain HTTP only within this machine",
            got=address,
            fix="use https://, or a tunnel such as `ssh -L 8000:127.0.0.1:8000 HOST` and "
            "http://127.0.0.1:8000: whoever reads some dozens of them on the way has the plan",
        )
    return address.rstrip("/")


def _wait(headers: Any) -> float:
    try:
        return max(0.05, float(headers.get("Retry-After", 1)))
    except ValueError:
        return 1.0


def _reason(error: BaseException | None) -> str:
    """The innermost reason that is in plain words."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no TLS that this machine trusts"
    found = type(error).__name__
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        inner = [part for part in error.args if isinstance(part, BaseException)]
        reason = getattr(error, "reason", None)
        inner += [reason] if isinstance(reason, BaseException) else []
        error = inner[0] if inner else error.__cause__ or error.__context__
    return found
