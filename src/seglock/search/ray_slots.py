"""How many trials a Ray cluster holds: what one reserves against what each node has.

A node is what Ray tells of it: the name of each resource and how much of it there is in all,
``{"CPU": 8.0, "GPU": 1.0, "memory": 33285996544.0, ...}``, memory in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from seglock.errors import ConfigError

if TYPE_CHECKING:
    from seglock.config import ResourceParams

_GIB = 2.0**30
_ROUNDING = 1e-6

Node = Mapping[str, float]


def needs_of(resources: ResourceParams) -> dict[str, float]:
    """What one trial reserves, under Ray's names; what it does not need is left out."""
    memory = None if resources.memory_gib is None else resources.memory_gib * _GIB
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": memory}
    return {name: amount for name, amount in wanted.items() if amount}


def slots(needs: Node, nodes: Sequence[Node]) -> int:
    """How many trials all nodes hold at once; one trial is on one node.

    >>> slots({"CPU": 2.0}, [{"CPU": 5.0}, {"CPU": 4.0}, {"CPU": 1.0}])
    4
    >>> slots({"CPU": 1.0, "GPU": 0.5}, [{"CPU": 16.0, "GPU": 1.0}, {"CPU": 16.0}])
    2
    """
    return sum(
        min(int(node.get(name, 0.0) / amount + _ROUNDING) for name, amount in needs.items())
        for node in nodes
    )


def fit_fault(needs: Node, nodes: Sequence[Node]) -> ConfigError | None:
    """The error to raise when no node holds one trial, however long it waits.

    >>> print(fit_fault({"CPU": 1.0, "GPU": 1.0}, [{"CPU": 4.0}, {"CPU": 8.0, "memory": 2.0**34}]))
    search.resources must fit a node of the Ray cluster, got 1 CPU and 1 GPU for a trial where the \
largest of 2 nodes has 8 CPU and 0 GPU; reserve less, or add a larger node
    """
    if slots(needs, nodes):
        return None
    wanted = in_words(needs)
    if not nodes:
        got = f"{wanted} for a trial where no node is alive"
    else:
        # The largest: has most of what is scarcest for a trial, then most of all else.
        shares = [[node.get(n, 0.0) / needs[n] for n in ("GPU", "memory", "CPU") if n in needs]
                  for node in nodes]  # fmt: skip
        largest = nodes[max(range(len(nodes)), key=lambda i: (min(shares[i]), shares[i]))]
        has = in_words({name: largest.get(name, 0.0) for name in needs})
        which = f"the largest of {len(nodes)} nodes" if len(nodes) > 1 else "the only node"
        got = f"{wanted} for a trial where {which} has {has}"
    return ConfigError(
        "search.resources must fit a node of the Ray cluster",
        got=got,
        fix="reserve less, or add a larger node",
    )


def in_words(amounts: Node) -> str:
    """Amounts for a message.

    >>> in_words({"CPU": 2.0, "GPU": 0.5, "memory": 2.0**31})
    '2 CPU, 0.5 GPU and 2 GiB of memory'
    """
    units = {"memory": (_GIB, "GiB of memory")}
    parts = []
    for name, amount in amounts.items():
        size, unit = units.get(name, (1.0, name))
        parts.append(f"{round(amount / size, 2):g} {unit}")
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
