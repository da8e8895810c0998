"""Real trials that share one CUDA device; who sees which is in test_workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seglock.config import ResourceParams
from seglock.search.executor import Finished, Outcome
from seglock.search.workers import LocalExecutor
from seglock.threads import visible_cards
from tests.search.fakes import wait_for
from tests.search.project import make_job, make_root


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_workers_share_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible_cards()[0])
    root = tmp_path / "project"
    digest = make_root(root)
    resources = ResourceParams(gpus=0.5)
    executor = LocalExecutor(2, scratch=tmp_path / "work", resources=resources)
    ended: list[Outcome] = []
    try:
        for name in ("one", "two"):
            executor.submit(make_job(root, digest, name, "np-4", train={"device": "cuda"}))
        assert len(set(executor.processes.values())) == 2
        wait_for(
            lambda: ended.extend(executor.poll(lambda *_: False, 1.0)) or len(ended) == 2,
            "the end of both trials",
        )
    finally:
        executor.close()
    results = [outcome.result for outcome in ended if isinstance(outcome, Finished)]
    assert len(results) == 2, ended
    assert {result.worker for result in results} == {"local-1", "local-2"}
    for result in results:
        assert result.device.startswith("cuda")
        assert result.scores is not None
        assert [row["epoch"] for row in result.curve] == [1, 2, 3]
