"""The pods and the Service that a TrainingJob becomes."""

import json
from typing import Any

import pytest

from loadstar.api import labels
from loadstar.api.pods import build_pod, build_service, pod_name
from loadstar.api.v1alpha1 import LONGEST_NAME, TrainingJob
from tests.contract.jobs import UID, job

GANG = {"numNodes": 2, "resourcesPerNode": {"cpu": "4", "memory": "2Gi", "nvidia.com/gpu": 2}}


def _pod(subject: TrainingJob, rank: int = 0) -> dict[str, Any]:
    return build_pod(subject, attempt=3, rank=rank, node="gpu-1", image="loadstar/trainer:0.1.0")


def _container(subject: TrainingJob, rank: int = 0) -> dict[str, Any]:
    (container,) = _pod(subject, rank)["spec"]["containers"]
    return dict(container)


def _env(subject: TrainingJob, rank: int = 0) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in _container(subject, rank)["env"]}


def test_a_pod_is_named_after_job_attempt_and_rank() -> None:
    assert _pod(job(trainer=GANG), rank=1)["metadata"]["name"] == "iris-3-1"


def test_the_longest_name_makes_a_host_name_after_a_million_attempts() -> None:
    assert len(pod_name("a" * LONGEST_NAME, 1_000_000, 1023)) <= 63


def test_the_job_owns_its_pods_and_its_service() -> None:
    owner = {
        "apiVersion": "loadstar.dev/v1alpha1",
        "kind": "TrainingJob",
        "name": "iris",
        "uid": UID,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert _pod(job())["metadata"]["ownerReferences"] == [owner]
    assert build_service(job())["metadata"]["ownerReferences"] == [owner]


def test_a_pod_tells_its_job_attempt_and_rank_by_labels() -> None:
    names = _pod(job(trainer=GANG), rank=1)["metadata"]["labels"]
    assert names[labels.JOB_NAME_LABEL] == "iris"
    assert names[labels.ATTEMPT_LABEL] == "3"
    assert names[labels.RANK_LABEL] == "1"
    assert names[labels.MANAGED_BY_LABEL] == "loadstar"


def test_a_pod_is_pinned_by_required_affinity_and_never_bound() -> None:
    spec = _pod(job())["spec"]
    assert "nodeName" not in spec
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term["matchExpressions"] == [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["gpu-1"]}
    ]


def test_each_rank_is_told_where_it_stands_in_both_families_of_names() -> None:
    env = _env(job(trainer=GANG), rank=1)
    expected = {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "2",
        "PET_NODE_RANK": "1",
        "PET_MASTER_ADDR": "iris-3-0.iris",
        "PET_MASTER_PORT": "23456",
        "MASTER_ADDR": "iris-3-0.iris",
        "MASTER_PORT": "23456",
        "WORLD_SIZE": "4",
        "RANK": "2",
    }
    assert env | expected == env


def test_a_pod_is_told_whose_attempt_it_is() -> None:
    env = _env(job())
    assert env["LOADSTAR_GRACE_SECONDS"] == "60"
    assert (env["LOADSTAR_JOB_NAME"], env["LOADSTAR_JOB_UID"], env["LOADSTAR_ATTEMPT"]) == ("iris", UID, "3")


def test_a_pod_is_told_what_to_train_as_json() -> None:
    document = json.loads(_env(job(training={"epochs": 7}))["LOADSTAR_SPEC"])
    assert document["training"]["epochs"] == 7


def test_the_host_name_of_rank_0_is_the_address_that_all_ranks_meet_at() -> None:
    spec = _pod(job(trainer=GANG))["spec"]
    assert f"{spec['hostname']}.{spec['subdomain']}" == _env(job(trainer=GANG), rank=1)["MASTER_ADDR"]


def test_the_service_names_all_ranks_before_they_are_ready() -> None:
    service = build_service(job())
    assert service["metadata"]["name"] == _pod(job())["spec"]["subdomain"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"].items() <= _pod(job())["metadata"]["labels"].items()


def test_rank_0_finds_itself_without_dns_and_the_others_do_not_take_themselves_for_it() -> None:
    gang = job(trainer=GANG)
    assert _pod(gang, rank=0)["spec"]["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["iris-3-0.iris"]}]
    assert _pod(gang, rank=1)["spec"]["hostAliases"] == []


def test_cpu_is_guaranteed_memory_also_limited_and_devices_exact() -> None:
    assert _container(job(trainer=GANG))["resources"] == {
        "requests": {"cpu": "4", "memory": "2Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "2Gi", "nvidia.com/gpu": "2"},
    }


def test_a_job_without_gpus_asks_for_none() -> None:
    assert _container(job(trainer={"resourcesPerNode": {"nvidia.com/gpu": 0}}))["resources"] == {
        "requests": {},
        "limits": {},
    }


def test_a_part_of_a_gpu_is_asked_for_under_its_own_name_in_place_of_a_whole_one() -> None:
    asked = {"memory": "2Gi", "nvidia.com/mig-1g.10gb": 1}
    assert _container(job(trainer={"resourcesPerNode": asked}))["resources"] == {
        "requests": {"memory": "2Gi", "nvidia.com/mig-1g.10gb": "1"},
        "limits": {"memory": "2Gi", "nvidia.com/mig-1g.10gb": "1"},
    }


@pytest.mark.parametrize(("memory", "size"), [("2Gi", 2**30), (None, 2**30), ("1", 1)])
def test_shared_memory_is_half_of_the_memory_or_a_gibibyte(memory: str | None, size: int) -> None:
    resources = {"memory": memory} if memory else {}
    volumes = _pod(job(trainer={"resourcesPerNode": resources}))["spec"]["volumes"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(size)}} in volumes


@pytest.mark.parametrize(("cpu", "threads"), [("4", "2"), ("200m", "1"), ("9", "4")])
def test_the_processes_of_a_pod_share_its_cpus_as_threads(cpu: str, threads: str) -> None:
    resources = {"cpu": cpu, "nvidia.com/gpu": 2}
    assert _env(job(trainer={"resourcesPerNode": resources}))["OMP_NUM_THREADS"] == threads


def test_threads_are_left_to_torch_where_no_cpu_is_asked_for() -> None:
    assert "OMP_NUM_THREADS" not in _env(job())


def test_a_job_may_bring_its_own_image() -> None:
    assert _container(job(trainer={"image": "mine:1"}))["image"] == "mine:1"
    assert _container(job())["image"] == "loadstar/trainer:0.1.0"


def test_a_pod_runs_once_and_has_a_minute_to_end() -> None:
    spec = _pod(job())["spec"]
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Never", 60)


def test_a_pod_gets_no_credentials_and_no_services_of_others() -> None:
    spec = _pod(job())["spec"]
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)


def test_only_a_pod_with_gpus_tolerates_the_taint_of_gpu_nodes() -> None:
    cpu_only = job(trainer={"resourcesPerNode": {"nvidia.com/gpu": 0}})
    assert _pod(job())["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert _pod(cpu_only)["spec"]["tolerations"] == []


def test_a_pod_with_a_part_of_a_gpu_tolerates_that_taint_too() -> None:
    part = job(trainer={"resourcesPerNode": {"nvidia.com/gpu.shared": 1}})
    assert _pod(part)["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_each_part_of_a_gpu_has_one_process() -> None:
    gang = {"numNodes": 2, "resourcesPerNode": {"nvidia.com/mig-1g.10gb": 1}}
    env = _env(job(trainer=gang), rank=1)
    expected = {"PET_NPROC_PER_NODE": "1", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "0"}
    assert env | expected == env


def test_a_pod_tolerates_what_its_job_does_each_once() -> None:
    dedicated = {"key": "example.com/dedicated", "operator": "Equal", "value": "training"}
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists"}
    assert _pod(job(trainer={"tolerations": [gpu, dedicated]}))["spec"]["tolerations"] == [gpu, dedicated]


def test_a_pod_is_of_its_jobs_priority_class() -> None:
    assert _pod(job(scheduling={"priorityClassName": "urgent"}))["spec"]["priorityClassName"] == "urgent"
    assert "priorityClassName" not in _pod(job())["spec"]
