"""Loadstar's own ways to order a queue of rigid gangs, with and without preemption."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log

from loadstar.simulator.pollux.cluster import GPUS_PER_NODE, NODES, Allocation, Life
from loadstar.simulator.pollux.speed import Speeds
from loadstar.simulator.pollux.trace import PolluxJob

Rank = Callable[[Life], tuple[float, ...]]
"""Where a job stands: the least goes first. Ties end on arrival and name."""
Free = list[int]
"""Free GPUs by node."""

_PRIOR_SECONDS = 600.0
_KEPT = 50
_CLASS = 4.0
_SERVED = 16 * 3600.0


class Learned:
    """What jobs of a family take, from those that ended."""

    def __init__(self) -> None:
        self._ended: dict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def ended(self, life: Life) -> None:
        """Learn from a job's end."""
        self._ended[life.job.family].append(life.ran)

    def remaining(self, life: Life) -> float:
        """Seconds that it is expected to run yet: the mean of what longer ones of its family ran from here on.

        Where none ran longer, as long again as it has run: what has lasted will last.
        """
        longer = [took - life.ran for took in self._ended[life.job.family] if took > life.ran]
        return sum(longer) / len(longer) if longer else max(life.ran, _PRIOR_SECONDS)

    def work(self, life: Life) -> tuple[float]:
        """GPU-seconds that it is expected to need yet, as a rank."""
        return (self.remaining(life) * life.job.gpus,)


@dataclass
class InOrder:
    """Goes through all jobs in the order of `rank` and lets start what fits.

    With `preempts` those that run must give way to those before them, too. Without `fills` nobody passes a job that
    waits; with `reserves`, only who does not delay it (EASY).
    """

    rank: Rank
    learned: Learned = field(default_factory=Learned)
    preempts: bool = False
    fills: bool = True
    reserves: bool = False

    def decide(self, jobs: Sequence[Life], now: float) -> Mapping[str, Allocation]:
        ordered = sorted(jobs, key=lambda life: (*self.rank(life), life.job.arrival, life.job.name))
        return self._with_preemption(ordered) if self.preempts else self._without(ordered, now)

    def ended(self, life: Life) -> None:
        self.learned.ended(life)

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

    def _without(self, ordered: Sequence[Life], now: float) -> Mapping[str, Allocation]:
        decided = {life.job.name: life.allocation for life in ordered if life.running}
        free = _free(ordered)
        reserved: tuple[float, Allocation] | None = None
        for life in [life for life in ordered if not life.running]:
            usable = free
            if reserved is not None and now + self.learned.remaining(life) > reserved[0]:
                usable = [0 if node in reserved[1] else count for node, count in enumerate(free)]
            allocation = _place(life.job, usable)
            if allocation:
                decided[life.job.name] = allocation
                _take(free, allocation)
            elif not self.fills:
                break
            elif self.reserves and reserved is None:
                reserved = self._reservation(life, ordered, free, now)
        return decided

    def _reservation(
        self, head: Life, ordered: Sequence[Life], free: Free, now: float
    ) -> tuple[float, Allocation]:
        """When and where `head` will fit, by what is expected of those that run."""
        running = [life for life in ordered if life.running]
        freed, when = list(free), now
        for life in sorted(running, key=self.learned.remaining):
            _take(freed, life.allocation, -1)
            when = now + self.learned.remaining(life)
            if allocation := _place(head.job, freed):
                return when, allocation
        return when, {}


def first_come(_: Life) -> tuple[float, ...]:
    """By arrival."""
    return ()


def least_served(life: Life) -> tuple[float, ...]:
    """Tiresias' two queues: who has had much service comes after all others."""
    return (float(life.service >= _SERVED),)


def shortest_first(learned: Learned) -> Rank:
    """The least expected work yet to do, in GPU-seconds."""
    return learned.work


def shortest_class_first(learned: Learned) -> Rank:
    """As `shortest_first` in coarse classes, within which who runs goes on.

    Classes of a factor of 4 keep two jobs of about the same size from displacing each other in turns.
    """

    def rank(life: Life) -> tuple[float, ...]:
        (work,) = learned.work(life)
        return floor(log(max(work, 1.0), _CLASS)), float(not life.running)

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


def _take(free: Free, allocation: Allocation, sign: int = 1) -> None:
    for node, count in allocation.items():
        free[node] -= sign * count
