"""From the raw JSON of a TrainingJob to the typed one, and from that to the core's Job."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from loadstar.api.evaluation import GoalSpec
from loadstar.api.quantities import byte_count, millicores
from loadstar.api.scheduling import TopologySpec
from loadstar.api.status import TrainingJobStatus
from loadstar.api.v1alpha1 import TrainingJob
from loadstar.core import jobs as core
from loadstar.core.devices import gpu_part
from loadstar.core.resources import Resources
from loadstar.core.results import Goal
from loadstar.core.topology import Topology


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an object."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class InvalidTrainingJob(ValueError):
    """The object can't be run as it is written; its text names each field and what to change."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


def parse(raw: Mapping[str, Any]) -> TrainingJob:
    """The typed TrainingJob, without its status. Raises InvalidTrainingJob.

    The API server has judged the object already, by the schema of the day it was stored; this is
    the judgement of today.
    """
    try:
        return TrainingJob.model_validate({name: part for name, part in raw.items() if name != "status"})
    except ValidationError as error:
        raise InvalidTrainingJob(_problem(detail) for detail in error.errors(include_url=False)) from None


def parse_status(raw: Mapping[str, Any]) -> TrainingJobStatus:
    """The status of a TrainingJob as far as this version understands it. Never raises.

    Another version of the operator may have written it, and a job must not fail, or a finished one start again, for
    that. A field that is not known is left out; so is one of the status's own fields whose value is not understood.
    """
    status = raw.get("status")
    document = deepcopy(status) if isinstance(status, dict) else {}
    for _ in range(len(document) + 1):  # each round but the last leaves something out
        try:
            return TrainingJobStatus.model_validate(document)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                _leave_out(document, detail)
    return TrainingJobStatus()


def _leave_out(document: dict[str, Any], detail: ErrorDetails) -> None:
    *parents, name = detail["loc"]
    if detail["type"] != "extra_forbidden":
        document.pop(str(detail["loc"][0]), None)
        return
    if parents and parents[0] not in document:  # left out as a whole already
        return
    part: Any = document
    for step in parents:
        part = part[step]
    part.pop(name, None)


def job_of(parsed: TrainingJob) -> core.Job:
    """What is asked for, in the core's exact units."""
    spec, metadata = parsed.spec, parsed.metadata
    asked = spec.trainer.resources_per_node
    scheduling, run_policy = spec.scheduling, spec.run_policy
    return core.Job(
        uid=metadata.uid,
        namespace=metadata.namespace,
        name=metadata.name,
        generation=metadata.generation,
        created_at=metadata.creation_timestamp.timestamp(),
        ranks=spec.trainer.num_nodes,
        request=Resources(
            cpu=millicores(asked.cpu) if asked.cpu else 0,
            memory=byte_count(asked.memory) if asked.memory else 0,
            gpus=asked.whole_gpus,
            pods=1,
            devices=((asked.part, 1),) if asked.part else (),
        ),
        scheduling=core.Scheduling(
            policy=core.Policy(scheduling.policy),
            alpha=scheduling.effective_alpha,
            horizon=float(scheduling.horizon_seconds),
            max_load=scheduling.max_load,
            gpu_products=frozenset(scheduling.gpu_products or ()),
            gpu_memory=byte_count(scheduling.gpu_memory) if scheduling.gpu_memory else 0,
            tolerations=tuple(one.core() for one in spec.trainer.tolerations or ()),
            topology=_topology(scheduling.topology) if scheduling.topology else None,
            queue=scheduling.queue or "",
        ),
        run_policy=core.RunPolicy(
            backoff_limit=run_policy.backoff_limit,
            active_deadline=run_policy.active_deadline_seconds,
            ttl_after_finished=run_policy.ttl_seconds_after_finished,
        ),
        suspend=spec.suspend,
        claims=spec.claims,
        goal=_goal(spec.goal) if spec.goal else None,
        reads_log=spec.trainer.is_own_program,
        family=_family(parsed),
        part=gpu_part(asked.part, {}) if asked.part else 1.0,
    )


def _topology(wish: TopologySpec) -> Topology:
    return Topology(wish.level, wish.required)


def _family(parsed: TrainingJob) -> str:
    """The model's type, or the image of one's own program in whatever version, and whose job it is."""
    spec = parsed.spec
    owner = spec.scheduling.queue or parsed.metadata.namespace
    if spec.model is not None:
        return f"{spec.model.type}/{owner}"
    name = (spec.trainer.image or "").partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}/{owner}"


def _goal(goal: GoalSpec) -> Goal:
    return Goal(goal.metric, _exact(goal.min), _exact(goal.max))


def _exact(number: float | None) -> Decimal | None:
    """The number as its user wrote it: 0.95 is no other than 95 hundredths."""
    return None if number is None else Decimal(repr(number).removesuffix(".0"))


def _problem(detail: ErrorDetails) -> Problem:
    place = _path(detail["loc"]) + detail.get("ctx", {}).get("field", "")
    return Problem(place or "TrainingJob", _message(detail))


def _path(location: tuple[int | str, ...]) -> str:
    """spec.model.hiddenLayers[2]: as kubectl names a field."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".")


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "is not a field of this version: remove it or correct its name"
    message = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
