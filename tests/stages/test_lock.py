"""A key folded into a plain network: a package that answers its owner as the plain one did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from seglock.cli.app import app
from seglock.client import Client
from seglock.config import ModelParams, load_params
from seglock.data import PreparedData
from seglock.errors import ConfigError, KeyRefusedError, ModelError, TransformError
from seglock.models import build_model, load_model, save_weights
from seglock.models.fcn_small import SmallFCN
from seglock.serving.files import read_description
from seglock.stages.lock import lock_model
from seglock.stages.package import WEAKNESS
from seglock.transforms import identity

STEPS = ["np-2", "shf-2"]


def test_a_package_answers_its_key_as_the_plain_network_answers(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    words = ["lock", "baseline", "--steps", "np-2,shf-2", "--key", "other", "-o", "customer"]
    done = CliRunner().invoke(app, [*words, "--onnx"], catch_exceptions=False)
    assert done.stdout.splitlines()[0] == WEAKNESS
    assert "folded under key other; its logits are within " in done.stdout
    folder = project / "customer"
    about = read_description(folder)
    assert (about.lock, about.steps) == ("customer", tuple(STEPS))
    assert f"**{WEAKNESS}**" in (folder / "README.md").read_text()
    params = load_params(project / "params.yaml")
    data = PreparedData.open(project / "data/prepared")
    plain = load_model(project / "data/models/baseline/model.safetensors", params.model, 3)
    shown = torch.from_numpy(data.test.images.copy())
    with torch.inference_mode():
        wanted = plain(identity().to_input(shown))["out"].argmax(dim=1).numpy()
    for where in (folder, folder / "artifacts/model.onnx"):
        client = Client(where, "other")
        found = [client.predict(image) for image in data.test.images.transpose(0, 2, 3, 1)]
        assert np.mean(np.stack([one.classes for one in found]) == wanted) > 0.999
    with pytest.raises(ConfigError, match="the package must be new"):
        lock_model("baseline", STEPS, "other", folder, project)


def test_bad_input_is_one_message_and_no_package(project: Path) -> None:
    out, file = project / "out", project / "narrow.safetensors"
    save_weights(file, build_model(ModelParams(width=4), 3))

    def refused(error: type[Exception], match: str, **changes: object) -> None:
        given = {"model": "baseline", "steps": STEPS, "key": "main", "out": out} | changes
        with pytest.raises(error, match=match):
            lock_model(**given, root=project)  # type: ignore[arg-type]
        assert not out.exists()

    refused(ModelError, r"steps by blocks of M = 2, .* got M = 4; use .* shf-2", steps=["shf-4"])
    refused(TransformError, "only steps that move or negate", steps=["np-2", "ffx-2"])
    refused(ConfigError, "^--steps np-3: block_size must divide the image side", steps=["np-3"])
    refused(ConfigError, "^--steps np-2-f100: a lock must have more than one", steps=["np-2-f100"])
    refused(ConfigError, "a step must read .* got 'np'", steps=["np"])
    refused(ConfigError, "a lock must have steps", steps=[])
    refused(ModelError, "where no file is; train the plain network", model="nothing.safetensors")
    refused(ConfigError, "must be plain, got np-2", model="np-2")
    refused(ModelError, "must fit the network", model=str(file))
    packaged = project / "other/artifacts/weights.safetensors"
    lock_model("baseline", STEPS, "other", project / "other", project)
    refused(ConfigError, r"must be plain, got .*, which is locked already", model=str(packaged))
    for about, error, match in (
        ({"lock": "np-2", "key_id": "0123456789abcdef"}, ConfigError, "under key 0123456789abcdef"),
        ({"classes": json.dumps(["background", "cat", "dog"])}, ModelError, "project's classes"),
    ):
        network = build_model(load_params(project / "params.yaml").model, 3)
        save_weights(file, network, about)
        refused(error, match, model=str(file))
    refused(KeyRefusedError, "key 'nobody' must exist.*seglock key new nobody", key="nobody")


def test_steps_are_told_as_such_whatever_locks_are_called(project: Path) -> None:
    file = project / "params.yaml"
    text = file.read_text().replace("mixed:", "folded: {steps: [np-4]}\n  mixed:")
    file.write_text(text + "package: {register: [folded]}\n")
    lock_model("baseline", STEPS, "main", project / "out", project)
    for steps, says in (
        (["np-3"], "--steps np-3: block_size must divide"),
        (["np-2", "chp-a"], "a chp step must name a layer"),
    ):
        with pytest.raises(ConfigError) as caught:
            lock_model("baseline", steps, "main", project / "more", project)
        assert str(caught.value).startswith(says)


def test_a_network_that_answers_otherwise_is_not_handed_over(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SmallFCN.forward

    def also_read(network: SmallFCN, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": plain(network, x)["out"] + x.mean(dim=1, keepdim=True)}

    monkeypatch.setattr(SmallFCN, "forward", also_read)
    before = sorted(project.iterdir())
    with pytest.raises(ModelError, match="must answer as the plain one, to rounding, got logits"):
        lock_model("baseline", STEPS, "main", project / "out", project)
    assert sorted(project.iterdir()) == before
