"""The operator's parts, put together: what there is, how it starts, and what runs side by side."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import kopf

from loadstar.api.pods import ProgressEndpoint
from loadstar.clients.errors import NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.prometheus import Prometheus
from loadstar.controller import capacity
from loadstar.controller.apply import Applier
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.claims import ClaimWatch
from loadstar.controller.cycle import Cycle
from loadstar.controller.events import Events
from loadstar.controller.gangs import GangWatch
from loadstar.controller.handlers import register
from loadstar.controller.load import LoadWatch
from loadstar.controller.metrics import Metrics, Sources
from loadstar.controller.podwatch import PodWatch
from loadstar.controller.queueing import QueueWatch
from loadstar.controller.reconcile import Reconciler
from loadstar.controller.relist import Relist
from loadstar.controller.serving import Endpoints, Probe, passes_recent
from loadstar.controller.watch import watch
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.decisions import Event
from loadstar.core.fairshare import Usage
from loadstar.core.jobs import Scheduling
from loadstar.core.load import FreshnessPolicy
from loadstar.core.plan import node_forecasts
from loadstar.core.score import Weights
from loadstar.settings import Settings

log = logging.getLogger(__name__)

LIVENESS_SWEEPS = 3
"""The sign of life may miss this many sweeps, and SLACK seconds more, before the process counts as hanging."""
SLACK_SECONDS = 30.0
BUSY_JOBS = 32
"""Jobs waiting to be looked at beyond which telling people waits, so that launching does not."""


@dataclass(slots=True)
class Operator:
    """The parts that work together, and how they are started."""

    name: str
    kube: Kube
    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    reconciler: Reconciler
    cycle: Cycle
    load: LoadWatch
    gangs: GangWatch
    claims: ClaimWatch
    books: QueueWatch
    relist: Relist
    pods: PodWatch
    events: Events
    metrics: Metrics
    primed: bool = field(default=False)
    progress: Callable[[], ProgressEndpoint | None] = field(default=lambda: None)
    """Where the programs of new pods report to."""
    also_ready: Probe = field(default=lambda: None)
    """A probe of what has to be there besides a view of the cluster."""

    async def prime(self, settings: Settings) -> None:
        """See the whole cluster before anything is decided about it. Raises what the API client raises."""
        try:
            await self.relist.everything()
        except NotFound as error:
            raise NotFound(
                f"{error}; is the CRD installed? `loadstar crd | kubectl apply --server-side -f -` does it",
                status=404,
            ) from error
        await self.load.warm_up(settings.warmup_seconds, settings.scrape_interval_seconds)
        self.gangs.remember()
        self.books.remember()
        await self.load.refresh()
        self.relist.sweep()
        self.primed = True
        jobs, nodes = len(self.caches.jobs), len(self.caches.nodes)
        log.info("watching %d TrainingJobs and %d nodes; %s", jobs, nodes, self.load.health.message)

    def work(self, settings: Settings, ends: asyncio.Event) -> list[Any]:
        """The loops that run side by side while this replica leads."""
        interval = settings.metrics_interval_seconds
        return [
            self._watch(settings, ends),
            self.pods.run(),
            self.reconciler.run(),
            self.cycle.run(),
            self.claims.run(),
            self.board.underway.run(self.queue.add),
            self.load.run(interval, self._sampled),
            self.relist.run(settings.resync_seconds, settings.relist_seconds),
            self.events.run(),
        ]

    def endpoints(self, settings: Settings) -> Endpoints:
        """Liveness is that of the queue and its workers once they work; ready is who leads and has seen the cluster."""
        limit = LIVENESS_SWEEPS * settings.resync_seconds + SLACK_SECONDS
        recent = passes_recent(lambda: self.reconciler.last_pass, time.time, limit)
        return Endpoints(
            live=lambda: recent() if self.primed else None,
            ready=self._ready,
            metrics=self.metrics.exposition,
        )

    def _ready(self) -> str | None:
        if not self.primed:
            return "waiting for the Lease, or for a first view of the cluster"
        return self.also_ready()

    def forecasts(self) -> dict[str, float]:
        """What every node is ranked by at the default horizon, for the metrics."""
        assumed = self.board.assumed(self.caches)
        snapshot = capacity.snapshot(self.caches, assumed)
        return node_forecasts(
            snapshot, self.gangs.commitments(), self.load.loads(), Scheduling().horizon, time.time()
        )

    def _sampled(self) -> None:
        for key in self.gangs.sampled(self.load.loads()):
            self.queue.add(key)
        self.board.capacity_changed()

    async def _watch(self, settings: Settings, ends: asyncio.Event) -> None:
        registry = kopf.OperatorRegistry()
        register(registry, self.caches, self.queue, self.board, frozenset(settings.watch_namespaces))
        await watch(registry, self.kube.connection, self.name, ends)


def assemble(
    settings: Settings, kube: Kube, prometheus: Prometheus | None, metrics: Metrics, name: str
) -> Operator:
    """The parts, each given what it needs; nothing runs yet. `name` tells this replica from others."""
    caches, queue, board = Caches(), WorkQueue[Key](), Board()
    events = Events(
        kube,
        name,
        time.time,
        metrics.lost_event,
        busy=lambda: len(queue) + len(board.underway) > BUSY_JOBS,
    )

    def tell(key: Key, uid: str, event: Event) -> None:
        log.log(
            logging.WARNING if event.warning else logging.INFO,
            "%s/%s %s: %s",
            *key,
            event.reason,
            event.message,
        )
        metrics.told(event)
        events.tell(key, uid, event)

    def reports_go_to() -> ProgressEndpoint | None:
        return operator.progress()  # which is set after this

    gangs = GangWatch(caches, board, time.time)
    load = LoadWatch(
        prometheus=prometheus,
        caches=caches,
        freshness=FreshnessPolicy(settings.fresh_seconds, settings.stale_seconds),
        weights=Weights(settings.weights, settings.hot_threshold),
        clock=time.time,
        observe=metrics.sampled,
        families=gangs.families,
        background=gangs.background,
        levels=settings.topology_levels,
    )
    books = QueueWatch(
        caches,
        board,
        time.time,
        settings.queue_order,
        settings.preemption_protected_seconds,
        Usage(settings.queue_weights, settings.fair_share_half_life_seconds),
    )
    reconciler = Reconciler(
        caches=caches,
        queue=queue,
        board=board,
        applier=Applier(kube, caches, settings.trainer_image, metrics.acted, reports_go_to),
        tell=tell,
        clock=time.time,
        pin_timeout=settings.pin_timeout_seconds,
        observe=metrics.passed,
        changed=books.changed,
        last_pass=time.time(),
    )
    claims = ClaimWatch(kube, caches, board, time.time)
    cycle = Cycle(
        caches,
        queue,
        board,
        load.loads,
        gangs.commitments,
        claims.volumes_of,
        books,
        time.time,
        metrics.cycled,
        load.vitals,
    )
    relist = Relist(kube, caches, queue, board, frozenset(settings.watch_namespaces))
    operator = Operator(
        name=name,
        kube=kube,
        caches=caches,
        queue=queue,
        board=board,
        reconciler=reconciler,
        cycle=cycle,
        load=load,
        gangs=gangs,
        claims=claims,
        books=books,
        relist=relist,
        pods=PodWatch(kube, caches, queue, board, relist),
        events=events,
        metrics=metrics,
    )
    metrics.watch(
        Sources(
            phases=lambda: [tracked.state.phase for tracked in caches.jobs.values()],
            queue_depth=lambda: len(queue),
            waiting=lambda: len(board.waiting),
            forecasts=operator.forecasts,
            accuracy=gangs.accuracy,
        )
    )
    return operator
