"""Pods and nodes as the API server hands them out, down to what decisions need."""

import json
from typing import Any

import pytest

from loadstar.api.observe import observe_node, observe_pod, pod_request
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.resources import Resources
from loadstar.core.taints import Effect, Taint
from tests.builders import GIB
from tests.contract.jobs import UID
from tests.contract.refusals import merged

MIB = 1 << 20
ASKED = {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}
AT, SECONDS = "2026-11-22T05:00:00Z", 1795323600.0

RAW: dict[str, Any] = {
    "metadata": {
        "name": "iris-2-1",
        "namespace": "research",
        "uid": "pod-uid",
        "resourceVersion": "4711",
        "labels": {"loadstar.dev/job-name": "iris", "loadstar.dev/attempt": "2", "loadstar.dev/rank": "1"},
        "ownerReferences": [
            {
                "apiVersion": "loadstar.dev/v1alpha1",
                "kind": "TrainingJob",
                "name": "iris",
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {"nodeName": "node-a", "containers": [{"name": "trainer", "resources": {"requests": ASKED}}]},
    "status": {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}]},
}


def seen(**changes: Any) -> Pod:
    """The job's pod with `changes` laid over RAW."""
    pod = observe_pod(merged(RAW, changes)).pod
    assert pod is not None
    return pod


def ended(message: str | None = None, **state: Any) -> Pod:
    terminated = {"exitCode": 1, "reason": "Error", "finishedAt": AT, "message": message, **state}
    status = {"name": "trainer", "state": {"terminated": terminated}}
    return seen(status={"phase": "Failed", "containerStatuses": [{"name": "other"}, status]})


def test_a_pod_of_a_job_is_read_with_its_place_and_request() -> None:
    found = observe_pod(RAW)
    assert (found.owner, found.owner_name, found.version) == (UID, "iris", 4711)
    assert (found.node, found.request, found.terminal) == ("node-a", Resources(500, GIB, 1, 1), False)
    assert found.pod == Pod("iris-2-1", "pod-uid", 2, 1, PodPhase.RUNNING, "node-a")


@pytest.mark.parametrize(
    "owners", [[], [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u"}]]
)
def test_a_pod_of_somebody_else_is_read_for_its_request_only(owners: list[Any]) -> None:
    found = observe_pod(merged(RAW, {"metadata": {"ownerReferences": owners}}))
    assert (found.owner, found.pod, found.request.gpus) == (None, None, 1)


@pytest.mark.parametrize("names", [..., {"loadstar.dev/attempt": "two"}, {"loadstar.dev/rank": "-1"}])
def test_a_pod_whose_labels_name_no_rank_is_none_of_the_gangs(names: Any) -> None:
    found = observe_pod(merged(RAW, {"metadata": {"labels": names}}))
    assert (found.owner, found.pod) == (UID, None)


def test_a_fresh_pod_without_any_status_is_pending() -> None:
    assert seen(status=...).phase is PodPhase.PENDING


def test_the_phase_unknown_counts_as_pending() -> None:
    assert seen(status={"phase": "Unknown"}).phase is PodPhase.PENDING


def test_a_pod_with_a_deletion_time_is_being_deleted() -> None:
    assert seen(metadata={"deletionTimestamp": AT}).deleting


def test_a_pod_that_nobody_can_schedule_says_since_when_and_why() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
        "lastTransitionTime": AT,
    }
    pod = seen(spec={"nodeName": ...}, status={"phase": "Pending", "conditions": [condition]})
    assert (pod.unschedulable_since, pod.waiting, pod.node) == (SECONDS, "0/3 nodes are available", None)


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        ({"reason": "ErrImagePull", "message": "no such image"}, "ErrImagePull: no such image"),
        ({"reason": "ImagePullBackOff"}, "ImagePullBackOff"),
        ({"reason": "ContainerCreating"}, None),
        ({}, None),
    ],
)
def test_a_container_that_waits_says_why_unless_that_is_ordinary(waiting: Any, said: str | None) -> None:
    status = {"phase": "Pending", "containerStatuses": [{"name": "trainer", "state": {"waiting": waiting}}]}
    assert seen(status=status).waiting == said


def test_an_end_tells_its_code_and_time() -> None:
    pod = ended()
    assert (pod.exit_code, pod.finished_at, pod.failure_reason) == (1, SECONDS, None)


def test_out_of_memory_is_told_by_the_container() -> None:
    assert ended(exitCode=137, reason="OOMKilled").failure_reason == "OOMKilled"


def test_a_reason_that_conditions_could_not_hold_is_made_one_word() -> None:
    pod = seen(status={"phase": "Failed", "reason": "OutOfnvidia.com/gpu", "message": "no devices"})
    assert (pod.failure_reason, pod.failure_message) == ("OutOfnvidiacomgpu", "no devices")


@pytest.mark.parametrize(
    "status",
    [
        {"reason": "Evicted"},
        {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
    ],
)
def test_evicted_and_preempted_pods_are_disrupted(status: Any) -> None:
    assert seen(status={"phase": "Failed", **status}).disrupted


def record(**changes: Any) -> str:
    whole = {
        "version": 1,
        "jobUid": UID,
        "attempt": 2,
        "worldSize": 2,
        "seed": 0,
        "dataHash": "sha256:0",
        "device": "cpu",
        "backend": "gloo",
        "torch": "2.6.0",
        "samples": {},
        "epochs": 5,
        "durationSeconds": 3.2,
        "accuracy": "0.97",
        "metrics": [{"name": "accuracy", "value": "0.97"}],
    }
    return json.dumps({**whole, **changes})


def test_a_final_record_becomes_the_result_word_for_word() -> None:
    result = ended(record(), exitCode=0).result
    assert result is not None
    assert (result.accuracy, result.metrics) == ("0.97", (("accuracy", "0.97"),))
    assert (result.world_size, result.epochs, result.duration_seconds) == (2, 5, "3.2")


def test_an_error_record_becomes_the_error() -> None:
    error = {"reason": "InvalidDataset", "message": "dataset.target: no such column"}
    message = json.dumps({"version": 1, "jobUid": UID, "attempt": 2, "error": error})
    assert ended(message, exitCode=65).error == ("InvalidDataset", "dataset.target: no such column")


@pytest.mark.parametrize(
    "message",
    [
        record(jobUid="another"),
        record(attempt=1),
        record(accuracy="1.5"),
        record(metrics=[{"name": "loss", "value": "NaN"}]),
        "",
        "Traceback (most recent call last): …",
        "\x00\ud800",
        "[" * 100_000,
        "null",
    ],
)
def test_a_record_that_is_not_this_attempts_or_no_record_at_all_is_ignored(message: str) -> None:
    pod = ended(message)
    assert (pod.result, pod.error) == (None, None)


def test_of_a_program_that_left_no_record_one_line_of_its_output_is_kept() -> None:
    output = 'Traceback (most recent call last):\n  File "train.py"\n\x1b[31mValueError: no rows\x1b[0m\n'
    assert ended(output).last_words == "[31mValueError: no rows [0m"


def test_a_record_is_nobodys_last_words() -> None:
    assert ended(record()).last_words is None


# --- requests ----------------------------------------------------------------------------------------------------


def container(cpu: str | None = None, memory: str | None = None, **more: Any) -> dict[str, Any]:
    asked = {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount}
    return {"resources": {"requests": asked}, **more}


def test_containers_run_side_by_side_and_add_up() -> None:
    spec = {"containers": [container("500m", "1Gi"), container("1", "512Mi")]}
    assert pod_request(spec) == Resources(1500, GIB + 512 * MIB, 0, 1)


def test_init_containers_run_one_by_one_and_the_largest_counts_where_it_is_larger() -> None:
    inits = [container("3", "64Mi"), container("1", "4Gi")]
    spec = {"initContainers": inits, "containers": [container("2", "1Gi")]}
    assert pod_request(spec) == Resources(3000, 4 * GIB, 0, 1)


def test_sidecars_stay_and_count_with_everything_after_them() -> None:
    sidecar = container("1", "1Gi", restartPolicy="Always")
    spec = {"initContainers": [sidecar, container("2", "1Gi")], "containers": [container("500m", "1Gi")]}
    # init step: 1 + 2 cores; running: 1 + 0.5 cores, 1 + 1 GiB
    assert pod_request(spec) == Resources(3000, 2 * GIB, 0, 1)


def test_an_init_container_before_a_sidecar_does_not_count_with_it() -> None:
    sidecar = container("1", "1Gi", restartPolicy="Always")
    spec = {"initContainers": [container("2", "1Gi"), sidecar], "containers": [container("500m", "1Gi")]}
    assert pod_request(spec) == Resources(2000, 2 * GIB, 0, 1)


def test_overhead_of_the_runtime_is_added() -> None:
    spec = {"containers": [container("1", "1Gi")], "overhead": {"cpu": "250m", "memory": "128Mi"}}
    assert pod_request(spec) == Resources(1250, GIB + 128 * MIB, 0, 1)


def test_a_limit_stands_in_where_only_it_is_given() -> None:
    resources = {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "4"}, "requests": {"cpu": "1"}}
    assert pod_request({"containers": [{"resources": resources}]}) == Resources(1000, GIB, 4, 1)


def test_a_pod_that_asks_for_nothing_still_takes_a_place() -> None:
    assert pod_request({"containers": [{"name": "c"}]}) == Resources(pods=1)


# --- nodes -------------------------------------------------------------------------------------------------------

NODE: dict[str, Any] = {
    "metadata": {
        "name": "node-a",
        "resourceVersion": "12",
        "labels": {"kubernetes.io/hostname": "host-a", "nvidia.com/gpu.product": "NVIDIA-H100"},
    },
    "spec": {},
    "status": {
        "allocatable": {
            "cpu": "63770m",
            "memory": "263838224Ki",
            "pods": "110",
            "nvidia.com/gpu": "8",
            "hugepages-1Gi": "0",
            "ephemeral-storage": "1782336Mi",
        },
        "conditions": [
            {"type": "MemoryPressure", "status": "False", "lastTransitionTime": AT},
            {"type": "Ready", "status": "True", "lastTransitionTime": AT},
        ],
        "addresses": [
            {"type": "InternalIP", "address": "10.0.0.7"},
            {"type": "Hostname", "address": "host-a"},
        ],
    },
}


def test_a_node_is_read_with_what_it_offers() -> None:
    found = observe_node(NODE)
    assert found.node.allocatable == Resources(63770, 263838224 * 1024, 8, 110)
    assert (found.node.ready, found.node.cordoned, found.node.gpu_product) == (True, False, "NVIDIA-H100")
    assert (found.hostname, found.addresses) == ("host-a", ("10.0.0.7", "host-a"))
    assert found.not_ready_since is None


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_does_not_answer_says_since_when(status: str) -> None:
    conditions = [{"type": "Ready", "status": status, "lastTransitionTime": AT}]
    found = observe_node(merged(NODE, {"status": {"conditions": conditions}}))
    assert (found.node.ready, found.not_ready_since) == (False, SECONDS)


def test_a_node_that_never_reported_is_not_ready() -> None:
    found = observe_node({"metadata": {"name": "new", "uid": "u"}})
    assert (found.node.ready, found.not_ready_since, found.hostname) == (False, None, "new")
    assert found.node.allocatable == Resources()


def test_taints_are_known_with_their_values_and_effects() -> None:
    taints = [
        {"key": "a", "effect": "NoSchedule"},
        {"key": "b", "effect": "NoExecute", "value": "gone"},
        {"key": "c", "effect": "PreferNoSchedule"},
        {"key": "d", "effect": "SomethingNew"},
    ]
    found = observe_node(merged(NODE, {"spec": {"taints": taints, "unschedulable": True}}))
    assert found.node.taints == {
        Taint("a"),
        Taint("b", Effect.NO_EXECUTE, "gone"),
        Taint("c", Effect.PREFER_NO_SCHEDULE),
    }
    assert found.node.cordoned


def test_a_heartbeat_changes_nothing_of_a_node() -> None:
    beat = [{"type": "Ready", "status": "True", "lastTransitionTime": AT, "lastHeartbeatTime": AT}]
    assert observe_node(merged(NODE, {"status": {"conditions": beat}})) == observe_node(NODE)
