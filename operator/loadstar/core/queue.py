"""The order in which waiting jobs are tried: priority, then fair share between groups, then the order in a group."""

import heapq
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from loadstar.core.durations import Durations
from loadstar.core.fairshare import Shares
from loadstar.core.jobs import Job
from loadstar.core.running import gpus_of


class Order(StrEnum):
    """Which job of a group comes first."""

    FIRST_COME = "firstCome"
    SHORTEST = "shortestExpected"
    """The one with the least work ahead, by size classes. A long job can wait for as long as shorter ones come."""


def size_class(gpu_seconds: float) -> int:
    """⌊log₄⌋ of the work ahead: coarse, as expectations are, and so that hardly anybody displaces anybody."""
    return math.floor(math.log(max(gpu_seconds, 1.0), 4.0))


def work_ahead(job: Job, durations: Durations, ran: float = 0.0) -> float:
    """The GPU-seconds that a job is expected to need yet; one without GPUs counts as one."""
    return durations.remaining(job.family, ran) * (gpus_of(job) or 1.0)


class Line:
    """Waiting jobs one by one; who is tried is charged to its group before the next one is chosen.

    The order is total and does not depend on the order of `waiting`: it ends on creation time and uid. `ran` are the
    seconds that a job ran in earlier attempts, by uid.
    """

    def __init__(
        self,
        waiting: Iterable[Job],
        shares: Shares,
        durations: Durations,
        order: Order = Order.FIRST_COME,
        ran: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._shares = shares
        self._groups: dict[tuple[int, str], deque[Job]] = defaultdict(deque)
        self._rank = {job.uid: (_rank(job, durations, order, ran.get(job.uid, 0.0)), job) for job in waiting}
        for _, job in sorted(self._rank.values(), key=lambda ranked: ranked[0]):
            self._groups[-job.scheduling.priority, job.group].append(job)
        self._later = sorted(self._groups, reverse=True)
        """Priorities with their groups that are not begun yet, the highest priority last."""
        self._heads: list[tuple[float, tuple[int, float, str], str, int]] = []

    def next(self) -> Job | None:
        """Who is tried next; None when nobody is left."""
        if not self._heads:
            self._begin_priority()
        if not self._heads:
            return None
        *_, group, priority = heapq.heappop(self._heads)
        return self._groups[priority, group].popleft()

    def tried(self, job: Job, *, charged: bool) -> None:
        """To be said of each job before the next one is asked for. `charged`: it has, or is next to get, its GPUs."""
        if charged:
            self._shares.charge(job.group, gpus_of(job))
        self._push(-job.scheduling.priority, job.group)

    def _begin_priority(self) -> None:
        if not self._later:
            return
        priority = self._later[-1][0]
        while self._later and self._later[-1][0] == priority:
            self._push(*self._later.pop())

    def _push(self, priority: int, group: str) -> None:
        line = self._groups[priority, group]
        if line:
            rank, _ = self._rank[line[0].uid]
            heapq.heappush(self._heads, (self._shares.of(group), rank, group, priority))


def _rank(job: Job, durations: Durations, order: Order, ran: float) -> tuple[int, float, str]:
    """The place in its group."""
    size = size_class(work_ahead(job, durations, ran)) if order is Order.SHORTEST else 0
    return size, *job.order
