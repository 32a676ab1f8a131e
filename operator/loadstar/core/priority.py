"""What a cluster's administrator says of how urgent jobs are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loadstar.core.jobs import Job


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """Kubernetes' PriorityClass: jobs of a higher `value` come first, and end others for their nodes if `preempts`."""

    name: str
    value: int
    preempts: bool = True
    is_default: bool = False


def ranked(
    job: Job, asked: str | None, classes: Mapping[str, PriorityClass], protected_seconds: float
) -> Job:
    """The job with the priority of the class that it asks for, or else of the cluster's default class.

    A class that does not exist counts as none: the API server refuses the pods, and says so.
    """
    chosen = classes.get(asked) if asked else next((c for c in classes.values() if c.is_default), None)
    priority, preempts = (chosen.value, chosen.preempts) if chosen else (0, True)
    scheduling = replace(
        job.scheduling, priority=priority, preempts=preempts, protected_seconds=protected_seconds
    )
    return replace(job, scheduling=scheduling)
