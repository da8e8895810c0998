"""The process that is connected to a Ray cluster, between the coordinator and the trials.

Started by `seglock.search.cluster.RayExecutor` as ``python -m seglock.search.ray_driver SOCKET``.
A process of its own, because Ray ends the process that is connected to it when its cluster is
lost, prints, takes signals, and waits long where an address does not answer.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from typing import Any, NoReturn

from seglock.errors import in_short
from seglock.search.channel import Channel, Message
from seglock.search.ray_node import Mailbox, compute

_TICK_SECONDS = 0.05
_COUNT_SECONDS = 1.0
_PROBE_SECONDS = 5.0


def main(socket_number: int) -> NoReturn:
    """Serve until the coordinator says ``close``, closes its end, or dies; never returns."""
    channel = Channel(socket.socket(fileno=socket_number))
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_fill, args=(channel, inbox), daemon=True).start()
    hello = inbox.get()
    try:
        driver = Driver(hello, channel)
    except Exception as error:
        channel.send({"kind": "refused", "reason": _refusal(error)})
        os._exit(1)
    driver.serve(inbox)
    os._exit(0)


def _fill(channel: Channel, inbox: queue.SimpleQueue[Message]) -> NoReturn:
    """Take in messages; end at once when the coordinator is gone, whatever Ray is doing."""
    for message in channel:
        inbox.put(message)
    os._exit(1)


class Driver:
    """Jobs in, as Ray tasks; messages out. Raises what Ray raises when it cannot connect."""

    def __init__(self, hello: Message, channel: Channel) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        _probe(hello["address"])
        ray.init(address=hello["address"], log_to_driver=False, logging_level="ERROR")
        self._ray = ray
        self._channel = channel
        self._function: str = hello["function"]
        self._version: str = hello["version"]
        # Whoever tries a job again is the coordinator; two would count it twice.
        options = {"max_retries": 0, "retry_exceptions": False, **task_options(hello["needs"])}
        self._task = ray.remote(**options)(compute)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Mailbox)
        self._mailbox = mailbox.remote()
        self._running: dict[Any, str] = {}  # the task's result, still to come -> job
        self._seen: dict[str, int] = {}  # job -> the last epoch that was told
        self._stopped: set[str] = set()
        self._news: Any = None
        self._counted = 0.0

    def serve(self, inbox: queue.SimpleQueue[Message]) -> None:
        """Until ``close``."""
        while True:
            self._tell_nodes()
            for message in _pending(inbox, 0.0 if self._running else _TICK_SECONDS):
                if message["kind"] == "close":
                    self._close()
                    return
                self._take(message)
            if self._running:
                self._look()

    def _tell_nodes(self) -> None:
        """Each second what every living node has: also the sign that this process is well."""
        if time.monotonic() - self._counted >= _COUNT_SECONDS:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._channel.send({"kind": "nodes", "nodes": nodes})
            self._counted = time.monotonic()

    def _take(self, message: Message) -> None:
        job: str = message["job"]
        if message["kind"] == "run":
            task = self._task.options(name=job)
            sent = task.remote(message["text"], self._function, self._version, self._mailbox)
            self._running[sent] = job
            self._seen[job] = 0
        elif job in self._seen:
            self._answer(job, message["epoch"], stop=message["stop"])

    def _answer(self, job: str, epoch: int, *, stop: bool) -> None:
        if stop:
            self._stopped.add(job)
        self._mailbox.answer.remote(job, epoch, job in self._stopped)

    def _look(self) -> None:
        """Wait a moment for new epochs and for ends of jobs, and tell them."""
        if self._news is None:
            self._news = self._mailbox.news.remote(dict(self._seen))
        waiting = [self._news, *self._running]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=_TICK_SECONDS)
        if self._news in ready:
            self._tell_epochs()
        ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        for task in ended:
            job = self._running.pop(task)
            self._channel.send(self._end(task, job))
            del self._seen[job]
            self._stopped.discard(job)
            self._mailbox.forget.remote(job)

    def _tell_epochs(self) -> None:
        news, self._news = self._news, None
        try:
            new = self._ray.get(news)
        except self._ray.exceptions.RayError:  # the mailbox died; Ray starts another
            time.sleep(_TICK_SECONDS)
            return
        for job, rows in new.items():
            if job not in self._seen:  # the last word of a worker that was killed
                self._mailbox.forget.remote(job)
                continue
            for row in rows:
                self._channel.send({"kind": "epoch", "job": job, "row": row})
                self._seen[job] = row["epoch"]
            if job in self._stopped:  # a mailbox that was started anew does not know
                self._answer(job, rows[-1]["epoch"], stop=True)

    def _end(self, task: Any, job: str) -> Message:
        """The last message of a job: the trial's own, or why there is none."""
        import json

        try:
            message: Message = json.loads(self._ray.get(task))
        except Exception as error:
            return {"kind": "failed", "job": job, "reason": _words(error), "permanent": False}
        return message

    def _close(self) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._ray.shutdown()


def task_options(needs: dict[str, float]) -> dict[str, float]:
    """What a task asks of Ray, from what a node has.

    >>> task_options({"CPU": 1.0, "GPU": 0.5, "memory": 2.0**30})
    {'num_cpus': 1.0, 'num_gpus': 0.5, 'memory': 1073741824}
    """
    options = {"num_cpus": needs["CPU"], "num_gpus": needs.get("GPU", 0.0)}
    return options | ({"memory": int(needs["memory"])} if "memory" in needs else {})


def _probe(address: str) -> None:
    """Raise OSError where nothing listens: Ray itself would try for minutes."""
    from ray.util import get_node_ip_address

    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        # A node listens on its own address, which Ray puts in the place of the loopback's.
        host = host.strip("[]")
        local = host in ("localhost", "127.0.0.1", "::1") and not address.startswith("ray://")
        place = (get_node_ip_address() if local else host, int(port))
        socket.create_connection(place, timeout=_PROBE_SECONDS).close()


def _refusal(error: Exception) -> str:
    """Why there is no connection, in one line; Ray hides the cause below it."""
    cause: BaseException | None = error
    while cause is not None:
        if "AuthenticationError" in f"{type(cause).__name__}: {cause}":
            return (
                "it asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH where the "
                "token is not in ~/.ray/auth_token"
            )
        cause = cause.__cause__
    return " ".join(f"{error}".split()) or type(error).__name__


def _words(error: Exception) -> str:
    """Why Ray has no result, in one line: Ray's own words fill a page."""
    from ray import exceptions

    known = {
        exceptions.WorkerCrashedError: "the worker process was killed, or its node was lost",
        exceptions.NodeDiedError: "the node was lost",
        exceptions.OutOfMemoryError: "the node ran out of memory, and Ray killed the worker",
        exceptions.OutOfDiskError: "the node's disk is full",
    }
    for kind, words in known.items():
        if isinstance(error, kind):
            return words
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return in_short(f"{type(cause).__name__}: {lines[-1] if lines else 'no reason given'}")


def _pending(inbox: queue.SimpleQueue[Message], timeout: float) -> list[Message]:
    """All messages that are there, after waiting for the first."""
    found: list[Message] = []
    try:
        found.append(inbox.get(timeout=timeout) if timeout else inbox.get_nowait())
        while True:
            found.append(inbox.get_nowait())
    except queue.Empty:
        return found


if __name__ == "__main__":
    main(int(sys.argv[1]))
