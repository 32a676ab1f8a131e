"""Ways to choose a node for a pod that never ends: today's packing heuristics, FGD, and ours.

The baselines are those of FGD's experiments (their simulator: hkust-adsl/kubernetes-scheduler-simulator, plugins of
the same names), and first-fit and kube-scheduler's MostAllocated, which these leave out. Scores there are whole
numbers in 0..100, and so they are here: rounding makes ties, and ties decide much.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loadstar.core.fragmentation import Counts, Fragmentation, Free, Index, packing_cost
from loadstar.core.mix import MILLI, Ask, Mix
from loadstar.simulator.traces import TraceJob, TraceNode

Array = NDArray[np.float64]

MOST_CPU, MOST_GPU = 128_000, 8 * MILLI
"""What the largest node has, by which FGD's experiments scale millicores and milli-GPUs."""


@dataclass(slots=True)
class Board:
    """The nodes' state: what is free, what there is (millicores, GPUs), products, and the shapes of pods that came.

    `shapes` has a bit for each way of asking for GPUs that a node's pods have: shared, one, two, ... whole ones;
    `largest` are the millicores and milli-GPUs of the largest node.
    """

    products: tuple[str, ...]
    free: Free
    cpu: Counts
    gpus: Counts
    shapes: Counts
    largest: tuple[int, int]

    @classmethod
    def of(cls, nodes: Sequence[TraceNode]) -> "Board":
        """Empty nodes."""
        gpus = np.array([node.gpus for node in nodes], dtype=np.int64)
        cpu = np.array([node.cpu for node in nodes], dtype=np.int64)
        memory = np.array([node.memory for node in nodes], dtype=np.int64)
        devices = (np.arange(gpus.max(initial=1)) < gpus[:, None]) * np.int64(MILLI)
        products = tuple(sorted({node.product for node in nodes}))
        kind = np.array([products.index(node.product) for node in nodes], dtype=np.intp)
        largest = int(cpu.max(initial=1)), int(gpus.max(initial=1)) * MILLI
        return cls(products, Free(cpu.copy(), memory, devices, kind), cpu, gpus, np.zeros_like(gpus), largest)

    def rows(self, rows: Index) -> "Board":
        """A copy of some nodes' state."""
        shapes = self.shapes[rows]
        return Board(
            self.products, self.free.rows(rows), self.cpu[rows], self.gpus[rows], shapes, self.largest
        )

    def fits(self, ask: Ask) -> NDArray[np.bool_]:
        """Which nodes can take the pod."""
        free = self.free
        fits = (free.cpu >= ask.cpu) & (free.memory >= ask.memory)
        if ask.gpus:
            fits &= (free.devices >= ask.share).sum(axis=1) >= ask.gpus
        if ask.products:
            fits &= np.array([ask.uses(product) for product in self.products])[free.kind]
        return fits

    def take(self, row: int, ask: Ask, device: int) -> None:
        """Place the pod."""
        self.free.take(row, ask, device)
        self.shapes[row] |= shape(ask)


def shape(ask: Ask) -> int:
    """The bit that stands for a way of asking for GPUs; 0 for none."""
    if not ask.gpus:
        return 0
    return 1 if ask.share < MILLI else 1 << ask.gpus


class Packer(Protocol):
    """A way to choose."""

    def score(self, ask: Ask, board: Board) -> Array:
        """Per node, the higher the better; only nodes that fit are looked at."""

    def device(self, ask: Ask, board: Board) -> int:
        """The device of the board's only node that takes a pod which shares one."""


class _BestDevice:
    """Shared GPUs go to the device that has least left."""

    def device(self, ask: Ask, board: Board) -> int:
        """The fullest device that fits."""
        left = board.free.devices[0]
        return int(np.where(left >= ask.share, left, MILLI + 1).argmin())


class AnyNode(_BestDevice):
    """All nodes alike: first-fit with ties by name, random with random ties (devices best-fit)."""

    def score(self, ask: Ask, board: Board) -> Array:  # noqa: ARG002 (looks at nothing)
        """0."""
        return np.zeros(len(board.cpu))


class RandomNode(AnyNode):
    """All nodes and devices alike."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def device(self, ask: Ask, board: Board) -> int:
        """Any device that fits."""
        return int(self._rng.choice(np.flatnonzero(board.free.devices[0] >= ask.share)))


class BestFit(_BestDevice):
    """The least of CPU and GPUs left over."""

    def score(self, ask: Ask, board: Board) -> Array:
        """⌊100·(1 - mean of what is left over the largest node's)⌋."""
        asked = (ask.cpu / MOST_CPU + ask.milli / MOST_GPU) / 2
        left = (board.free.cpu / MOST_CPU + board.free.devices.sum(axis=1) / MOST_GPU) / 2
        return np.asarray(np.floor(100 * (1 - left + asked)))


class DotProduct(_BestDevice):
    """The node whose free CPU and GPUs are least like what is asked for (Tetris, as FGD's experiments turn it)."""

    def score(self, ask: Ask, board: Board) -> Array:
        """⌊100·(1 - asked · free / 2)⌋, both scaled by the largest node's."""
        cpu = board.free.cpu / MOST_CPU * (ask.cpu / MOST_CPU)
        gpu = board.free.devices.sum(axis=1) / MOST_GPU * (ask.milli / MOST_GPU)
        return np.asarray(np.floor(100 * (1 - (cpu + gpu) / 2)))


class GpuClustering(_BestDevice):
    """Pods that ask for GPUs in the same way together (Gandiva), the fullest node first."""

    def score(self, ask: Ask, board: Board) -> Array:
        """A quarter of 0..100 by company (alike only, alike among others, none, others), and within it by fullness."""
        own = shape(ask)
        if not own:
            return np.zeros(len(board.cpu))
        shapes = board.shapes
        company = np.select([shapes == own, (shapes & own) > 0, shapes == 0], [75, 50, 25], 0)
        return np.asarray(company + 25.0 * (MOST_GPU - board.free.devices.sum(axis=1)) // MOST_GPU)


class GpuPacking(_BestDevice):
    """Shared devices first, then free devices of used nodes, then unused nodes (AntMan)."""

    def score(self, ask: Ask, board: Board) -> Array:
        """100 - a tenth of the free percent of the shared device; 50 - devices taken; 33 - devices of the node."""
        if not ask.gpus:
            return np.zeros(len(board.cpu))
        devices = board.free.devices
        idle = (devices == MILLI).sum(axis=1)
        least = np.where(devices >= ask.share, devices, MILLI + 1).min(axis=1)
        shared = 100 - least * 100 // MILLI // 10
        used = np.where(least < MILLI, shared, max(50 - ask.gpus, 33))
        return np.asarray(np.where(idle == board.gpus, np.maximum(33 - idle, idle), used), dtype=np.float64)


class MostAllocated(_BestDevice):
    """kube-scheduler's NodeResourcesFit, strategy MostAllocated, told to look at GPUs only."""

    def score(self, ask: Ask, board: Board) -> Array:
        """⌊100 · allocated with the pod / all⌋."""
        capacity = board.gpus * MILLI
        allocated = capacity - board.free.devices.sum(axis=1) + ask.milli
        return np.asarray(100 * allocated // np.maximum(capacity, 1), dtype=np.float64)


class Fgd:
    """The least growth of fragmentation, rounded as FGD's plugin rounds it, and nothing else."""

    def __init__(self, jobs: Iterable[TraceJob], nodes: Iterable[TraceNode]) -> None:
        """The mix is 95 % of the same jobs, by CPU and GPUs, those without a GPU included."""
        counts = Counter(replace(job.ask, memory=0) for job in jobs for _ in range(job.ranks))
        self.tables = Fragmentation(Mix.typical(counts, cover=0.95), (node.product for node in nodes))

    def score(self, ask: Ask, board: Board) -> Array:
        """⌊100·σ(-growth in GPUs)⌋."""
        growth, _ = self.tables.growth(ask, board.free)
        return np.asarray(np.floor(100 / (1 + np.exp(growth / MILLI))))

    def device(self, ask: Ask, board: Board) -> int:
        """The device on which the growth is least."""
        return int(self.tables.growth(ask, board.free)[1][0])


class Ours:
    """The least packing cost as the operator's core counts it: growth of fragmentation by scarcity, and best fit."""

    def __init__(self, jobs: Iterable[TraceJob], nodes: Iterable[TraceNode]) -> None:
        """The mix is that of the same jobs, as FGD has it."""
        supply: Counter[str] = Counter()
        for node in nodes:
            supply[node.product] += node.gpus
        counts = Counter(job.ask for job in jobs for _ in range(job.ranks))
        self.tables = Fragmentation(Mix.typical(counts).by_scarcity(supply), supply)

    def score(self, ask: Ask, board: Board) -> Array:
        """The packing cost, less being better."""
        growth, _ = self.tables.growth(ask, board.free)
        return -packing_cost(growth, board.free.cpu, board.free.devices.sum(axis=1), board.largest)

    def device(self, ask: Ask, board: Board) -> int:
        """The device on which the growth is least."""
        return int(self.tables.growth(ask, board.free)[1][0])
