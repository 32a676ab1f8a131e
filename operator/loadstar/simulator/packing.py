"""Track A: how full a cluster gets when jobs only arrive, none ends and none is asked twice.

Pods come one by one; each goes to the node that its policy scores best, or is refused for good where none can take
it. What counts is the part of the GPUs that is not allocated when as many GPUs were asked for as there are (100 %
arrived), the measure of FGD's experiments (Weng et al., USENIX ATC 2023, figures 7 and 9). Shared GPUs are packed
device by device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loadstar.core.memo import RowMemo
from loadstar.core.mix import MILLI, Ask
from loadstar.simulator.packers import (
    AnyNode,
    BestFit,
    Board,
    DotProduct,
    Fgd,
    GpuClustering,
    GpuPacking,
    MostAllocated,
    Ours,
    Packer,
    RandomNode,
)
from loadstar.simulator.traces import TraceJob, TraceNode

Array = NDArray[np.float64]


class Ties(StrEnum):
    """Which of equally good nodes is taken: the first by name, or any (as kube-scheduler does)."""

    NAME = "name"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Course:
    """After each arrival: the milli-GPUs asked for so far and those allocated, of `capacity` in all."""

    arrived: NDArray[np.int64]
    allocated: NDArray[np.int64]
    capacity: int

    def unallocated(self, arrived_percent: int) -> float:
        """Percent of the GPUs not allocated, the mean while `arrived_percent` (rounded) of them was asked for.

        NaN where the arrivals never got that far or stepped over it.
        """
        at = np.round(self.arrived * 100 / self.capacity) == arrived_percent
        return float(100 - self.allocated[at].mean() * 100 / self.capacity) if at.any() else float("nan")


def pack(
    nodes: Sequence[TraceNode], jobs: Sequence[TraceJob], packer: Packer, ties: Ties, seed: int
) -> Course:
    """Place the jobs' ranks in their order; `seed` draws among ties."""
    board = Board.of(nodes)
    rng = np.random.default_rng(seed)
    memo: RowMemo[Ask] = RowMemo(len(nodes), lambda ask, rows: _scores(packer, ask, board.rows(rows)))
    asks = [job.ask for job in jobs for _ in range(job.ranks)]
    allocated = np.zeros(len(asks), dtype=np.int64)
    for step, ask in enumerate(asks):
        row = _best(memo.of(ask), ties, rng)
        if row is not None:
            shared = ask.gpus and ask.share < MILLI
            board.take(row, ask, packer.device(ask, board.rows(np.array([row]))) if shared else 0)
            memo.changed(row)
            allocated[step] = ask.milli
    arrived = np.cumsum([ask.milli for ask in asks])
    return Course(arrived, np.cumsum(allocated), sum(node.gpus for node in nodes) * MILLI)


def policies(
    nodes: Sequence[TraceNode], jobs: Sequence[TraceJob], seed: int
) -> Mapping[str, tuple[Packer, Ties]]:
    """Every policy by name, with the rule for ties it is known with; `jobs` before their inflation give the mix."""
    fgd, ours = Fgd(jobs, nodes), Ours(jobs, nodes)
    return {
        "random": (RandomNode(seed), Ties.RANDOM),
        "first-fit": (AnyNode(), Ties.NAME),
        "DotProd": (DotProduct(), Ties.NAME),
        "GpuClustering": (GpuClustering(), Ties.NAME),
        "GpuPacking": (GpuPacking(), Ties.NAME),
        "BestFit": (BestFit(), Ties.NAME),
        "MostAllocated": (MostAllocated(), Ties.NAME),
        "FGD": (fgd, Ties.NAME),
        "FGD, random ties": (fgd, Ties.RANDOM),
        "Loadstar": (ours, Ties.NAME),
        "Loadstar, random ties": (ours, Ties.RANDOM),
    }


def _scores(packer: Packer, ask: Ask, board: Board) -> Array:
    return np.where(board.fits(ask), packer.score(ask, board), -np.inf)


def _best(scores: Array, ties: Ties, rng: np.random.Generator) -> int | None:
    row = int(scores.argmax())
    if np.isneginf(scores[row]):
        return None
    if ties is Ties.NAME:
        return row
    return int(rng.choice(np.flatnonzero(scores == scores[row])))
