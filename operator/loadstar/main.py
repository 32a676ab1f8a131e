"""The composition root: settings → clients → controller → Kopf. Nothing else starts things."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import kopf
import uvloop
from kopf._core.engines.peering import Identity

from loadstar.clients.connection import Connection, Credentials, connect
from loadstar.clients.errors import ClientError, NotFound
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.prometheus import Prometheus
from loadstar.clients.queries import Endpoint
from loadstar.controller import capacity
from loadstar.controller.apply import Applier
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.cycle import Cycle
from loadstar.controller.election import LIMITS, Election, LeadershipLost, Terms, identity
from loadstar.controller.events import Events
from loadstar.controller.handlers import kopf_settings, register
from loadstar.controller.load import LoadWatch
from loadstar.controller.metrics import Metrics, Sources
from loadstar.controller.reconcile import Reconciler
from loadstar.controller.relist import Relist
from loadstar.controller.serving import Endpoints, passes_recent, serving
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.decisions import Event
from loadstar.core.jobs import Scheduling
from loadstar.core.load import FreshnessPolicy
from loadstar.core.plan import node_forecasts
from loadstar.core.score import Weights
from loadstar.settings import LogFormat, Settings

log = logging.getLogger(__name__)

LIVENESS_SWEEPS = 3
"""The sign of life may miss this many sweeps, and SLACK seconds more, before the process counts as hanging."""
SLACK_SECONDS = 30.0
BUSY_JOBS = 32
"""Jobs waiting to be looked at beyond which telling people waits, so that launching does not."""
DRAIN_SECONDS = 2.0
"""How long an orderly end may take to write the Events that were told."""


def run(settings: Settings) -> int:
    """Run the operator until it is told to stop. The exit code: 0 in order, 1 when it had to end."""
    _set_up_logging(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings))
    except* (ClientError, LeadershipLost, OSError) as expected:
        for error in _leaves(expected):
            log.critical("%s: %s", type(error).__name__, error)
        code = 1
    else:
        code = 0
    return code


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """The errors themselves, out of however many groups."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


async def _run(settings: Settings) -> None:
    metrics = Metrics(time.time)
    name = identity(settings.identity)
    limits = Limits(concurrency=settings.api_concurrency, timeout=settings.api_timeout_seconds)
    # The election has a client of its own: renewals must not queue behind a thousand launches.
    async with (
        _kube(settings, metrics, limits) as kube,
        _kube(settings, metrics, LIMITS) as lease_kube,
        _prometheus(settings) as prometheus,
    ):
        operator = _assemble(settings, kube, prometheus, metrics, name)
        election = Election(lease_kube, _terms(settings), name)
        ends = _stop_on_signals()
        async with serving(operator.endpoints(settings), settings.serving_address, settings.serving_port):
            if not await _unless(ends, election.acquire()):
                return
            try:
                metrics.leading(True)
                await _lead(settings, operator, election, ends)
            finally:
                await election.release()


async def _lead(settings: Settings, operator: "_Operator", election: Election, ends: asyncio.Event) -> None:
    """Everything that the active replica does, until `ends` or until something fails."""
    holding = asyncio.create_task(election.hold())
    try:
        await operator.prime(settings)
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(work) for work in operator.work(settings, ends)]
            working.append(tasks.create_task(_raising(holding)))
            await ends.wait()
            log.info("stopping")
            for task in working:
                task.cancel()
    finally:
        holding.cancel()
    async with asyncio.timeout(DRAIN_SECONDS):
        await operator.events.drain()


async def _raising(task: asyncio.Task[None]) -> None:
    await task


async def _unless(ends: asyncio.Event, waiting: Any) -> bool:
    """Whether `waiting` came to its end before the process was told to stop."""
    first, stop = asyncio.ensure_future(waiting), asyncio.ensure_future(ends.wait())
    await asyncio.wait({first, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if first.done():
        first.result()
        return True
    first.cancel()
    return False


@dataclass(slots=True)
class _Operator:
    """The parts that work together, and how they are started."""

    name: str
    kube: Kube
    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    reconciler: Reconciler
    cycle: Cycle
    load: LoadWatch
    relist: Relist
    events: Events
    metrics: Metrics
    primed: bool = field(default=False)

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
        await self.load.refresh()
        self.relist.sweep()
        self.primed = True
        jobs, nodes = len(self.caches.jobs), len(self.caches.nodes)
        log.info("watching %d TrainingJobs and %d nodes; %s", jobs, nodes, self.load.health.message)

    def work(self, settings: Settings, ends: asyncio.Event) -> list[Any]:
        """The loops that run side by side while this replica leads."""
        interval = settings.metrics_interval_seconds
        return [
            _watch(self, settings, ends),
            self.reconciler.run(),
            self.cycle.run(),
            self.load.run(interval, self.board.capacity_changed),
            self.relist.run(settings.resync_seconds, settings.relist_seconds),
            self.events.run(),
        ]

    def endpoints(self, settings: Settings) -> Endpoints:
        """Liveness is that of the queue and its workers once they work; ready is who leads and has seen the cluster."""
        limit = LIVENESS_SWEEPS * settings.resync_seconds + SLACK_SECONDS
        recent = passes_recent(lambda: self.reconciler.last_pass, time.time, limit)
        return Endpoints(
            live=lambda: recent() if self.primed else None,
            ready=lambda: (
                None if self.primed else "waiting for the Lease, or for a first view of the cluster"
            ),
            metrics=self.metrics.exposition,
        )

    def forecasts(self) -> dict[str, float]:
        """What every node is ranked by at the default horizon, for the metrics."""
        assumed = self.board.assumed(self.caches)
        snapshot = capacity.snapshot(self.caches, assumed)
        committed = capacity.commitments(self.caches, assumed)
        return node_forecasts(snapshot, committed, self.load.loads(), Scheduling().horizon, time.time())


def _assemble(
    settings: Settings, kube: Kube, prometheus: Prometheus | None, metrics: Metrics, name: str
) -> _Operator:
    caches, queue, board = Caches(), WorkQueue[Key](), Board()
    events = Events(
        kube,
        name,
        time.time,
        metrics.lost_event,
        busy=lambda: len(queue) + len(board.progressing) > BUSY_JOBS,
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

    load = LoadWatch(
        prometheus=prometheus,
        caches=caches,
        freshness=FreshnessPolicy(settings.fresh_seconds, settings.stale_seconds),
        weights=Weights(settings.weights, settings.hot_threshold),
        clock=time.time,
        observe=metrics.sampled,
    )
    reconciler = Reconciler(
        caches=caches,
        queue=queue,
        board=board,
        applier=Applier(kube, caches, settings.trainer_image, metrics.acted),
        tell=tell,
        clock=time.time,
        pin_timeout=settings.pin_timeout_seconds,
        observe=metrics.passed,
        last_pass=time.time(),
    )
    cycle = Cycle(caches, queue, board, load.loads, time.time, metrics.cycled)
    relist = Relist(kube, caches, queue, board, frozenset(settings.watch_namespaces))
    operator = _Operator(name, kube, caches, queue, board, reconciler, cycle, load, relist, events, metrics)
    metrics.watch(
        Sources(
            phases=lambda: [tracked.state.phase for tracked in caches.jobs.values()],
            queue_depth=lambda: len(queue),
            waiting=lambda: len(board.waiting),
            forecasts=operator.forecasts,
        )
    )
    return operator


async def _watch(operator: _Operator, settings: Settings, ends: asyncio.Event) -> None:
    """Kopf's watches. It takes the process's signals for itself, so that its end is the end of all."""
    registry, own = kopf.OperatorRegistry(), kopf.OperatorSettings()
    kopf_settings(own)
    namespaces = frozenset(settings.watch_namespaces)
    register(registry, operator.caches, operator.queue, operator.board, namespaces)
    connection = operator.kube.connection

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _kopf_login(await connection.credentials())

    await kopf.operator(
        registry=registry,
        settings=own,
        standalone=True,
        clusterwide=True,
        stop_flag=ends,
        identity=Identity(
            operator.name
        ),  # Kopf would ask for the name of the user, and in a container there is none
    )
    ends.set()


def _kopf_login(credentials: Credentials) -> kopf.ConnectionInfo:
    scheme, _, token = credentials.token.partition(" ")
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_path or None,
        insecure=credentials.insecure,
        certificate_path=credentials.certificate_path or None,
        private_key_path=credentials.key_path or None,
        scheme=scheme or None,
        token=token or None,
    )


@asynccontextmanager
async def _prometheus(settings: Settings) -> AsyncIterator[Prometheus | None]:
    if not settings.prometheus_url:
        yield None
        return
    endpoint = Endpoint(
        url=settings.prometheus_url,
        timeout=settings.prometheus_timeout_seconds,
        token_file=settings.prometheus_token_file,
        ca_file=settings.prometheus_ca_file,
    )
    async with Prometheus(endpoint, scrape_seconds=settings.scrape_interval_seconds) as prometheus:
        yield prometheus


def _terms(settings: Settings) -> Terms:
    return Terms(
        namespace=settings.namespace,
        name=settings.lease_name,
        duration=settings.lease_duration_seconds,
        renew=settings.lease_renew_seconds,
        retry=settings.lease_retry_seconds,
    )


@asynccontextmanager
async def _kube(settings: Settings, metrics: Metrics, limits: Limits) -> AsyncIterator[Kube]:
    connection: Connection = await connect(settings.kubeconfig)
    async with Kube(connection, limits=limits, observe=metrics.called) as kube:
        yield kube


def _stop_on_signals() -> asyncio.Event:
    ends, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ends.set)
    return ends


def _set_up_logging(settings: Settings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format is LogFormat.JSON:
        from pythonjsonlogger.json import JsonFormatter

        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    if settings.log_level != "debug":
        logging.getLogger("kopf").setLevel(logging.WARNING)
