"""Jobs that mount claims, on a real control plane: they go where their volumes are, or say what is missing."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from loadstar.api.labels import GROUP, PLURAL, VERSION
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE, operator_process
from tests.integration.storage import CLAIM, make_claim, make_volume
from tests.waiting import until

pytestmark = pytest.mark.controlplane

Json = dict[str, Any]

_CRD = Path(__file__).parents[2] / "manifests" / "crd.yaml"
_HOSTNAME = "kubernetes.io/hostname"


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """Three nodes, gpu-0 to gpu-2, and an operator."""
    with ControlPlane.start("claims-test", kwok_nodes=3) as started:
        started.kubectl("apply", "--server-side", "-f", str(_CRD))
        until(partial(_answers, started, f"/apis/{GROUP}/{VERSION}/{PLURAL}"), "the CRD is served")
        started.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        operator = operator_process(started)
        operator.start()
        try:
            yield started
        finally:
            operator.stop()


@pytest.fixture
def place(cluster: ControlPlane) -> Iterator[str]:
    """A namespace for a job and its claims."""
    name = f"claims-{uuid4().hex[:6]}"
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    until(partial(_answers, cluster, f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its account")
    yield name
    cluster.api.delete(f"/api/v1/namespaces/{name}")


def _answers(cluster: ControlPlane, path: str) -> bool:
    try:
        cluster.api.get(path)
    except ApiError:
        return False
    return True


def _job(cluster: ControlPlane, place: str, ranks: int = 1) -> str:
    """A job that mounts the namespace's claim; its path."""
    spec = {
        "model": {"type": "mlp"},
        "dataset": {"builtin": "iris"},
        "checkpoint": {"uri": f"pvc://{CLAIM}/runs"},
        "trainer": {"numNodes": ranks},
    }
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{place}/{PLURAL}"
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "TrainingJob", "metadata": {"name": "job"}}
    cluster.api.post(path, {**body, "spec": spec})
    return f"{path}/job"


def _placed(cluster: ControlPlane, path: str) -> Json:
    """The condition Placed; empty before the operator has said anything."""
    conditions = cluster.api.get(path).get("status", {}).get("conditions", [])
    found: Json = next((it for it in conditions if it["type"] == "Placed"), {})
    return found


def _waits_for(cluster: ControlPlane, path: str, reason: str) -> str:
    """The message with which a job waits for a reason."""
    until(lambda: _placed(cluster, path).get("reason") == reason, f"waiting with {reason}")
    return str(_placed(cluster, path)["message"])


def _nodes(cluster: ControlPlane, place: str, ranks: int = 1) -> list[str]:
    """Where kube-scheduler has bound the job's pods, once it has bound as many as the job has ranks."""
    until(lambda: sum(map(bool, _pods(cluster, place))) == ranks, "the pods are bound")
    return sorted(_pods(cluster, place))


def _pods(cluster: ControlPlane, place: str) -> list[str]:
    return [
        it["spec"].get("nodeName", "") for it in cluster.api.get(f"/api/v1/namespaces/{place}/pods")["items"]
    ]


@pytest.mark.parametrize(
    "requirement",
    [
        {"key": _HOSTNAME, "operator": "In", "values": ["gpu-2"]},
        {"key": _HOSTNAME, "operator": "NotIn", "values": ["gpu-0", "gpu-1"]},
    ],
    ids=["In", "NotIn"],
)
def test_a_job_goes_to_the_node_that_has_its_volume(
    cluster: ControlPlane, place: str, requirement: Json
) -> None:
    make_volume(cluster, place, matchExpressions=[requirement])
    make_claim(cluster, place)
    path = _job(cluster, place)
    assert _nodes(cluster, place) == ["gpu-2"]
    placement = cluster.api.get(path)["status"]["placement"]
    assert placement["rejected"] == [{"reason": "VolumeElsewhere", "nodes": 2, "example": "gpu-0"}]


def test_a_job_waits_for_a_claim_that_is_not_there_and_starts_when_it_is(
    cluster: ControlPlane, place: str
) -> None:
    path = _job(cluster, place)
    message = _waits_for(cluster, path, "ClaimNotFound")
    assert message.startswith(f"create PersistentVolumeClaim {CLAIM} in namespace {place}")
    assert cluster.api.get(path)["status"]["phase"] == "Queued"
    make_volume(cluster, place)
    make_claim(cluster, place)
    assert len(_nodes(cluster, place)) == 1


def test_a_gang_that_can_not_share_its_claim_is_told_so(cluster: ControlPlane, place: str) -> None:
    make_volume(cluster, place)
    make_claim(cluster, place)
    message = _waits_for(cluster, _job(cluster, place, ranks=2), "ClaimNotShared")
    assert "ReadWriteMany" in message
    assert _pods(cluster, place) == []


def test_a_gang_shares_a_claim_of_many_nodes(cluster: ControlPlane, place: str) -> None:
    make_volume(cluster, place, "ReadWriteMany")
    make_claim(cluster, place, "ReadWriteMany")
    _job(cluster, place, ranks=2)
    assert len(set(_nodes(cluster, place, ranks=2))) == 2


def test_a_job_whose_volume_is_on_a_node_that_is_not_there_says_where(
    cluster: ControlPlane, place: str
) -> None:
    make_volume(cluster, place, matchExpressions=[{"key": _HOSTNAME, "operator": "In", "values": ["gone"]}])
    make_claim(cluster, place)
    message = _waits_for(cluster, _job(cluster, place), "Infeasible")
    assert f"PersistentVolumeClaim {CLAIM} can be mounted where {_HOSTNAME} is gone" in message
