"""Filter → score → choose, for a whole gang at once: a placement of every rank, or the reasons why there is none."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core import explain, ranking, score, topology, volumes
from loadstar.core.commitments import expected_use
from loadstar.core.filters import CODE, Codes, Refusal
from loadstar.core.jobs import Job, Placement, Policy, RankPlacement, Scheduling
from loadstar.core.ranking import Keys
from loadstar.core.refusals import Unplaceable, grouped, required_level, unplaceable
from loadstar.core.score import NodeLoads, Scores, Weights
from loadstar.core.shape import Criteria, Shape, alike
from loadstar.core.snapshot import GPUS, Mask, Rows, Snapshot, Undo
from loadstar.core.view import Expected

__all__ = ["Given", "Placer", "Refusal", "Request", "Unplaceable", "place"]

MOST_SHAPES = 64
"""Shapes remembered at once; each holds a few hundred bytes per node."""
WIDER = 32
"""A gang that would rather stay together looks at so many of the best nodes per rank, and at all of them only if no
domain has enough among those."""
TOO_LOADED, RESERVED = CODE[Refusal.TOO_LOADED], CODE[Refusal.RESERVED]


@dataclass(slots=True)
class Placer:
    """Places gang after gang on one snapshot. What is placed counts once it is `assume`d."""

    snapshot: Snapshot
    expected: Expected
    criteria: Criteria
    now: float
    _shapes: dict[Hashable, Shape] = field(default_factory=dict)

    def place(
        self, job: Job, last_turn: int | None = None, reserved: Rows | None = None
    ) -> Placement | Unplaceable:
        """The best nodes for every rank of the gang, one rank to a node, or why not all of them fit.

        `last_turn` is the row at which round robin stands; `reserved` rows are kept for somebody else.
        """
        obstacle = volumes.obstacle(job.volumes, job.ranks, job.namespace)
        if obstacle is not None:
            return Unplaceable(*obstacle, rejected=(), infeasible=True)
        shape = self._shape(job)
        codes = shape.codes if reserved is None else _without(reserved, shape.codes)
        choice = _Choice(job, self.snapshot, self.criteria, shape, codes, last_turn)
        rows = choice.rows()
        if rows is None:
            return unplaceable(job, self.snapshot, codes)
        return choice.placement(rows, self.now)

    def assume(self, job: Job, placement: Placement) -> Undo:
        """Take a placement's resources and count its load; the returned function leaves everything as it was before."""
        rows = self.snapshot.rows(rank.node for rank in placement.ranks)
        forget = self.expected.assume(job, rows)
        give_back = self.snapshot.take_rows(rows, job.request)

        def undo() -> None:
            forget()
            give_back()

        return undo

    def eligible(self, job: Job) -> Mask:
        """Which nodes could take one rank of the job if nothing ran on them. To be read only."""
        return self._shape(job).eligible

    def _shape(self, job: Job) -> Shape:
        key = alike(job, self.expected)
        shape = self._shapes.pop(key, None)
        if shape is None:
            shape = Shape(job, self.snapshot, self.expected, self.criteria)
            if len(self._shapes) >= MOST_SHAPES:
                del self._shapes[next(iter(self._shapes))]
        self._shapes[key] = shape  # the newest is last
        shape.refresh()
        return shape


@dataclass(slots=True)
class _Choice:
    """One gang's choice among the nodes that refuse it not."""

    job: Job
    snapshot: Snapshot
    criteria: Criteria
    shape: Shape
    codes: Codes
    last_turn: int | None
    scores: Scores = field(init=False)
    keys: Keys = field(init=False)
    domains: Rows | None = field(init=False)

    def __post_init__(self) -> None:
        self.scores, self.keys = self.shape.scores, self.shape.keys
        if self.job.scheduling.policy is Policy.ROUND_ROBIN:
            rows = np.arange(len(self.snapshot.nodes))
            self.scores = score.round_robin(len(rows), self.last_turn)
            free = self.snapshot.free[:, GPUS]
            self.keys = ranking.keys(rows, self.scores.total, free, self.codes >= 0)
        elif self.codes is not self.shape.codes:
            self.keys = np.where(self.codes < 0, self.keys, ranking.REFUSED)
        level = self._level()
        self.domains = None if level is None else self.snapshot.domains(level)

    def _level(self) -> str | None:
        """The level of the topology that counts for this gang."""
        wishes = self.job.scheduling
        if self.job.ranks == 1 or (
            wishes.policy is not Policy.PREDICTIVE and required_level(self.job) is None
        ):
            return None
        if wishes.topology is not None:
            return wishes.topology.level
        levels = self.criteria.levels
        return next((level for level in levels if (self.snapshot.domains(level) >= 0).any()), None)

    def rows(self) -> Rows | None:
        """The gang's nodes, best first; None where there are not enough, or not enough together."""
        ranks = self.job.ranks
        best = self._best(ranks)
        if len(best) < ranks:
            return None
        if self.domains is None or _one_domain(self.domains[best]):
            return best
        required = required_level(self.job) is not None
        order = self._best(len(self.keys) if required else WIDER * ranks)
        if not required and topology.fullest(self.domains[order]) < ranks:
            order = self._best(len(self.keys))
        values, domains = self.scores.total[order], self.domains[order]
        if required:
            return topology.together(order, values, domains, ranks)
        return topology.near(order, values, domains, ranks, self.criteria.weights.network_split)

    def _best(self, count: int) -> Rows:
        """The best nodes, in order; fewer where fewer can be chosen."""
        return ranking.rows_of(ranking.best(self.keys, count))

    def placement(self, rows: Rows, now: float) -> Placement:
        """The placement of rank i on the i-th of these rows, with all that it was decided by."""
        wishes, weight = self.job.scheduling, self.criteria.weights.network_split
        splits = None if self.domains is None else -weight * topology.split(self.domains[rows]) + 0.0
        ranks = tuple(
            RankPlacement(rank, *self._told(row, None if splits is None else float(splits[rank])))
            for rank, row in enumerate(rows.tolist())
        )
        best = self._best(len(rows) + explain.SHOWN).tolist()
        alternatives = explain.alternatives(
            best, rows.tolist(), self.shape.loads, self.scores, self.snapshot.names
        )
        rejected = grouped(self.codes, self.snapshot)
        return Placement(wishes.policy, now, wishes.horizon, ranks, rejected, alternatives)

    def _told(
        self, row: int, network_split: float | None = None
    ) -> tuple[str, float | None, float, float | None, float, dict[str, float]]:
        """A node's name, load, forecast, band, score and terms."""
        loads = self.shape.loads
        measured = bool(loads.measured[row])
        terms = {name: float(values[row]) + 0.0 for name, values in self.scores.terms.items()}
        total = float(self.scores.total[row])
        if network_split is not None:
            terms["networkSplit"] = network_split
            total += network_split
        load, band = (float(loads.current[row]), float(loads.band[row])) if measured else (None, None)
        return self.snapshot.names[row], load, float(loads.forecast[row]), band, total, terms


def _one_domain(domains: Rows) -> bool:
    return bool(domains[0] >= 0 and (domains == domains[0]).all())


def _without(reserved: Rows, codes: Codes) -> Codes:
    """The same refusals, and that of all reserved rows that would be free or were only too loaded."""
    codes = codes.copy()
    kept = reserved[(codes[reserved] < 0) | (codes[reserved] == TOO_LOADED)]
    codes[kept] = RESERVED
    return codes


@dataclass(frozen=True, slots=True)
class Given:
    """Loads that are simply given, and stay as they are."""

    node_loads: NodeLoads
    snapshot: Snapshot

    def loads(self, scheduling: Scheduling) -> NodeLoads:
        """Those given, whatever the horizon."""
        del scheduling
        return self.node_loads

    def own_use(self, job: Job) -> NDArray[np.float64]:
        """What is expected of a family that nobody has seen."""
        return expected_use(job.request, self.snapshot)

    def alike(self, job: Job) -> Hashable:
        """All of one request are."""
        del job
        return None

    def assume(self, job: Job, rows: Rows) -> Undo:
        """Nothing changes."""
        del job, rows
        return lambda: None


@dataclass(frozen=True, slots=True)
class Request:
    """What to place and by what: the job, its policy's loads, and where round robin stands (a row or None)."""

    job: Job
    loads: NodeLoads
    weights: Weights
    last_turn: int | None
    now: float
    reserved: Rows | None = None


def place(request: Request, snapshot: Snapshot) -> Placement | Unplaceable:
    """One gang's placement by given loads; see `Placer.place`."""
    expected = Given(request.loads, snapshot)
    placer = Placer(snapshot, expected, Criteria(request.weights), request.now)
    return placer.place(request.job, request.last_turn, request.reserved)
