"""Trials on a real Ray cluster of two nodes: what the contract of all executors does not say."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seglock.config import ResourceParams
from seglock.errors import ClusterError, ConfigError
from seglock.search import cluster
from seglock.search.cluster import RayExecutor
from seglock.search.executor import Failed, Finished, Outcome
from seglock.training import EpochRow
from tests.processes import descendants, in_session
from tests.ray_cluster import ROOT, Nodes
from tests.search.fakes import fake_job, fake_run, is_running, wait_for
from tests.search.project import checkout, make_job, make_root, make_weights, push

Make = Callable[..., RayExecutor]


@pytest.fixture
def make(ray_loopback: None) -> Iterator[Make]:
    """Makes executors that run `fake_run`, and closes them."""
    made: list[RayExecutor] = []

    def one(
        address: str, limit: int | None = None, storage: str | None = None, **resources: float
    ) -> RayExecutor:
        wanted = ResourceParams(**resources)
        made.append(
            RayExecutor(address, resources=wanted, limit=limit, storage=storage, run=fake_run)
        )
        return made[-1]

    yield one
    for executor in made:
        executor.close()


def go_on(job: str, row: EpochRow) -> bool:
    return False


def take(executor: RayExecutor, count: int) -> dict[str, Outcome]:
    """The next ``count`` outcomes."""
    ended: dict[str, Outcome] = {}

    def step() -> bool:
        ended.update({outcome.job: outcome for outcome in executor.poll(go_on, 1.0)})
        return len(ended) >= count

    wait_for(step, f"the end of {count} jobs")
    return ended


def worker_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Finished), outcome
    return outcome.result.worker


def started(path: Path) -> int:
    """The process that computes the job which writes to ``path``."""
    return int(wait_for(lambda: path.exists() and path.read_text(), "the start of a job"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "local", ""])
def test_an_address_without_a_cluster_is_one_message(make: Make, address: str) -> None:
    with pytest.raises(ClusterError, match="must name a Ray cluster that runs") as caught:
        make(address)
    assert repr(address) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_silent_is_given_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match="no answer within 2 s"):
            make(address)
    mine = descendants(os.getpid())
    assert not [p for p in mine if "ray_driver" in title(p)]


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seglock\[ray\]'"):
        RayExecutor("127.0.0.1:1", resources=ResourceParams())


def test_a_trial_that_fits_no_node_is_refused(ray_cluster: Nodes, make: Make) -> None:
    with pytest.raises(ConfigError, match=r"search\.resources must fit a node") as caught:
        make(ray_cluster.address, cpus=2, gpus=1)
    assert (
        "got 2 CPU and 1 GPU for a trial where the largest of 2 nodes has 1 CPU and 0 GPU"
        in str(caught.value)
    )


def test_memory_is_reserved_too(ray_cluster: Nodes, make: Make) -> None:
    with pytest.raises(ConfigError, match="100000 GiB of memory for a trial where"):
        make(ray_cluster.address, memory_gib=100_000)
    assert make(ray_cluster.address, memory_gib=0.1, cpus=0.5).free == 4


def test_both_nodes_compute_and_the_limit_holds(
    ray_cluster: Nodes, make: Make, tmp_path: Path
) -> None:
    assert make(ray_cluster.address, limit=1).free == 1
    executor = make(ray_cluster.address, limit=9)
    assert executor.free == 2
    gate = tmp_path / "gate"
    for name in ("one", "other"):
        start = str(tmp_path / name)
        executor.submit(fake_job(name, started=start, gate=[1, str(gate)]))
    for name in ("one", "other"):
        started(tmp_path / name)
    gate.touch()
    workers = {worker_of(outcome) for outcome in take(executor, 2).values()}
    assert workers == {node.worker for node in ray_cluster.nodes}


def test_a_lost_node_loses_its_own_trial_only_and_a_new_one_is_used(
    ray_cluster: Nodes, make: Make, tmp_path: Path
) -> None:
    executor = make(ray_cluster.address)
    gates = {name: tmp_path / f"{name}.gate" for name in ("one", "other")}
    for name, gate in gates.items():
        executor.submit(fake_job(name, started=str(tmp_path / name), gate=[2, str(gate)]))
    processes = {name: started(tmp_path / name) for name in gates}
    lost = ray_cluster.nodes[1]
    (hit,) = [n for n, process in processes.items() if process in descendants(lost.raylet)]
    (spared,) = gates.keys() - {hit}

    ray_cluster.kill(lost)
    (failed,) = take(executor, 1).values()
    assert isinstance(failed, Failed)
    assert (failed.job, failed.permanent) == (hit, False)
    assert failed.reason.endswith("node was lost")
    wait_for(lambda: executor.poll(go_on, 0.1) or executor.free == 0, "the node's end")
    gates[spared].touch()
    assert worker_of(take(executor, 1)[spared]) == ray_cluster.nodes[0].worker
    assert executor.free == 1
    executor.submit(fake_job("again"))
    assert worker_of(take(executor, 1)["again"]) == ray_cluster.nodes[0].worker

    new = ray_cluster.add()
    executor.submit(fake_job("waits", gate=[1, str(tmp_path / "last")]))
    wait_for(lambda: executor.poll(go_on, 0.1) or executor.free == 1, "the new node")
    executor.submit(fake_job("more"))
    assert worker_of(take(executor, 1)["more"]) in {new.worker, ray_cluster.nodes[0].worker}
    (tmp_path / "last").touch()
    assert worker_of(take(executor, 1)["waits"]) in {new.worker, ray_cluster.nodes[0].worker}


def test_epochs_and_stops_survive_the_death_of_the_mailbox(
    ray_cluster: Nodes, make: Make, tmp_path: Path
) -> None:
    executor = make(ray_cluster.address)
    gate = tmp_path / "gate"
    told: list[int] = []

    def decide(job: str, row: EpochRow) -> bool:
        told.append(row["epoch"])
        return row["epoch"] >= 3

    executor.submit(fake_job("one", epochs=50, gate=[2, str(gate)]))
    wait_for(lambda: executor.poll(decide, 0.1) or told, "the first epoch")
    mailboxes = [p for p in ray_cluster.processes() if "Mailbox" in title(p)]
    for process in mailboxes:
        os.kill(process, signal.SIGKILL)
    assert len(mailboxes) == 1
    gate.touch()
    (outcome,) = wait_for(lambda: executor.poll(decide, 1.0), "the end")
    assert isinstance(outcome, Finished)
    assert outcome.result.stopped_at is not None
    assert 3 <= outcome.result.stopped_at < 50
    assert told == list(range(1, outcome.result.stopped_at + 1))


def title(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


COORDINATOR = """
import sys, time
from seglock.config import ResourceParams
from seglock.search.cluster import RayExecutor
from tests.search.fakes import fake_job, fake_run
executor = RayExecutor(sys.argv[1], resources=ResourceParams(), run=fake_run)
executor.submit(fake_job("one", started=sys.argv[2], gate=[2, sys.argv[2] + ".never"]))
while True:
    executor.poll(lambda job, row: False, 1.0)
"""


def test_trials_end_with_a_killed_coordinator_and_nothing_is_printed(
    ray_cluster: Nodes, make: Make, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", COORDINATOR, ray_cluster.address, str(tmp_path / "started")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    output = tmp_path / "output"
    with output.open("wb") as terminal:
        coordinator = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=terminal, stderr=terminal
        )
    trial = started(tmp_path / "started")
    (driver,) = descendants(coordinator.pid)
    coordinator.kill()
    coordinator.wait()
    wait_for(lambda: not is_running(driver), "the end of the connection")
    wait_for(lambda: not is_running(trial), "the end of the trial")
    assert output.read_bytes() == b""
    executor = make(ray_cluster.address)
    executor.submit(fake_job("next"))
    assert worker_of(take(executor, 1)["next"])


def test_a_lost_cluster_is_one_message_after_what_had_ended(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This cluster has a token, and says so to those who come without it."""
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "2")
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    with Nodes(**token) as own:
        own.add()
        with pytest.raises(ClusterError, match="it asks for a token: set RAY_AUTH_MODE=token"):
            make(own.address)
        for name, value in token.items():
            monkeypatch.setenv(name, value)
        executor = make(own.address, cpus=0.5)
        executor.submit(fake_job("done", epochs=1))
        gate = [2, str(tmp_path / "gate")]
        executor.submit(fake_job("one", started=str(tmp_path / "started"), gate=gate))
        started(tmp_path / "started")
        wait_for(lambda: has_ended(executor), "the first one's end")
        (head,) = [p for p in own.processes() if "gcs_server" in title(p)]
        (driver,) = [p for p in descendants(os.getpid()) if "ray_driver" in title(p)]
        os.kill(head, signal.SIGKILL)
        wait_for(lambda: not is_running(driver), "the loss")
    assert worker_of(take(executor, 1)["done"])
    with pytest.raises(ClusterError):
        wait_for(lambda: executor.poll(go_on, 1.0), "the word of it")
    calls: list[Callable[[], object]] = [
        lambda: executor.free,
        lambda: executor.poll(go_on, 0.0),
        lambda: executor.submit(fake_job("two")),
    ]
    for call in calls:
        with pytest.raises(ClusterError, match=r"its head ended; .*goes on"):
            call()
    executor.close()


def has_ended(executor: RayExecutor) -> bool:
    """Whether a job has ended of which ``poll`` has not told yet."""
    assert executor._process is not None
    executor._report(executor._process, 0.0)
    return bool(executor._ended)


def test_without_any_node_that_holds_a_trial_it_is_given_up(
    ray_cluster: Nodes, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make(ray_cluster.address)
    monkeypatch.setattr(cluster, "NODELESS_SECONDS", 0.5)
    monkeypatch.setattr(cluster, "slots", lambda needs, nodes: 0)
    with pytest.raises(ClusterError, match="no node was there that holds a trial"):
        wait_for(lambda: executor.poll(go_on, 1.0), "a place")


def test_a_silent_connection_is_given_up(
    ray_cluster: Nodes, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make(ray_cluster.address)
    executor.submit(fake_job("one", gate=[1, "/nowhere"]))
    (driver,) = [p for p in descendants(os.getpid()) if "ray_driver" in title(p)]
    os.kill(driver, signal.SIGSTOP)
    monkeypatch.setattr(cluster, "SILENCE_SECONDS", 1.5)
    with pytest.raises(ClusterError, match="it was silent for"):
        take(executor, 1)
    assert not is_running(driver)


def test_a_node_with_its_own_checkout_pulls_the_data(
    ray_cluster: Nodes, ray_loopback: None, tmp_path: Path
) -> None:
    """The head has the project's folder; the second node a checkout without data, and a remote."""
    root, remote = tmp_path / "project", tmp_path / "remote"
    digest = make_root(root)
    make_weights(root)
    push(root, remote)
    own = checkout(root, tmp_path / "own")
    ray_cluster.kill(ray_cluster.nodes[1])
    second = ray_cluster.add(SEGLOCK_ROOT=str(own))
    executor = RayExecutor(ray_cluster.address, resources=ResourceParams())
    try:
        jobs = [make_job(root, digest, f"trial-{i}-1", "np-4") for i in range(2)]
        # The head is kept busy by nothing else: one trial goes to each node.
        for job in jobs:
            executor.submit(job)
        ended = take(executor, 2)
    finally:
        executor.close()
        ray_cluster.kill(second)
    assert {worker_of(o) for o in ended.values()} == {second.worker, ray_cluster.nodes[0].worker}
    assert (own / "data" / "prepared" / "prepared.json").is_file()
    results = [o.result for o in ended.values() if isinstance(o, Finished)]
    assert [len(result.curve) for result in results] == [3, 3]
    assert all(result.scores and result.key_hash for result in results)
    assert results[0].key_id != results[1].key_id


def test_the_driver_gets_no_key_and_nothing_of_the_studys_database(
    ray_cluster: Nodes, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGLOCK_KEY_OTHER", "0" * 64)
    monkeypatch.setenv("STUDY_SECRET", "correct horse")
    make(ray_cluster.address, storage="postgresql://ann:$STUDY_SECRET@db/studies")
    (driver,) = [p for p in descendants(os.getpid()) if "ray_driver" in title(p)]
    given = Path(f"/proc/{driver}/environ").read_bytes()
    assert f"PATH={os.environ['PATH']}".encode() in given
    assert b"SEGLOCK_KEY_OTHER" not in given
    assert b"STUDY_SECRET" not in given


def test_nothing_of_the_cluster_listens_beyond_this_machine(ray_cluster: Nodes, make: Make) -> None:
    executor = make(ray_cluster.address)
    executor.submit(fake_job("one"))
    take(executor, 1)
    (driver,) = [p for p in descendants(os.getpid()) if "ray_driver" in title(p)]
    ours = listening(in_session(driver))
    theirs = listening(ray_cluster.processes())
    assert len(ours) >= 1
    assert len(theirs) >= 6  # two nodes, their agents and workers, the head
    assert {*ours, *theirs} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def listening(processes: list[int]) -> list[str]:
    """The address of each socket on which these processes accept TCP connections."""
    sockets = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                sockets.add(str(file.readlink()))
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                words = bytes.fromhex(fields[1].partition(":")[0])
                turned = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.append(socket.inet_ntop(family, turned))
    return found
