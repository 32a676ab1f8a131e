"""The life of a TrainingJob: (job, state, pods, offer, now) → Decision.

Level-triggered: every pass looks at everything and says what should be, so that an event lost or seen twice, a crash
between any two lines or a second operator changes nothing in the end. A state with `placement` set is inside attempt
number `attempt` (`attempts`); without one it is between attempts (`waiting`), where no pod of an older attempt may
live; what has ended stays so (`endings`).
"""

from dataclasses import replace

from loadstar.core import attempts, waiting
from loadstar.core import conditions as c
from loadstar.core.attempts import LAUNCHED, launch_failed, launched
from loadstar.core.conditions import Status
from loadstar.core.decisions import Decision
from loadstar.core.endings import complete, deadline, end, fail, finished, refuse
from loadstar.core.jobs import Hindsight, Job, JobState
from loadstar.core.situation import Situation, set_condition

__all__ = ["LAUNCHED", "Situation", "decide", "launch_failed", "launched", "refuse"]


def decide(at: Situation) -> Decision:
    """What should be now."""
    at = replace(at, state=_judged(_accepted(at.job, at.state, at.now), at.hindsight))
    job, state = at.job, at.state
    if state.finished:
        return finished(at)
    if complete(at):  # before deadline and suspension: it was done in time, and is only seen late
        return end(at)
    ends_at = deadline(job, state)
    if ends_at is not None and at.now >= ends_at:
        limit = f"spec.runPolicy.activeDeadlineSeconds ({job.run_policy.active_deadline:g} s) has passed"
        return fail(at, "DeadlineExceeded", limit)
    if job.suspend:
        return waiting.suspended(at)
    if state.conditions.get(c.SUSPENDED) is not None:
        at = replace(at, state=waiting.resumed(at))
    decision = (
        waiting.between_attempts(at) if state.placement is None else attempts.in_attempt(at, state.placement)
    )
    return replace(decision, wake_at=_earliest(decision.wake_at, ends_at))


def _accepted(job: Job, state: JobState, now: float) -> JobState:
    state = replace(state, observed_generation=job.generation)
    state = set_condition(state, job.generation, now, c.ACCEPTED, Status.TRUE, "Valid", "the spec is valid")
    if state.conditions.get(c.SUCCEEDED) is None:
        message = "the job has not ended yet"
        state = set_condition(state, job.generation, now, c.SUCCEEDED, Status.UNKNOWN, "InProgress", message)
    return state


def _judged(state: JobState, seen: Hindsight | None) -> JobState:
    """The state with what became of its placement's forecast, if it is this placement's."""
    placement = state.placement
    if placement is None or seen is None or placement.hindsight is not None:
        return state
    if abs(placement.decided_at + placement.horizon - seen.reached_at) >= 1.0:  # a status rounds times
        return state
    return replace(state, placement=replace(placement, hindsight=seen))


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
