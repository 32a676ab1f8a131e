"""What nodes will be like when jobs to come have taken the GPUs that are free now: these are taken to be like the jobs
that run."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import COLUMNS, UNCERTAINTY, expected_use, use_by_node
from loadstar.core.families import EXPECTED, Families
from loadstar.core.jobs import Job, Placement
from loadstar.core.running import Running
from loadstar.core.score import Weights, excess_growth
from loadstar.core.snapshot import CPU, GPUS, MEMORY, Rows, Snapshot

Array = NDArray[np.float64]

PRIOR_GPUS = 3.0
"""How many GPUs' worth of jobs the first guess counts for: EXPECTED_USE of a GPU and of the host's share beside it."""
USE_DEVIATION = 0.4
"""σ of what one GPU's newcomers use, as a share of what is expected of them."""
HELD_DEVIATION = 0.2
"""σ of a node's load around what its jobs are expected to use, by the time when newcomers have come."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """What is expected of every node's jobs, shape (nodes, signals), and its GPUs, shape (nodes,).

    `use` is the load if newcomers had all of a node's GPUs, `held` that of what runs there. The latter is kept up with
    gangs that are placed.
    """

    use: Array
    gpus: Array
    held: Array

    def occupy(self, job: Job, placement: Placement, snapshot: Snapshot, families: Families) -> None:
        """Keep `held` up with a gang that was just placed."""
        rows = snapshot.rows(rank.node for rank in placement.ranks)
        self.held[rows] += expected_use(job.request, snapshot, families.use(job.family), rows)

    def headroom(self, rows: Rows, free: Array, asked: Array, own_use: Array, weights: Weights) -> Array:
        """What a rank makes of these nodes for those who come after it, as a term of the score:

            -Σ_s w_s·(E[(H_s + u_s + (φ - a)·U_s - θ)⁺] - E[(H_s + φ·U_s - θ)⁺])

        H and U are `held` and `use`, φ the share `free` of the GPUs, a the share `asked` for, and u the rank's own use,
        shape (rows, signals). It is above 0 for a rank that uses less than the newcomers whose GPUs it takes: it keeps
        them away where little is left. Of a node's load only what is expected of its jobs counts: of two nodes with the
        same jobs the one with less load is never worse.
        """
        use = self.use.take(rows, axis=0)
        without = use * free[:, None]
        # On each GPU it is another job, so that their variances add up.
        variance = without * use
        variance *= (USE_DEVIATION**2 / np.maximum(self.gpus.take(rows), 1.0))[:, None]
        variance += HELD_DEVIATION**2 + (UNCERTAINTY * own_use) ** 2
        use *= np.maximum(free - asked, 0.0)[:, None]
        use += own_use
        held = self.held.take(rows, axis=0)
        return -weights.headroom * excess_growth(held + without, held + use, variance, weights)


def newcomers(
    running: Iterable[Running], snapshot: Snapshot, families: Families, background: Array
) -> Newcomers:
    """What newcomers are expected to use: per GPU as much as all running gangs together.

    `background` is Background.of these nodes. Where it tells nothing, pods that are no gang's are expected to use
    EXPECTED of what they hold.
    """
    gangs = list(running)
    fleet, host = snapshot.fleet, snapshot.allocatable.astype(float)
    offered = {CPU: host[:, CPU], MEMORY: host[:, MEMORY], GPUS: fleet.gpus}
    per_gpu = _use_per_gpu(gangs, snapshot, families)
    one = np.stack([_over(per_gpu[place], offered[column]) for place, column in enumerate(COLUMNS)], axis=1)
    return Newcomers(fleet.gpus[:, None] * one, fleet.gpus, _held(gangs, snapshot, families, background))


def _held(running: Iterable[Running], snapshot: Snapshot, families: Families, background: Array) -> Array:
    """What is expected of all that runs on each node."""
    ranks = [(node, gang.job.request, gang.job.family) for gang in running for node in gang.nodes]
    held, unknown = use_by_node(ranks, snapshot, families), np.isnan(background)
    if unknown.any():
        guess = EXPECTED * snapshot.allocated_share()[:, COLUMNS] - use_by_node(ranks, snapshot, Families())
        background = np.where(unknown, np.maximum(guess, 0.0), background)
    return np.asarray(held + background)


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
