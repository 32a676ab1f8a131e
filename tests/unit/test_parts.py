"""How large the parts of GPUs are that nodes offer."""

import pytest

from loadstar.core.parts import offered_parts
from loadstar.core.resources import Resources
from loadstar.core.snapshot import Node
from tests.builders import make_node

REPLICA = "nvidia.com/gpu.shared"


def sharing(name: str, gpus: int, replicas: int) -> Node:
    offered = Resources(devices=((REPLICA, gpus * replicas),))
    return Node(name, offered, labels={"nvidia.com/gpu.replicas": str(replicas)})


def test_a_replica_is_as_large_as_its_node_tells() -> None:
    assert offered_parts([sharing("a", 2, 4)]) == {REPLICA: pytest.approx(1 / 4)}


def test_where_nodes_share_differently_it_is_the_mean_of_all_replicas() -> None:
    assert offered_parts([sharing("a", 1, 4), sharing("b", 1, 2)]) == {REPLICA: pytest.approx(2 / 6)}


def test_a_mig_instance_is_as_large_as_its_name_tells() -> None:
    split = Node("a", Resources(devices=(("nvidia.com/mig-3g.40gb", 2),)))
    assert offered_parts([split, make_node()]) == {"nvidia.com/mig-3g.40gb": pytest.approx(3 / 7)}
