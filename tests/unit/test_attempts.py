"""Inside an attempt: pods being started, running, and going wrong."""

import pytest

from loadstar.core.backoff import retry_at
from loadstar.core.decisions import CreatePod, CreateService, Decision, DeletePod
from loadstar.core.jobs import Phase, RunPolicy
from loadstar.core.lifecycle import Situation, launch_failed, launched
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.preemption import Eviction
from tests.builders import NOW, make_job, make_offer, make_pod, make_state
from tests.unit.lives import failed, launched_state, look, names, told


def test_pods_that_are_not_there_yet_are_created_again() -> None:
    decision = look(make_state(ranks=2), make_pod(1), job=make_job(ranks=2))
    assert decision.actions == (CreateService(), CreatePod(1, 0, "node-0"))
    assert decision.wake_at == NOW + 15


def test_once_all_pods_were_seen_the_attempt_is_launched() -> None:
    pending = make_pod(phase=PodPhase.PENDING)
    assert not launched(make_state())
    assert launched(look(make_state(), pending).state)


def test_a_starting_gang_says_which_rank_waits_for_what() -> None:
    waiting = make_pod(1, phase=PodPhase.PENDING, waiting="ErrImagePull: no such image")
    decision = look(make_state(ranks=2), make_pod(0), waiting, job=make_job(ranks=2))
    message = "1 of 2 pods run; rank 1 on node-1 waits: ErrImagePull: no such image"
    assert told(decision, "Running") == ("False", "Starting", message)
    assert decision.state.phase is Phase.STARTING
    assert decision.state.start_time is None


def test_a_rank_that_cannot_be_scheduled_in_time_gives_the_whole_gang_back() -> None:
    stuck = make_pod(1, phase=PodPhase.PENDING, node=None, unschedulable_since=NOW - 15, waiting="0/9 nodes")
    decision = look(make_state(ranks=2), make_pod(0), stuck, job=make_job(ranks=2))
    state = decision.state
    assert (state.phase, state.placement) == (Phase.QUEUED, None)
    assert (state.restarts_counted, state.restarts_infrastructure) == (0, 0)
    message = "rank 1 could not be scheduled to node-1 within 15 s: 0/9 nodes"
    assert told(decision, "Placed") == ("False", "PinExpired", message)
    assert {action.name for action in decision.actions if isinstance(action, DeletePod)} == {
        "job-1-0",
        "job-1-1",
    }


def test_a_rank_that_cannot_be_scheduled_yet_is_looked_at_when_its_pin_expires() -> None:
    stuck = make_pod(phase=PodPhase.PENDING, node=None, unschedulable_since=NOW - 5)
    decision = look(make_state(), stuck)
    assert decision.wake_at == NOW + 10
    assert decision.state.placement is not None


def test_a_refused_launch_gives_the_gang_back_and_is_tried_again_later() -> None:
    state, seen = make_state(ranks=2), make_pod(0)
    decision = launch_failed(Situation(make_job(ranks=2), state, (seen,), None, NOW), "exceeded quota")
    assert decision.actions == (DeletePod(seen.name, seen.uid),)
    assert decision.wake_at == NOW + 30
    assert told(decision, "Placed") == ("False", "LaunchFailed", "exceeded quota; tried again every 30 s")
    assert look(decision.state, offer=make_offer(), now=NOW + 29).state.placement is None
    assert look(decision.state, offer=make_offer(), now=NOW + 30).state.attempt == 2


def test_a_job_runs_when_all_its_pods_do() -> None:
    decision = look(launched_state(2), make_pod(0), make_pod(1), job=make_job(ranks=2))
    assert (decision.state.phase, decision.state.start_time) == (Phase.RUNNING, NOW)
    assert told(decision, "Running")[::2] == ("True", "2 of 2 pods run")
    assert names(decision) == ["Running"]


def test_a_running_job_at_rest_changes_nothing() -> None:
    state = look(launched_state(), make_pod()).state
    again = look(state, make_pod(), now=NOW + 100)
    assert (again.state, again.actions, again.events) == (state, (), ())


def test_a_restarted_job_keeps_its_first_start_time() -> None:
    assert look(launched_state(start_time=NOW - 500), make_pod()).state.start_time == NOW - 500


def test_a_late_pod_of_an_older_attempt_is_deleted() -> None:
    late = make_pod(attempt=1)
    decision = look(launched_state(attempt=2), make_pod(attempt=2), late)
    assert decision.actions == (DeletePod(late.name, late.uid),)
    assert decision.state.phase is Phase.RUNNING


def test_a_failed_rank_restarts_the_whole_gang_and_counts() -> None:
    decision = look(launched_state(2), failed(0), make_pod(1), job=make_job(ranks=2))
    state = decision.state
    assert (state.phase, state.placement, state.attempt) == (Phase.RESTARTING, None, 1)
    assert (state.restarts_counted, state.restarts_infrastructure) == (1, 0)
    assert decision.actions == (DeletePod("job-1-1", "pod-1-1"),)
    assert decision.wake_at == NOW + 10
    assert told(decision, "Running")[:2] == ("False", "Error")


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (make_pod(node_lost=True), "NodeLost"),
        (make_pod(deleting=True), "Disrupted"),
        (failed(exit_code=None, failure_reason="Evicted"), "Evicted"),
        (None, "PodDeleted"),
    ],
)
def test_the_clusters_fault_restarts_at_once_and_does_not_count(pod: Pod | None, reason: str) -> None:
    job = make_job(run_policy=RunPolicy(backoff_limit=0))
    state = look(launched_state(), *([pod] if pod else []), job=job).state
    assert (state.phase, state.placement) == (Phase.RESTARTING, None)
    assert (state.restarts_counted, state.restarts_infrastructure) == (0, 1)
    assert state.last_failure is not None
    assert state.last_failure.reason == reason


def test_a_pod_missing_before_all_were_seen_is_no_lost_pod() -> None:
    assert look(make_state()).actions == (CreatePod(1, 0, "node-0"),)


def test_the_failure_beyond_the_backoff_limit_is_the_last() -> None:
    job = make_job(run_policy=RunPolicy(backoff_limit=2))
    decision = look(launched_state(restarts_counted=2), failed(), job=job)
    assert decision.state.phase is Phase.FAILED
    assert decision.state.restarts_counted == 2
    assert told(decision, "Failed")[:2] == ("True", "BackoffLimitExceeded")
    assert "backoffLimit of 2 restarts is used up" in told(decision, "Failed")[2]


def test_a_job_that_cannot_run_as_written_fails_at_once() -> None:
    pod = failed(exit_code=65, error=("InvalidDataset", "dataset.target: no such column"))
    decision = look(launched_state(2), pod, make_pod(1), job=make_job(ranks=2))
    assert decision.state.phase is Phase.FAILED
    assert decision.state.restarts_counted == 0
    message = "rank 0 on node-0: dataset.target: no such column"
    assert told(decision, "Failed") == ("True", "InvalidDataset", message)
    assert decision.actions == (DeletePod("job-1-1", "pod-1-1"),)


def test_a_pod_of_a_rank_that_was_not_placed_is_none_of_the_gangs() -> None:
    stray = make_pod(7, phase=PodPhase.PENDING)
    assert look(launched_state(), make_pod(), stray).state.phase is Phase.RUNNING


def test_a_gang_that_was_given_back_does_not_say_that_it_starts() -> None:
    stuck = make_pod(phase=PodPhase.PENDING, unschedulable_since=NOW - 15, waiting="0/9 nodes")
    assert told(look(launched_state(), stuck), "Running")[:2] == ("False", "PinExpired")


def lost_peer(rank: int = 0) -> Pod:
    return failed(rank, exit_code=75)


def test_a_rank_that_lost_a_peer_waits_for_the_peer_to_show_why() -> None:
    gang = make_job(ranks=2)
    state = launched_state(2, phase=Phase.RUNNING)
    waiting = look(state, lost_peer(0), make_pod(1), job=gang, now=NOW + 9)
    assert (waiting.state.phase, waiting.actions, waiting.wake_at) == (Phase.RUNNING, (), NOW + 10)
    shown = look(state, lost_peer(0), failed(1, exit_code=137, failure_reason="OOMKilled"), job=gang)
    assert (shown.state.restarts_counted, shown.state.restarts_infrastructure) == (1, 0)
    assert shown.state.last_failure is not None
    assert (shown.state.last_failure.rank, shown.state.last_failure.reason) == (1, "OOMKilled")


@pytest.mark.parametrize(
    ("peer", "now"),
    [(make_pod(1), NOW + 10), (lost_peer(1), NOW)],
    ids=["nothing is shown", "all lost each other"],
)
def test_a_lost_peer_without_a_cause_does_not_count(peer: Pod, now: float) -> None:
    state = look(launched_state(2), lost_peer(0), peer, job=make_job(ranks=2), now=now).state
    assert (state.phase, state.restarts_counted, state.restarts_infrastructure) == (Phase.RESTARTING, 0, 1)


def test_a_failure_that_is_its_own_cause_is_not_waited_for() -> None:
    state = look(launched_state(2), failed(0), make_pod(1), job=make_job(ranks=2)).state
    assert state.phase is Phase.RESTARTING


def preempted(*pods: Pod, attempt: int = 1) -> Decision:
    eviction = Eviction("uid-job", attempt, "ended for research/urgent")
    return look(launched_state(), *pods, eviction=eviction)


def test_a_gang_that_is_ended_for_another_goes_back_to_the_queue_uncounted() -> None:
    pod = make_pod()
    decision = preempted(pod)
    state = decision.state
    assert decision.actions == (DeletePod(pod.name, pod.uid),), "with the pods' own grace"
    assert (state.phase, state.placement) == (Phase.QUEUED, None)
    assert (state.restarts_counted, state.restarts_infrastructure) == (0, 1)
    assert told(decision, "Running") == ("False", "Preempted", "ended for research/urgent")
    assert state.last_failure is not None
    assert state.last_failure.reason == "Preempted"
    assert retry_at(state) == 0.0
    assert names(decision) == ["Preempted"]


def test_a_request_to_end_an_earlier_attempt_ends_nothing() -> None:
    assert preempted(make_pod(), attempt=0).state.placement is not None


def test_a_gang_that_is_done_meanwhile_is_done() -> None:
    assert preempted(make_pod(phase=PodPhase.SUCCEEDED)).state.phase is Phase.SUCCEEDED


def test_a_gang_that_failed_meanwhile_has_failed() -> None:
    decision = preempted(failed())
    assert decision.state.last_failure is not None
    assert decision.state.last_failure.reason != "Preempted"
