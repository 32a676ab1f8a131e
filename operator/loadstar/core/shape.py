"""Jobs that ask alike are refused and scored alike: worked out once, then only for nodes that changed."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core import devices, filters, ranking, score
from loadstar.core.fragmentation import MILLI, Ask, Fragmentation
from loadstar.core.jobs import Job, Policy
from loadstar.core.newcomers import Newcomers
from loadstar.core.score import NodeLoads, Scores, Weights
from loadstar.core.snapshot import CPU, GPUS, MEMORY, Mask, Rows, Snapshot
from loadstar.core.view import Expected

Array = NDArray[np.float64]
Some = Rows | slice
EVERYWHERE: slice = slice(None)

OCCUPANCY_STEPS = 20
"""A change of occupancy by less than a twentieth changes no score, so that few nodes have to be worked out anew."""
DRAIN_SECONDS = 2400.0
"""A node that will be whole this much later is worth keeping free only a third as much."""
LEAST_OCCUPANCY = 0.4
"""Below it, fragmentation weighs as if so much were taken: even an empty cluster is filled node by node."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What all placements are judged by.

    Without `fragmentation` (the usual requests of this cluster) what stays free on a node stands for it. `levels` are
    labels of the topology, nearest first: a gang that wishes nothing else is kept together on the first one that any
    node has. `whole_in` are the seconds until all of a node's GPUs are expected to be free, 0 where they are; it is
    read anew for nodes that changed, as is what `newcomers` expects of nodes when their GPUs are taken. None: nobody
    knows.
    """

    weights: Weights
    fragmentation: Fragmentation | None = None
    levels: tuple[str, ...] = ()
    whole_in: Array | None = None
    newcomers: Newcomers | None = None


def alike(job: Job, expected: Expected) -> Hashable:
    """Jobs of equal keys may share a Shape."""
    wishes = job.scheduling
    return (
        job.request,
        job.ranks > 1,
        wishes.policy,
        wishes.alpha,
        wishes.horizon,
        wishes.max_load,
        wishes.gpu_products,
        wishes.gpu_memory,
        wishes.tolerations,
        wishes.topology,
        job.volumes,
        expected.alike(job),
    )


class Shape:
    """Refusals and scores of every node for one kind of job, true of the snapshot after `refresh`.

    `codes` are refusals (filters.Codes), `scores` the totals and their terms, `keys` the order of preference.
    """

    def __init__(self, job: Job, snapshot: Snapshot, expected: Expected, criteria: Criteria) -> None:
        self._job, self._snapshot, self._expected, self._criteria = job, snapshot, expected, criteria
        self._asked = filters.amounts(job.request, snapshot)
        self._nature = filters.by_nature(job, snapshot)
        self._own_use = expected.own_use(job)
        self._gpu_share = snapshot.share_of(job.request)[:, GPUS]
        self._others = _other_terms(job, snapshot, criteria.weights)
        tables = criteria.fragmentation
        self._kinds = None if tables is None else _product_numbers(tables, snapshot)
        self._ask = Ask(job.request.cpu, job.request.memory, job.request.gpus)
        self._largest = MILLI * int(snapshot.allocatable[:, GPUS].max(initial=1))
        self._crowding = self._crowded()
        self._numbers = np.arange(len(snapshot.nodes))
        self.loads = expected.loads(job.scheduling)
        self.codes, self.scores = self._evaluate(EVERYWHERE)
        self.keys = self._keys(EVERYWHERE, self.codes, self.scores)
        self._seen = len(snapshot.changes)
        self._eligible: Mask | None = None

    @property
    def eligible(self) -> Mask:
        """Which nodes could take a rank if nothing ran on them."""
        if self._eligible is None:
            self._eligible = (self._nature < 0) & filters.large_enough(self._asked, self._snapshot)
        return self._eligible

    def refresh(self) -> None:
        """Work out anew what changed in the snapshot since the last time."""
        seen = len(self._snapshot.changes)
        if self._seen == seen:
            return
        crowding = self._crowded()
        rows: Some = EVERYWHERE
        if crowding == self._crowding:
            rows = np.array(sorted(set(self._snapshot.changes[self._seen :])), dtype=np.intp)
        self._crowding, self._seen = crowding, seen
        self.loads = self._expected.loads(self._job.scheduling)
        codes, scores = self._evaluate(rows)
        self.codes[rows] = codes
        self.scores.update(rows, scores)
        self.keys[rows] = self._keys(rows, codes, scores)

    def _crowded(self) -> float:
        """The fourth power of occupancy, in steps: the fewer GPUs are left, the more it helps that they lie near."""
        taken = round(self._snapshot.occupancy() * OCCUPANCY_STEPS) / OCCUPANCY_STEPS
        return max(taken, LEAST_OCCUPANCY) ** 4

    def _evaluate(self, rows: Some) -> tuple[filters.Codes, Scores]:
        """Refusals and scores of these rows; refused ones need no score, and on a full cluster they are most."""
        use = filters.by_use(self._asked, self._job.scheduling.max_load, self.loads, self._snapshot, rows)
        nature = self._nature[rows]
        codes = np.where(nature >= 0, nature, use)
        open_ = self._numbers[rows][codes < 0]
        scores = self._score(open_, self.loads.rows(open_))
        return codes, scores if len(open_) == len(codes) else scores.spread(codes < 0)

    def _keys(self, rows: Some, codes: filters.Codes, scores: Scores) -> ranking.Keys:
        return ranking.keys(self._numbers[rows], scores.total, self._snapshot.free[rows, GPUS], codes >= 0)

    def _score(self, rows: Rows, loads: NodeLoads) -> Scores:
        match self._job.scheduling.policy:
            case Policy.PREDICTIVE:
                weights = self._criteria.weights
                others = {name: values[rows] for name, values in self._others.items()}
                if self._criteria.whole_in is not None and self._job.request.gpus:
                    others["drain"] = -weights.drain * self._crowding * self._drained(rows)
                fragmentation = weights.fragmentation * self._crowding * self._fragmentation(rows)
                own_use = self._own_use[rows]
                if self._criteria.newcomers is not None:
                    others["headroom"] = self._headroom(self._criteria.newcomers, rows, own_use)
                return score.predictive(loads, own_use, fragmentation, weights, others)
            case Policy.FEEDBACK:
                return score.plain_feedback(loads)
            case Policy.LEAST_LOADED:
                return score.least_loaded(loads)
            case Policy.ROUND_ROBIN:
                return score.round_robin(len(loads.current), None)

    def _fragmentation(self, rows: Some) -> Array:
        """What a rank costs the jobs to come, as the share of a node's GPUs that stay free but of little use.

        Half of it is best fit, half what usual requests can't use any more, in GPUs of the largest node. Bounded by 1,
        so that it never makes up for load that will be too high.
        """
        tables, free, request = self._criteria.fragmentation, self._snapshot.free, self._job.request
        if tables is None or self._kinds is None or request.devices:
            return self._left_free(rows)
        gpus, cpu = free[rows, GPUS], free[rows, CPU]
        growth = tables.whole_growth(self._ask, cpu, free[rows, MEMORY], gpus, self._kinds[rows])
        growth = np.where(gpus >= request.gpus, growth, 0.0)
        lost = np.clip(growth / self._largest, -1.0, 1.0)
        return np.asarray(np.round((lost + self._left_free(rows)) / 2, 9))

    def _headroom(self, newcomers: Newcomers, rows: Rows, own_use: Array) -> Array:
        """What a rank makes of these nodes for those who come after it."""
        free, asked = self._snapshot.free_share(rows), self._gpu_share[rows]
        return newcomers.headroom(rows, free, asked, own_use, self._criteria.weights)

    def _drained(self, rows: Some) -> Array:
        """How near each node is to being whole, 1 where it is; 0 for a rank that takes all of its GPUs."""
        assert self._criteria.whole_in is not None
        near = np.exp(-self._criteria.whole_in[rows] / DRAIN_SECONDS)
        return np.where(self._snapshot.allocatable[rows, GPUS] > self._job.request.gpus, near, 0.0)

    def _left_free(self, rows: Some) -> Array:
        """The share of each node's GPUs, of the kind that is asked for, that would stay free."""
        kind, asked = next(iter(self._job.request.devices), (devices.GPU, self._job.request.gpus))
        column = self._snapshot.fleet.columns.get(kind, GPUS)
        offered = self._snapshot.allocatable[rows, column]
        left = (self._snapshot.free[rows, column] - asked).astype(float)
        share = np.divide(left, offered, out=np.zeros(len(left)), where=offered > 0)
        return np.asarray(np.clip(share, 0.0, 1.0))


def _product_numbers(tables: Fragmentation, snapshot: Snapshot) -> Rows | None:
    """The numbers by which the tables know the nodes' products; None where there is one that they don't know."""
    products = snapshot.fleet.products
    names = [product or "" for product in products.values]
    return tables.kinds(names)[products.codes] if set(names) <= set(tables.products) else None


def _other_terms(job: Job, snapshot: Snapshot, weights: Weights) -> Mapping[str, Array]:
    """The terms that stay as they are while gangs are placed; only those in which nodes differ."""
    parts = snapshot.fleet.parts(devices.GPU) if job.request.gpus else np.ones(len(snapshot.nodes))
    terms = {
        "sharing": -weights.sharing * (1.0 - parts),
        "discouraged": -weights.discouraged * snapshot.fleet.discourages(filters.tolerations(job)),
    }
    if filters.asked_gpus(job.request):
        terms["health"] = -weights.health * _unease(snapshot)
        terms["watts"] = -weights.watts * _watts(snapshot)
    return {name: np.asarray(values + 0.0) for name, values in terms.items() if values.any()}


def _unease(snapshot: Snapshot) -> Array:
    unease = np.zeros(len(snapshot.nodes))
    for row, health in snapshot.health.items():
        unease[row] = health.unease
    return unease


def _watts(snapshot: Snapshot) -> Array:
    """What a GPU at work draws more than one at rest, over the most that any draws; the mean where it is not known."""
    known = {row: h.working_watts for row, h in snapshot.health.items()}
    watts = {row: value for row, value in known.items() if value is not None}
    most = max((snapshot.health[row].full_watts or 0.0 for row in watts), default=0.0)
    if most <= 0.0:
        return np.zeros(len(snapshot.nodes))
    shares = np.full(len(snapshot.nodes), sum(watts.values()) / len(watts) / most)
    shares[list(watts)] = np.array(list(watts.values())) / most
    return shares
