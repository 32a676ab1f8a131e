"""The document that the trainer reads is the one of the contract files, which the trainer's own tests read too."""

import json
from pathlib import Path
from typing import Any

import pytest

from loadstar.api.convert import job_of, parse, parse_status
from loadstar.api.document import trainer_document
from loadstar.api.status import TrainingJobStatus
from tests.contract.jobs import job, raw_job

SPECS = json.loads((Path(__file__).parents[1] / "contract" / "fixtures" / "specs.json").read_text())


@pytest.mark.parametrize("case", SPECS, ids=lambda case: case["name"])
def test_the_trainer_is_told_its_part_of_the_spec_with_defaults_filled_in(case: dict[str, Any]) -> None:
    raw = raw_job() | {"spec": case["spec"]}
    assert trainer_document(parse(raw)) == case["trainer"]


def test_a_pod_runs_one_process_per_gpu_unless_told_otherwise() -> None:
    assert job(trainer={"resourcesPerNode": {"nvidia.com/gpu": "4"}}).spec.trainer.processes_per_node == 4


def test_a_pod_without_gpus_runs_one_process() -> None:
    assert job(trainer={"resourcesPerNode": {"nvidia.com/gpu": 0}}).spec.trainer.processes_per_node == 1


def test_the_world_is_all_processes_of_all_nodes() -> None:
    trainer = {"numNodes": 3, "numProcPerNode": 2, "resourcesPerNode": {"nvidia.com/gpu": 2}}
    assert job(trainer=trainer).spec.trainer.world_size == 6


@pytest.mark.parametrize(
    ("asked", "gpus", "devices"),
    [
        ({}, 1, ()),
        ({"cpu": 1}, 1, ()),
        ({"nvidia.com/gpu": 0}, 0, ()),
        ({"nvidia.com/mig-1g.10gb": 1}, 0, (("nvidia.com/mig-1g.10gb", 1),)),
        ({"nvidia.com/mig-1g.10gb": "1", "nvidia.com/gpu": 0}, 0, (("nvidia.com/mig-1g.10gb", 1),)),
        ({"nvidia.com/gpu.shared": 1}, 0, (("nvidia.com/gpu.shared", 1),)),
    ],
    ids=str,
)
def test_a_rank_asks_for_a_whole_gpu_unless_it_asks_for_none_or_a_part_of_one(
    asked: dict[str, Any], gpus: int, devices: tuple[tuple[str, int], ...]
) -> None:
    request = job_of(job(trainer={"resourcesPerNode": asked})).request
    assert (request.gpus, request.devices) == (gpus, devices)


def test_alpha_has_a_default_where_the_policy_uses_it() -> None:
    assert job(scheduling={"policy": "feedback"}).spec.scheduling.effective_alpha == 0.1


def test_alpha_may_be_zero() -> None:
    assert job(scheduling={"policy": "feedback", "alpha": 0}).spec.scheduling.effective_alpha == 0


@pytest.mark.parametrize("status", ["Running", 7, [{"phase": "Running"}]], ids=str)
def test_a_status_that_is_no_object_is_an_empty_one(status: object) -> None:
    assert parse_status({"status": status}) == TrainingJobStatus()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("startTime", "0001-01-01T00:00:00+14:00"),
        ("accuracy", "1e400"),
        ("accuracy", "0E99999999999999999999"),
        ("attempt", 10**30),
        ("attempt", "2"),
    ],
)
def test_a_value_that_cannot_be_told_again_is_left_out(field: str, value: object) -> None:
    assert parse_status({"status": {"phase": "Running", field: value}}) == TrainingJobStatus(phase="Running")
