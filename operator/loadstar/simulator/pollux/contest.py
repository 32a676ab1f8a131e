"""The orders side by side on every workload that is there, and how well the replay repeats what was published."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadstar.core.durations import Durations
from loadstar.core.queue import Order
from loadstar.simulator.pollux import orders
from loadstar.simulator.pollux.cluster import Replayed, Scheduler, replay
from loadstar.simulator.pollux.product import Product
from loadstar.simulator.pollux.speed import Speeds
from loadstar.simulator.pollux.tiresias import Tiresias
from loadstar.simulator.pollux.trace import PolluxJob, published, workloads

TIRESIAS = "Tiresias, replayed"
OURS = "loadstar, shortestExpected"
ORACLE = "shortest first, run times known"

Make = Callable[[Speeds], Scheduler]


def _shortest_first(_: Speeds) -> Scheduler:
    durations = Durations()
    return orders.InOrder(orders.shortest_first(durations), durations)


CONTESTANTS: Mapping[str, Make] = {
    TIRESIAS: lambda _: Tiresias(),
    "first come, nobody passes": lambda _: orders.InOrder(orders.first_come, fills=False),
    "first come, who fits passes": lambda _: orders.InOrder(orders.first_come),
    "loadstar, firstCome": lambda _: Product(Order.FIRST_COME),
    "shortest expected first": _shortest_first,
    "least service first, preemptive": lambda _: orders.InOrder(orders.least_served, preempts=True),
    OURS: lambda _: Product(Order.SHORTEST),
    ORACLE: lambda speeds: orders.InOrder(orders.shortest_first_known(speeds), preempts=True),
}
"""The product's are its own cycle with each of its orders; the last one knows what no scheduler can."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One order on all workloads, in their order."""

    name: str
    runs: Sequence[Replayed]

    @property
    def means(self) -> list[float]:
        """Mean seconds from arrival to end, by workload."""
        return [run.mean for run in self.runs]

    @property
    def mean(self) -> float:
        """Mean of the workloads' means, as the artifact reports it."""
        return float(np.mean(self.means))

    def quantile(self, share: float) -> float:
        """Quantile of all jobs' times from arrival to end."""
        return float(np.quantile([time for run in self.runs for time in run.completion.values()], share))

    @property
    def restarts(self) -> int:
        return sum(run.restarts for run in self.runs)


class Contest:
    """A trace's folder, read once."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the trace's `pollux`. Raises TracesMissing or TraceError where it can't be used."""
        self.folder = folder
        self.workloads: Mapping[str, Sequence[PolluxJob]] = workloads(folder)
        self.speeds = Speeds(folder)

    def entries(self, names: Sequence[str] = tuple(CONTESTANTS), restart: float = 30.0) -> Iterator[Entry]:
        """Each order's runs; `restart` is what a start costs, in seconds."""
        for name in names:
            make = CONTESTANTS[name]
            runs = [replay(jobs, self.speeds, make(self.speeds), restart) for jobs in self.workloads.values()]
            yield Entry(name, runs)

    def published(self, policy: str) -> list[float]:
        """The published mean of each workload."""
        times = published(self.folder, policy)
        return [float(np.mean(list(times[name].values()))) for name in self.workloads]

    def apart(self, entry: Entry, policy: str) -> float:
        """Mean absolute difference between each job's replayed and published time, as a share of the mean time."""
        times = published(self.folder, policy)
        apart = [
            abs(took - times[name][job])
            for name, run in zip(self.workloads, entry.runs, strict=True)
            for job, took in run.completion.items()
        ]
        return float(np.mean(apart) / np.mean(self.published(policy)))
