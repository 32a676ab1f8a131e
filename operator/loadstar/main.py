"""The composition root: settings → clients → controller → Kopf. Nothing else starts things."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable

import kopf

from loadstar.clients.connection import connect
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.prometheus import Prometheus
from loadstar.clients.queries import Endpoint
from loadstar.controller.apply import Applier
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.cycle import Cycle
from loadstar.controller.handlers import kopf_settings, register
from loadstar.controller.load import LoadWatch
from loadstar.controller.reconcile import Reconciler
from loadstar.controller.relist import Relist
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.load import STEP_SECONDS, FreshnessPolicy
from loadstar.core.score import Weights
from loadstar.settings import Settings

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the operator until it is told to stop; the process's exit code."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s %(message)s"
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    connection = await connect(settings.kubeconfig)
    limits = Limits(concurrency=settings.api_concurrency, timeout=settings.api_timeout_seconds)
    async with Kube(connection, limits=limits) as kube:
        caches, queue, board = Caches(), WorkQueue[Key](), Board()
        freshness = FreshnessPolicy(settings.fresh_seconds, settings.stale_seconds)
        weights = Weights(settings.weights, settings.hot_threshold)
        prometheus = None
        if settings.prometheus_url:
            endpoint = Endpoint(
                settings.prometheus_url,
                settings.prometheus_timeout_seconds,
                settings.prometheus_token_file,
                settings.prometheus_ca_file,
            )
            prometheus = Prometheus(endpoint, scrape_seconds=settings.scrape_interval_seconds)
        watch = LoadWatch(prometheus, caches, freshness, weights, time.time, lambda *_: None)
        applier = Applier(kube, caches, settings.trainer_image, lambda _: None)
        reconciler = Reconciler(
            caches,
            queue,
            board,
            applier,
            lambda key, uid, event: log.info("%s/%s %s: %s", *key, event.reason, event.message),
            time.time,
            settings.pin_timeout_seconds,
            lambda *_: None,
        )
        cycle = Cycle(caches, queue, board, watch.loads, time.time, lambda *_: None)
        relist = Relist(kube, caches, queue, board, frozenset(settings.watch_namespaces))
        await relist.everything()
        await watch.warm_up(settings.warmup_seconds, STEP_SECONDS)
        registry = kopf.OperatorRegistry()
        register(registry, caches, queue, board, frozenset(settings.watch_namespaces))
        ks = kopf.OperatorSettings()
        kopf_settings(ks)
        c = await connection.credentials()

        @kopf.on.login(registry=registry)
        async def login(**_):
            return kopf.ConnectionInfo(
                server=c.server,
                ca_path=c.ca_path or None,
                insecure=c.insecure,
                certificate_path=c.certificate_path or None,
                private_key_path=c.key_path or None,
                scheme=c.token.split()[0] if c.token else None,
                token=c.token.split()[1] if c.token else None,
            )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                kopf.operator(registry=registry, settings=ks, standalone=True, clusterwide=True)
            )
            tasks.create_task(reconciler.run())
            tasks.create_task(cycle.run())
            tasks.create_task(watch.run(settings.metrics_interval_seconds, board.capacity_changed))
    return 0
