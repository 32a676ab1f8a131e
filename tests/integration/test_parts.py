"""Parts of GPUs on a real control plane: a job gets a MIG instance, and the next one waits for it."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.controlplane import ControlPlane
from tests.cluster.nodes import fake_node
from tests.cluster.operator_process import OPERATOR_NAMESPACE, free_port, operator_process
from tests.integration.crd import install_crd
from tests.integration.reporting import Site
from tests.integration.test_queue import Queue
from tests.waiting import until

pytestmark = pytest.mark.controlplane

Json = dict[str, Any]

PART = "nvidia.com/mig-1g.10gb"
LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
    "nvidia.com/mig.strategy": "mixed",
    f"{PART}.count": "1",
    f"{PART}.memory": "9728",
    f"{PART}.replicas": "1",
}
"""As GPU feature discovery tells of a node with one instance."""


def _split_node(name: str) -> Json:
    """A node whose one GPU offers one MIG instance, and no whole GPU any more; tainted as GPU nodes often are."""
    node = fake_node(name, gpus=0, labels=LABELS)
    node["spec"] = {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]}
    node["status"]["allocatable"] |= {"nvidia.com/gpu": "0", PART: "1"}
    return node


@pytest.fixture(scope="module")
def queue() -> Iterator[Queue]:
    """A namespace of a cluster with a node of whole GPUs, one with a MIG instance, and an operator."""
    with ControlPlane.start("parts-test", kwok_nodes=1, gpus_per_node=2) as cluster:
        cluster.api.post("/api/v1/nodes", _split_node("split"))
        install_crd(cluster)
        namespace = f"parts-{uuid4().hex[:6]}"
        for name in (OPERATOR_NAMESPACE, namespace):
            cluster.kubectl("create", "namespace", name)
        port = free_port(cluster)
        operator = operator_process(cluster, {"LOADSTAR_SERVING_PORT": str(port)})
        operator.start()
        accounts = partial(cluster.kubectl, "get", "serviceaccounts", "-n", namespace, "-o", "name")
        until(lambda: "default" in accounts(), "the namespace's account")
        yield Queue(Site(cluster, operator, 0, port), namespace)
        operator.stop()


def _asks(resource: str, nodes: int = 1) -> Json:
    return {"numNodes": nodes, "resourcesPerNode": {resource: 1}}


def test_a_job_gets_the_mig_instance_and_the_next_one_waits_until_it_is_free(queue: Queue) -> None:
    queue.apply("first", _asks(PART))
    queue.runs("first")
    status = queue.status("first")
    assert (status["gpus"], status["gpuResource"]) == (1, PART)
    (node,) = status["placement"]["nodes"]
    assert (node["name"], node["gpus"]) == ("split", 1)
    pod = queue.api.get(f"/api/v1/namespaces/{queue.namespace}/pods/first-1-0")
    assert pod["spec"]["nodeName"] == "split"
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {PART: "1"}, "limits": {PART: "1"}}

    queue.apply_later("second", _asks(PART))
    until(lambda: queue.status("second").get("reason") == "InsufficientResources", "it waits")
    message = queue.status("second")["message"]
    assert f"waiting for a node with 1 free {PART}: 0 of 2 nodes fit" in message
    assert queue.pods("second") == []

    queue.end("first")
    queue.runs("second")
    queue.end("second")


def test_a_job_that_asks_for_a_part_that_no_node_offers_is_told_which_ones_there_are(queue: Queue) -> None:
    queue.apply("large", _asks("nvidia.com/mig-3g.40gb"))
    until(lambda: queue.status("large").get("reason") == "Infeasible", "it is told why it can't run")
    message = queue.status("large")["message"]
    assert "each rank asks for nvidia.com/mig-3g.40gb, but no node offers that" in message
    assert f"nvidia.com/gpu, {PART}" in message


def test_a_gang_that_needs_more_nodes_with_a_part_than_there_are_is_told_so(queue: Queue) -> None:
    queue.apply("wide", _asks(PART, nodes=2))
    until(lambda: queue.status("wide").get("reason") == "Infeasible", "it is told why it can't run")
    assert "only 1 nodes are large enough for one rank" in queue.status("wide")["message"]
