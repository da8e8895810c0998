"""``seglock serve`` as a process: its start, its port, its signals, its token, in one line each."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seglock.client.client import Client
from seglock.errors import ConfigError, ModelError
from seglock.keys import SecretKey, demonstration_key
from seglock.serving.runtime import open_runtime
from seglock.serving.server.limits import ServerLimits
from seglock.stages.serve import TOKEN_VARIABLE, batch_threads, model_path, read_token, serve_model
from seglock.tracking.registry import Registry
from tests.serving.server.asking import ABOUT, SIDE, ask, connected, envelope
from tests.serving.server.test_app import classes
from tests.serving.tiny import tiny_package

HEAVY = ("torch", "torchvision", "mlflow", "dvc", "optuna", "numba", "scipy", "matplotlib")
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv[0] = "seglock"
from seglock.cli import main
main()
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_package(tmp_path_factory.mktemp("package"), ABOUT, onnx=True)


@contextlib.contextmanager
def serving(model: Path, port: int = 0, **variables: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """The command as a process that has none of the heavy packages, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT, "serve", "--model", str(model), "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | variables,
    )  # fmt: skip
    assert process.stdout is not None
    with process:
        line = process.stdout.readline()
        try:
            yield process, int(line.split("127.0.0.1:")[1].split(";")[0])
        finally:
            process.kill()


def test_a_model_is_served_without_torch_and_restarted_on_its_port(package: Path) -> None:
    runtime = open_runtime(package)
    values = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    with serving(package, **{TOKEN_VARIABLE: "0123456789abcdef"}) as (process, port):
        assert ask(port, body=envelope())[0] == 401
        process.kill()
    with serving(package, port) as (process, again):
        assert again == port
        _, _, body = ask(port, body=envelope(values=values))
        assert (classes(body) == runtime.predict(values[None])[0]).all()
        photo = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        for key, check in ((demonstration_key(), True), (SecretKey.generate(), False)):
            there = Client(f"http://127.0.0.1:{port}", key, check=check).predict(photo)
            here = Client(package, key, check=check).predict(photo)
            assert (there.classes == here.classes).all()
        taken = subprocess.run(
            [sys.executable, "-m", "seglock", "serve", "--model", package, "--port", str(port)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (taken.returncode, taken.stderr) == (2, (
            f"seglock: port {port} of 127.0.0.1 must be free, got one in use; "
            "stop what listens there, or choose another with --port\n"
        ))  # fmt: skip
        with connected(port) as raw:  # half asked before the end
            body = envelope()
            head = f"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
            raw.sendall(head.encode() + body[:100])
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            raw.sendall(body[100:])
            assert b" 200 " in raw.makefile("rb").readline()
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "stopped; all that was asked before is answered\n"


def test_a_second_interrupt_waits_for_nobody(package: Path) -> None:
    with (
        serving(package) as (process, port),
        socket.create_connection(("127.0.0.1", port)) as raw,
    ):
        raw.sendall(b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0


def serve(model: str, **other: object) -> None:
    options = {"host": "127.0.0.1", "port": 0, "token_file": None, "device": "cpu", **other}
    serve_model(model, ServerLimits(), say=print, **options)  # type: ignore[arg-type]


def test_what_is_no_model_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    for model in (tmp_path / "nothing", tmp_path / "weights.safetensors", tmp_path):
        with pytest.raises(ModelError):
            serve(str(model))
    with pytest.raises(ConfigError, match="must be a package"):
        model_path("http://127.0.0.1:8700", "cpu")


def test_a_processor_is_given_the_onnx_file(package: Path, tmp_path: Path) -> None:
    assert model_path(str(package), "cpu") == package / "artifacts" / "model.onnx"
    assert model_path(str(package), "cuda") == package
    assert model_path(str(tmp_path), "cpu") == tmp_path


def test_a_registered_version_is_fetched_and_a_retired_one_refused(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_registry: Registry, address: str) -> Path:
        if address.endswith("@champion"):
            return package
        raise ModelError(f"{address} must be in use", got="a retired version", fix="use version 2")

    monkeypatch.setattr(Registry, "fetch", fetch)
    assert model_path("models:/seglock-np-4@champion", "cpu").is_relative_to(package)
    with pytest.raises(ModelError, match="a retired version; use version 2"):
        serve("models:/seglock-np-4/1")


def test_a_large_network_has_all_cores_for_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglock.stages.serve.available_cores", lambda: 64)
    small, large = tmp_path / "model.onnx", tmp_path / "weights.safetensors"
    small.write_bytes(b"")
    with large.open("wb") as file:
        file.truncate(33 << 20)
    assert [batch_threads(path, "cpu") for path in (small, large)] == [8, 1]
    assert batch_threads(large, "cuda") == 2


@pytest.mark.parametrize("host", ["999.1.1.1", "203.0.113.9", "no such host", "a" * 300])
def test_an_address_that_is_not_ours_is_one_message(host: str) -> None:
    with pytest.raises(ConfigError, match="must be an address of this machine"):
        serve("nothing", host=host)


def test_the_extra_is_named_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "seglock.stages.extras.find_spec", lambda name: None if name == "fastapi" else True
    )
    with pytest.raises(ConfigError, match=r"no fastapi; install it with `pip install 'seglock\["):
        serve("nothing")


def test_the_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    assert read_token(None) is None
    monkeypatch.setenv(TOKEN_VARIABLE, "fedcba9876543210")
    token = read_token(file)
    assert token is not None
    token.check([(b"authorization", b"Bearer 0123456789abcdef")])
    assert TOKEN_VARIABLE not in os.environ  # no child and no error's report has it


@pytest.mark.parametrize("content", [b"", b"short", b"two words of a token", b"\xff" * 20, None])
def test_a_token_that_cannot_be_is_never_shown(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"token must hold") as refused:
        read_token(file)
    assert "words" not in str(refused.value).replace("without", "")
