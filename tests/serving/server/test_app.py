"""The server over real HTTP: each gets its own answer, bad bodies one line, and none a trace."""

from __future__ import annotations

import io
import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.serving.server.asking import ABOUT, SIDE, Mirror, ask, connected, envelope, served

CANARY = "canary-5e1f"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(Mirror(), batch=4) as port:
        yield port


def classes(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def png(width: int, height: int, content: bytes, *more: bytes) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 2, 0, 0, 0))
    parts = (chunk(b"IHDR", header), *more, chunk(b"IDAT", content), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def as_jpeg() -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(envelope())) as image:
        image.save(file, "JPEG", comment=CANARY.encode())
    return file.getvalue()


def saved_again() -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(envelope())) as image:
        image.save(file, "PNG")
    return file.getvalue()


def test_everyone_gets_their_own_answer(port: int) -> None:
    def own(fill: int) -> bool:
        status, headers, body = ask(port, body=envelope(fill))
        assert (status, headers["content-type"]) == (200, "image/png")
        assert headers["cache-control"] == "no-store"
        return bool((classes(body) == fill).all()) and classes(body).shape == (SIDE, SIDE)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(own, range(64)))


def test_those_who_come_together_are_answered_together() -> None:
    mirror = Mirror()
    with served(mirror, batch=4, wait=1.0) as port, ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda fill: ask(port, body=envelope(fill)), range(8)))
    assert [int(classes(body)[0, 0]) for _, _, body in replies] == list(range(8))
    assert mirror.sizes == [4, 4]


def test_what_is_full_says_when_to_come_again_and_finishes_what_it_has() -> None:
    mirror = Mirror()
    mirror.go.clear()
    with served(mirror, batch=1, queue=2) as port, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(ask, port, body=envelope(fill)) for fill in (1, 2)]
        while b"inside 2.0" not in ask(port, "/metrics")[2]:
            pass
        status, headers, body = ask(port, body=envelope())
        assert (status, headers["retry-after"]) == (503, "1")
        assert b"at most 2 requests must be waiting" in body
        assert ask(port, "/ready")[0] == 503
        assert ask(port, "/health")[0] == 200
        mirror.go.set()
        assert [future.result()[0] for future in waiting] == [200, 200]
        assert ask(port, "/ready")[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 415, "one envelope"),
        (CANARY.encode(), 415, "no PNG"),
        (json.dumps({"inputs": [CANARY]}).encode(), 415, "no PNG"),
        (b"[" * 5000, 415, "no PNG"),
        (as_jpeg(), 415, "a JPEG, which has lost the encrypted values"),
        (saved_again(), 400, ""),
        (envelope()[:200], 400, ""),
        (envelope().replace(b"IDAT", b"IDAX"), 400, ""),
        (png(60000, 60000, zlib.compress(bytes(10**6))), 400, ""),
        (png(SIDE, SIDE, zlib.compress(bytes(10**7))), 400, ""),
        (png(1, 1, b"", chunk(b"tEXt", b"seglock\0" + CANARY.encode())), 400, ""),
        (png(1, 1, b"", chunk(b"tEXt", b"seglock\0" + b'{"a":' * 9000)), 400, ""),
        (png(1, 1, b"", chunk(b"zTXt", b"seglock\0\0" + zlib.compress(bytes(9**8)))), 400, ""),
        (bytes(10**6), 413, "at most"),
        (envelope(values=np.zeros((3, SIDE, SIDE), np.int16)), 422, "of uint8, got"),
        (envelope(values=np.zeros((3, 8, 8), np.uint8)), 422, "(3, 16, 16) of uint8, got"),
        (envelope(key_id="f" * 16), 409, f"key id must be the model's: {ABOUT.key_id}, got"),
        (envelope(steps=("shf-4",)), 409, "steps must be the model's: np-4, got another"),
        (envelope(steps=(CANARY,), key_id=CANARY, lock=CANARY), 400, ""),
    ],
)  # fmt: skip
def test_a_bad_body_is_one_line_without_a_trace_of_it(
    port: int, capfd: pytest.CaptureFixture[str], body: bytes, status: int, says: str
) -> None:
    got, headers, reply = ask(port, body=body)
    found = json.loads(reply)
    assert (got if status != 400 else got // 100) == (status if status != 400 else 4), found
    assert list(found) == ["error"]
    assert says in found["error"]
    assert CANARY not in f"{headers}{reply!r}{capfd.readouterr()}"
    assert ask(port, body=envelope())[0] == 200


def test_another_key_is_answered_where_the_client_asks_for_it(port: int) -> None:
    assert ask(port, "/predict?check=no", envelope(7, key_id="f" * 16))[0] == 200
    assert ask(port, "/predict?check=yes", envelope(7, key_id="f" * 16))[0] == 409


@pytest.mark.parametrize(
    "path", ["/docs", "/openapi.json", "/redoc", "/../etc/passwd", "/predict/"]
)
def test_there_are_no_other_pages(port: int, path: str) -> None:
    assert ask(port, path)[::2] == (404, b'{"error":"Not Found"}')
    assert ask(port, "/predict")[0] == 405


def test_a_body_in_pieces_is_held_to_the_same_size(port: int) -> None:
    """Without content-length; and the reply to one that is too large can be read."""
    whole = envelope(3)
    assert ask(port, body=iter([whole[:50], whole[50:]]))[0] == 200
    assert ask(port, body=iter([bytes(1 << 16)] * 40))[0] == 413


def test_a_huge_declared_size_is_refused_at_once(port: int) -> None:
    with connected(port) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999\r\n\r\nx")
        assert raw.makefile("rb").readline().split()[1] == b"413"


def test_no_http_is_one_line(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with connected(port) as raw:
        raw.sendall(CANARY.encode() + b"\r\n\r\n")
        assert b" 400 " in raw.makefile("rb").readline()
    assert CANARY not in str(capfd.readouterr())


def test_a_slow_body_holds_its_place_no_longer_than_it_may() -> None:
    with (
        served(Mirror(), body_seconds=0.05) as port,
        connected(port) as raw,
    ):
        raw.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nx")
        assert raw.makefile("rb").readline().split()[1] == b"408"


def test_the_token_opens_all_but_what_watches_the_process() -> None:
    with served(Mirror(), token="0123456789abcdef") as port:
        for path in ("/description", "/metrics", "/nope"):
            assert ask(port, path)[0] == 401
        status, headers, reply = ask(port, body=bytes(10**6), authorization=f"Bearer {CANARY}")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert CANARY.encode() not in reply
        assert b"0123" not in reply
        assert ask(port, "/health")[0] == ask(port, "/ready")[0] == 200
        assert ask(port, body=envelope(), authorization="Bearer 0123456789abcdef")[0] == 200


def test_who_asks_too_often_waits(port: int) -> None:
    with served(Mirror(), rate=2) as port:
        found = [ask(port, "/description") for _ in range(3)]
        assert [status for status, _, _ in found] == [200, 200, 429]
        assert found[2][1]["retry-after"] == "1"
        assert ask(port, "/health")[0] == 200


def test_an_error_inside_says_nothing_of_what_was_sent(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Mirror):
        def predict(self, values: np.ndarray) -> np.ndarray:
            raise RuntimeError(CANARY)

    with served(Broken()) as port:
        status, _, reply = ask(port, body=envelope())
    assert (status, list(json.loads(reply))) == (500, ["error"])
    said = capfd.readouterr().err
    assert "a request met RuntimeError in " in said
    assert CANARY not in said + reply.decode()


def test_what_is_told_of_it(port: int) -> None:
    assert json.loads(ask(port, "/description")[2]) == json.loads(ABOUT.to_json())
    ask(port, f"/{CANARY}?{CANARY}", **{"x-name": CANARY, "user-agent": CANARY})
    ask(port, body=envelope(lock=CANARY))
    text = ask(port, "/metrics")[2].decode()
    assert 'seglock_requests_total{path="/predict",status="200"}' in text
    assert 'seglock_requests_total{path="other",status="404"}' in text
    assert f'seglock_model{{key_id="{ABOUT.key_id}",lock="np-4"}} 1.0' in text
    assert CANARY not in text


def test_those_who_asked_before_the_end_are_answered() -> None:
    mirror = Mirror()
    mirror.go.clear()
    with ThreadPoolExecutor(3) as pool:
        with served(mirror, batch=1) as port:
            waiting = [pool.submit(ask, port, body=envelope(fill)) for fill in (1, 2, 3)]
            while b"inside 3.0" not in ask(port, "/metrics")[2]:
                pass
            threading.Timer(0.05, mirror.go.set).start()
        assert [future.result()[0] for future in waiting] == [200] * 3
