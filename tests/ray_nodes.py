"""A real Ray cluster on the loopback address, in a process that ends it when it is told nothing.

Started by `tests.ray_cluster` as ``python -m tests.ray_nodes FOLDER``. Reads one command a line
from standard input, answers each with a line of JSON; the end of the input, however it comes (the
test run was killed), is the end of the cluster and of the folder.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from tests.processes import children, kill_with_all_below

STORE_BYTES = 80 << 20  # the smallest that Ray takes is 75 MiB


def main(folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray prints is no answer
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    nodes: dict[str, Any] = {}

    def add() -> Any:
        head = {} if nodes else {"include_dashboard": False, "include_log_monitor": False}
        return cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES, **head)

    try:
        for line in sys.stdin:
            command = json.loads(line)
            os.environ.update(command.get("environment", {}))
            if command["do"] == "add":
                before = children(os.getpid())
                try:
                    node = add()
                except Exception as failed:
                    # Ray gives a node 30 seconds, which no setting changes, and one question to a
                    # busy server may take them all.
                    print(f"once more, for this node did not start: {failed}", file=sys.stderr)
                    for process in set(children(os.getpid())).difference(before):
                        kill_with_all_below(process)
                    if nodes:
                        cluster.worker_nodes.intersection_update(nodes.values())
                    else:
                        cluster = Cluster()
                    node = add()
                    cluster.wait_for_nodes()  # until the one that was given up counts no longer
                nodes[node.node_id] = node
                raylet = node.all_processes["raylet"][0].process.pid
                answer = {"node": node.node_id, "raylet": raylet, "address": cluster.address}
            else:  # it was killed: reap it, so that Ray's own bookkeeping is right
                node = nodes.pop(command["node"])
                cluster.remove_node(node, allow_graceful=False)
                answer = {}
            for name in command.get("environment", {}):
                del os.environ[name]
            print(json.dumps(answer), file=answers, flush=True)
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
