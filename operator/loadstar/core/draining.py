"""When nodes are expected to be wholly free again: what is placed on one that soon is keeps jobs of whole nodes out."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from loadstar.core.durations import UNKNOWN_SECONDS, Durations
from loadstar.core.jobs import Job, Placement
from loadstar.core.running import Running
from loadstar.core.snapshot import GPUS, Snapshot

Array = NDArray[np.float64]


def whole_in(snapshot: Snapshot, running: Iterable[Running], durations: Durations, now: float) -> Array:
    """Seconds until all GPUs of each node are expected to be free, shape (nodes,); 0 where they are.

    A gang's own report of its end counts first, then how long its family lasts. Of pods that are no gang's nothing is
    known: they go on for UNKNOWN_SECONDS.
    """
    ranks: list[tuple[int, int, int]] = []
    ends: list[float] = []
    untold: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, gang in enumerate(running):
        ends.append(np.nan if gang.ends_at is None else gang.ends_at - now)
        if gang.ends_at is None:
            untold[gang.job.family].append((number, gang.ran(now)))
        for node in gang.nodes:
            if (row := snapshot.row(node)) is not None:
                ranks.append((row, number, gang.job.request.gpus))
    left = np.array(ends, dtype=float)
    for family, gangs in untold.items():
        numbers, ran = zip(*gangs, strict=True)
        left[list(numbers)] = durations.remaining_of(family, np.array(ran))
    rows, gang_of, gpus = np.array(ranks, dtype=np.intp).reshape(-1, 3).T
    seconds = np.zeros(len(snapshot.nodes))
    np.maximum.at(seconds, rows, left[gang_of])
    held = np.bincount(rows, weights=gpus, minlength=len(seconds))
    taken = snapshot.allocatable[:, GPUS] - snapshot.free[:, GPUS]
    seconds = np.where(taken > held, np.maximum(seconds, UNKNOWN_SECONDS), seconds)
    return np.asarray(np.where(taken > 0, np.maximum(seconds, 0.0), 0.0))


def occupy(seconds: Array, snapshot: Snapshot, job: Job, placement: Placement, durations: Durations) -> None:
    """Keep `seconds` up with a gang that was just placed."""
    rows = snapshot.rows(rank.node for rank in placement.ranks)
    seconds[rows] = np.maximum(seconds[rows], durations.remaining(job.family))
