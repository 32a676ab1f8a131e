"""How a job ends, and what is done about one that has ended."""

from dataclasses import replace

from loadstar.core import conditions as c
from loadstar.core.conditions import Status
from loadstar.core.decisions import Decision, DeleteJob, Event
from loadstar.core.jobs import Failure, Job, JobState, Phase
from loadstar.core.pods import Pod, PodPhase
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


def succeed(at: Situation) -> Decision:
    """The job has its result, which is what the record of rank 0 says."""
    result = at.of_attempt[0].result
    message = "the trainer finished, but left no final record" if result is None else "the trainer finished"
    if result is not None and result.accuracy is not None:
        message += f" with accuracy {result.accuracy}"
    state = replace(at.state, phase=Phase.SUCCEEDED, completion_time=at.now, result=result)
    if state.start_time is None:  # shorter than one look at it
        state = replace(state, start_time=at.now)
    state = set_at(at, state, c.RUNNING, Status.FALSE, "Completed", message)
    state = set_at(at, state, c.SUCCEEDED, Status.TRUE, "Completed", message)
    ttl = at.job.run_policy.ttl_after_finished
    wake_at = None if ttl is None else at.now + ttl
    return Decision(state, events=(Event("Succeeded", message),), wake_at=wake_at)


def fail(at: Situation, reason: str, message: str, cause: Failure | None = None) -> Decision:
    """The job failed for good; `cause` is the failure of the attempt, where it was one."""
    failure = cause or Failure(at.state.attempt, reason, message, at.now)
    state = _failed(at.state, at.job.generation, failure, at.now, reason, message)
    return Decision(state, deletions(at.living), (Event(reason, message, warning=True),))


def refuse(state: JobState, generation: int, message: str, pods: tuple[Pod, ...], now: float) -> Decision:
    """The end of a job whose spec can't be understood: nothing is ever launched for it, and what runs is ended."""
    ending = deletions(living(pods))
    if state.phase in {Phase.SUCCEEDED, Phase.FAILED}:
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
    state = replace(state, phase=Phase.FAILED, completion_time=now, last_failure=failure, queue_position=None)
    for type_, status in ((c.RUNNING, Status.FALSE), (c.SUCCEEDED, Status.FALSE), (c.FAILED, Status.TRUE)):
        state = set_condition(state, generation, now, type_, status, reason, message)
    return state
