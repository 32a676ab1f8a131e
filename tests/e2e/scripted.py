"""A scripted run of a queue: jobs that hold their GPUs for a known time, and what is seen of them till all are done."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from tests.e2e.jobs import Jobs, Object, iris_job, on_gpus

FORESEEABLE_SECONDS = 5.0
"""A shorter wait says nothing of an estimate: times in a status are whole seconds, and a pod needs one to start."""


def nap(name: str, seconds: float, **spec: Any) -> Object:
    """A job that holds one GPU for so long, or until it is told to end, and computes nothing."""
    resources = {"cpu": "10m", "memory": "32Mi", "nvidia.com/gpu": 1}
    asleep = f"trap 'kill $!; exit 143' TERM; sleep {seconds:g} & wait $!"
    trainer = {**on_gpus(1), "resourcesPerNode": resources, "command": ["sh", "-c", asleep]}
    job = iris_job(name)
    job["spec"] = {"trainer": trainer, **spec}
    return job


@dataclass(frozen=True)
class Estimate:
    """At `told` the status of a waiting job said that it starts at `start`."""

    job: str
    told: float
    start: float


@dataclass(frozen=True)
class Span:
    """When a job's container ran; all times are Unix seconds."""

    begin: float
    end: float

    def within(self, other: "Span") -> float:
        """How many of its seconds are in the other one."""
        return max(0.0, min(self.end, other.end) - max(self.begin, other.begin))


@dataclass
class Script:
    """The jobs of a run, looked at all the time; `groups` is filled with those of each `scheduling.queue`."""

    jobs: Jobs
    groups: dict[str, list[str]] = field(default_factory=dict)
    estimates: list[Estimate] = field(default_factory=list)

    def flood(self, group: str, count: int, seconds: float) -> None:
        """Apply so many naps of a group at once."""
        names = [f"{group}-{number}" for number in range(count)]
        self.groups[group] = names
        self.jobs.apply(*(nap(name, seconds, scheduling={"queue": group}) for name in names))

    def look(self) -> list[Object]:
        """All jobs as they are now; what they say of their starts is noted."""
        listed = self.jobs.all()
        now = time.time()
        for job in listed:
            told = job.get("status", {}).get("queue", {}).get("estimatedStartTime")
            if told is not None:
                self.estimates.append(Estimate(job["metadata"]["name"], now, unix(told)))
        return listed

    def count(self, phase: str) -> int:
        """How many are in this phase now; none may have failed."""
        phases = [job.get("status", {}).get("phase") for job in self.look()]
        assert "Failed" not in phases
        return phases.count(phase)

    def finish(self, seconds: float = 120.0) -> None:
        """Watch until all jobs have succeeded."""
        total = sum(map(len, self.groups.values()))
        self.jobs.wait_for("all jobs have ended", lambda: self.count("Succeeded") == total, seconds)

    def spans(self, names: Iterable[str]) -> list[Span]:
        """When the containers of these jobs ran."""
        ran = []
        for name in names:
            (pod,) = self.jobs.pods(name)
            state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            ran.append(Span(unix(state["startedAt"]), unix(state["finishedAt"])))
        return ran

    def error(self) -> float:
        """Median over the run of |estimated - real start| / (real start - when it was told)."""
        started = {job["metadata"]["name"]: unix(job["status"]["startTime"]) for job in self.look()}
        errors = [
            abs(one.start - started[one.job]) / (started[one.job] - one.told)
            for one in self.estimates
            if started[one.job] - one.told >= FORESEEABLE_SECONDS
        ]
        assert errors, "nobody was told when it starts"
        return median(errors)


def unix(moment: str) -> float:
    """Unix seconds of a time as Kubernetes writes it."""
    return datetime.fromisoformat(moment).timestamp()
