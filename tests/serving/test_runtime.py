"""A packaged network answers as the same network does in training, with torch and with ONNX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seglock.config import ModelParams
from seglock.errors import ModelError
from seglock.keys import demonstration_key
from seglock.models import build_model
from seglock.normalisation import IMAGENET
from seglock.serving.files import ARTIFACTS, ONNX, WEIGHTS, read_description, write_weights
from seglock.serving.runtime import FFX_VALUES, LockedModel, input_table, open_runtime
from seglock.transforms import compose
from tests.serving.tiny import describe, tiny_network, tiny_package

LOCKS = ((), ("np-2",), ("shf-4",), ("np-2", "shf-2", "ffx-2"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_package(tmp_path_factory.mktemp("package"), onnx=True)


@pytest.mark.parametrize("steps", LOCKS)
def test_inputs_are_those_of_training_bit_for_bit(steps: tuple[str, ...]) -> None:
    transform = compose(steps, demonstration_key() if steps else None)
    table = input_table(describe(steps, side=64))
    count = FFX_VALUES if transform.dtype_name == "int16" else 256
    every = np.resize(np.arange(count, dtype=transform.dtype_name), (1, 3, 64, 64))
    expected = transform.encrypted_to_input(torch.from_numpy(every)).numpy()
    found = np.stack([table[channel][every[:, channel]] for channel in range(3)], axis=1)
    assert table.shape == (3, count)
    assert np.array_equal(found.view(np.int32), expected.view(np.int32))


def test_every_file_answers_as_the_network(package: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)
    network = tiny_network(describe())
    with torch.inference_mode():
        inputs = compose((), None).encrypted_to_input(torch.from_numpy(values))
        expected = network(inputs)["out"].max(1).indices.numpy()
    assert len(np.unique(expected)) > 1
    for path in (package, package / ARTIFACTS / WEIGHTS, package / ARTIFACTS / ONNX):
        runtime = open_runtime(path, "cpu")
        assert runtime.predict(values).dtype == np.uint8
        assert np.array_equal(runtime.predict(values), expected)
        assert np.array_equal(runtime.predict(values[:1]), expected[:1])
        assert runtime.description.lock == "np-2"


def test_a_network_of_timms_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    own = ModelParams(name="timm/tf_efficientnet_lite0")
    by = own.normalisation
    network = {"name": own.name, "norm": own.norm}
    about = describe(network=network, mean=by.mean, std=by.std, side=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = build_model(own, len(about.classes)).eval()
    write_weights(tmp_path / WEIGHTS, built.state_dict(), about)
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    lock = compose(["np-2"], demonstration_key(), normalisation=by)
    with torch.inference_mode():
        expected = built(lock.to_input(images))["out"].max(1).indices.numpy()
    assert by != IMAGENET
    assert len(np.unique(expected)) > 1
    runtime = open_runtime(tmp_path / WEIGHTS, "cpu")
    assert np.array_equal(runtime.predict(lock.encrypt(images)), expected)


def test_onnx_takes_no_torch(package: Path) -> None:
    code = (
        "import sys, pathlib, numpy as np; from seglock.serving.runtime import open_runtime;"
        f"runtime = open_runtime(pathlib.Path({str(package / ARTIFACTS / ONNX)!r}));"
        "print(runtime.predict(np.zeros((2, 3, 16, 16), np.uint8)).shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 16, 16) False"


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (np.zeros((1, 3, 16, 16), np.int16), "int16 of shape"),
        (np.zeros((1, 3, 16, 8), np.uint8), r"\(1, 3, 16, 8\)"),
        (np.zeros((3, 16, 16), np.uint8), r"\(3, 16, 16\)"),
        (np.zeros((0, 3, 16, 16), np.uint8), r"\(0, 3, 16, 16\)"),
    ],
)
def test_other_images_are_one_message(package: Path, values: np.ndarray, got: str) -> None:
    with pytest.raises(ModelError, match=r"images must be uint8 of shape \(B, 3, 16, 16\).*" + got):
        open_runtime(package, "cpu").predict(values)


@pytest.mark.parametrize("value", [-1, 1000])
def test_values_that_no_lock_gives_are_one_message(value: int) -> None:
    runtime = LockedModel(describe(("ffx-2",)), lambda inputs: inputs[:, 0].astype(np.uint8))
    values = np.full((1, 3, 16, 16), value, np.int16)
    with pytest.raises(ModelError, match=f"must be 0 to 999, got {value} to {value}"):
        runtime.predict(values)


def test_what_is_no_package_is_one_message(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must be a seglock package.*no such file or folder"):
        open_runtime(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"must be a seglock package.*something else"):
        open_runtime(tmp_path)
    for name in (WEIGHTS, ONNX):
        whole = (package / ARTIFACTS / name).read_bytes()
        damaged = tmp_path / name
        for content in (b"", whole[: len(whole) // 2], b"x" * 100):
            damaged.write_bytes(content)
            with pytest.raises(ModelError):
                open_runtime(damaged)


def test_weights_of_another_origin_are_one_message(tmp_path: Path) -> None:
    from seglock.models import save_weights

    save_weights(tmp_path / WEIGHTS, tiny_network(describe()))
    with pytest.raises(ModelError, match="must be of a seglock package"):
        read_description(tmp_path / WEIGHTS)
