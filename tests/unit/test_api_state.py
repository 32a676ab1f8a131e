"""What the operator remembers survives a restart: state → status as JSON → state."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadstar.api.convert import job_of, parse_status
from loadstar.api.state import refusal_status, state_of, status_of
from loadstar.api.status import TrainingJobStatus
from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.jobs import (
    Alternative,
    Failure,
    Hindsight,
    JobState,
    Phase,
    Placement,
    Policy,
    RankPlacement,
    Rejection,
    Scheduling,
)
from loadstar.core.resources import Resources
from loadstar.core.results import ExportedModel, Goal, Result, Resumption, SavedCheckpoint
from loadstar.core.taints import Effect, Toleration
from loadstar.core.topology import Topology
from tests.builders import GIB, NOW, make_job, make_placement, make_state
from tests.contract.jobs import job
from tests.contract.refusals.case import program

MOMENT = st.integers(1_600_000_000, 1_900_000_000).map(float)
DECIMAL = st.integers(-10_000, 10_000).map(lambda number: number / 10_000 + 0.0)
SHARE = st.integers(0, 10_000).map(lambda number: number / 10_000)
WORD = st.sampled_from(["Placed", "InsufficientGPUs", "OOMKilled", "BackOff"])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)
NODE = st.sampled_from(["node-a", "node-b", "node-c"])
COUNT = st.integers(0, 50)
NUMBER = st.sampled_from(["0.97", "1e-05", "-3.25"])


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    ranks = tuple(
        RankPlacement(
            rank,
            draw(NODE),
            draw(st.none() | SHARE),
            draw(SHARE),
            draw(st.none() | SHARE),
            draw(DECIMAL),
            {"load": draw(DECIMAL)},
        )
        for rank in range(draw(st.integers(1, 3)))
    )
    rejected = st.builds(Rejection, WORD, st.integers(1, 9), NODE)
    terms = st.dictionaries(st.sampled_from(["load", "overload"]), DECIMAL)
    others = st.builds(Alternative, NODE, st.none() | SHARE, SHARE, st.none() | SHARE, DECIMAL, terms)
    hindsight = st.builds(
        Hindsight,
        MOMENT,
        SHARE,
        DECIMAL,
        DECIMAL,
        SHARE,
        SHARE,
        st.dictionaries(st.sampled_from(["gpu", "cpu"]), SHARE),
        st.none() | st.integers(10, 900).map(float),
    )
    return Placement(
        draw(st.sampled_from(Policy)),
        draw(MOMENT),
        draw(st.integers(30, 900)) * 1.0,
        ranks,
        tuple(draw(st.lists(rejected, max_size=2))),
        tuple(draw(st.lists(others, max_size=3))),
        draw(st.none() | hindsight),
    )


def conditions_of(found: list[Condition]) -> Conditions:
    conditions = Conditions()
    for one in found:
        conditions = conditions.with_(one)
    return conditions


TYPES = st.sampled_from(
    ["Accepted", "Placed", "Running", "Succeeded", "Failed", "Suspended", "MetricsAvailable"]
)
CONDITIONS = st.lists(
    st.builds(Condition, TYPES, st.sampled_from(Status), WORD, TEXT, MOMENT, COUNT), max_size=5
).map(conditions_of)
PARTS = {
    "confusion_matrix": st.sampled_from([(), ((3, 1), (0, 4))]),
    "importance": st.sampled_from([(), (("petal length (cm)", "0.1"),)]),
    "checkpoint": st.none() | st.builds(SavedCheckpoint, st.just("/a"), st.just("sha256:1"), COUNT, COUNT),
    "model": st.none() | st.builds(ExportedModel, st.just("/b"), st.just("sha256:2"), st.just(("onnx",))),
    "resumed_from": st.none() | st.builds(Resumption, COUNT, COUNT, COUNT),
    "quantized_accuracy": st.none() | NUMBER,
    "folds": st.none() | COUNT,
    "initial_tensors": st.none() | COUNT,
}
RESULTS = st.builds(
    Result,
    st.lists(st.tuples(st.sampled_from(["loss", "accuracy"]), NUMBER), max_size=2).map(tuple),
    st.none() | COUNT,
    st.none() | COUNT,
    st.none() | st.just("sha256:1"),
    st.none() | COUNT,
    st.none() | NUMBER,
    st.none() | st.just("0.97"),
    **PARTS,
)
FAILURES = st.builds(
    Failure, COUNT, WORD, TEXT, MOMENT, st.none() | COUNT, st.none() | NODE, st.none() | st.integers(-1, 255)
)
QUEUED = st.one_of(st.just((None, None)), st.tuples(st.integers(1, 99), st.none() | MOMENT))
STATES = st.builds(
    lambda queued, **parts: JobState(queue_position=queued[0], estimated_start=queued[1], **parts),
    queued=QUEUED,
    phase=st.sampled_from(Phase),
    attempt=COUNT,
    placement=st.none() | placements(),
    restarts_counted=COUNT,
    restarts_infrastructure=COUNT,
    start_time=st.none() | MOMENT,
    completion_time=st.none() | MOMENT,
    observed_generation=COUNT,
    result=st.none() | RESULTS,
    last_failure=st.none() | FAILURES,
    conditions=CONDITIONS,
)


def stored(state: JobState) -> JobState:
    """The state after a restart."""
    wire = status_of(make_job(), state).wire()
    return state_of(TrainingJobStatus.model_validate(wire))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STATES)
def test_a_restarted_operator_remembers_everything(state: JobState) -> None:
    assert stored(state) == state


def test_what_is_reported_is_never_in_what_the_lifecycle_writes() -> None:
    written = status_of(make_job(), make_state()).wire()
    assert not {"trainerStatus", "curves"} & written.keys()


def test_what_is_finer_than_status_is_rounded_once_and_then_stays() -> None:
    state = make_state(start_time=NOW + 0.75)
    placement = state.placement
    assert placement is not None
    once = stored(state)
    assert once.start_time == NOW
    assert stored(once) == once


def test_a_job_never_seen_has_an_empty_memory() -> None:
    assert state_of(TrainingJobStatus()) == JobState()


def test_a_minus_zero_is_written_as_zero() -> None:
    rank = RankPlacement(0, "node-a", None, 0.0, None, -0.00001, {"load": -0.0})
    state = JobState(placement=Placement(Policy.PREDICTIVE, NOW, 300.0, (rank,)))
    nodes = status_of(make_job(), state).wire()["placement"]["nodes"]
    assert (nodes[0]["score"], nodes[0]["terms"]) == ("0.0000", {"load": "0.0000"})


def test_the_reason_of_a_phase_is_that_of_the_condition_that_tells_it() -> None:
    told = Condition("Placed", Status.FALSE, "InsufficientResources", "waiting for a node", NOW, 1)
    status = status_of(make_job(), JobState(phase=Phase.QUEUED, conditions=Conditions().with_(told)))
    assert (status.reason, status.message) == ("InsufficientResources", "waiting for a node")


def test_a_message_longer_than_status_holds_is_cut() -> None:
    told = Condition("Placed", Status.FALSE, "Word", "x" * 5000, NOW, 1)
    status = status_of(make_job(), JobState(conditions=Conditions().with_(told)))
    assert status.conditions[0].message == "x" * 4000 + " …"
    TrainingJobStatus.model_validate(status.wire())


def test_the_gpus_of_a_job_are_those_of_all_its_ranks() -> None:
    assert status_of(make_job(ranks=3, gpus=2), JobState()).gpus == 6


def test_parts_of_gpus_are_counted_with_what_they_are() -> None:
    request = Resources(devices=(("nvidia.com/mig-1g.10gb", 1),), pods=1)
    status = status_of(make_job(ranks=3, request=request), JobState(placement=make_placement(ranks=3)))
    assert (status.gpus, status.gpu_resource) == (3, "nvidia.com/mig-1g.10gb")
    assert status.placement is not None
    assert [node.gpus for node in status.placement.nodes] == [1, 1, 1]


def test_whole_gpus_need_no_name() -> None:
    assert "gpuResource" not in status_of(make_job(gpus=2), JobState()).wire()


def test_of_a_job_that_cannot_be_read_nothing_of_its_spec_is_told() -> None:
    status = refusal_status(JobState(phase=Phase.FAILED)).wire()
    assert "gpus" not in status
    assert status["phase"] == "Failed"


def test_a_job_is_read_in_exact_units() -> None:
    found = job_of(
        job(
            trainer={
                "numNodes": 2,
                "resourcesPerNode": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": 4},
            },
            scheduling={
                "policy": "feedback",
                "alpha": -0.5,
                "horizonSeconds": 60,
                "maxLoad": 0.7,
                "gpuMemory": "40Gi",
                "queue": "vision",
                "topology": {"level": "example.com/rack", "required": True},
            },
            evaluation={"goal": {"metric": "loss", "max": 0.1}},
            runPolicy={"backoffLimit": 1, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 0},
        )
    )
    assert (found.ranks, found.request) == (2, Resources(1500, 2 * GIB, 4, 1))
    assert found.scheduling == Scheduling(
        Policy.FEEDBACK,
        -0.5,
        60.0,
        0.7,
        gpu_memory=40 * GIB,
        queue="vision",
        topology=Topology("example.com/rack", required=True),
    )
    policy = found.run_policy
    assert (policy.backoff_limit, policy.active_deadline, policy.ttl_after_finished) == (1, 60, 0)
    assert (found.goal, found.reads_log) == (Goal("loss", maximum=Decimal("0.1")), False)
    assert datetime.fromtimestamp(found.created_at, UTC).isoformat() == "2026-11-22T05:00:00+00:00"


def test_ones_own_program_may_print_its_metrics() -> None:
    assert job_of(job(model=..., dataset=..., trainer={"args": ["train.py"]})).reads_log


def test_tolerations_are_read_as_kubernetes_means_them() -> None:
    asked: list[dict[str, Any]] = [
        {"key": "a", "value": "x"},
        {"key": "b", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        {"operator": "Exists"},
        {"key": "c"},
    ]
    assert job_of(job(trainer={"tolerations": asked})).scheduling.tolerations == (
        Toleration("a", "x"),
        Toleration("b", None, Effect.NO_EXECUTE),
        Toleration(),
        Toleration("c", ""),
    )


@pytest.mark.parametrize(
    ("spec", "family"),
    [
        ({}, "mlp/research"),
        ({"scheduling": {"queue": "vision"}}, "mlp/vision"),
        (program(image="registry:5000/team/train:1.2@sha256:00"), "registry:5000/team/train/research"),
        (program(image="train"), "train/research"),
        (program(), "/research"),
    ],
)
def test_jobs_of_one_model_or_image_and_owner_are_a_family(spec: dict[str, Any], family: str) -> None:
    assert job_of(job(**spec)).family == family


GARBAGE: list[Any] = [None, -1, 1e308, True, "x", "2026-13-01T00:00:00Z", [], [None], {}, {"unknown": 1}]


def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside of a JSON value."""
    steps = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for step in steps:
        yield (*path, step)
        yield from places(part[step], (*path, step))


def with_garbage(document: dict[str, Any], path: tuple[Any, ...], garbage: Any) -> dict[str, Any]:
    changed = deepcopy(document)
    part: Any = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = garbage
    return changed


def test_garbage_anywhere_in_a_status_is_left_out_and_never_an_error() -> None:
    failure = Failure(1, "Error", "it failed", NOW, 0, "node-a", 1)
    conditions = conditions_of([Condition("Placed", Status.TRUE, "Placed", "", NOW, 1)])
    whole = status_of(make_job(), make_state(ranks=2, last_failure=failure, conditions=conditions)).wire()
    for path in places(whole):
        for garbage in GARBAGE:
            state = state_of(parse_status({"status": with_garbage(whole, path, garbage)}))
            assert path[0] in {"attempt", "placement"} or state.placement is not None, (path, garbage)
