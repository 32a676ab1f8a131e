"""The full cluster of the harness: what tests rely on when they run on it."""

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.cluster.engine import engine
from tests.cluster.images import image
from tests.cluster.kind import GPU, KindCluster
from tests.cluster.kind_nodes import NodeContainers
from tests.cluster.kubectl import KubectlError
from tests.waiting import until

pytestmark = pytest.mark.kind

_SERVER = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"
_FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).status)"
_NODE = "kubernetes.io/hostname"


@pytest.fixture
def space(own_kind_cluster: KindCluster) -> Iterator[str]:
    """A fresh namespace; deleted after the test."""
    name = f"kind-{uuid4().hex[:8]}"
    own_kind_cluster.kubectl("create", "namespace", name)
    yield name
    own_kind_cluster.kubectl("delete", "namespace", name, "--wait=false")


def _pod(name: str, node: str, command: list[str]) -> dict[str, Any]:
    """A pod on one node, from the trainer's image: the one image with a Python that every cluster holds."""
    container = {"name": "main", "image": image("trainer").reference, "command": command}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [{**container, "imagePullPolicy": "Never"}],
            "nodeSelector": {_NODE: node},
            "terminationGracePeriodSeconds": 0,
        },
    }


def _apply(cluster: KindCluster, space: str, *documents: dict[str, Any]) -> None:
    cluster.kubectl("--namespace", space, "apply", "--filename=-", stdin=yaml.safe_dump_all(documents))
    cluster.kubectl("--namespace", space, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=90s")


def _answers(cluster: KindCluster, space: str, url: str) -> bool:
    """Whether the pod `client` gets a page; not at once, as a Service's rules follow its pods by a moment."""
    try:
        command = ("exec", "client", "--", "python3", "-c", _FETCH, url)
        return cluster.kubectl("--namespace", space, *command).strip() == "200"
    except KubectlError:
        return False


def _get(cluster: KindCluster, *arguments: str) -> Any:
    return json.loads(cluster.kubectl("get", *arguments, "--output=json"))


def test_every_worker_is_ready_and_offers_its_gpus(own_kind_cluster: KindCluster) -> None:
    for name in own_kind_cluster.worker_names():
        node = _get(own_kind_cluster, "node", name)
        ready = [it["status"] for it in node["status"]["conditions"] if it["type"] == "Ready"]
        assert ready == ["True"]
        assert node["status"]["allocatable"][GPU] == "2"
        assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "Simulated-GPU"


def test_pods_reach_each_other_across_nodes_by_address_service_and_name(
    own_kind_cluster: KindCluster, space: str
) -> None:
    first, second = own_kind_cluster.worker_names()
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    server = _pod("server", first, ["python3", "-c", _SERVER])
    client = _pod("client", second, ["sleep", "600"])
    _apply(own_kind_cluster, space, service, server, client)
    address = _get(own_kind_cluster, "--namespace", space, "pod", "server")["status"]["podIP"]
    cluster_ip = _get(own_kind_cluster, "--namespace", space, "service", "web")["spec"]["clusterIP"]
    for url in (f"http://{address}:8080", f"http://{cluster_ip}", f"http://web.{space}.svc.cluster.local"):
        until(partial(_answers, own_kind_cluster, space, url), f"an answer of {url}")


def _on_claim(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod, with the claim `data` at /data."""
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return pod


def test_a_plain_claim_keeps_what_a_pod_wrote_for_others_on_the_node_of_the_first(
    own_kind_cluster: KindCluster, space: str
) -> None:
    cluster, node = own_kind_cluster, own_kind_cluster.worker_names()[1]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    writer = _on_claim(_pod("writer", node, ["sh", "-c", "echo kept >/data/file && sleep 600"]))
    _apply(cluster, space, claim, writer)
    cluster.kubectl("--namespace", space, "delete", "pod", "writer")
    reader = _on_claim(_pod("reader", node, ["sleep", "600"]))
    _apply(cluster, space, reader)
    assert cluster.kubectl("--namespace", space, "exec", "reader", "--", "cat", "/data/file") == "kept\n"
    volume = _get(cluster, "--namespace", space, "pvc", "data")["spec"]["volumeName"]
    [term] = _get(cluster, "pv", volume)["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": _NODE, "operator": "In", "values": [node]}]


def _heartbeat(cluster: KindCluster, node: str) -> str:
    """When the kubelet last wrote the node's conditions, which it does at its start and otherwise every few minutes."""
    conditions = _get(cluster, "node", node)["status"]["conditions"]
    return str(next(it["lastHeartbeatTime"] for it in conditions if it["type"] == "Ready"))


def test_the_gpus_are_there_again_after_a_kubelet_restart(own_kind_cluster: KindCluster) -> None:
    node = own_kind_cluster.worker_names()[0]
    before = _heartbeat(own_kind_cluster, node)
    _docker("exec", node, "systemctl", "restart", "kubelet")
    until(lambda: _heartbeat(own_kind_cluster, node) != before, "the node's status written anew")
    own_kind_cluster.up()
    assert _get(own_kind_cluster, "node", node)["status"]["allocatable"][GPU] == "2"


def test_an_image_that_a_node_holds_is_recognised(own_kind_cluster: KindCluster) -> None:
    nodes = NodeContainers(own_kind_cluster.name, engine.ensure())
    archive = image("trainer").archive
    held = {node: nodes.holds(node, archive) for node in nodes.all()}
    workers = own_kind_cluster.worker_names()
    assert held == {node: node in workers for node in nodes.all()}  # the control plane gets no images


def _docker(*arguments: str) -> None:
    env = {**os.environ, **engine.ensure()}
    subprocess.run(["docker", *arguments], env=env, check=True, capture_output=True)
