"""A package holds no pickle and no path of this machine, and MLflow serves it over real HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglock.serving.description import Description
from seglock.serving.files import ARTIFACTS, ONNX, WEIGHTS, read_description
from seglock.serving.package import CARD, write_package
from seglock.serving.runtime import open_runtime
from tests.serving.tiny import describe, tiny_network
from tests.tracking.conftest import QUIET, Server

VALUES = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target, about = tmp_path_factory.mktemp("packages") / "np-2", describe()
    write_package(target, tiny_network(about), about, "# the card\n", onnx=True)
    return target


def test_it_is_whole_and_says_nothing_of_this_machine(package: Path) -> None:
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"MLmodel", "requirements.txt", CARD, "pyfunc_model.py", "input_example.json"} <= files
    assert {f"{ARTIFACTS}/{name}" for name in (WEIGHTS, ONNX, "description.json")} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pt"))]
    for path in package.rglob("*"):
        if path.is_file() and path.suffix not in (".onnx", ".safetensors"):
            assert str(Path(__file__).parents[2]) not in path.read_text()
    about = Description.from_json((package / ARTIFACTS / "description.json").read_bytes(), where="")
    assert about == read_description(package) == read_description(package / ARTIFACTS / ONNX)
    pinned = (package / "requirements.txt").read_text().split()
    assert all("==" in line for line in pinned)
    assert {"seglock", "torch", "mlflow"} <= {line.partition("==")[0] for line in pinned}


@pytest.fixture(scope="module")
def served(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    port = Server(folder).port
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(package)]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **QUIET}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping"),
            ):
                yield f"http://127.0.0.1:{port}/invocations"
                return
            time.sleep(0.2)
        pytest.fail((folder / "log").read_text()[-4000:])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ask(address: str, values: np.ndarray, **more: Any) -> Any:
    body = json.dumps({"inputs": values.tolist(), **more}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["predictions"]


def test_mlflow_serves_it_as_it_is(package: Path, served: str) -> None:
    expected = open_runtime(package, "cpu").predict(VALUES)
    assert np.array_equal(np.array(ask(served, VALUES)), expected)
    told = ask(served, VALUES[:1], params={"describe": True})
    assert Description.from_json(told, where="") == read_description(package)
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(served, VALUES[:, :, :8])
    assert refused.value.code == 400


def test_mlflow_loads_it_in_python(package: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what mlflow deprecates in itself
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(str(package))
        found = model.predict(VALUES)
    assert np.array_equal(found, open_runtime(package, "cpu").predict(VALUES))
