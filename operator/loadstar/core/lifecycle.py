"""The life of a TrainingJob: (job, state, pods, offer, now) → Decision.

Level-triggered: every pass looks at everything and says what should be, so that an event lost or seen twice, a crash
between any two lines or a second operator changes nothing in the end. A state with `placement` set is inside attempt
number `attempt`; without one it is between attempts, where no pod of an older attempt may live.
"""

from dataclasses import dataclass, replace

from loadstar.core import conditions as c
from loadstar.core.conditions import Condition, Status
from loadstar.core.decisions import Action, CreatePod, CreateService, Decision, DeleteJob, DeletePod, Event
from loadstar.core.jobs import Failure, Job, JobState, Phase, Placement
from loadstar.core.placement import Unplaceable
from loadstar.core.plan import Offer
from loadstar.core.pods import Blame, Pod, PodPhase, Verdict, judge, missing, root_cause

LAUNCHED = "Launched"
"""Reason of Placed=True once every pod of the attempt was seen: from then on a missing pod is a lost pod."""
LAUNCH_FAILED = "LaunchFailed"
RELAUNCH_SECONDS = 30.0
"""How long a gang whose pods the API server refused waits before it is tried again."""
BACKOFF_SECONDS = 10.0
BACKOFF_CAP_SECONDS = 360.0
"""Waits before counted restart n: BACKOFF_SECONDS doubled each time, up to the cap (as batch/v1 Job does)."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that one pass looks at. `pods` are every pod the job owns, of any attempt."""

    job: Job
    state: JobState
    pods: tuple[Pod, ...]
    offer: Offer | None
    now: float
    pin_timeout: float = 15.0

    @property
    def living(self) -> tuple[Pod, ...]:
        """The pods whose containers run or may yet run."""
        return _living(self.pods)

    @property
    def of_attempt(self) -> dict[int, Pod]:
        """The pods of the current attempt by rank."""
        return {pod.rank: pod for pod in self.pods if pod.attempt == self.state.attempt}


def decide(at: Situation) -> Decision:
    """What should be now."""
    at = replace(at, state=_accepted(at.job, at.state, at.now))
    job, state = at.job, at.state
    if state.phase in {Phase.SUCCEEDED, Phase.FAILED}:
        return _finished(at)
    if _complete(at):  # before deadline and suspension: it was done in time, and is only seen late
        return _succeed(at)
    deadline = _deadline(job, state)
    if deadline is not None and at.now >= deadline:
        limit = f"spec.runPolicy.activeDeadlineSeconds ({job.run_policy.active_deadline:g} s) has passed"
        return _fail(at, "DeadlineExceeded", limit)
    if job.suspend:
        return _suspended(at)
    if state.conditions.get(c.SUSPENDED) is not None:
        at = replace(at, state=_resumed(at))
    decision = _between_attempts(at) if state.placement is None else _in_attempt(at, state.placement)
    return replace(decision, wake_at=_earliest(decision.wake_at, deadline))


def refuse(state: JobState, generation: int, message: str, pods: tuple[Pod, ...], now: float) -> Decision:
    """The end of a job whose spec can't be understood: nothing is ever launched for it, and what runs is ended."""
    ending = _deletions(_living(pods))
    if state.phase in {Phase.SUCCEEDED, Phase.FAILED}:
        return Decision(state, ending)
    failure = Failure(state.attempt, "InvalidSpec", message, now)
    state = _set(
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


def launch_failed(at: Situation, message: str) -> Decision:
    """The API server refused a pod (a quota, a policy): the gang is given back and tried again later."""
    failure = Failure(at.state.attempt, LAUNCH_FAILED, message, at.now)
    state = replace(at.state, phase=Phase.QUEUED, placement=None, last_failure=failure)
    state = _set_at(at, state, c.PLACED, Status.FALSE, LAUNCH_FAILED, message)
    state = _set_at(at, state, c.RUNNING, Status.FALSE, LAUNCH_FAILED, message)
    event = Event(LAUNCH_FAILED, message, warning=True)
    return Decision(state, _deletions(at.living), (event,), wake_at=_retry_at(state))


def launched(state: JobState) -> bool:
    """Whether every pod of the current attempt was seen at least once."""
    placed = state.conditions.get(c.PLACED)
    return placed is not None and placed.status is Status.TRUE and placed.reason == LAUNCHED


# --- finished, suspended ---------------------------------------------------------------------------------------


def _finished(at: Situation) -> Decision:
    """A finished job stays as it is; its last pods go, and after its time to live the job itself."""
    actions = _deletions(at.living)
    ttl, ended = at.job.run_policy.ttl_after_finished, at.state.completion_time
    if ttl is None or ended is None:
        return Decision(at.state, actions)
    if at.now >= ended + ttl:
        return Decision(at.state, (DeleteJob(),))
    return Decision(at.state, actions, wake_at=ended + ttl)


def _suspended(at: Situation) -> Decision:
    state = replace(at.state, placement=None, queue_position=None, start_time=None)
    if at.living:
        message = f"ending {len(at.living)} pods"
        state = _set_at(at, state, c.SUSPENDED, Status.FALSE, "Suspending", message)
        return Decision(state, _deletions(at.living))
    if state.conditions.is_true(c.SUSPENDED):
        return Decision(replace(state, phase=Phase.SUSPENDED))
    message = "spec.suspend is true; set it to false to go on"
    state = _set_at(at, state, c.SUSPENDED, Status.TRUE, "Suspended", message)
    state = _set_at(at, state, c.PLACED, Status.FALSE, "Suspended", message)
    state = _set_at(at, state, c.RUNNING, Status.FALSE, "Suspended", message)
    return Decision(replace(state, phase=Phase.SUSPENDED), events=(Event("Suspended", message),))


def _resumed(at: Situation) -> JobState:
    return _set_at(at, at.state, c.SUSPENDED, Status.FALSE, "Resumed", "spec.suspend is false")


# --- between attempts ------------------------------------------------------------------------------------------


def _between_attempts(at: Situation) -> Decision:
    """Old pods end first, then the back-off, then the queue; an offer of nodes begins the next attempt."""
    state = at.state
    if at.living:
        message = f"waiting for {len(at.living)} pods of attempt {state.attempt} to end"
        state = _set_at(at, state, c.PLACED, Status.FALSE, "EndingAttempt", message)
        return Decision(state, _deletions(at.living))
    retry_at = _retry_at(state)
    if at.now < retry_at:
        message = f"attempt {state.attempt + 1} starts after a back-off of {_backoff(state):g} s"
        state = _set_at(at, state, c.PLACED, Status.FALSE, "BackOff", message)
        return Decision(state, wake_at=retry_at)
    if at.offer is None:
        return Decision(state, wants_placement=True)
    if isinstance(at.offer.outcome, Placement):
        return _begin_attempt(at, at.offer.outcome)
    return _queued(at, at.offer.outcome, at.offer.position)


def _queued(at: Situation, refusal: Unplaceable, position: int | None) -> Decision:
    before = at.state.conditions.get(c.PLACED)
    state = replace(at.state, phase=Phase.QUEUED, queue_position=position)
    state = _with_metrics(at, state)
    state = _set_at(at, state, c.PLACED, Status.FALSE, refusal.reason, refusal.message)
    events: tuple[Event, ...] = ()
    if before is None or before.reason != refusal.reason:
        reason = "Unplaceable" if refusal.infeasible else "Queued"
        events = (Event(reason, refusal.message, warning=refusal.infeasible),)
    return Decision(state, events=events, wants_placement=True)


def _begin_attempt(at: Situation, placement: Placement) -> Decision:
    nodes = ", ".join(rank.node for rank in placement.ranks)
    message = f"placed by {placement.policy} on {nodes}, score {placement.score:.4f}"
    state = replace(
        at.state,
        phase=Phase.STARTING,
        attempt=at.state.attempt + 1,
        placement=placement,
        queue_position=None,
    )
    state = _with_metrics(at, state)
    state = _set_at(at, state, c.PLACED, Status.TRUE, "Placed", message)
    state = _set_at(at, state, c.RUNNING, Status.FALSE, "Starting", "its pods are being created")
    ranks = tuple(rank.rank for rank in placement.ranks)
    return Decision(
        state,
        _creations(at.job, state, placement, ranks),
        (Event("Placed", f"attempt {state.attempt} {message}"),),
        wake_at=at.now + at.pin_timeout,
    )


def _creations(job: Job, state: JobState, placement: Placement, ranks: tuple[int, ...]) -> tuple[Action, ...]:
    service: tuple[Action, ...] = (CreateService(),) if job.ranks > 1 and ranks else ()
    return service + tuple(CreatePod(state.attempt, rank, placement.ranks[rank].node) for rank in ranks)


# --- inside an attempt -----------------------------------------------------------------------------------------


def _in_attempt(at: Situation, placement: Placement) -> Decision:
    pods = at.of_attempt
    verdicts = _verdicts(at, placement)
    if verdicts:
        return _end_attempt(at, root_cause(verdicts))
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


def _launched(at: Situation) -> JobState:
    placed = at.state.conditions.get(c.PLACED)
    message = placed.message if placed else "every pod was created"
    return _set_at(at, at.state, c.PLACED, Status.TRUE, LAUNCHED, message)


def _older(at: Situation) -> tuple[Pod, ...]:
    """Living pods of earlier attempts: none, unless the view of the cluster lagged when this attempt began."""
    return tuple(pod for pod in at.living if pod.attempt != at.state.attempt)


def _progress(at: Situation, pods: list[Pod]) -> Decision:
    waiting = [pod for pod in pods if pod.phase is PodPhase.PENDING]
    if waiting:
        pod = min(waiting, key=lambda pod: pod.rank)
        message = f"{len(pods) - len(waiting)} of {len(pods)} pods run; rank {pod.rank} on {_node_of(pod, at)} waits"
        message += f": {pod.waiting}" if pod.waiting else ""
        state = _set_at(at, at.state, c.RUNNING, Status.FALSE, "Starting", message)
        wakes = [pod.unschedulable_since + at.pin_timeout for pod in waiting if pod.unschedulable_since]
        starting = replace(state, phase=Phase.STARTING)
        return Decision(starting, _deletions(_older(at)), wake_at=min(wakes, default=None))
    message = f"{len(pods)} of {len(pods)} pods run"
    state = _set_at(at, at.state, c.RUNNING, Status.TRUE, "Running", message)
    events: tuple[Event, ...] = ()
    if not at.state.conditions.is_true(c.RUNNING):
        events = (Event("Running", f"attempt {state.attempt}: {message}"),)
    started = at.now if state.start_time is None else state.start_time
    return Decision(replace(state, phase=Phase.RUNNING, start_time=started), _deletions(_older(at)), events)


def _pin_expired(pod: Pod, at: Situation) -> bool:
    since = pod.unschedulable_since
    return pod.phase is PodPhase.PENDING and since is not None and at.now >= since + at.pin_timeout


def _give_back(at: Situation, pod: Pod) -> Decision:
    """The scheduler could not bind a pinned rank: the whole gang goes back to the queue, at no cost to the job."""
    node = _node_of(pod, at)
    message = f"rank {pod.rank} could not be scheduled to {node} within {at.pin_timeout:g} s: {pod.waiting}"
    failure = Failure(at.state.attempt, "PinExpired", message, at.now, pod.rank, node)
    state = replace(at.state, phase=Phase.QUEUED, placement=None, last_failure=failure)
    state = _set_at(at, state, c.PLACED, Status.FALSE, "PinExpired", message)
    return Decision(state, _deletions(at.living), (Event("PinExpired", message, warning=True),))


def _end_attempt(at: Situation, verdict: Verdict) -> Decision:
    """One rank's end is the gang's: fail the job, or restart all of it as the next attempt."""
    failure, state = verdict.failure, at.state
    where = f"rank {failure.rank} on {failure.node}"
    message = f"{where}: {failure.message}"
    if verdict.blame is Blame.JOB:
        return _fail(at, failure.reason, message, failure)
    if verdict.blame is Blame.PROGRAM:
        if state.restarts_counted >= at.job.run_policy.backoff_limit:
            text = f"{message} (spec.runPolicy.backoffLimit of {at.job.run_policy.backoff_limit} restarts is used up)"
            return _fail(at, "BackoffLimitExceeded", text, failure)
        state = replace(state, restarts_counted=state.restarts_counted + 1)
    else:
        state = replace(state, restarts_infrastructure=state.restarts_infrastructure + 1)
    state = replace(state, phase=Phase.RESTARTING, placement=None, last_failure=failure)
    state = _set_at(at, state, c.PLACED, Status.FALSE, "Restarting", message)
    state = _set_at(at, state, c.RUNNING, Status.FALSE, failure.reason, message)
    event = Event("Restarting", f"attempt {failure.attempt} ended, {message}", warning=True)
    return Decision(state, _deletions(at.living), (event,), wake_at=_retry_at(state))


# --- endings ---------------------------------------------------------------------------------------------------


def _complete(at: Situation) -> bool:
    """Whether every rank of the attempt did its work."""
    pods, placement = at.of_attempt, at.state.placement
    return placement is not None and all(
        rank.rank in pods and pods[rank.rank].phase is PodPhase.SUCCEEDED for rank in placement.ranks
    )


def _succeed(at: Situation) -> Decision:
    result = at.of_attempt[0].result
    message = "the trainer finished, but left no final record" if result is None else "the trainer finished"
    if result is not None and result.accuracy is not None:
        message += f" with accuracy {result.accuracy}"
    state = replace(at.state, phase=Phase.SUCCEEDED, completion_time=at.now, result=result)
    if state.start_time is None:  # shorter than one look at it
        state = replace(state, start_time=at.now)
    state = _set_at(at, state, c.RUNNING, Status.FALSE, "Completed", message)
    state = _set_at(at, state, c.SUCCEEDED, Status.TRUE, "Completed", message)
    ttl = at.job.run_policy.ttl_after_finished
    wake_at = None if ttl is None else at.now + ttl
    return Decision(state, events=(Event("Succeeded", message),), wake_at=wake_at)


def _fail(at: Situation, reason: str, message: str, cause: Failure | None = None) -> Decision:
    failure = cause or Failure(at.state.attempt, reason, message, at.now)
    state = _failed(at.state, at.job.generation, failure, at.now, reason, message)
    return Decision(state, _deletions(at.living), (Event(reason, message, warning=True),))


def _failed(
    state: JobState, generation: int, failure: Failure, now: float, reason: str = "", message: str = ""
) -> JobState:
    reason, message = reason or failure.reason, message or failure.message
    state = replace(state, phase=Phase.FAILED, completion_time=now, last_failure=failure, queue_position=None)
    for type_, status in ((c.RUNNING, Status.FALSE), (c.SUCCEEDED, Status.FALSE), (c.FAILED, Status.TRUE)):
        state = _set(state, generation, now, type_, status, reason, message)
    return state


# --- small parts -----------------------------------------------------------------------------------------------


def _living(pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    return tuple(pod for pod in pods if not pod.terminal)


def _accepted(job: Job, state: JobState, now: float) -> JobState:
    state = replace(state, observed_generation=job.generation)
    state = _set(state, job.generation, now, c.ACCEPTED, Status.TRUE, "Valid", "the spec is valid")
    if state.conditions.get(c.SUCCEEDED) is None:
        message = "the job has not ended yet"
        state = _set(state, job.generation, now, c.SUCCEEDED, Status.UNKNOWN, "InProgress", message)
    return state


def _with_metrics(at: Situation, state: JobState) -> JobState:
    if at.offer is None:
        return state
    health = at.offer.metrics
    status = Status.TRUE if health.available else Status.FALSE
    return _set_at(at, state, c.METRICS_AVAILABLE, status, health.reason, health.message)


def _set_at(
    at: Situation, state: JobState, type_: str, status: Status, reason: str, message: str
) -> JobState:
    return _set(state, at.job.generation, at.now, type_, status, reason, message)


def _set(
    state: JobState, generation: int, now: float, type_: str, status: Status, reason: str, message: str
) -> JobState:
    changed = state.conditions.with_(Condition(type_, status, reason, message, now, generation))
    return state if changed is state.conditions else replace(state, conditions=changed)


def _deletions(pods: tuple[Pod, ...]) -> tuple[Action, ...]:
    """Delete what is not being deleted yet; force what a lost node can't end itself."""
    return tuple(
        DeletePod(pod.name, pod.uid, force=pod.node_lost) for pod in pods if pod.node_lost or not pod.deleting
    )


def _deadline(job: Job, state: JobState) -> float | None:
    limit = job.run_policy.active_deadline
    return None if limit is None or state.start_time is None else state.start_time + limit


def _backoff(state: JobState) -> float:
    if state.restarts_counted == 0:
        return 0.0
    return float(min(BACKOFF_SECONDS * 2.0 ** (state.restarts_counted - 1), BACKOFF_CAP_SECONDS))


def _retry_at(state: JobState) -> float:
    """When the next attempt may start: at once, unless the last one ended by the program's own failure."""
    failure = state.last_failure
    if failure is None or failure.attempt != state.attempt:
        return 0.0
    if failure.reason == LAUNCH_FAILED:
        return failure.at + RELAUNCH_SECONDS
    if failure.exit_code is None:
        return 0.0
    return failure.at + _backoff(state)


def _node_of(pod: Pod, at: Situation) -> str:
    placement = at.state.placement
    return pod.node or (placement.ranks[pod.rank].node if placement else "no node")


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
