"""Between attempts: suspended, ending old pods, backing off, or in the queue."""

from dataclasses import replace

from loadstar.core import attempts
from loadstar.core import conditions as c
from loadstar.core.backoff import LAUNCH_FAILED, retry_at, wait_after_failure
from loadstar.core.conditions import Status
from loadstar.core.decisions import Decision, Event
from loadstar.core.jobs import JobState, Phase, Placement
from loadstar.core.plan import Offer
from loadstar.core.refusals import Unplaceable
from loadstar.core.situation import Situation, deletions, set_at, with_metrics


def between_attempts(at: Situation) -> Decision:
    """Old pods end first, then the back-off, then the queue; an offer of nodes begins the next attempt."""
    state = at.state
    if at.living:
        message = f"waiting for {len(at.living)} pods of attempt {state.attempt} to end"
        state = set_at(at, state, c.PLACED, Status.FALSE, "EndingAttempt", message)
        return Decision(state, deletions(at.living))
    resumes_at = retry_at(state)
    if at.now < resumes_at:
        return Decision(_backing_off(at), wake_at=resumes_at)
    if at.offer is None:
        return Decision(state, wants_placement=True)
    if isinstance(at.offer.outcome, Placement):
        return attempts.begin(at, at.offer.outcome)
    return _queued(at, at.offer, at.offer.outcome)


def _backing_off(at: Situation) -> JobState:
    state, failure = at.state, at.state.last_failure
    if failure is not None and failure.reason == LAUNCH_FAILED:  # what to do about it has to stay in sight
        return set_at(at, state, c.PLACED, Status.FALSE, LAUNCH_FAILED, failure.message)
    wait = wait_after_failure(state)
    message = f"attempt {state.attempt + 1} starts after a back-off of {wait:g} s"
    return set_at(at, state, c.PLACED, Status.FALSE, "BackOff", message)


def _queued(at: Situation, offer: Offer, refusal: Unplaceable) -> Decision:
    before = at.state.conditions.get(c.PLACED)
    state = replace(
        at.state, phase=Phase.QUEUED, queue_position=offer.position, estimated_start=offer.starts_at
    )
    state = with_metrics(at, state)
    state = set_at(at, state, c.PLACED, Status.FALSE, refusal.reason, refusal.message)
    events: tuple[Event, ...] = ()
    if before is None or before.reason != refusal.reason:
        reason = "Unplaceable" if refusal.infeasible else "Queued"
        events = (Event(reason, refusal.message, warning=refusal.infeasible),)
    return Decision(state, events=events, wants_placement=True)


def suspended(at: Situation) -> Decision:
    """A suspended job ends its pods, then rests; its deadline begins anew when it is resumed."""
    state = replace(at.state, placement=None, queue_position=None, estimated_start=None, start_time=None)
    if at.living:
        message = f"ending {len(at.living)} pods"
        state = set_at(at, state, c.SUSPENDED, Status.FALSE, "Suspending", message)
        state = set_at(at, state, c.PLACED, Status.FALSE, "Suspending", message)
        state = set_at(at, state, c.RUNNING, Status.FALSE, "Suspending", message)
        return Decision(state, deletions(at.living))
    if state.conditions.is_true(c.SUSPENDED):
        return Decision(replace(state, phase=Phase.SUSPENDED))
    message = "spec.suspend is true; set it to false to go on"
    state = set_at(at, state, c.SUSPENDED, Status.TRUE, "Suspended", message)
    state = set_at(at, state, c.PLACED, Status.FALSE, "Suspended", message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, "Suspended", message)
    return Decision(replace(state, phase=Phase.SUSPENDED), events=(Event("Suspended", message),))


def resumed(at: Situation) -> JobState:
    """The state of a job that was suspended and is not any more."""
    return set_at(at, at.state, c.SUSPENDED, Status.FALSE, "Resumed", "spec.suspend is false")
