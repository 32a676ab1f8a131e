"""Status, columns, descriptions and pods of a TrainingJob, as a real API server takes and shows them."""

import json
from typing import Any

import pytest

from loadstar.api.labels import API_VERSION, KIND, LIFECYCLE_OWNER
from loadstar.api.pods import build_pod, build_service
from loadstar.api.status import TrainingJobStatus
from tests.cluster.api import ApiError
from tests.cluster.fixtures import Cluster
from tests.contract.jobs import job, raw_job
from tests.integration.crd import install_crd

pytestmark = pytest.mark.controlplane

NOW = "2026-11-22T05:00:00Z"
FULL = TrainingJobStatus.model_validate(
    {
        "observedGeneration": 1,
        "phase": "Succeeded",
        "reason": "Completed",
        "message": "all ranks ended well",
        "conditions": [
            {
                "type": type_,
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": NOW,
                "reason": "Completed",
                "message": "all ranks ended well",
            }
            for type_ in (
                "Accepted",
                "Placed",
                "Running",
                "Succeeded",
                "Failed",
                "Suspended",
                "MetricsAvailable",
            )
        ],
        "startTime": NOW,
        "completionTime": NOW,
        "attempt": 2,
        "gpus": 2,
        "gpuResource": "nvidia.com/mig-1g.10gb",
        "restarts": {"counted": 1, "infrastructure": 3},
        "queue": {"position": 1, "estimatedStartTime": NOW},
        "placement": {
            "policy": "predictive",
            "decidedAt": "2026-11-22T05:00:00.123456Z",
            "horizonSeconds": 300,
            "score": "-0.0312",
            "nodeSummary": "gpu-1,gpu-2",
            "nodes": [
                {
                    "name": f"gpu-{rank + 1}",
                    "ranks": [rank],
                    "gpus": 1,
                    "load": "0.4",
                    "forecast": "0.35",
                    "band": "0.05",
                    "score": "-0.0156",
                    "terms": {"overload": "-0.0156", "fragmentation": "0"},
                }
                for rank in range(2)
            ],
            "rejected": [{"reason": "NotEnoughGpus", "nodes": 7, "example": "gpu-9 has 0 of 1 GPU free"}],
            "alternatives": [
                {
                    "name": "gpu-3",
                    "load": "0.5",
                    "forecast": "0.55",
                    "band": "0.05",
                    "score": "-0.0201",
                    "terms": {"overload": "-0.0201", "fragmentation": "0"},
                }
            ],
            "hindsight": {
                "horizonReachedAt": "2026-11-22T05:05:00.123456Z",
                "load": "0.48",
                "error": "-0.03",
                "persistenceError": "-0.08",
                "withinBand": "1",
                "regret": "0",
                "use": {"gpu": "0.62", "cpu": "0.9"},
                "lagSeconds": 74,
            },
        },
        "accuracy": "0.9667",
        "result": {
            "metrics": [{"name": "accuracy", "value": "0.9667"}, {"name": "loss", "value": "5e-05"}],
            "worldSize": 2,
            "seed": 4294967295,
            "dataHash": "sha256:00",
            "epochs": 10,
            "durationSeconds": "3.2",
            "confusionMatrix": [[10, 0], [1, 9]],
            "importance": [{"name": "petal length (cm)", "value": "0.31"}],
            "checkpoint": {
                "path": "/mnt/checkpoint/iris",
                "digest": "sha256:01",
                "epoch": 10,
                "step": 40,
            },
            "model": {"path": "/mnt/export/iris", "digest": "sha256:02", "formats": ["safetensors", "onnx"]},
            "resumedFrom": {"attempt": 1, "step": 20, "worldSize": 1},
            "quantized": {"accuracy": "0.9333"},
            "crossValidation": {"folds": 5},
            "initialWeights": {"tensors": 4},
        },
        "trainerStatus": {
            "progressPercentage": 100,
            "estimatedRemainingSeconds": 0,
            "metrics": [{"name": "eval loss", "value": "0.1"}],
            "lastUpdatedTime": NOW,
        },
        "curves": {
            "attempt": 2,
            "configMap": "iris-curves",
            "points": 10,
            "metrics": [{"name": "eval loss", "latest": "0.1", "best": "0.1", "min": "0.1", "max": "2"}],
        },
        "lastFailure": {
            "attempt": 1,
            "rank": 1,
            "node": "gpu-2",
            "exitCode": 137,
            "finishedAt": NOW,
            "reason": "OOMKilled",
            "message": "the kernel ended it",
        },
    }
)


@pytest.fixture(scope="module")
def cluster(control_plane: Cluster) -> Cluster:
    """The cluster with the CRD in it."""
    install_crd(control_plane)
    return control_plane


@pytest.fixture
def finished(cluster: Cluster, namespace: str) -> str:
    """The namespace of a job `iris` with a full status."""
    manifest = raw_job() | {"metadata": {"name": "iris"}}
    cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    _apply_status(cluster, namespace, FULL.wire())
    return namespace


def _apply_status(cluster: Cluster, namespace: str, status: dict[str, Any]) -> None:
    patch = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "iris"}, "status": status}
    options = (
        "--server-side",
        "--subresource=status",
        f"--field-manager={LIFECYCLE_OWNER}",
        "--validate=strict",
    )
    cluster.kubectl("apply", "-n", namespace, *options, "-f", "-", stdin=json.dumps(patch))


def _get(cluster: Cluster, namespace: str, *options: str) -> str:
    return cluster.kubectl("get", "tj", "-n", namespace, *options)


def test_a_full_status_is_stored_as_it_was_written(cluster: Cluster, finished: str) -> None:
    stored = json.loads(_get(cluster, finished, "iris", "-o", "json"))["status"]
    assert stored == FULL.wire()
    assert TrainingJobStatus.model_validate(stored) == FULL


def test_what_is_not_applied_again_goes_away(cluster: Cluster, finished: str) -> None:
    _apply_status(cluster, finished, TrainingJobStatus(phase="Queued").wire())
    stored = json.loads(_get(cluster, finished, "iris", "-o", "json"))["status"]
    assert stored == {"phase": "Queued", "conditions": []}


def test_spec_and_status_are_written_apart(cluster: Cluster, finished: str) -> None:
    path = f"/apis/loadstar.dev/v1alpha1/namespaces/{finished}/trainingjobs/iris"
    cluster.api.merge(path, {"status": {"phase": "Failed"}})
    cluster.api.merge(f"{path}/status", {"spec": {"suspend": True}})
    stored = cluster.api.get(path)
    assert (stored["status"]["phase"], stored["spec"]["suspend"]) == ("Succeeded", False)


def test_a_status_of_no_known_shape_is_refused(cluster: Cluster, finished: str) -> None:
    path = f"/apis/loadstar.dev/v1alpha1/namespaces/{finished}/trainingjobs/iris/status"
    with pytest.raises(ApiError, match="Unsupported value"):
        cluster.api.merge(path, {"status": {"phase": "Thinking"}})


def test_the_columns_tell_how_far_a_job_is(cluster: Cluster, finished: str) -> None:
    header, row = _get(cluster, finished).splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "ACCURACY", "GPUS", "NODES", "AGE"]
    assert row.split()[:6] == ["iris", "Succeeded", "100", "0.9667", "2", "gpu-1,gpu-2"]


def test_the_wide_columns_tell_why(cluster: Cluster, finished: str) -> None:
    header, row = _get(cluster, finished, "-o", "wide").splitlines()
    assert header.split()[7:] == ["SCORE", "POLICY", "RESTARTS", "REASON", "GPU-RESOURCE"]
    assert row.split()[7:] == ["-0.0312", "predictive", "1", "Completed", "nvidia.com/mig-1g.10gb"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("status.phase=Succeeded", True),
        ("status.phase=Failed", False),
        ("spec.scheduling.policy=predictive", True),
    ],
)
def test_jobs_are_found_by_phase_and_policy(
    cluster: Cluster, finished: str, selector: str, found: bool
) -> None:
    assert ("iris" in _get(cluster, finished, f"--field-selector={selector}", "-o", "name")) is found


def test_kubectl_waits_for_success(cluster: Cluster, finished: str) -> None:
    cluster.kubectl("wait", "-n", finished, "--for=condition=Succeeded", "tj/iris", "--timeout=10s")


@pytest.mark.parametrize("category", ["ml", "all"])
def test_a_job_is_listed_with_its_category(cluster: Cluster, finished: str, category: str) -> None:
    assert "trainingjob.loadstar.dev/iris" in cluster.kubectl("get", category, "-n", finished, "-o", "name")


def test_explain_lists_the_whole_spec(cluster: Cluster) -> None:
    fields = cluster.kubectl("explain", "trainingjob.spec", "--recursive")
    assert all(
        field in fields
        for field in ("hiddenLayers", "horizonSeconds", "resourcesPerNode", "ttlSecondsAfterFinished")
    )


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("spec.training.learningRate", "Default: 0.001."),
        ("spec.model.hiddenLayers", "[64, 64] if left out"),
        ("spec.trainer.resourcesPerNode", "- memory: Memory that each pod is guaranteed and limited to"),
        ("spec.trainer.resourcesPerNode", "- nvidia.com/gpu: Whole GPUs that each pod gets"),
        ("status.placement.nodes.forecast", "Load forecast for the horizon"),
    ],
)
def test_explain_reads_like_documentation(cluster: Cluster, field: str, says: str) -> None:
    assert says in " ".join(cluster.kubectl("explain", f"trainingjob.{field}").split())


def test_the_pods_and_the_service_pass_admission_under_restricted_pod_security(
    cluster: Cluster, finished: str
) -> None:
    gang = job(trainer={"numNodes": 2, "resourcesPerNode": {"cpu": "200m", "memory": "512Mi"}})
    for rank in range(2):
        pod = build_pod(gang, attempt=1, rank=rank, node="gpu-1", image="loadstar/trainer:0.1.0")
        pod["metadata"]["namespace"] = finished
        path = f"/api/v1/namespaces/{finished}/pods?dryRun=All&fieldValidation=Strict"
        assert cluster.api.post(path, pod)["metadata"]["name"] == f"iris-1-{rank}"
    service = build_service(gang)
    service["metadata"]["namespace"] = finished
    stored = cluster.api.post(
        f"/api/v1/namespaces/{finished}/services?dryRun=All&fieldValidation=Strict", service
    )
    assert stored["spec"]["publishNotReadyAddresses"] is True
