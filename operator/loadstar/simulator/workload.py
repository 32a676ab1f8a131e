"""Jobs to replay: what each asks for, which the policies see, and what it really does, which they don't.

How a job uses what it asks for is drawn per family of alike jobs (PLACEMENT: request × Beta(2,2)·1.6 per family,
× lognormal σ = .2 per job), so that a policy that learns by family can, and one that doesn't has the request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from loadstar.core.jobs import Job
from loadstar.core.load import STEP_SECONDS
from loadstar.core.resources import Resources
from loadstar.simulator.fleet import CPU, GPUS, MEMORY, Array, Fleet, Integers
from loadstar.simulator.traces import TraceJob

FAMILIES = 20
NOISE_STEPS = 240
"""Length of a job's own fluctuation, in steps; it repeats after that."""
NOISE_MEMORY = 0.9
"""AR(1) coefficient of the fluctuation, per step."""
NOISE_VARIATION = 0.1
"""Standard deviation over mean of a job's use about its plateau."""
MIN_SECONDS, MAX_SECONDS = 60.0, 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Trace:
    """Recorded jobs in the order of their arrival: seconds, and what one rank asks for (columns as a fleet's).

    `family` numbers families of alike jobs; None where nothing tells them.
    """

    arrival: Array
    seconds: Array
    asked: Integers
    ranks: Integers
    family: Integers | None = None

    @classmethod
    def of(cls, jobs: Iterable[TraceJob]) -> "Trace":
        """Those that ran and asked for a GPU; who asks for a part of one gets a whole one."""
        ran = sorted((job for job in jobs if job.duration and job.ask.gpus), key=lambda job: job.submitted)
        names = {name: number for number, name in enumerate(sorted({job.family for job in ran}))}
        return cls(
            np.array([job.submitted for job in ran]),
            np.array([job.duration for job in ran], dtype=float),
            np.array([(job.ask.cpu, job.ask.memory, job.ask.gpus) for job in ran], dtype=np.int64).reshape(
                -1, 3
            ),
            np.array([job.ranks for job in ran], dtype=np.int64),
            np.array([names[job.family] for job in ran]) if len(names) > 1 else None,
        )


@dataclass(frozen=True)
class Workload:
    """Jobs by number, in the order of arrival. `work` is the seconds a job runs where nothing slows it.

    `used` is the use of one rank at its plateau in a fleet's columns, the last of them being GPUs kept busy; `held` the
    share of its GPUs' memory; `lag` the seconds before anything is used; `sensitive` tells who starves without CPU.
    """

    arrival: Array
    work: Array
    asked: Integers
    ranks: Integers
    family: Integers
    used: Array
    held: Array
    lag: Array
    sensitive: NDArray[np.bool_]
    noise: Array

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def gpus(self) -> Integers:
        """GPUs of each whole gang."""
        return np.asarray(self.asked[:, GPUS] * self.ranks)

    @property
    def span(self) -> float:
        """Seconds from the start to the last arrival, a step at least."""
        return max(float(self.arrival[-1]), STEP_SECONDS)

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs as the operator would read them."""
        return tuple(self._job(number) for number in range(len(self)))

    def _job(self, number: int) -> Job:
        cpu, memory, gpus = (int(part) for part in self.asked[number])
        return Job(
            uid=f"{number:06d}",
            namespace="replay",
            name=f"job-{number}",
            generation=1,
            created_at=float(self.arrival[number]),
            ranks=int(self.ranks[number]),
            request=Resources(cpu, memory, gpus, pods=1),
            family=f"family-{self.family[number]}",
        )


def sample(trace: Trace, fleet: Fleet, occupancy: float, jobs: int, rng: np.random.Generator) -> Workload:
    """`jobs` consecutive jobs of the trace from a random place on, so close together that they ask for `occupancy`.

    `occupancy` is GPU-seconds asked for over GPU-seconds offered until the last arrival. Gaps are cut at their 98th
    percentile, run times to a minute … four hours, and requests at the largest node.
    """
    _check(trace)
    rows = (rng.integers(len(trace.arrival)) + np.arange(jobs)) % len(trace.arrival)
    gaps = np.diff(trace.arrival, prepend=trace.arrival[0])
    gaps = np.minimum(gaps, np.quantile(gaps, 0.98))[rows]
    work = np.clip(trace.seconds[rows], MIN_SECONDS, MAX_SECONDS)
    asked = np.minimum(trace.asked[rows], fleet.capacity.max(axis=0))
    ranks = trace.ranks[rows]
    gpu_seconds = float((work * asked[:, GPUS] * ranks).sum())
    arrival = np.cumsum(gaps)
    arrival *= gpu_seconds / (occupancy * fleet.gpus) / arrival[-1]
    family = None if trace.family is None else trace.family[rows]
    return truly(Trace(arrival, work, asked, ranks, family), rng)


def as_recorded(trace: Trace, fleet: Fleet, rng: np.random.Generator) -> Workload:
    """All jobs of the trace at their recorded times from the first one on; those shorter than a minute last one."""
    _check(trace)
    asked = np.minimum(trace.asked, fleet.capacity.max(axis=0))
    work = np.maximum(trace.seconds, MIN_SECONDS)
    return truly(Trace(trace.arrival - trace.arrival[0], work, asked, trace.ranks, trace.family), rng)


def _check(trace: Trace) -> None:
    if len(trace.arrival) < 2 or trace.arrival[-1] == trace.arrival[0]:
        raise ValueError(
            f"a trace to replay needs jobs that ran, asked for a GPU and came at two times or more; this one has "
            f"{len(trace.arrival)} of them"
        )


def truly(trace: Trace, rng: np.random.Generator) -> Workload:
    """The jobs of a trace with a drawn truth about what they use."""
    count, asked = len(trace.arrival), trace.asked
    family = rng.integers(FAMILIES, size=count) if trace.family is None else trace.family
    families = max(FAMILIES, int(family.max()) + 1)
    ratio = 1.6 * rng.beta(2.0, 2.0, size=(families, 2))[family] * rng.lognormal(0.0, 0.2, size=(count, 2))
    used = asked.astype(float)
    used[:, CPU] *= ratio[:, 0]
    used[:, MEMORY] *= np.minimum(ratio[:, 1], 1.0)  # beyond its request a container is killed, not slow
    busy = rng.beta(1.6, 1.2, size=families)[family] * rng.lognormal(0.0, 0.2, size=count)
    used[:, GPUS] *= np.clip(busy, 0.02, 1.0)
    held = np.clip(rng.beta(2.0, 2.0, size=families)[family] * rng.lognormal(0.0, 0.2, size=count), 0.05, 1.0)
    sensitive = (rng.permutation(families) < families // 2)[family]
    lag = rng.uniform(30.0, 180.0, size=count)
    return Workload(
        trace.arrival,
        trace.seconds,
        asked,
        trace.ranks,
        family,
        used,
        held,
        lag,
        sensitive,
        _noise(count, rng),
    )


def _noise(count: int, rng: np.random.Generator) -> Array:
    """Fluctuation about 1 of every job's use, shape (jobs, NOISE_STEPS)."""
    shocks = rng.normal(0.0, NOISE_VARIATION * np.sqrt(1 - NOISE_MEMORY**2), size=(NOISE_STEPS, count))
    shocks[0] /= np.sqrt(1 - NOISE_MEMORY**2)
    for step in range(1, NOISE_STEPS):
        shocks[step] += NOISE_MEMORY * shocks[step - 1]
    return np.asarray(np.maximum(1.0 + shocks.T, 0.1))
