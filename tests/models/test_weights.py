from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from seglock.config import ModelParams
from seglock.errors import ModelError, StorageError
from seglock.models import build_model, load_weights, read_metadata, read_weights, save_weights

PARAMS = ModelParams(name="fcn_small", width=8)


def model(seed: int = 0, classes: int = 5, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(PARAMS.model_copy(update={"width": width}), classes)


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    about = {f"name{i}": str(i) for i in range(12)}
    save_weights(tmp_path / "a", model(), about)
    save_weights(tmp_path / "b", model().to(memory_format=torch.channels_last), about)
    save_weights(tmp_path / "c", model().state_dict(), dict(reversed(about.items())))
    first = (tmp_path / "a").read_bytes()
    assert (tmp_path / "b").read_bytes() == first
    assert (tmp_path / "c").read_bytes() == first
    save_weights(tmp_path / "d", model(1), about)
    assert (tmp_path / "d").read_bytes() != first


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; from seglock.models import save_weights;"
        "save_weights(Path(sys.argv[1]), {'b': torch.ones(2), 'a': torch.zeros(3)},"
        " {str(i): 'x' for i in range(12)})"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True)
    tensors = {"a": torch.zeros(3), "b": torch.ones(2)}
    save_weights(tmp_path / "here", tensors, {str(i): "x" for i in range(12)})
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_any_safetensors_reader_can_read_it(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = tmp_path / "w.safetensors"
    save_weights(path, model(), {"nonce": "00ff"})
    state = model().state_dict()
    read = load_file(path)
    assert {n: t.shape for n, t in read.items()} == {n: t.shape for n, t in state.items()}
    assert all(torch.equal(t, state[n]) for n, t in read.items())
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header["__metadata__"] == {"nonce": "00ff", "format": "pt", "seglock_format": "1"}
    assert read_metadata(path) == header["__metadata__"]


def test_tensors_that_share_memory_are_stored_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_weights(tmp_path / "w", {"whole": whole, "part": whole[2:4], "t": whole.view(2, 3).T})
    read = read_weights(tmp_path / "w")
    assert torch.equal(read["part"], whole[2:4])
    assert torch.equal(read["t"], whole.view(2, 3).T)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, model())
    path.write_bytes(path.read_bytes()[:keep])
    for read in (read_weights, read_metadata, lambda p: load_weights(p, model())):
        with pytest.raises(ModelError, match="must be a whole safetensors file"):
            read(path)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    torch.save(model().state_dict(), path)
    with pytest.raises(ModelError, match="whole safetensors file"):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.safetensors must exist"):
        read_weights(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"classes": 6}, r"classifier.weight is 5x8x1x1, not 6x8x1x1"),
        ({"width": 9}, r"backbone.0.0.weight is 8x3x3x3, not 9x3x3x3, .* and \d+ more"),
    ],
)
def test_another_network_is_refused_and_left_alone(
    tmp_path: Path, change: dict[str, int], fault: str
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, model())
    other = model(1, **change)
    before = {n: t.clone() for n, t in other.state_dict().items()}
    with pytest.raises(ModelError, match=fault):
        load_weights(path, other)
    assert all(torch.equal(t, before[n]) for n, t in other.state_dict().items())


def test_missing_and_unknown_names_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    state = dict(model().state_dict())
    state["other"] = state.pop("classifier.bias")
    save_weights(path, state)
    with pytest.raises(ModelError, match=r"classifier\.bias is missing, other is unknown"):
        load_weights(path, model())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "w.safetensors"
    save_weights(path, model())
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seglock.files.os.fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        save_weights(path, model(1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
