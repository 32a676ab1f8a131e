"""One scheduling cycle, in numbered steps: waiting jobs and the cluster as it is → an offer for each job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadstar.core import queue
from loadstar.core.commitments import COLUMNS, Commitment, invisible_load
from loadstar.core.forecast import TrendForecaster
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
    commitments: Sequence[Commitment],
    loads: Loads,
    turn: Turn,
    now: float,
) -> dict[str, Offer]:
    """An offer for every waiting job by uid. Takes what it places from `snapshot` and moves `turn`."""
    # 1. Heads: the waiting jobs, in order.
    ordered = queue.in_order(waiting)
    committed = list(commitments)
    offers: dict[str, Offer] = {}
    position, closed_by = 0, None
    for job in ordered:
        # 2. A job that waited too long closes the queue behind it.
        if closed_by is not None:
            outcome: Placement | Unplaceable = _behind(closed_by)
        else:
            # 3. Filter, score and choose for the whole gang.
            request = Request(
                job=job,
                loads=_node_loads(job, snapshot, committed, loads, now),
                weights=loads.weights,
                last_turn=snapshot.row(turn.node) if turn.node else None,
                now=now,
            )
            outcome = place(request, snapshot)
        # 4. What is placed is assumed at once: its devices are taken, its load is committed.
        if isinstance(outcome, Placement):
            committed += _assume(job, outcome, snapshot, turn)
            offers[job.uid] = Offer(outcome, loads.health)
            continue
        position += 1
        offers[job.uid] = Offer(outcome, loads.health, position)
        if not outcome.infeasible and closed_by is None and queue.closes_the_queue(job, now):
            closed_by = job
    return offers


def _node_loads(
    job: Job, snapshot: Snapshot, committed: list[Commitment], loads: Loads, now: float
) -> NodeLoads:
    return combine(
        loads.forecaster.forecast(snapshot.names, job.scheduling.horizon, now),
        invisible_load(committed, snapshot, now),
        snapshot.allocated_share()[:, COLUMNS],
        job.scheduling.alpha,
        loads.freshness,
        loads.weights,
    )


def _assume(job: Job, placement: Placement, snapshot: Snapshot, turn: Turn) -> list[Commitment]:
    for rank in placement.ranks:
        snapshot.take(rank.node, job.request)
    if job.scheduling.policy is Policy.ROUND_ROBIN:
        turn.node = placement.ranks[-1].node
    return [Commitment(rank.node, job.request, placement.decided_at) for rank in placement.ranks]


def _behind(head: Job) -> Unplaceable:
    return Unplaceable(
        "BehindLongWaiting",
        f"waiting behind {head.namespace}/{head.name}, which has waited so long that nobody may pass it any more",
        rejected=(),
    )
