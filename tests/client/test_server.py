"""Servers that are none, that are wrong, busy, or would have photos sent as they are."""

from __future__ import annotations

import io
import json
import socket
import time

import numpy as np
import pytest
from PIL import Image

import seglock
from seglock.errors import ModelError, ServerError
from seglock.keys import demonstration_key
from seglock.serving.envelope import decode
from tests.client.servers import saying
from tests.serving.server.asking import served
from tests.serving.tiny import describe

KEY = demonstration_key()
ABOUT = describe(("np-2",))
PHOTO = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def png(mask: np.ndarray) -> bytes:
    Image.fromarray(mask).save(out := io.BytesIO(), "PNG")
    return out.getvalue()


MASK = png(np.full((16, 16), 2, np.uint8))


def described(reply: bytes = MASK, status: int = 200, about=ABOUT, **headers: str):
    """A server that describes its model and answers each envelope with one reply."""

    def answer(method: str, path: str, body: bytes):
        if path == "/description":
            return 200, about.to_json().encode(), {}
        return status, reply, headers

    return saying(answer)


def test_the_answer_is_brought_back() -> None:
    with described() as address:
        made = seglock.Client(address, KEY).predict(PHOTO)
    assert made.classes.shape == (8, 8)
    assert made.shares == {"disc": 1.0}


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org:8000", "http://192.0.2.7", "http://0.0.0.0:1",
        "http://127.0.0.1.example.org", "http://localhost@example.org",
    ],
)  # fmt: skip
def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(
    address: str, monkeypatch
) -> None:
    monkeypatch.setattr(socket, "create_connection", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(ServerError, match=r"only within this machine|must be https://HOST:PORT"):
        seglock.Client(address, KEY)


@pytest.mark.parametrize(
    "address", ["https://", "http://127.0.0.1:x", "https://a/?b", "https://a:b@c"]
)
def test_what_is_no_address_is_one_message_without_a_password(address: str) -> None:
    with pytest.raises(ServerError, match="must be https://HOST:PORT") as caught:
        seglock.Client(address, KEY)
    assert "a:b@" not in str(caught.value)


def test_no_proxy_is_used_within_this_machine_and_no_password_file(monkeypatch, tmp_path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password hunter22\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with described() as address:
        assert seglock.Client(address, KEY).predict(PHOTO).shares == {"disc": 1.0}


def test_where_nothing_listens_is_one_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ServerError, match="got connection refused; see that `seglock serve` runs"):
        seglock.Client(f"http://127.0.0.1:{port}", KEY)


def test_an_untrusted_certificate_and_no_tls_are_one_message() -> None:
    with described() as address, pytest.raises(ServerError, match="got no TLS that this"):
        seglock.Client(address.replace("http:", "https:"), KEY)


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "match"),
    [
        (200, b"<html>hello</html>", {}, ModelError, "must be of a seglock package"),
        (200, b"x" * (1 << 21), {}, ServerError, "got more than 1048576 bytes"),
        (302, b"", {"Location": "http://example.org/"}, ServerError, "a redirect to another"),
        (401, b"", {}, ServerError, "status 401: it asks for a token.*SEGLOCK_TOKEN"),
        (404, b"", {}, ServerError, "got neither /description nor /invocations"),
        (500, b'{"error": "out of\\nmemory\x1b"}', {}, ServerError, "got status 500"),
        (500, b'{"error": "no room"}', {}, ServerError, "got status 500: no room"),
    ],
)
def test_a_server_of_something_else_is_one_message(status, body, headers, error, match) -> None:
    with saying(lambda *_: (status, body, headers)) as address, pytest.raises(error, match=match):
        seglock.Client(address, KEY)


@pytest.mark.parametrize(
    ("reply", "status", "match"),
    [
        (png(np.zeros((8, 8), np.uint8)), 200, "an answer that is no mask"),
        (png(np.full((16, 16), 3, np.uint8)), 200, "no mask of its classes"),
        (png(np.zeros((16, 16, 3), np.uint8)), 200, "an answer that is no mask"),
        (MASK[:40], 200, "an answer that is no mask"),
        (bytes(1 << 20), 200, "got more than"),
        (b'{"error": "too large, got 4 MB"}', 413, "status 413: too large, got 4 MB"),
        (b"[]", 409, "got status 409;"),
    ],
)
def test_a_wrong_answer_is_one_message(reply: bytes, status: int, match: str) -> None:
    with described(reply, status) as address, pytest.raises(ServerError, match=match):
        seglock.Client(address, KEY).predict(PHOTO)


def test_a_server_that_stops_in_the_middle_is_one_message() -> None:
    with described(MASK, **{"Content-Length": str(len(MASK) + 9)}) as address:
        client = seglock.Client(address, KEY)
        with pytest.raises(ServerError, match="must answer as a server of a locked model"):
            client.predict(PHOTO)


@pytest.mark.parametrize("steps", [(), ("np-2-f0",), ("np-2-f100",), ("shf-1-f1",)], ids="+".join)
def test_a_server_cannot_have_photos_sent_as_they_are(steps: tuple[str, ...]) -> None:
    about = describe(("np-2",)).model_copy(update={"steps": steps})
    with described(about=about) as address, pytest.raises(ServerError, match="a lock that the key"):
        seglock.Client(address, KEY, check=False)
    about = describe(("np-2",), image_side=5000)
    with described(about=about) as address, pytest.raises(ServerError, match="of side 5000"):
        seglock.Client(address, KEY)


def test_a_busy_server_is_asked_again(monkeypatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    tries = iter([(429, {"Retry-After": "0.5"}), (503, {"Retry-After": "900"}), (503, {})])

    def answer(method: str, path: str, body: bytes):
        if path == "/description":
            return 200, ABOUT.to_json().encode(), {}
        status, headers = next(tries, (200, {}))
        return status, MASK, headers

    with saying(answer) as address:
        assert seglock.Client(address, KEY).predict(PHOTO).shares == {"disc": 1.0}
    assert waits == [0.5, 10.0, 1.0]
    waits.clear()
    with described(b'{"error": "full"}', 503) as address:
        client = seglock.Client(address, KEY)
        with pytest.raises(ServerError, match="status 503: full"):
            client.predict(PHOTO)
    assert len(waits) == 7


def test_the_token_is_sent_as_bearer_and_asked_for() -> None:
    class Model:
        description = ABOUT

        def predict(self, values: np.ndarray) -> np.ndarray:
            return np.zeros((len(values), 16, 16), np.uint8)

    token = "correct-horse-battery"
    with served(Model(), token=token) as port:
        address = f"http://127.0.0.1:{port}/"
        made = seglock.Client(address, KEY, token=token).predict(PHOTO)
        assert made.shares == {"background": 1.0}
        for other in (None, token[::-1]):
            with pytest.raises(ServerError, match="got status 401: it asks for a token"):
                seglock.Client(address, KEY, token=other)


def test_a_model_that_mlflow_serves_is_asked_for_its_description_and_predictions() -> None:
    seen: list[dict] = []

    def answer(method: str, path: str, body: bytes):
        if path != "/invocations":
            return 404, b"", {}
        seen.append(json.loads(body))
        if "params" in seen[-1]:
            return 200, json.dumps({"predictions": [ABOUT.to_json()]}).encode(), {}
        return 200, json.dumps({"predictions": np.ones((1, 16, 16), int).tolist()}).encode(), {}

    with saying(answer) as address:
        assert seglock.Client(address, KEY).predict(PHOTO).shares == {"square": 1.0}
    assert seen[0]["params"] == {"describe": True}
    assert np.array(seen[1]["inputs"]).shape == (1, 3, 16, 16)
    for wrong in (b"[]", b'{"predictions": 3}', b'{"predictions": [[[999]]]}'):

        def other(method: str, path: str, body: bytes, wrong: bytes = wrong):
            real = path == "/description" or b"params" in body
            return answer(method, path, body) if real else (200, wrong, {})

        with saying(other) as address, pytest.raises(ServerError, match="an answer"):
            seglock.Client(address, KEY).predict(PHOTO)


def test_an_envelope_tells_the_server_no_more_than_it_needs() -> None:
    bodies: list[bytes] = []

    def answer(method: str, path: str, body: bytes):
        bodies.append(body)
        return 200, ABOUT.to_json().encode() if path == "/description" else MASK, {}

    with saying(answer) as address:
        seglock.Client(address, KEY).predict(PHOTO)
    envelope = decode(bodies[1], most_pixels=256)
    assert (envelope.key_id, envelope.steps, envelope.photo_size) == (KEY.id, ("np-2",), None)
