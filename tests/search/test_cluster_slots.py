"""How many trials fit on the nodes of a cluster, and what is said when none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglock.config import ResourceParams
from seglock.search.cluster import fit_fault, in_words, needs_of, slots

GIB = 2.0**30


def test_what_a_trial_reserves() -> None:
    assert needs_of(ResourceParams()) == {"CPU": 1.0}
    wanted = ResourceParams(cpus=2.0, gpus=0.5, memory_gib=3.0)
    assert needs_of(wanted) == {"CPU": 2.0, "GPU": 0.5, "memory": 3 * GIB}


@pytest.mark.parametrize(
    ("needs", "nodes", "places"),
    [
        ({"CPU": 1.0}, [], 0),
        ({"CPU": 2.0}, [{"CPU": 1.0}, {"CPU": 1.0}], 0),
        ({"CPU": 1.0, "GPU": 1.0}, [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 2),
        ({"CPU": 1.0, "memory": GIB}, [{"CPU": 8.0, "memory": 2.5 * GIB}], 2),
        ({"CPU": 0.1}, [{"CPU": 0.3}], 3),
    ],
)
def test_slots(needs: dict[str, float], nodes: list[dict[str, float]], places: int) -> None:
    assert slots(needs, nodes) == places
    assert (fit_fault(needs, nodes) is None) == (places > 0)


amounts = st.integers(1, 64).map(float)
a_node = st.fixed_dictionaries({}, optional={"CPU": amounts, "GPU": amounts, "memory": amounts})


@given(
    st.fixed_dictionaries({"CPU": amounts}, optional={"GPU": amounts, "memory": amounts}),
    st.lists(a_node, max_size=5),
)
def test_no_node_is_promised_more_than_it_has(
    needs: dict[str, float], nodes: list[dict[str, float]]
) -> None:
    each = [slots(needs, [node]) for node in nodes]
    assert slots(needs, nodes) == sum(each)
    for places, node in zip(each, nodes, strict=True):
        assert all(places * amount <= node.get(name, 0.0) for name, amount in needs.items())
        assert any((places + 1) * amount > node.get(name, 0.0) for name, amount in needs.items())


def test_the_largest_node_is_the_one_that_comes_nearest() -> None:
    nodes = [{"CPU": 64.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 2.0, "GPU": 1.0}]
    fault = fit_fault({"CPU": 8.0, "GPU": 2.0}, nodes)
    assert "8 CPU and 2 GPU for a trial where the largest of 3 nodes has 4 CPU and 1 GPU" in str(
        fault
    )


def test_one_node_and_none() -> None:
    assert "the only node has 1 CPU" in str(fit_fault({"CPU": 2.0}, [{"CPU": 1.0}]))
    assert "no node is alive" in str(fit_fault({"CPU": 2.0}, []))


def test_amounts_in_words() -> None:
    assert in_words({"CPU": 1.0}) == "1 CPU"
    assert in_words({"CPU": 1.5, "memory": 1.256 * GIB}) == "1.5 CPU and 1.26 GiB of memory"
