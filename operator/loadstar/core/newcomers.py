"""The load that jobs to come will bring to GPUs that are free now: they are taken to be like the jobs that run."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import COLUMNS
from loadstar.core.families import EXPECTED, Families
from loadstar.core.running import Running
from loadstar.core.score import Filled
from loadstar.core.snapshot import CPU, GPUS, MEMORY, Rows, Snapshot

Array = NDArray[np.float64]

PRIOR_GPUS = 3.0
"""How many GPUs' worth of jobs the first guess counts for: EXPECTED_USE of a GPU and of the host's share beside it."""
USE_DEVIATION = 0.4
"""σ of what one GPU's newcomers use, as a share of what is expected of them."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """The load expected on every node if newcomers had all of its GPUs, shape (nodes, signals), and these GPUs."""

    use: Array
    gpus: Array

    def filled(self, rows: Rows, free: Array, asked: Array) -> Filled:
        """What they will add to these nodes, of whose GPUs the shares `free` are free and a rank asks for `asked`.

        On each GPU it is another job, so that their variances add up.
        """
        use, gpus = self.use.take(rows, axis=0), self.gpus.take(rows)
        without = use * free[:, None]
        variance = without * use
        variance *= (USE_DEVIATION**2 / np.maximum(gpus, 1.0))[:, None]
        use *= np.maximum(free - asked, 0.0)[:, None]
        return Filled(without, use, variance)


def newcomers(running: Iterable[Running], snapshot: Snapshot, families: Families) -> Newcomers:
    """What newcomers are expected to use: per GPU as much as all running gangs together."""
    gpus, host = snapshot.fleet.gpus, snapshot.allocatable.astype(float)
    offered = {CPU: host[:, CPU], MEMORY: host[:, MEMORY], GPUS: gpus}
    per_gpu = _use_per_gpu(running, snapshot, families)
    one = np.stack([_over(per_gpu[place], offered[column]) for place, column in enumerate(COLUMNS)], axis=1)
    return Newcomers(gpus[:, None] * one, gpus)


def _use_per_gpu(running: Iterable[Running], snapshot: Snapshot, families: Families) -> Array:
    """Per signal, in millicores, bytes and GPUs; gangs without GPUs take none away and don't count."""
    offering = snapshot.fleet.gpus > 0
    cpu, memory = snapshot.allocatable[offering][:, [CPU, MEMORY]].sum(axis=0).tolist()
    gpus = max(float(snapshot.fleet.gpus.sum()), 1.0)
    held = [(PRIOR_GPUS * cpu / gpus, PRIOR_GPUS * memory / gpus, PRIOR_GPUS)]
    uses = [EXPECTED]
    for gang in running:
        request, ranks, gpus = gang.job.request, len(gang.nodes), gang.job.gpus_per_rank
        if gpus > 0:
            held.append((ranks * request.cpu, ranks * request.memory, ranks * gpus))
            uses.append(families.use(gang.job.family))
    amounts = np.array(held, dtype=float)
    used = np.array(uses) * amounts[:, COLUMNS]
    return np.asarray(used.sum(axis=0) / amounts[:, GPUS].sum())


def _over(amount: float, offered: Array) -> Array:
    return np.divide(amount, offered, out=np.zeros(len(offered)), where=offered > 0)
