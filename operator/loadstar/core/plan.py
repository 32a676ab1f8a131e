"""One scheduling cycle, in numbered steps: waiting jobs and the cluster as it is → an offer for each job."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core import queue
from loadstar.core.commitments import COLUMNS, Commitment, expected_use, invisible_load
from loadstar.core.forecast import Forecast, TrendForecaster
from loadstar.core.jobs import Job, Placement, Policy
from loadstar.core.load import FreshnessPolicy
from loadstar.core.placement import Request, Unplaceable, place
from loadstar.core.score import NodeLoads, Weights, combine
from loadstar.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class MetricsHealth:
    """Whether placements can use measured load, with a CamelCase reason and a sentence for the condition."""

    available: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The cycle's answer to one waiting job; `position` counts from 1 among those that stay waiting."""

    outcome: Placement | Unplaceable
    metrics: MetricsHealth
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Loads:
    """What the cycle knows of load: the forecaster, its policies and the metrics' health."""

    forecaster: TrendForecaster
    freshness: FreshnessPolicy
    weights: Weights
    health: MetricsHealth


@dataclass(slots=True)
class Turn:
    """Where round robin stands: the node of the last round-robin placement."""

    node: str | None = None


def plan(
    waiting: Iterable[Job],
    snapshot: Snapshot,
    commitments: Iterable[Commitment],
    loads: Loads,
    turn: Turn,
    now: float,
) -> dict[str, Offer]:
    """An offer for every waiting job by uid. Takes what it places from `snapshot` and moves `turn`."""
    # 1. Heads: the waiting jobs, in order; and what every forecast of this cycle has in common.
    view = _View(snapshot, loads, invisible_load(commitments, snapshot, now), now)
    offers: dict[str, Offer] = {}
    refused: dict[Hashable, Unplaceable] = {}
    position, closed_by = 0, None
    for job in queue.in_order(waiting):
        outcome: Placement | Unplaceable
        same = _alike(job)
        if closed_by is not None:
            # 2. A job that waited too long closes the queue behind it.
            outcome = _behind(closed_by)
        elif same in refused:
            # 3. Capacity only shrinks within a cycle: what did not fit does not fit now either.
            outcome = refused[same]
        else:
            # 4. Filter, score and choose for the whole gang.
            last_turn = snapshot.row(turn.node) if turn.node else None
            outcome = place(Request(job, view.node_loads(job), loads.weights, last_turn, now), snapshot)
        if isinstance(outcome, Placement):
            # 5. What is placed is assumed at once: its devices are taken, its load is committed.
            view.assume(job, outcome)
            if job.scheduling.policy is Policy.ROUND_ROBIN:
                turn.node = outcome.ranks[-1].node
            offers[job.uid] = Offer(outcome, loads.health)
            continue
        refused[same] = outcome
        position += 1
        offers[job.uid] = Offer(outcome, loads.health, position)
        if closed_by is None and outcome.frees_up and queue.closes_the_queue(job, now):
            closed_by = job
    return offers


def node_forecasts(
    snapshot: Snapshot, commitments: Iterable[Commitment], loads: Loads, horizon: float, now: float
) -> dict[str, float]:
    """Ĉ(t + horizon) of every node, commitments included: what a cycle would rank by now."""
    hidden = invisible_load(commitments, snapshot, now)
    allocated = snapshot.allocated_share()[:, COLUMNS]
    forecast = loads.forecaster.forecast(snapshot.names, horizon, now)
    combined = combine(forecast, hidden, allocated, 0.0, loads.freshness, loads.weights)
    return {name: float(load) for name, load in zip(snapshot.names, combined.forecast, strict=True)}


@dataclass(slots=True)
class _View:
    """The cycle's picture of load: forecasts once per horizon, R⁺ kept up with every placement."""

    snapshot: Snapshot
    loads: Loads
    hidden: NDArray[np.float64]
    now: float
    forecasts: dict[float, Forecast] = field(default_factory=dict)

    def node_loads(self, job: Job) -> NodeLoads:
        horizon = job.scheduling.horizon
        if horizon not in self.forecasts:
            self.forecasts[horizon] = self.loads.forecaster.forecast(self.snapshot.names, horizon, self.now)
        allocated = self.snapshot.allocated_share()[:, COLUMNS]
        alpha, loads = job.scheduling.alpha, self.loads
        return combine(self.forecasts[horizon], self.hidden, allocated, alpha, loads.freshness, loads.weights)

    def assume(self, job: Job, placement: Placement) -> None:
        own_use = expected_use(job.request, self.snapshot)
        for rank in placement.ranks:
            self.snapshot.take(rank.node, job.request)
            row = self.snapshot.row(rank.node)
            self.hidden[row] += own_use[row]


def _alike(job: Job) -> Hashable:
    """Jobs of the same key are refused for the same reasons."""
    return job.ranks, job.request, job.scheduling, job.namespace if job.volumes else "", job.volumes


def _behind(head: Job) -> Unplaceable:
    return Unplaceable(
        "BehindLongWaiting",
        f"waiting behind {head.namespace}/{head.name}, which has waited so long that nobody may pass it any more",
        rejected=(),
    )
