"""One scheduling cycle, in numbered steps: waiting jobs and the cluster as it is → an offer for each job."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from loadstar.core import queue
from loadstar.core.commitments import Commitment, committed
from loadstar.core.families import Families
from loadstar.core.forecast import TrendForecaster
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.load import FreshnessPolicy
from loadstar.core.placement import Placer
from loadstar.core.refusals import Unplaceable
from loadstar.core.score import Weights
from loadstar.core.shape import Criteria
from loadstar.core.snapshot import Snapshot
from loadstar.core.view import LoadView


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
    families: Families = field(default_factory=Families)


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
    view = LoadView(snapshot, loads, committed(commitments, snapshot, now, loads.families), now)
    placer = Placer(snapshot, view, Criteria(loads.weights), now)
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
            outcome = placer.place(job, last_turn)
        if isinstance(outcome, Placement):
            # 5. What is placed is assumed at once: its devices are taken, its load is committed.
            placer.assume(job, outcome)
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
    view = LoadView(snapshot, loads, committed(commitments, snapshot, now, loads.families), now)
    combined = view.loads(Scheduling(horizon=horizon))
    return {name: float(load) for name, load in zip(snapshot.names, combined.forecast, strict=True)}


def _alike(job: Job) -> Hashable:
    """Jobs of the same key are refused for the same reasons."""
    return job.ranks, job.request, job.scheduling, job.namespace if job.volumes else "", job.volumes


def _behind(head: Job) -> Unplaceable:
    return Unplaceable(
        "BehindLongWaiting",
        f"waiting behind {head.namespace}/{head.name}, which has waited so long that nobody may pass it any more",
        rejected=(),
    )
