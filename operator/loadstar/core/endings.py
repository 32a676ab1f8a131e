"""How a job ends, and what is done about one that has ended."""

from dataclasses import replace

from loadstar.core import conditions as c
from loadstar.core.conditions import Status
from loadstar.core.decisions import Decision, DeleteJob, Event
from loadstar.core.jobs import Failure, Job, JobState, Phase
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.results import Result, completed
from loadstar.core.situation import Situation, deletions, living, set_at, set_condition


def finished(at: Situation) -> Decision:
    """A finished job stays as it is; its last pods go, and after its time to live the job itself."""
    actions = deletions(at.living)
    ttl, ended = at.job.run_policy.ttl_after_finished, at.state.completion_time
    if ttl is None or ended is None:
        return Decision(at.state, actions)
    if at.now >= ended + ttl:
        return Decision(at.state, (DeleteJob(),))
    return Decision(at.state, actions, wake_at=ended + ttl)


def complete(at: Situation) -> bool:
    """Whether every rank of the attempt did its work."""
    pods, placement = at.of_attempt, at.state.placement
    return placement is not None and all(
        rank.rank in pods and pods[rank.rank].phase is PodPhase.SUCCEEDED for rank in placement.ranks
    )


def end(at: Situation) -> Decision:
    """All ranks did their work: the job has its result, and succeeds or fails by its goal."""
    left = at.of_attempt[0].result
    if at.job.reads_log and left is None and at.sent is None and at.printed is None:
        return Decision(at.state, wants_log=True)
    result, events = _result(at, left)
    state = replace(at.state, result=result)
    if state.start_time is None:  # shorter than one look at it
        state = replace(state, start_time=at.now)
    at = replace(at, state=state)
    shortfall = at.job.goal.shortfall(result) if at.job.goal else None
    decision = _succeed(at) if shortfall is None else fail(at, "GoalNotMet", shortfall)
    return replace(decision, events=(*events, *decision.events))


def _result(at: Situation, left: Result | None) -> tuple[Result | None, tuple[Event, ...]]:
    """What rank 0 left, sent and printed, as one; what it left counts most."""
    try:
        result = completed(left, at.sent)
    except ValueError as mismatch:
        return left, (Event("RecordMismatch", str(mismatch), warning=True),)
    if result is None and at.printed is not None:
        result = at.printed.result()
    return result, ()


def _succeed(at: Situation) -> Decision:
    message = _finished_how(at)
    state = replace(at.state, phase=Phase.SUCCEEDED, completion_time=at.now)
    state = set_at(at, state, c.RUNNING, Status.FALSE, "Completed", message)
    state = set_at(at, state, c.SUCCEEDED, Status.TRUE, "Completed", message)
    return Decision(state, events=(Event("Succeeded", message),), wake_at=_expires_at(at))


def _finished_how(at: Situation) -> str:
    result, printed = at.state.result, at.printed
    who = "the program" if at.job.reads_log else "the trainer"
    if result is not None:
        return f"{who} finished" + (f" with accuracy {result.accuracy}" if result.accuracy else "")
    if printed is None:
        return f"{who} finished, but left no final record"
    if printed.problem:
        return f"{who} finished, but left no final record, and its log can't be read: {printed.problem}"
    return f"{who} finished, but left no final record, and no metrics are in the last lines of its log"


def _expires_at(at: Situation) -> float | None:
    """When a job that ends now is to be deleted."""
    ttl = at.job.run_policy.ttl_after_finished
    return None if ttl is None else at.now + ttl


def fail(at: Situation, reason: str, message: str, cause: Failure | None = None) -> Decision:
    """The job failed for good; `cause` is the failure of the attempt, where it was one."""
    failure = cause or Failure(at.state.attempt, reason, message, at.now)
    state = _failed(at.state, at.job.generation, failure, at.now, reason, message)
    event = Event(reason, message, warning=True)
    return Decision(state, deletions(at.living), (event,), wake_at=_expires_at(at))


def refuse(state: JobState, generation: int, message: str, pods: tuple[Pod, ...], now: float) -> Decision:
    """The end of a job whose spec can't be understood: nothing is ever launched for it, and what runs is ended."""
    ending = deletions(living(pods))
    if state.finished:
        return Decision(state, ending)
    failure = Failure(state.attempt, "InvalidSpec", message, now)
    state = set_condition(
        replace(state, observed_generation=generation),
        generation,
        now,
        c.ACCEPTED,
        Status.FALSE,
        "InvalidSpec",
        message,
    )
    state = _failed(state, generation, failure, now)
    return Decision(state, ending, (Event("InvalidSpec", message, warning=True),))


def deadline(job: Job, state: JobState) -> float | None:
    """When the job must have ended, None without a limit or before its first start."""
    limit = job.run_policy.active_deadline
    return None if limit is None or state.start_time is None else state.start_time + limit


def _failed(
    state: JobState, generation: int, failure: Failure, now: float, reason: str = "", message: str = ""
) -> JobState:
    reason, message = reason or failure.reason, message or failure.message
    state = replace(
        state,
        phase=Phase.FAILED,
        completion_time=now,
        last_failure=failure,
        queue_position=None,
        estimated_start=None,
    )
    for type_, status in ((c.RUNNING, Status.FALSE), (c.SUCCEEDED, Status.FALSE), (c.FAILED, Status.TRUE)):
        state = set_condition(state, generation, now, type_, status, reason, message)
    return state
