"""The environment that a program finds in its pod."""

import json
from typing import Any

from loadstar.api.pods import ProgressEndpoint, build_pod
from tests.contract.jobs import job

OWN: dict[str, Any] = {"model": ..., "dataset": ...}


def container(progress: ProgressEndpoint | None = None, **spec: Any) -> dict[str, Any]:
    built = build_pod(job(**spec), attempt=3, rank=0, node="gpu-1", image="trainer:1", progress=progress)
    (found,) = built["spec"]["containers"]
    return dict(found)


def env(progress: ProgressEndpoint | None = None, **spec: Any) -> dict[str, Any]:
    """By name: the value, or where it comes from. No name twice."""
    entries = container(progress, **spec)["env"]
    found = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}
    assert len(found) == len(entries)
    return found


def test_a_script_of_one_process_per_node_is_told_its_place_on_the_node() -> None:
    assert env().items() >= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}.items()


def test_where_several_processes_run_their_launcher_tells_them() -> None:
    two = env(trainer={"resourcesPerNode": {"nvidia.com/gpu": 2}})
    assert not {"LOCAL_RANK", "LOCAL_WORLD_SIZE"} & two.keys()


def test_ones_own_program_replaces_the_images() -> None:
    found = container(
        **OWN, trainer={"image": "mine:1", "command": ["torchrun"], "args": ["train.py", "--lr=1"]}
    )
    assert (found["image"], found["command"], found["args"]) == (
        "mine:1",
        ["torchrun"],
        ["train.py", "--lr=1"],
    )


def test_the_images_own_program_is_left_alone() -> None:
    assert not {"command", "args"} & container().keys()


def test_a_program_is_told_the_folder_of_its_checkpoints() -> None:
    found = env(**OWN, trainer={"command": ["a"]}, checkpoint={"uri": "pvc://runs/all", "resume": "never"})
    assert found["LOADSTAR_CHECKPOINT_PATH"] == "/mnt/checkpoint/all/iris"
    told = {"path": "/mnt/checkpoint/all/iris", "keep": 2, "resume": "never"}
    assert json.loads(found["LOADSTAR_SPEC"]) == {"checkpoint": told}
    assert "LOADSTAR_CHECKPOINT_PATH" not in env()


def test_a_users_variables_come_last_and_win_over_what_only_sets_a_tone() -> None:
    variables = [{"name": "HOME", "value": "/data"}, {"name": "WHO", "value": "$(LOADSTAR_JOB_NAME)"}]
    found = env(trainer={"env": variables})
    assert found["HOME"] == "/data"
    assert list(found)[-2:] == ["HOME", "WHO"]


def test_a_variable_may_come_from_a_secret_or_a_config_map() -> None:
    source = {"secretKeyRef": {"name": "hub", "key": "token"}}
    other = {"configMapKeyRef": {"name": "settings", "key": "mode", "optional": True}}
    found = env(trainer={"env": [{"name": "A", "valueFrom": source}, {"name": "B", "valueFrom": other}]})
    assert found["A"]["secretKeyRef"] == {"name": "hub", "key": "token", "optional": False}
    assert found["B"] == other


def test_a_buckets_keys_are_handed_over_by_the_kubelet() -> None:
    found = env(dataset={"builtin": ..., "uri": "s3://lake/a.csv", "secretName": "lake"})
    assert found["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "lake", "key": "AWS_ACCESS_KEY_ID"}}
    region = {"name": "lake", "key": "AWS_REGION", "optional": True}
    assert found["AWS_REGION"] == {"secretKeyRef": region}


def test_a_program_is_told_where_to_report_in_kubeflows_words() -> None:
    found = env(ProgressEndpoint("https://loadstar.system.svc:10443/", "PEM"))
    assert found["KUBEFLOW_TRAINER_SERVER_URL"] == (
        "https://loadstar.system.svc:10443/apis/trainer.kubeflow.org/v1alpha1/namespaces/research/trainjobs/iris/status"
    )
    assert found["KUBEFLOW_TRAINER_SERVER_CA_CERT"] == "/var/run/secrets/kubeflow/trainer/ca.crt"
    assert found["KUBEFLOW_TRAINER_SERVER_TOKEN"] == "/var/run/secrets/kubeflow/trainer/token"


def test_without_an_endpoint_nobody_is_told_to_report() -> None:
    assert not [name for name in env() if name.startswith("KUBEFLOW")]


def test_a_pod_has_the_time_to_end_that_it_asks_for() -> None:
    asked = job(trainer={"terminationGracePeriodSeconds": 900})
    built = build_pod(asked, attempt=1, rank=0, node="gpu-1", image="trainer:1")
    assert built["spec"]["terminationGracePeriodSeconds"] == 900
