"""Where the store is, and whether it answers, without importing mlflow."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from seglock.address import reason_unreachable, tracking_uri


def test_what_listens_is_reachable_and_what_does_not_is_not(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert reason_unreachable(f"http://127.0.0.1:{server.getsockname()[1]}", 5) is None
    assert "refused" in str(reason_unreachable(f"http://127.0.0.1:{free_port}", 5))
    assert reason_unreachable("http://127.0.0.1:notaport", 5) is not None


def test_a_server_behind_a_proxy_is_not_judged_by_a_direct_connection(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    assert reason_unreachable(f"http://tracking.example.org:{free_port}", 5) is None
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert reason_unreachable(f"http://127.0.0.1:{free_port}", 5) is not None


def test_looking_makes_no_store(tmp_path: Path) -> None:
    assert reason_unreachable(tracking_uri(tmp_path / "deep" / "project"), 1) is None
    assert list(tmp_path.iterdir()) == []


def test_a_dead_server_is_found_out_without_paying_for_mlflow(
    tmp_path: Path, free_port: int
) -> None:
    code = (
        "import sys; from pathlib import Path; from seglock.config import TrackingParams\n"
        "from seglock.errors import TrackingError; from seglock.tracking import open_run\n"
        "try: open_run(TrackingParams(), name='x', tags={}, root=Path(sys.argv[1]))\n"
        "except TrackingError: print('mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
