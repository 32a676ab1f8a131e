"""Between attempts: the queue, old pods, back-off, suspension."""

import pytest

from loadstar.core.decisions import CreatePod, CreateService, DeletePod
from loadstar.core.jobs import Failure, JobState, Phase
from loadstar.core.placement import Unplaceable
from loadstar.core.pods import Pod
from tests.builders import NOW, make_job, make_offer, make_placement, make_pod, make_state
from tests.unit.lives import launched_state, look, names, told


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


@pytest.mark.parametrize(("restarts", "wait"), [(1, 0), (2, 1), (3, 2), (4, 4), (8, 60), (5000, 60)])
def test_a_restart_for_the_clusters_fault_waits_only_when_it_is_not_the_first(
    restarts: int, wait: int
) -> None:
    failure = Failure(1, "UnexpectedAdmissionError", "no healthy device", NOW)
    state = JobState(attempt=1, restarts_counted=3, restarts_infrastructure=restarts, last_failure=failure)
    assert look(state, offer=make_offer(), now=NOW + wait).state.attempt == 2
    assert look(state, offer=make_offer(), now=NOW + wait - 0.1).state.attempt == (1 if wait else 2)


def test_a_gang_that_was_given_back_goes_to_the_queue_at_once() -> None:
    failure = Failure(1, "PinExpired", "0/9 nodes", NOW)
    state = JobState(attempt=1, restarts_infrastructure=9, last_failure=failure)
    assert look(state, offer=make_offer()).state.attempt == 2


def test_what_to_do_about_a_refused_launch_stays_in_sight_until_the_next_try() -> None:
    failure = Failure(1, "LaunchFailed", "exceeded quota", NOW)
    state = JobState(attempt=1, last_failure=failure)
    assert told(look(state, now=NOW + 20), "Placed") == ("False", "LaunchFailed", "exceeded quota")


def test_a_suspended_job_first_ends_its_pods() -> None:
    decision = look(launched_state(start_time=NOW - 5), make_pod(), job=make_job(suspend=True))
    assert decision.actions == (DeletePod("job-1-0", "pod-1-0"),)
    assert decision.state.placement is None
    for condition in ("Suspended", "Placed", "Running"):
        assert told(decision, condition) == ("False", "Suspending", "ending 1 pods")


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
