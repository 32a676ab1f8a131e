"""Between the wire and the core: a status as the core's JobState, and a JobState as status."""

from loadstar.api import status as wire
from loadstar.api.outcome import core_result, wire_result
from loadstar.api.placement import core_placement, wire_placement
from loadstar.api.scalars import moment, seconds_of
from loadstar.core import jobs as core
from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.resources import Resources

_TELLING = {
    core.Phase.PENDING: "Accepted",
    core.Phase.QUEUED: "Placed",
    core.Phase.STARTING: "Running",
    core.Phase.RUNNING: "Running",
    core.Phase.RESTARTING: "Placed",
    core.Phase.SUSPENDED: "Suspended",
    core.Phase.SUCCEEDED: "Succeeded",
    core.Phase.FAILED: "Failed",
}
"""The condition whose reason and message explain a phase."""


def state_of(status: wire.TrainingJobStatus) -> core.JobState:
    """What the operator remembers of a job: read once, when the job is first seen."""
    restarts = status.restarts or wire.Restarts()
    return core.JobState(
        phase=core.Phase(status.phase or core.Phase.PENDING),
        attempt=status.attempt or 0,
        placement=core_placement(status.placement) if _inside_attempt(status) else None,
        restarts_counted=restarts.counted,
        restarts_infrastructure=restarts.infrastructure,
        queue_position=status.queue.position if status.queue else None,
        estimated_start=seconds_of(status.queue.estimated_start_time) if status.queue else None,
        start_time=seconds_of(status.start_time),
        completion_time=seconds_of(status.completion_time),
        observed_generation=status.observed_generation or 0,
        result=core_result(status.result, status.accuracy) if status.result else None,
        last_failure=_failure_of(status.last_failure),
        conditions=_conditions_of(status),
    )


def status_of(job: core.Job, state: core.JobState) -> wire.TrainingJobStatus:
    """The status that says all of `state`; `state_of` reads it back."""
    telling = state.conditions.get(_TELLING[state.phase])
    part, each = next(iter(job.request.devices), (None, job.request.gpus))
    return wire.TrainingJobStatus(
        observed_generation=state.observed_generation,
        phase=state.phase.value,
        reason=telling.reason if telling else None,
        message=_clipped(telling.message) if telling else None,
        conditions=tuple(_condition(condition) for condition in state.conditions),
        start_time=moment(state.start_time),
        completion_time=moment(state.completion_time),
        attempt=state.attempt,
        gpus=job.ranks * each,
        gpu_resource=part,
        restarts=wire.Restarts(counted=state.restarts_counted, infrastructure=state.restarts_infrastructure),
        queue=_queue(state),
        placement=wire_placement(state.placement, each) if state.placement else None,
        accuracy=state.result.accuracy if state.result else None,
        result=wire_result(state.result),
        last_failure=_failure(state.last_failure),
    )


def refusal_status(state: core.JobState) -> wire.TrainingJobStatus:
    """The status of a job whose spec can't be read, so that nothing of the spec can be repeated in it."""
    nothing = core.Job("", "", "", 0, 0.0, 0, Resources())
    return status_of(nothing, state).model_copy(update={"gpus": None})


def _queue(state: core.JobState) -> wire.Queue | None:
    if not state.queue_position:
        return None
    return wire.Queue(position=state.queue_position, estimated_start_time=moment(state.estimated_start))


def _inside_attempt(status: wire.TrainingJobStatus) -> bool:
    """Between attempts nothing is placed; the last placement of a finished job is kept for people."""
    return status.placement is not None


def _condition(condition: Condition) -> wire.Condition:
    return wire.Condition.model_validate(
        {
            "type": condition.type,
            "status": condition.status.value,
            "observedGeneration": condition.generation,
            "lastTransitionTime": moment(condition.since),
            "reason": condition.reason,
            "message": _clipped(condition.message),
        }
    )


def _conditions_of(status: wire.TrainingJobStatus) -> Conditions:
    return Conditions(
        {
            condition.type: Condition(
                type=condition.type,
                status=Status(condition.status),
                reason=condition.reason,
                message=condition.message,
                since=condition.last_transition_time.timestamp(),
                generation=condition.observed_generation or 0,
            )
            for condition in status.conditions
        }
    )


def _failure(failure: core.Failure | None) -> wire.LastFailure | None:
    if failure is None:
        return None
    return wire.LastFailure(
        attempt=failure.attempt,
        rank=failure.rank,
        node=failure.node,
        exit_code=failure.exit_code,
        finished_at=moment(failure.at),
        reason=failure.reason,
        message=_clipped(failure.message),
    )


def _failure_of(failure: wire.LastFailure | None) -> core.Failure | None:
    if failure is None:
        return None
    return core.Failure(
        attempt=failure.attempt,
        reason=failure.reason,
        message=failure.message,
        at=seconds_of(failure.finished_at) or 0.0,
        rank=failure.rank,
        node=failure.node,
        exit_code=failure.exit_code,
    )


def _clipped(message: str) -> str:
    return message if len(message) <= 4000 else message[:4000] + " …"
