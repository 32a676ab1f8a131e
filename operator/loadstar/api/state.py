"""Between the wire and the core: a status as the core's JobState, and a JobState as status."""

from datetime import UTC, datetime

from loadstar.api import status as wire
from loadstar.api.outcome import core_result, wire_result
from loadstar.api.schema import LONGEST_DECIMAL
from loadstar.core import jobs as core
from loadstar.core.conditions import Condition, Conditions, Status
from loadstar.core.resources import Resources

DIGITS = 4
"""Decimals of loads and scores in status: finer than any metric behind them."""

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
        placement=_placement_of(status.placement) if _inside_attempt(status) else None,
        restarts_counted=restarts.counted,
        restarts_infrastructure=restarts.infrastructure,
        queue_position=status.queue.position if status.queue else None,
        start_time=_seconds(status.start_time),
        completion_time=_seconds(status.completion_time),
        observed_generation=status.observed_generation or 0,
        result=core_result(status.result, status.accuracy) if status.result else None,
        last_failure=_failure_of(status.last_failure),
        conditions=_conditions_of(status),
    )


def status_of(job: core.Job, state: core.JobState) -> wire.TrainingJobStatus:
    """The status that says all of `state`; `state_of` reads it back."""
    telling = state.conditions.get(_TELLING[state.phase])
    position = state.queue_position
    return wire.TrainingJobStatus(
        observed_generation=state.observed_generation,
        phase=state.phase.value,
        reason=telling.reason if telling else None,
        message=_clipped(telling.message) if telling else None,
        conditions=tuple(_condition(condition) for condition in state.conditions),
        start_time=_moment(state.start_time),
        completion_time=_moment(state.completion_time),
        attempt=state.attempt,
        gpus=job.ranks * job.request.gpus,
        restarts=wire.Restarts(counted=state.restarts_counted, infrastructure=state.restarts_infrastructure),
        queue=wire.Queue(position=position) if position else None,
        placement=_placement(state.placement, job.request.gpus) if state.placement else None,
        accuracy=state.result.accuracy if state.result else None,
        result=wire_result(state.result),
        last_failure=_failure(state.last_failure),
    )


def refusal_status(state: core.JobState) -> wire.TrainingJobStatus:
    """The status of a job whose spec can't be read, so that nothing of the spec can be repeated in it."""
    nothing = core.Job("", "", "", 0, 0.0, 0, Resources())
    return status_of(nothing, state).model_copy(update={"gpus": None})


def _inside_attempt(status: wire.TrainingJobStatus) -> bool:
    """Between attempts nothing is placed; the last placement of a finished job is kept for people."""
    return status.placement is not None


def _placement(placement: core.Placement, gpus: int) -> wire.Placement:
    return wire.Placement(
        policy=placement.policy.value,
        decided_at=_moment(placement.decided_at),
        horizon_seconds=round(placement.horizon),
        score=_decimal(placement.score),
        node_summary=wire.node_summary(tuple(rank.node for rank in placement.ranks)),
        nodes=tuple(
            wire.PlacedNode(
                name=rank.node,
                ranks=(rank.rank,),
                gpus=gpus,
                load=_decimal(rank.load),
                forecast=_decimal(rank.forecast),
                band=_decimal(rank.band),
                score=_decimal(rank.score),
                terms={name: _decimal(value) for name, value in rank.terms.items()},
            )
            for rank in placement.ranks
        ),
        rejected=tuple(
            wire.Rejected(reason=refused.reason, nodes=refused.nodes, example=refused.example)
            for refused in placement.rejected
        ),
    )


def _placement_of(placement: wire.Placement | None) -> core.Placement | None:
    """None also where it does not name a node for each rank: then the job is placed anew."""
    if placement is None:
        return None
    ranks = tuple(
        core.RankPlacement(
            rank=rank,
            node=node.name,
            load=_number(node.load),
            forecast=_number(node.forecast) or 0.0,
            band=_number(node.band),
            score=_number(node.score) or 0.0,
            terms={name: float(value) for name, value in node.terms.items()},
        )
        for node in placement.nodes
        for rank in node.ranks
    )
    if not ranks or sorted(rank.rank for rank in ranks) != list(range(len(ranks))):
        return None
    return core.Placement(
        policy=_policy_of(placement.policy),
        decided_at=placement.decided_at.timestamp(),
        horizon=float(placement.horizon_seconds),
        ranks=tuple(sorted(ranks, key=lambda rank: rank.rank)),
        rejected=tuple(core.Rejection(r.reason, r.nodes, r.example) for r in placement.rejected),
    )


def _policy_of(name: str) -> core.Policy:
    """A policy that only another version knows reads as the default: no gang must end for a word."""
    return core.Policy(name) if name in set(core.Policy) else core.Policy.PREDICTIVE


def _condition(condition: Condition) -> wire.Condition:
    return wire.Condition.model_validate(
        {
            "type": condition.type,
            "status": condition.status.value,
            "observedGeneration": condition.generation,
            "lastTransitionTime": _moment(condition.since),
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
        finished_at=_moment(failure.at),
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
        at=_seconds(failure.finished_at) or 0.0,
        rank=failure.rank,
        node=failure.node,
        exit_code=failure.exit_code,
    )


def _decimal(value: float | None) -> str | None:
    if value is None:
        return None
    text = f"{round(value, DIGITS) + 0.0:.{DIGITS}f}"
    return (
        text if len(text) <= LONGEST_DECIMAL else repr(value)
    )  # what nobody measures, but a status may hold


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _clipped(message: str) -> str:
    return message if len(message) <= 4000 else message[:4000] + " …"
