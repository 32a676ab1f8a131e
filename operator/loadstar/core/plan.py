"""One scheduling cycle, in numbered steps: waiting jobs and the cluster as it is → an offer for each job."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from loadstar.core.ahead import Ahead
from loadstar.core.backfill import Promises
from loadstar.core.background import Background
from loadstar.core.commitments import Commitment
from loadstar.core.draining import Array, occupy, whole_in
from loadstar.core.durations import Durations
from loadstar.core.fairshare import Usage
from loadstar.core.families import Families
from loadstar.core.fleet import Mask
from loadstar.core.fragmentation import Fragmentation
from loadstar.core.jobs import Job, Placement, Policy, Scheduling
from loadstar.core.load import FreshnessPolicy
from loadstar.core.newcomers import Newcomers, newcomers
from loadstar.core.placement import Placer
from loadstar.core.preemption import Eviction
from loadstar.core.queue import Line, Order
from loadstar.core.quota import Allowance, Quota
from loadstar.core.refusals import Unplaceable
from loadstar.core.resources import Devices
from loadstar.core.running import Running
from loadstar.core.score import Weights
from loadstar.core.shape import Criteria, alike
from loadstar.core.snapshot import Snapshot
from loadstar.core.view import Forecaster, LoadView


@dataclass(frozen=True, slots=True)
class MetricsHealth:
    """Whether placements can use measured load, with a CamelCase reason and a sentence for the condition."""

    available: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The cycle's answer to one waiting job; `position` counts from 1 among those that stay waiting.

    `starts_at` is when it is expected to start (Unix seconds), None where nobody can say. `evictions` are gangs to be
    ended for it.
    """

    outcome: Placement | Unplaceable
    metrics: MetricsHealth
    position: int | None = None
    starts_at: float | None = None
    evictions: tuple[Eviction, ...] = ()


@dataclass(frozen=True, slots=True)
class Loads:
    """What the cycle knows of load: the forecaster, its policies and the metrics' health; and what else nodes are
    judged by (see Criteria)."""

    forecaster: Forecaster
    freshness: FreshnessPolicy
    weights: Weights
    health: MetricsHealth
    families: Families = field(default_factory=Families)
    background: Background = field(default_factory=Background)
    fragmentation: Fragmentation | None = None
    levels: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """Where round robin stands: the node of the last round-robin placement."""

    node: str | None = None


@dataclass(frozen=True, slots=True)
class Queues:
    """What the order of the queue and its promises rest on. `promises` are kept up by each cycle, the rest is read.

    `ran` are the seconds that waiting jobs ran in earlier attempts, by uid. `unseen` are jobs with as many of their
    pods as are decided and that no quota counts as used yet.
    """

    running: tuple[Running, ...] = ()
    usage: Usage = field(default_factory=Usage)
    durations: Durations = field(default_factory=Durations)
    promises: Promises = field(default_factory=Promises)
    quotas: tuple[Quota, ...] = ()
    unseen: tuple[tuple[Job, int], ...] = ()
    order: Order = Order.FIRST_COME
    ran: Mapping[str, float] = field(default_factory=dict)


def plan(
    waiting: Iterable[Job],
    snapshot: Snapshot,
    commitments: Iterable[Commitment],
    loads: Loads,
    turn: Turn,
    now: float,
    queues: Queues | None = None,
) -> dict[str, Offer]:
    """An offer for every waiting job by uid, in the order of the queue. Takes what it places from `snapshot` and moves
    `turn`."""
    waiting, queues = list(waiting), queues or Queues()
    # Sums of fractions depend on their order, and answers must not.
    commitments = sorted(commitments, key=_in_order)
    running = tuple(sorted(queues.running, key=lambda gang: (gang.job.uid, gang.attempt)))
    queues = replace(queues, running=running)
    view = LoadView.begin(snapshot, loads, commitments, now)
    whole = whole_in(snapshot, queues.running, queues.durations, now)
    background = loads.background.of(snapshot.names)
    coming = newcomers(queues.running, snapshot, loads.families, background)
    criteria = Criteria(loads.weights, loads.fragmentation, loads.levels, whole, coming)
    cycle = _Cycle(
        queues=queues,
        placer=Placer(snapshot, view, criteria, now),
        whole_in=whole,
        newcomers=coming,
        view=view,
        ahead=Ahead(
            snapshot, queues.running, queues.durations, queues.promises, queues.order, queues.ran, now
        ),
        allowance=Allowance(queues.quotas, queues.unseen),
        turn=turn,
    )
    queues.promises.keep(waiting)
    # 1. Whose turn it is: by priority, then by fair share, then by when they came.
    shares = queues.usage.shares(queues.running, now)
    line = Line(waiting, shares, queues.durations, queues.order, queues.ran)
    offers: dict[str, Offer] = {}
    position = 0
    while (job := line.next()) is not None:
        outcome, evictions = cycle.answer(job)
        if isinstance(outcome, Placement):
            offers[job.uid] = Offer(outcome, loads.health)
        else:
            position += 1
            offers[job.uid] = Offer(outcome, loads.health, position, evictions=evictions)
        # 6. Who has its nodes, or is next to get them, is charged to its group before the next one's turn.
        line.tried(job, charged=isinstance(outcome, Placement) or outcome.frees_up)
    # 7. When the others are expected to start.
    for uid, starts_at in cycle.ahead.starts().items():
        offers[uid] = replace(offers[uid], starts_at=starts_at)
    return offers


@dataclass(slots=True)
class _Cycle:
    """What one cycle has decided so far."""

    queues: Queues
    placer: Placer
    whole_in: Array
    newcomers: Newcomers
    view: LoadView
    ahead: Ahead
    allowance: Allowance
    turn: Turn
    refused: dict[Hashable, Unplaceable] = field(default_factory=dict)

    def answer(self, job: Job) -> tuple[Placement | Unplaceable, tuple[Eviction, ...]]:
        """The answer to the job whose turn it is, and who is to be ended for it."""
        # 2. Its namespace's quota comes first; what it waits for there is kept from those behind it.
        short = self.allowance.refusal(job)
        if short is not None:
            if not short.infeasible:
                self.allowance.take(job)
            return short, ()
        # 3. Within a cycle there is ever less to have: what did not fit does not fit now either.
        same = self._alike(job)
        outcome = self.refused.get(same) or self._place(job)
        if isinstance(outcome, Placement):
            self._assume(job, outcome)
            return outcome, ()
        self.refused[same] = outcome
        if not outcome.frees_up:
            return outcome, ()
        # 5. Nodes are kept for it, or gangs of lower priority ended.
        return self.ahead.refused(job, outcome, self._fitting(job))

    def _place(self, job: Job) -> Placement | Unplaceable:
        """4. Filter, score and choose for the whole gang, on nodes that are not kept for those ahead of it."""
        last_turn = self.placer.snapshot.row(self.turn.node) if self.turn.node else None
        barred = self.ahead.barred(job)
        return self.placer.place(job, last_turn, barred if len(barred) else None)

    def _assume(self, job: Job, placement: Placement) -> None:
        """What is placed is assumed at once: its devices are taken, its load is committed."""
        self.placer.assume(job, placement)
        occupy(self.whole_in, self.placer.snapshot, job, placement, self.queues.durations)
        self.newcomers.occupy(job, placement, self.placer.snapshot, self.view.known.families)
        self.ahead.placed(job, placement)
        self.allowance.take(job)
        if job.scheduling.policy is Policy.ROUND_ROBIN:
            self.turn.node = placement.ranks[-1].node

    def _fitting(self, job: Job) -> Mask:
        """The nodes that the job could use if nothing ran on them."""
        eligible, limit = self.placer.eligible(job), job.scheduling.max_load
        if limit is None:
            return eligible
        loads = self.view.loads(job.scheduling)
        return eligible & ~(loads.measured & (loads.forecast > limit))

    def _alike(self, job: Job) -> Hashable:
        """Jobs of the same key are refused for the same reasons."""
        length = self.queues.durations.bound_of(job, self.queues.ran.get(job.uid, 0.0))
        return alike(job, self.view), job.ranks, job.namespace if job.volumes else "", length


def _in_order(commitment: Commitment) -> tuple[str, float, str, float, int, int, Devices]:
    """What tells two commitments to a node apart, as far as it matters to their sum."""
    asked = commitment.request
    ended_at = -1.0 if commitment.ended_at is None else commitment.ended_at
    return (
        *(commitment.node, commitment.decided_at, commitment.family, ended_at),
        *(asked.gpus, asked.cpu, asked.devices),
    )


def node_forecasts(
    snapshot: Snapshot, commitments: Iterable[Commitment], loads: Loads, horizon: float, now: float
) -> dict[str, float]:
    """Ĉ(t + horizon) of every node, commitments included: what a cycle would rank by now."""
    view = LoadView.begin(snapshot, loads, commitments, now)
    combined = view.loads(Scheduling(horizon=horizon))
    return {name: float(load) for name, load in zip(snapshot.names, combined.forecast, strict=True)}
