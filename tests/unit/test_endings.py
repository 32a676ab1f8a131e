"""How a job ends: success, deadline, time to live, refusal."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from loadstar.core.conditions import Conditions
from loadstar.core.decisions import Decision, DeleteJob, DeletePod
from loadstar.core.jobs import Hindsight, JobState, Phase, RunPolicy
from loadstar.core.lifecycle import refuse
from loadstar.core.pods import Pod
from loadstar.core.results import Goal, Printed, Result
from tests.builders import NOW, make_job, make_offer, make_pod, make_state
from tests.unit.lives import RESULT, done, failed, launched_state, look, names, told


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


def with_result(result: Result | None, **job: Any) -> Decision:
    return look(launched_state(), done(result=result), job=make_job(**job))


def test_a_result_below_its_goal_fails_the_job_and_is_kept() -> None:
    decision = with_result(RESULT, goal=Goal("accuracy", minimum=Decimal("0.98")))
    state = decision.state
    assert (state.phase, state.result, state.completion_time) == (Phase.FAILED, RESULT, NOW)
    message = "accuracy is 0.97, below the goal of at least 0.98"
    assert told(decision, "Succeeded") == ("False", "GoalNotMet", message)
    assert told(decision, "Failed") == ("True", "GoalNotMet", message)
    assert (state.restarts_counted, names(decision)) == (0, ["GoalNotMet"])


def test_a_result_that_reaches_its_goal_succeeds() -> None:
    goal = Goal("accuracy", minimum=Decimal("0.97"))
    assert with_result(RESULT, goal=goal).state.phase is Phase.SUCCEEDED


def test_a_missed_goal_with_a_time_to_live_wakes_at_its_end() -> None:
    goal, policy = Goal("f1", maximum=Decimal(0)), RunPolicy(ttl_after_finished=60)
    assert with_result(RESULT, goal=goal, run_policy=policy).wake_at == NOW + 60


def test_the_log_of_a_program_that_left_no_record_is_asked_for() -> None:
    decision = with_result(None, reads_log=True)
    assert decision.wants_log
    assert (decision.state.phase, decision.actions, decision.events) == (Phase.STARTING, (), ())


def test_the_log_of_a_program_that_left_a_record_is_not_read() -> None:
    assert with_result(RESULT, reads_log=True).state.phase is Phase.SUCCEEDED


def test_the_log_of_loadstars_own_trainer_is_not_read() -> None:
    assert with_result(None).state.phase is Phase.SUCCEEDED


def test_what_a_program_printed_is_its_result() -> None:
    printed = Printed((("loss", "0.1"), ("accuracy", "0.97")))
    decision = look(launched_state(), done(result=None), job=make_job(reads_log=True), printed=printed)
    assert decision.state.result == Result(printed.metrics, accuracy="0.97")
    assert told(decision, "Succeeded") == ("True", "Completed", "the program finished with accuracy 0.97")


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (Printed(), "no metrics are in the last lines of its log"),
        (Printed(problem="it is gone"), "it is gone"),
    ],
)
def test_a_program_without_metrics_succeeds_and_says_so(printed: Printed, says: str) -> None:
    decision = look(launched_state(), done(result=None), job=make_job(reads_log=True), printed=printed)
    assert (decision.state.phase, decision.state.result) == (Phase.SUCCEEDED, None)
    assert says in told(decision, "Succeeded")[2]


def test_a_goal_of_a_program_is_compared_with_what_it_printed() -> None:
    job = make_job(reads_log=True, goal=Goal("accuracy", minimum=Decimal("0.98")))
    printed = Printed((("accuracy", "0.97"),))
    assert look(launched_state(), done(result=None), job=job, printed=printed).state.phase is Phase.FAILED


def test_what_rank_0_sent_completes_what_it_left() -> None:
    sent = replace(RESULT, confusion_matrix=((1, 0), (0, 1)))
    decision = look(launched_state(), done(), sent=sent)
    assert (decision.state.result, names(decision)) == (sent, ["Succeeded"])


def test_what_contradicts_the_record_that_was_left_is_told_and_not_believed() -> None:
    sent = replace(RESULT, metrics=(("accuracy", "1"),), accuracy="1")
    decision = look(launched_state(), done(), sent=sent)
    assert (decision.state.result, names(decision)) == (RESULT, ["RecordMismatch", "Succeeded"])


def hindsight(reached_at: float) -> Hindsight:
    return Hindsight(reached_at, 0.4, 0.01, 0.1, 1.0, 0.0)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.SUCCEEDED])
def test_what_became_of_the_forecast_is_told_also_of_a_job_that_ended_before(phase: Phase) -> None:
    state = launched_state(phase=phase)
    seen = hindsight(NOW + 300.0)
    placement = look(state, make_pod(), hindsight=seen, now=NOW + 310).state.placement
    assert placement is not None
    assert placement.hindsight == seen


def test_what_became_of_an_earlier_attempts_forecast_is_not_told_of_this_one() -> None:
    placement = look(launched_state(), make_pod(), hindsight=hindsight(NOW), now=NOW + 310).state.placement
    assert placement is not None
    assert placement.hindsight is None


def test_what_was_told_of_a_forecast_stays() -> None:
    first = look(launched_state(), make_pod(), hindsight=hindsight(NOW + 300.0)).state
    again = look(first, make_pod(), hindsight=replace(hindsight(NOW + 300.0), load=0.9)).state
    assert again.placement == first.placement
