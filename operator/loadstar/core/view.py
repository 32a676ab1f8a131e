"""The picture of load that one cycle decides by, kept true as gangs are placed."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import COLUMNS, UNCERTAINTY, Commitment, Committed, committed, expected_use
from loadstar.core.families import Families
from loadstar.core.forecast import Forecast
from loadstar.core.jobs import Job, Policy, Scheduling
from loadstar.core.load import FreshnessPolicy
from loadstar.core.score import NodeLoads, Weights, combine
from loadstar.core.snapshot import Rows, Snapshot, Undo

Array = NDArray[np.float64]


class Forecaster(Protocol):
    """Whoever forecasts the nodes' signals."""

    def forecast(self, nodes: Sequence[str], horizon_seconds: float, now: float) -> Forecast:
        """Of these nodes, in their order."""
        ...


class Known(Protocol):
    """What is known of load when a cycle begins."""

    @property
    def forecaster(self) -> Forecaster: ...
    @property
    def freshness(self) -> FreshnessPolicy: ...
    @property
    def weights(self) -> Weights: ...
    @property
    def families(self) -> Families: ...


class Expected(Protocol):
    """Where a placement's loads come from."""

    def loads(self, scheduling: Scheduling) -> NodeLoads:
        """Every node's load as a job with these wishes sees it, true of the snapshot as it is now. To be read only."""
        ...

    def own_use(self, job: Job) -> Array:
        """What one rank of the job is expected to add to each node, shape (nodes, signals)."""
        ...

    def alike(self, job: Job) -> Hashable:
        """Equal for jobs of which the same is expected, if they ask for the same."""
        ...

    def assume(self, job: Job, rows: Rows) -> Undo:
        """Count the load of a gang with one rank on each of these nodes; the returned function takes it back."""
        ...


@dataclass(slots=True)
class _Picture:
    forecast: Forecast
    loads: NodeLoads
    seen: int
    """How many of the snapshot's changes it knows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Gang:
    """What one gang adds to R⁺ and its variance, by row. No two gangs are the same."""

    added: dict[int, tuple[Array, Array]]


@dataclass(slots=True)
class LoadView:
    """Forecasts once per horizon; R⁺ with every gang that is placed; after that, only nodes that changed are redone."""

    snapshot: Snapshot
    known: Known
    committed: Committed
    now: float
    _pictures: dict[tuple[float, float], _Picture] = field(default_factory=dict)
    _forecasts: dict[float, Forecast] = field(default_factory=dict)
    _before: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    """R⁺ and its variance, of the rows on which anything was assumed, before that."""
    _gangs: list[_Gang] = field(default_factory=list)

    @classmethod
    def begin(
        cls, snapshot: Snapshot, known: Known, commitments: Iterable[Commitment], now: float
    ) -> "LoadView":
        """The view of a cycle that begins; what late samples can't show yet counts as committed still."""
        horizon = Scheduling().horizon
        forecast = known.forecaster.forecast(snapshot.names, horizon, now)
        hidden = committed(commitments, snapshot, now, known.families, forecast.age)
        return cls(snapshot, known, hidden, now, _forecasts={horizon: forecast})

    def loads(self, scheduling: Scheduling) -> NodeLoads:
        """See Expected."""
        alpha = scheduling.alpha if scheduling.policy is Policy.FEEDBACK else 0.0
        key = scheduling.horizon, alpha
        seen = len(self.snapshot.changes)
        picture = self._pictures.get(key)
        if picture is None:
            forecast = self._forecast(scheduling.horizon)
            picture = _Picture(forecast, self._combined(forecast, slice(None), alpha), seen)
            self._pictures[key] = picture
        elif picture.seen < seen:
            rows = np.unique(np.array(self.snapshot.changes[picture.seen :], dtype=np.intp))
            picture.loads.update(rows, self._combined(picture.forecast, rows, alpha))
            picture.seen = seen
        return picture.loads

    def own_use(self, job: Job) -> Array:
        """See Expected."""
        return expected_use(job.request, self.snapshot, self.known.families.use(job.family))

    def alike(self, job: Job) -> Hashable:
        """See Expected."""
        return self.known.families.use(job.family).tobytes()

    def assume(self, job: Job, rows: Rows) -> Undo:
        """See Expected. Takes nothing from the snapshot: that is the caller's, and tells this view what changed."""
        uses = expected_use(job.request, self.snapshot, self.known.families.use(job.family), rows)
        variances = (UNCERTAINTY * uses) ** 2
        before = self.committed.coming[rows], self.committed.variance[rows]
        places = rows.tolist()
        for place, coming, variance in zip(places, *before, strict=True):
            self._before.setdefault(place, (coming, variance))
        gang = _Gang(dict(zip(places, zip(uses, variances, strict=True), strict=True)))
        self._gangs.append(gang)
        self.committed.coming[rows] += uses
        self.committed.variance[rows] += variances

        def undo() -> None:
            self._gangs.remove(gang)
            for place in places:
                self._sum_anew(place)

        return undo

    def _sum_anew(self, row: int) -> None:
        """What is assumed on a node, added up as if what was undone had never been: no rounding is left over."""
        coming, variance = (part.copy() for part in self._before[row])
        for gang in self._gangs:
            if row in gang.added:
                use, doubt = gang.added[row]
                coming += use
                variance += doubt
        self.committed.coming[row], self.committed.variance[row] = coming, variance

    def _forecast(self, horizon: float) -> Forecast:
        if horizon not in self._forecasts:
            self._forecasts[horizon] = self.known.forecaster.forecast(self.snapshot.names, horizon, self.now)
        return self._forecasts[horizon]

    def _combined(self, forecast: Forecast, rows: Rows | slice, alpha: float) -> NodeLoads:
        part = Forecast(*(getattr(forecast, each.name)[rows] for each in fields(forecast)))
        committed = Committed(
            self.committed.coming[rows], self.committed.leaving[rows], self.committed.variance[rows]
        )
        allocated = self.snapshot.allocated_share(rows)[:, COLUMNS]
        return combine(part, committed, allocated, alpha, self.known.freshness, self.known.weights)
