"""Moments in the life of a job, for tests of what a pass decides in them."""

from dataclasses import replace
from typing import Any

from loadstar.core.conditions import Condition, Status
from loadstar.core.decisions import Decision
from loadstar.core.jobs import JobState
from loadstar.core.lifecycle import LAUNCHED, Situation, decide
from loadstar.core.pods import Pod, PodPhase
from loadstar.core.results import Result
from tests.builders import NOW, make_job, make_pod, make_state

RESULT = Result((("accuracy", "0.97"),), 1, 0, "sha256:1", 10, "3.2", accuracy="0.97")


def look(state: JobState, *pods: Pod, **changes: Any) -> Decision:
    """One pass at NOW; `job`, `offer` and `now` may be given."""
    values = {"job": make_job(), "offer": None, "now": NOW, **changes}
    return decide(Situation(state=state, pods=pods, **values))


def told(decision: Decision, type_: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    found = decision.state.conditions.get(type_)
    assert found is not None, type_
    return found.status.value, found.reason, found.message


def names(decision: Decision) -> list[str]:
    return [event.reason for event in decision.events]


def with_condition(state: JobState, type_: str, status: Status, reason: str) -> JobState:
    return replace(state, conditions=state.conditions.with_(Condition(type_, status, reason, "", NOW, 1)))


def launched_state(ranks: int = 1, **changes: Any) -> JobState:
    """A job whose pods were all seen."""
    return with_condition(make_state(ranks=ranks, **changes), "Placed", Status.TRUE, LAUNCHED)


def failed(rank: int = 0, exit_code: int | None = 1, **changes: Any) -> Pod:
    return make_pod(rank, phase=PodPhase.FAILED, exit_code=exit_code, finished_at=NOW, **changes)


def done(rank: int = 0, result: Result | None = RESULT) -> Pod:
    return make_pod(rank, phase=PodPhase.SUCCEEDED, exit_code=0, result=result)
