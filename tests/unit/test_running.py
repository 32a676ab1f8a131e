"""What a job holds, as its state and its pods tell."""

from dataclasses import replace

import pytest

from loadstar.core import conditions as c
from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.jobs import Failure, JobState, Phase
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.resources import Resources
from loadstar.core.running import GRACE_SECONDS, gang_of, gpus_of
from tests.builders import NOW, make_job, make_pod, make_state
from tests.queueing import make_running

RUNNING = Conditions({c.RUNNING: Condition(c.RUNNING, Status.TRUE, "Running", "", NOW - 60, 1)})


def pods(phase: PodPhase = PodPhase.RUNNING, attempt: int = 1) -> list[Pod]:
    return [make_pod(rank, attempt, phase) for rank in range(2)]


def test_a_gang_holds_its_nodes_from_its_placement_on() -> None:
    gang = gang_of(make_job(ranks=2, gpus=4), make_state(ranks=2), [], NOW + 5)
    assert gang is not None
    assert (gang.nodes, gang.gpus) == (("node-0", "node-1"), 8)
    assert (gang.placed_at, gang.started_at, gang.ending) == (NOW, None, False)


def test_it_runs_since_all_of_its_ranks_do() -> None:
    gang = gang_of(make_job(ranks=2), make_state(ranks=2, conditions=RUNNING), pods(), NOW, ends_at=NOW + 9)
    assert gang is not None
    assert (gang.started_at, gang.runs_for(NOW), gang.ends_at) == (NOW - 60, 60.0, NOW + 9)


def test_while_its_pods_start_others_wait_for_its_nodes_too() -> None:
    gang = make_running(ran=60, placed_at=NOW - 80, ran_before=100)
    assert (gang.ran(NOW), gang.runs_for(NOW)) == (180.0, 60.0)


def test_a_rank_that_is_over_holds_nothing() -> None:
    done, running = pods(PodPhase.SUCCEEDED)[0], pods()[1]
    gang = gang_of(make_job(ranks=2), make_state(ranks=2), [done, running], NOW)
    assert gang is not None
    assert gang.nodes == ("node-1",)


def test_pods_that_outlive_their_attempt_are_ending_for_as_long_as_their_grace() -> None:
    failure = Failure(1, "Preempted", "", NOW - 20)
    gang = gang_of(make_job(ranks=2), JobState(attempt=1, last_failure=failure), pods(), NOW)
    assert gang is not None
    assert (gang.ending, gang.ends_at) == (True, NOW - 20 + GRACE_SECONDS)
    late = gang_of(make_job(ranks=2), JobState(attempt=1, last_failure=failure), pods(), NOW + 99)
    assert late is not None
    assert late.ends_at == NOW + 99


def test_the_last_pods_of_a_finished_job_are_ending_too() -> None:
    state = make_state(ranks=2, phase=Phase.FAILED, last_failure=Failure(1, "Error", "", NOW))
    gang = gang_of(make_job(ranks=2), state, pods(), NOW)
    assert gang is not None
    assert gang.ending


def test_a_job_that_holds_nothing_is_no_gang() -> None:
    job = make_job(ranks=2)
    assert gang_of(job, JobState(), [], NOW) is None
    assert gang_of(job, make_state(ranks=2), pods(PodPhase.SUCCEEDED), NOW) is None
    unbound = [replace(pod, node=None) for pod in pods()]
    assert gang_of(job, JobState(attempt=1), unbound, NOW) is None


def test_what_would_be_lost_is_all_work_since_the_last_checkpoint() -> None:
    gang = make_running(nodes=["node-0", "node-1"], gpus=4, ran=100.0)
    assert gang.lost(NOW) == 800.0
    assert replace(gang, saved_at=NOW - 10).lost(NOW) == 80.0
    assert replace(gang, saved_at=NOW - 1000).lost(NOW) == 800.0
    assert replace(gang, started_at=None).lost(NOW) == 0.0


def test_a_gang_without_gpus_still_loses_its_time() -> None:
    assert make_running(gpus=0, ran=100.0).lost(NOW) == 100.0


def test_a_gang_asks_for_the_gpus_of_all_its_ranks() -> None:
    assert gpus_of(make_job(ranks=3, gpus=4)) == 12


def test_parts_of_gpus_count_as_their_share() -> None:
    request = Resources(devices=(("nvidia.com/mig-2g.10gb", 1),), pods=1)
    job = make_job(ranks=7, request=request, part=2 / 7)
    assert gpus_of(job) == pytest.approx(2.0)
    gang = make_running(nodes=["node-0", "node-1"], job_request=request, job_part=2 / 7, ran=70.0)
    assert gang.gpus == pytest.approx(4 / 7)
    assert gang.lost(NOW) == pytest.approx(40.0)
