"""Simple orders of a queue of rigid gangs, with and without preemption, to compare the product's with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loadstar.core.durations import Durations
from loadstar.simulator.pollux.cluster import GPUS_PER_NODE, NODES, Allocation, Life
from loadstar.simulator.pollux.speed import Speeds
from loadstar.simulator.pollux.trace import PolluxJob

Rank = Callable[[Life], tuple[float, ...]]
"""Where a job stands: the least goes first. Ties end on arrival and name."""
Free = list[int]
"""Free GPUs by node."""

_SERVED = 16 * 3600.0


@dataclass
class InOrder:
    """Goes through all jobs in the order of `rank` and lets start what fits.

    With `preempts` those that run must give way to those before them, too. Without `fills` nobody passes a job that
    waits.
    """

    rank: Rank
    durations: Durations = field(default_factory=Durations)
    preempts: bool = False
    fills: bool = True

    def decide(self, jobs: Sequence[Life], _: float) -> Mapping[str, Allocation]:
        ordered = sorted(jobs, key=lambda life: (*self.rank(life), life.job.arrival, life.job.name))
        return self._with_preemption(ordered) if self.preempts else self._without(ordered)

    def ended(self, life: Life) -> None:
        self.durations.learn(life.job.application, life.ran)

    def _with_preemption(self, ordered: Sequence[Life]) -> Mapping[str, Allocation]:
        decided: dict[str, Allocation] = {}
        free = [GPUS_PER_NODE] * NODES
        unused = _free(ordered)
        for life in ordered:
            allocation: Allocation | None = life.allocation
            if not life.running:
                quiet = [min(pair) for pair in zip(free, unused, strict=True)]
                allocation = _place(life.job, quiet) or _place(life.job, free)
            elif any(free[node] < count for node, count in life.allocation.items()):
                allocation = None  # who comes before it has taken its place
            if allocation:
                decided[life.job.name] = allocation
                _take(free, allocation)
            elif not self.fills:
                break
        return decided

    def _without(self, ordered: Sequence[Life]) -> Mapping[str, Allocation]:
        decided = {life.job.name: life.allocation for life in ordered if life.running}
        free = _free(ordered)
        for life in [life for life in ordered if not life.running]:
            if allocation := _place(life.job, free):
                decided[life.job.name] = allocation
                _take(free, allocation)
            elif not self.fills:
                break
        return decided


def first_come(_: Life) -> tuple[float, ...]:
    """By arrival."""
    return ()


def least_served(life: Life) -> tuple[float, ...]:
    """Tiresias' two queues: who has had much service comes after all others."""
    return (float(life.service >= _SERVED),)


def shortest_first(durations: Durations) -> Rank:
    """The least expected work yet to do, in GPU-seconds."""

    def rank(life: Life) -> tuple[float, ...]:
        return (durations.remaining(life.job.application, life.ran) * life.job.gpus,)

    return rank


def shortest_first_known(speeds: Speeds) -> Rank:
    """As `shortest_first` with the true work: no scheduler can know it, none can do much better."""

    def rank(life: Life) -> tuple[float, ...]:
        ranks, each = gang(life.job.gpus)
        return (life.left * speeds.seconds(life.job, (each,) * ranks) * life.job.gpus,)

    return rank


def gang(gpus: int) -> tuple[int, int]:
    """Ranks and GPUs of each: as few nodes as can share evenly."""
    ranks = next(ranks for ranks in range(-(-gpus // GPUS_PER_NODE), gpus + 1) if gpus % ranks == 0)
    return ranks, gpus // ranks


def _place(job: PolluxJob, free: Free) -> Allocation | None:
    """The whole gang, each rank on a node of its own, where it leaves least over; None where it does not fit."""
    ranks, each = gang(job.gpus)
    fitting = sorted((count, node) for node, count in enumerate(free) if count >= each)
    return {node: each for _, node in fitting[:ranks]} if len(fitting) >= ranks else None


def _free(jobs: Sequence[Life]) -> Free:
    free = [GPUS_PER_NODE] * NODES
    for life in jobs:
        _take(free, life.allocation)
    return free


def _take(free: Free, allocation: Allocation) -> None:
    for node, count in allocation.items():
        free[node] -= count
