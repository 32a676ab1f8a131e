"""What other schedulers compute, as their sources and documentation describe it, so that all can be compared.

Each has the windows, refresh intervals and rounding of its original. They see CPU and memory as shares of a node;
those that kube-scheduler runs take any of the best nodes, by lot, as kube-scheduler does; the others the first by name.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

import numpy as np

from loadstar.core.fragmentation import Ask as FragmentAsk
from loadstar.core.fragmentation import Fragmentation, Mix
from loadstar.core.load import Signal
from loadstar.simulator.fleet import CPU, GPUS, MEMORY, Array, Fleet
from loadstar.simulator.policy import Bound, Over, Question, View
from loadstar.simulator.workload import Workload

OUT = -np.inf
"""The score of a node that the policy's own filter refuses."""


class Baseline(ABC):
    """Takes the nodes with the highest scores. Ties go by lot where `rng` is given, else to the first name."""

    def __init__(self, rng: np.random.Generator | None = None) -> None:
        self._rng = rng

    @abstractmethod
    def scores(self, question: Question) -> Array:
        """A score per node; OUT where it refuses. Nodes that don't fit are left out by the caller."""

    def choose(self, question: Question) -> Sequence[int] | None:
        """The best nodes for all ranks."""
        scores = np.where(question.fits, self.scores(question), OUT)
        lots = np.arange(len(scores)) if self._rng is None else self._rng.permutation(len(scores))
        best = np.lexsort((lots, -scores))[: question.ask.ranks]
        return None if np.isneginf(scores[best]).any() else [int(row) for row in best]

    def scraped(self, view: View) -> None:  # noqa: B027
        """Most have nothing to do."""

    def placed(self, bound: Bound) -> None:  # noqa: B027
        """Most have nothing to do."""

    def ended(self, over: Over) -> None:  # noqa: B027
        """Most have nothing to do."""


class Random(Baseline):
    """Any node that fits. Give it an `rng`."""

    def scores(self, question: Question) -> Array:
        return np.zeros(len(question.fits))


class FirstFit(Baseline):
    """The first node by name that fits."""

    def scores(self, question: Question) -> Array:
        return np.zeros(len(question.fits))


class Allocated(Baseline):
    """kube-scheduler's NodeResourcesFit: the mean over resources of ⌊100·share⌋, of what is requested after the
    placement (MostAllocated) or of what is left (LeastAllocated); kubernetes pkg/scheduler's plugin noderesources.
    """

    def __init__(self, rng: np.random.Generator | None, *, most: bool, columns: Sequence[int]) -> None:
        super().__init__(rng)
        self._most, self._columns = most, list(columns)

    def scores(self, question: Question) -> Array:
        offered = question.view.fleet.capacity[:, self._columns]
        left = question.view.free[:, self._columns] - question.ask.asked[self._columns]
        part = offered - left if self._most else left
        each = np.where(offered > 0, 100 * part // np.maximum(offered, 1), 0)
        return np.asarray(each.sum(axis=1) // len(self._columns), dtype=float)


class LeastLoaded(Baseline):
    """The node with the least load now, C_j = min(C_1 … C_n); load is CPU, as for every policy here."""

    def scores(self, question: Question) -> Array:
        return -question.view.history.last(Signal.CPU)


class Feedback(Baseline):
    """The least C + α·ΔC, ΔC the change over one step."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self._alpha = alpha

    def scores(self, question: Question) -> Array:
        history = question.view.history
        now, before = history.last(Signal.CPU), history.last(Signal.CPU, back=1)
        return -(now + self._alpha * (now - before))


class RoundRobin(Baseline):
    """The next node in turn that fits."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def scores(self, question: Question) -> Array:
        return -((np.arange(len(question.fits)) - self._next) % len(question.fits)).astype(float)

    def placed(self, bound: Bound) -> None:
        self._next = bound.rows[-1] + 1


class KaiPack(Baseline):
    """NVIDIA KAI's bin packing: 9·(1 - (free - least)/(most - least)) of GPUs, least and most over nodes that fit."""

    def scores(self, question: Question) -> Array:
        free = question.view.free[:, GPUS].astype(float)
        least, most = free[question.fits].min(), free[question.fits].max()
        return np.asarray(9.0 * (1.0 - (free - least) / max(most - least, 1.0)))


def asked_share(question: Question, column: int) -> Array:
    """What one rank asks for as a share of every node."""
    return np.asarray(question.ask.asked[column] / np.maximum(question.view.fleet.capacity[:, column], 1))


RESOURCE = {Signal.CPU: CPU, Signal.MEMORY: MEMORY}
"""The signals that these schedulers look at, with their column in what is asked for."""


class Fgd(Baseline):
    """Fragmentation gradient descent (Weng et al., USENIX ATC 2023): score = ⌊100·σ(-growth/1000)⌋, growth that of the
    milli-GPUs which the usual requests can no longer use. As there, "usual" is the whole trace, known beforehand.
    """

    def __init__(self, fleet: Fleet, workload: Workload) -> None:
        super().__init__()
        products = [node.gpu_product or "" for node in fleet.nodes]
        asks = Counter(
            FragmentAsk(*row[:3].tolist())
            for row, ranks in zip(workload.asked, workload.ranks, strict=True)
            for _ in range(ranks)
        )
        self._tables = Fragmentation(Mix.typical(asks), products)
        self._kinds = self._tables.kinds(products)

    def scores(self, question: Question) -> Array:
        cpu, memory, gpus = question.view.free.T
        growth = self._tables.whole_growth(
            FragmentAsk(*question.ask.asked.tolist()), cpu, memory, gpus, self._kinds
        )
        return np.asarray(np.floor(100.0 / (1.0 + np.exp(growth / 1000.0))))
