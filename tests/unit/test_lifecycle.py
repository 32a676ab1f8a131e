"""The life of a job: what each pass decides, branch by branch."""

from dataclasses import replace
from typing import Any

import pytest

from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.decisions import CreatePod, CreateService, Decision, DeleteJob, DeletePod
from loadstar.core.jobs import Failure, JobState, Phase, Result, RunPolicy
from loadstar.core.lifecycle import LAUNCHED, Situation, decide, launch_failed, launched, refuse
from loadstar.core.placement import Unplaceable
from loadstar.core.pods import Pod, PodPhase
from tests.builders import NOW, make_job, make_offer, make_placement, make_pod, make_state

RESULT = Result((("accuracy", "0.97"),), 1, 0, "sha256:1", 10, "3.2", accuracy="0.97")


def look(state: JobState, *pods: Pod, **changes: Any) -> Decision:
    """One pass at NOW; `job`, `offer` and `now` may be given."""
    values = {"job": make_job(), "offer": None, "now": NOW, **changes}
    return decide(Situation(state=state, pods=pods, **values))


def told(decision: Decision, type_: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    found = decision.state.conditions.get(type_)
    assert found is not None, type_
    return found.status.value, found.reason, found.message


def names(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def with_condition(state: JobState, type_: str, status: Status, reason: str) -> JobState:
    return replace(state, conditions=state.conditions.with_(Condition(type_, status, reason, "", NOW, 1)))


def launched_state(ranks: int = 1, **changes: Any) -> JobState:
    """A job whose pods were all seen."""
    return with_condition(make_state(ranks=ranks, **changes), "Placed", Status.TRUE, LAUNCHED)


# --- waiting for nodes -----------------------------------------------------------------------------------------


def test_a_new_job_is_accepted_and_asks_for_nodes() -> None:
    decision = look(JobState(), job=make_job(generation=3))
    assert decision.wants_placement
    assert decision.actions == ()
    assert decision.state.observed_generation == 3
    assert told(decision, "Accepted")[:2] == ("True", "Valid")
    assert told(decision, "Succeeded")[:2] == ("Unknown", "InProgress")


def test_a_job_that_fits_nowhere_waits_in_the_queue_and_says_why() -> None:
    refusal = Unplaceable("InsufficientResources", "waiting for a node", ())
    decision = look(JobState(), offer=make_offer(refusal, position=4))
    assert (decision.state.phase, decision.state.queue_position) == (Phase.QUEUED, 4)
    assert told(decision, "Placed") == ("False", "InsufficientResources", "waiting for a node")
    assert told(decision, "MetricsAvailable")[0] == "True"
    assert decision.wants_placement
    assert names(decision) == ["Queued"]


def test_the_same_refusal_is_told_only_once() -> None:
    offer = make_offer(Unplaceable("InsufficientResources", "waiting for a node", ()), position=1)
    again = look(look(JobState(), offer=offer).state, offer=offer)
    assert again.events == ()


def test_a_job_that_can_never_run_warns() -> None:
    refusal = Unplaceable("Infeasible", "add nodes", (), infeasible=True)
    [event] = look(JobState(), offer=make_offer(refusal, 1)).events
    assert (event.reason, event.warning) == ("Unplaceable", True)


def test_an_offer_of_nodes_begins_the_attempt() -> None:
    decision = look(JobState(queue_position=2), job=make_job(ranks=2), offer=make_offer(make_placement(2)))
    state = decision.state
    assert (state.phase, state.attempt, state.placement) == (Phase.STARTING, 1, make_placement(2))
    assert state.queue_position is None
    assert decision.actions == (CreateService(), CreatePod(1, 0, "node-0"), CreatePod(1, 1, "node-1"))
    assert told(decision, "Placed")[:2] == ("True", "Placed")
    assert not decision.wants_placement


def test_a_single_rank_needs_no_service() -> None:
    assert look(JobState(), offer=make_offer()).actions == (CreatePod(1, 0, "node-0"),)


def test_a_job_whose_old_pods_still_live_ends_them_before_anything_else() -> None:
    old = make_pod(attempt=1)
    decision = look(JobState(attempt=1), old, offer=make_offer())
    assert decision.actions == (DeletePod(old.name, old.uid),)
    assert decision.state.placement is None
    assert told(decision, "Placed")[1:] == ("EndingAttempt", "waiting for 1 pods of attempt 1 to end")


def test_a_pod_that_is_being_deleted_is_waited_for() -> None:
    decision = look(JobState(attempt=1), make_pod(deleting=True), offer=make_offer())
    assert (decision.actions, decision.state.placement) == ((), None)


def test_a_pod_of_a_lost_node_is_deleted_by_force_even_if_it_is_being_deleted() -> None:
    decision = look(JobState(attempt=1), make_pod(deleting=True, node_lost=True))
    assert decision.actions == (DeletePod("job-1-0", "pod-1-0", force=True),)


@pytest.mark.parametrize(("restarts", "wait"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 360), (50, 360)])
def test_counted_restarts_wait_ever_longer(restarts: int, wait: int) -> None:
    failure = Failure(1, "Error", "it failed", NOW, exit_code=1)
    state = JobState(attempt=1, restarts_counted=restarts, last_failure=failure)
    early = look(state, offer=make_offer(), now=NOW + wait - 0.1)
    assert (early.wake_at, early.state.placement) == (NOW + wait, None)
    assert told(early, "Placed")[1:] == ("BackOff", f"attempt 2 starts after a back-off of {wait} s")
    assert look(state, offer=make_offer(), now=NOW + wait).state.attempt == 2


def test_a_restart_for_the_clusters_fault_does_not_wait() -> None:
    failure = Failure(1, "NodeLost", "lost", NOW)
    state = JobState(attempt=1, restarts_counted=3, last_failure=failure)
    assert look(state, offer=make_offer()).state.attempt == 2


# --- starting --------------------------------------------------------------------------------------------------


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
    assert told(decision, "Placed") == ("False", "LaunchFailed", "exceeded quota")
    assert look(decision.state, offer=make_offer(), now=NOW + 29).state.placement is None
    assert look(decision.state, offer=make_offer(), now=NOW + 30).state.attempt == 2


# --- running ---------------------------------------------------------------------------------------------------


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


def failed(rank: int = 0, exit_code: int | None = 1, **changes: Any) -> Pod:
    return make_pod(rank, phase=PodPhase.FAILED, exit_code=exit_code, finished_at=NOW, **changes)


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


# --- the end ---------------------------------------------------------------------------------------------------


def done(rank: int = 0, result: Result | None = RESULT) -> Pod:
    return make_pod(rank, phase=PodPhase.SUCCEEDED, exit_code=0, result=result)


def test_a_job_succeeds_when_all_its_pods_did_with_the_result_of_rank_0() -> None:
    decision = look(launched_state(2), done(1, None), done(0), job=make_job(ranks=2))
    state = decision.state
    assert (state.phase, state.result, state.completion_time) == (Phase.SUCCEEDED, RESULT, NOW)
    assert told(decision, "Succeeded") == ("True", "Completed", "the trainer finished with accuracy 0.97")
    assert decision.actions == ()


def test_a_job_whose_other_ranks_still_run_has_not_succeeded() -> None:
    assert look(launched_state(2), done(0), make_pod(1), job=make_job(ranks=2)).state.phase is Phase.RUNNING


def test_success_without_a_record_says_so() -> None:
    decision = look(launched_state(), done(result=None))
    assert decision.state.result is None
    assert told(decision, "Succeeded")[2] == "the trainer finished, but left no final record"


def test_a_job_shorter_than_one_look_has_a_start_time() -> None:
    assert look(make_state(), done()).state.start_time == NOW


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
@pytest.mark.parametrize("pods", [(), (failed(),), (done(),)], ids=["none", "failed", "succeeded"])
def test_a_finished_job_stays_finished(phase: Phase, pods: tuple[Pod, ...]) -> None:
    state = look(launched_state(phase=phase, completion_time=NOW)).state
    decision = look(state, *pods, offer=make_offer(), now=NOW + 1e6)
    assert (decision.state, decision.actions, decision.events) == (state, (), ())


def test_what_still_lives_of_a_finished_job_is_ended() -> None:
    decision = look(launched_state(phase=Phase.FAILED), make_pod(1))
    assert decision.actions == (DeletePod("job-1-1", "pod-1-1"),)


def test_a_finished_job_is_deleted_after_its_time_to_live() -> None:
    job = make_job(run_policy=RunPolicy(ttl_after_finished=60))
    state = make_state(phase=Phase.SUCCEEDED, completion_time=NOW)
    early = look(state, job=job, now=NOW + 59)
    assert (early.actions, early.wake_at) == ((), NOW + 60)
    assert look(state, job=job, now=NOW + 60).actions == (DeleteJob(),)


def test_success_with_a_time_to_live_wakes_at_its_end() -> None:
    job = make_job(run_policy=RunPolicy(ttl_after_finished=60))
    assert look(launched_state(), done(), job=job).wake_at == NOW + 60


def test_a_job_over_its_deadline_fails_and_its_pods_end() -> None:
    job = make_job(run_policy=RunPolicy(active_deadline=100))
    decision = look(launched_state(start_time=NOW - 100), make_pod(), job=job)
    assert decision.state.phase is Phase.FAILED
    assert told(decision, "Failed")[1] == "DeadlineExceeded"
    assert decision.actions == (DeletePod("job-1-0", "pod-1-0"),)


def test_a_job_under_its_deadline_is_looked_at_when_it_ends() -> None:
    job = make_job(run_policy=RunPolicy(active_deadline=100))
    assert look(launched_state(start_time=NOW - 99), make_pod(), job=job).wake_at == NOW + 1


def test_work_done_before_the_deadline_and_seen_after_it_has_succeeded() -> None:
    job = make_job(run_policy=RunPolicy(active_deadline=100))
    assert look(launched_state(start_time=NOW - 500), done(), job=job).state.phase is Phase.SUCCEEDED


def test_work_done_before_a_suspension_and_seen_after_it_has_succeeded() -> None:
    assert look(launched_state(), done(), job=make_job(suspend=True)).state.phase is Phase.SUCCEEDED


# --- suspended, refused ----------------------------------------------------------------------------------------


def test_a_suspended_job_first_ends_its_pods() -> None:
    decision = look(launched_state(start_time=NOW - 5), make_pod(), job=make_job(suspend=True))
    assert decision.actions == (DeletePod("job-1-0", "pod-1-0"),)
    assert decision.state.placement is None
    assert told(decision, "Suspended") == ("False", "Suspending", "ending 1 pods")


def test_a_suspended_job_without_pods_rests() -> None:
    decision = look(make_state(start_time=NOW - 5), job=make_job(suspend=True))
    state = decision.state
    assert (state.phase, state.placement, state.start_time) == (Phase.SUSPENDED, None, None)
    message = "spec.suspend is true; set it to false to go on"
    assert told(decision, "Suspended") == ("True", "Suspended", message)
    assert told(decision, "Running")[:2] == ("False", "Suspended")
    again = look(state, job=make_job(suspend=True))
    assert (again.state, again.events, again.wants_placement) == (state, (), False)


@pytest.mark.parametrize("pods", [(), (make_pod(),)], ids=["at rest", "half-way"])
def test_a_resumed_job_asks_for_nodes_again(pods: tuple[Pod, ...]) -> None:
    state = look(launched_state(), *pods, job=make_job(suspend=True)).state
    decision = look(state)
    assert told(decision, "Suspended")[:2] == ("False", "Resumed")
    assert decision.wants_placement


def test_a_job_that_was_never_suspended_says_nothing_of_it() -> None:
    assert look(launched_state(), make_pod()).state.conditions.get("Suspended") is None


def test_a_job_that_cannot_be_read_fails_and_what_runs_of_it_ends() -> None:
    decision = refuse(launched_state(), 4, "spec.model: unknown", (make_pod(), done(1)), NOW)
    assert decision.state.phase is Phase.FAILED
    assert decision.state.observed_generation == 4
    assert told(decision, "Accepted") == ("False", "InvalidSpec", "spec.model: unknown")
    assert told(decision, "Failed")[:2] == ("True", "InvalidSpec")
    assert decision.actions == (DeletePod("job-1-0", "pod-1-0"),)


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_a_finished_job_that_cannot_be_read_any_more_stays_as_it_is(phase: Phase) -> None:
    state = JobState(phase=phase, conditions=Conditions())
    assert refuse(state, 4, "spec.model: unknown", (), NOW).state is state
