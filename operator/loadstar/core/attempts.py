"""Inside an attempt: from the offer of nodes to the end of its pods."""

from dataclasses import replace

from loadstar.core import conditions as c
from loadstar.core.backoff import LAUNCH_FAILED, PIN_EXPIRED, PREEMPTED, RELAUNCH_SECONDS, retry_at
from loadstar.core.conditions import Status
from loadstar.core.decisions import Action, CreatePod, CreateService, Decision, Event
from loadstar.core.endings import fail
from loadstar.core.jobs import Failure, Job, JobState, Phase, Placement
from loadstar.core.pods import EXIT_PEER_LOST, Blame, Pod, PodPhase, Verdict, judge, missing, root_cause
from loadstar.core.preemption import Eviction
from loadstar.core.situation import Situation, deletions, set_at, with_metrics

LAUNCHED = "Launched"
"""Reason of Placed=True once every pod of the attempt was seen: from then on a missing pod is a lost pod."""

CAUSE_SECONDS = 10.0
"""How long a kubelet may take to tell of a container that ended, after the peers of its process have noticed."""


def begin(at: Situation, placement: Placement) -> Decision:
    nodes = ", ".join(rank.node for rank in placement.ranks)
    message = f"placed by {placement.policy} on {nodes}, score {placement.score:.4f}"
    state = replace(
        at.state,
        phase=Phase.STARTING,
        attempt=at.state.attempt + 1,
        placement=placement,
        queue_position=None,
        estimated_start=None,
    )
    state = with_metrics(at, state)
    state = set_at(at, state, c.PLACED, Status.TRUE, "Placed", message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, "Starting", "its pods are being created")
    ranks = tuple(rank.rank for rank in placement.ranks)
    return Decision(
        state,
        _creations(at.job, state, placement, ranks),
        (Event("Placed", f"attempt {state.attempt} {message}"),),
        wake_at=at.now + at.pin_timeout,
    )


def launch_failed(at: Situation, message: str) -> Decision:
    """The API server refused a pod (a quota, a policy): the gang is given back and tried again later."""
    message = f"{message}; tried again every {RELAUNCH_SECONDS:g} s"
    failure = Failure(at.state.attempt, LAUNCH_FAILED, message, at.now)
    state = replace(at.state, phase=Phase.QUEUED, placement=None, last_failure=failure)
    state = set_at(at, state, c.PLACED, Status.FALSE, LAUNCH_FAILED, message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, LAUNCH_FAILED, message)
    event = Event(LAUNCH_FAILED, message, warning=True)
    return Decision(state, deletions(at.living), (event,), wake_at=retry_at(state))


def launched(state: JobState) -> bool:
    """Whether every pod of the current attempt was seen at least once."""
    placed = state.conditions.get(c.PLACED)
    return placed is not None and placed.status is Status.TRUE and placed.reason == LAUNCHED


def in_attempt(at: Situation, placement: Placement) -> Decision:
    pods = at.of_attempt
    verdicts = _verdicts(at, placement)
    if verdicts:
        cause = root_cause(verdicts)
        shown_by = _shown_by(at, cause)
        if at.now < shown_by:
            return Decision(at.state, wake_at=shown_by)
        return _end_attempt(at, cause)
    if at.eviction is not None and at.eviction.attempt == at.state.attempt:
        return _preempted(at, at.eviction)
    expired = [pod for pod in pods.values() if _pin_expired(pod, at)]
    if expired:
        return _give_back(at, expired[0])
    absent = tuple(rank.rank for rank in placement.ranks if rank.rank not in pods)
    if absent:
        return Decision(
            at.state, _creations(at.job, at.state, placement, absent), wake_at=at.now + at.pin_timeout
        )
    at = replace(at, state=_launched(at))
    return _progress(at, list(pods.values()))


def _creations(job: Job, state: JobState, placement: Placement, ranks: tuple[int, ...]) -> tuple[Action, ...]:
    service: tuple[Action, ...] = (CreateService(),) if job.ranks > 1 and ranks else ()
    return service + tuple(CreatePod(state.attempt, rank, placement.ranks[rank].node) for rank in ranks)


def _verdicts(at: Situation, placement: Placement) -> list[Verdict]:
    """A verdict on every pod of the attempt that went wrong."""
    pods, state, verdicts = at.of_attempt, at.state, []
    for placed in placement.ranks:
        pod = pods.get(placed.rank)
        if pod is None:
            if launched(state):
                verdicts.append(missing(placed.rank, placed.node, state.attempt, at.now))
        elif pod.phase is PodPhase.FAILED or ((pod.deleting or pod.node_lost) and not pod.terminal):
            verdicts.append(judge(pod, state.attempt, at.now))
    return verdicts


def _shown_by(at: Situation, cause: Verdict) -> float:
    """When a failure counts as the cause: at once, unless it only tells of another rank that has yet to show its own.

    Else a program that kills itself on one rank would be restarted without end, as its peers are often seen first.
    """
    others_live = any(not pod.terminal for pod in at.of_attempt.values())
    tells_of_another = cause.failure.exit_code == EXIT_PEER_LOST and others_live
    return cause.failure.at + CAUSE_SECONDS if tells_of_another else at.now


def _launched(at: Situation) -> JobState:
    placed = at.state.conditions.get(c.PLACED)
    message = placed.message if placed else "every pod was created"
    return set_at(at, at.state, c.PLACED, Status.TRUE, LAUNCHED, message)


def _older(at: Situation) -> tuple[Pod, ...]:
    """Living pods of earlier attempts: none, unless the view of the cluster lagged when this attempt began."""
    return tuple(pod for pod in at.living if pod.attempt != at.state.attempt)


def _progress(at: Situation, pods: list[Pod]) -> Decision:
    waiting = [pod for pod in pods if pod.phase is PodPhase.PENDING]
    if waiting:
        pod = min(waiting, key=lambda pod: pod.rank)
        message = f"{len(pods) - len(waiting)} of {len(pods)} pods run; rank {pod.rank} on {_node_of(pod, at)} waits"
        message += f": {pod.waiting}" if pod.waiting else ""
        state = set_at(at, at.state, c.RUNNING, Status.FALSE, "Starting", message)
        wakes = [pod.unschedulable_since + at.pin_timeout for pod in waiting if pod.unschedulable_since]
        starting = replace(state, phase=Phase.STARTING)
        return Decision(starting, deletions(_older(at)), wake_at=min(wakes, default=None))
    message = f"{len(pods)} of {len(pods)} pods run"
    state = set_at(at, at.state, c.RUNNING, Status.TRUE, "Running", message)
    events: tuple[Event, ...] = ()
    if not at.state.conditions.is_true(c.RUNNING):
        events = (Event("Running", f"attempt {state.attempt}: {message}"),)
    started = at.now if state.start_time is None else state.start_time
    return Decision(replace(state, phase=Phase.RUNNING, start_time=started), deletions(_older(at)), events)


def _pin_expired(pod: Pod, at: Situation) -> bool:
    since = pod.unschedulable_since
    return pod.phase is PodPhase.PENDING and since is not None and at.now >= since + at.pin_timeout


def _give_back(at: Situation, pod: Pod) -> Decision:
    """The scheduler could not bind a pinned rank: the whole gang goes back to the queue, at no cost to the job."""
    node = _node_of(pod, at)
    message = f"rank {pod.rank} could not be scheduled to {node} within {at.pin_timeout:g} s: {pod.waiting}"
    failure = Failure(at.state.attempt, PIN_EXPIRED, message, at.now, pod.rank, node)
    state = replace(at.state, phase=Phase.QUEUED, placement=None, last_failure=failure)
    state = set_at(at, state, c.PLACED, Status.FALSE, PIN_EXPIRED, message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, PIN_EXPIRED, message)
    return Decision(state, deletions(at.living), (Event(PIN_EXPIRED, message, warning=True),))


def _preempted(at: Situation, eviction: Eviction) -> Decision:
    """Another job gets its nodes: its pods have their grace to save, and the gang goes back to the queue, uncounted."""
    state, message = at.state, eviction.message
    state = replace(
        state,
        phase=Phase.QUEUED,
        placement=None,
        last_failure=Failure(state.attempt, PREEMPTED, message, at.now),
        restarts_infrastructure=state.restarts_infrastructure + 1,
    )
    state = set_at(at, state, c.PLACED, Status.FALSE, PREEMPTED, message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, PREEMPTED, message)
    return Decision(state, deletions(at.living), (Event(PREEMPTED, message, warning=True),))


def _end_attempt(at: Situation, verdict: Verdict) -> Decision:
    """One rank's end is the gang's: fail the job, or restart all of it as the next attempt."""
    failure, state = verdict.failure, at.state
    where = f"rank {failure.rank} on {failure.node}"
    message = f"{where}: {failure.message}"
    if verdict.blame is Blame.JOB:
        return fail(at, failure.reason, message, failure)
    if verdict.blame is Blame.PROGRAM:
        if state.restarts_counted >= at.job.run_policy.backoff_limit:
            text = f"{message} (spec.runPolicy.backoffLimit of {at.job.run_policy.backoff_limit} restarts is used up)"
            return fail(at, "BackoffLimitExceeded", text, failure)
        state = replace(state, restarts_counted=state.restarts_counted + 1)
    else:
        state = replace(state, restarts_infrastructure=state.restarts_infrastructure + 1)
    state = replace(state, phase=Phase.RESTARTING, placement=None, last_failure=failure)
    state = set_at(at, state, c.PLACED, Status.FALSE, "Restarting", message)
    state = set_at(at, state, c.RUNNING, Status.FALSE, failure.reason, message)
    event = Event("Restarting", f"attempt {failure.attempt} ended, {message}", warning=True)
    return Decision(state, deletions(at.living), (event,), wake_at=retry_at(state))


def _node_of(pod: Pod, at: Situation) -> str:
    placement = at.state.placement
    return pod.node or (placement.ranks[pod.rank].node if placement else "no node")
