"""Tiresias (NSDI'19) with two queues, as the artifact of Pollux simulates it: the published times to compare with."""

from collections import Counter
from collections.abc import Mapping, Sequence

from loadstar.simulator.pollux.cluster import GPUS_PER_NODE, NODES, Allocation, Life

DEMOTED_AT = 16 * 3600.0
"""GPU-seconds after which a job goes to the second queue."""


class Tiresias:
    """First come, first served in each of two queues; who has had much service is in the second, and gives way.

    Its GPUs are taken wherever most are free: a job's split over nodes is not its user's.
    """

    def __init__(self) -> None:
        self._second: list[str] = []
        self._first: list[str] = []

    def decide(self, jobs: Sequence[Life], _: float) -> Mapping[str, Allocation]:
        present = {life.job.name: life for life in jobs}
        self._arrange(present)
        free, running = NODES * GPUS_PER_NODE, []
        for name in (*self._first, *self._second):
            if present[name].job.gpus <= free:
                free -= present[name].job.gpus
                running.append(name)
        decided = {name: present[name].allocation for name in running if present[name].running}
        idle = Counter(dict.fromkeys(range(NODES), GPUS_PER_NODE))
        for allocation in decided.values():
            idle.subtract(allocation)
        for name in running:
            if name not in decided:
                decided[name] = _where_most_are_free(present[name].job.gpus, idle)
        return decided

    def ended(self, _: Life) -> None:
        """Nothing is learned."""

    def _arrange(self, present: Mapping[str, Life]) -> None:
        known = {*self._first, *self._second}
        self._first = [name for name in self._first if name in present]
        self._second = [name for name in self._second if name in present]
        self._first += [name for name in present if name not in known]
        for name in [name for name in self._first if present[name].service >= DEMOTED_AT]:
            self._first.remove(name)
            self._second.append(name)


def _where_most_are_free(gpus: int, idle: Counter[int]) -> Allocation:
    allocation: dict[int, int] = {}
    while gpus:
        node, count = idle.most_common(1)[0]
        taken = min(count, gpus)
        allocation[node] = taken
        idle[node] -= taken
        gpus -= taken
    return allocation
