"""The composition root: settings → clients → controller → Kopf. Nothing else starts things."""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import uvloop

from loadstar import logs
from loadstar.clients.connection import Connection, connect
from loadstar.clients.errors import ClientError
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.prometheus import Prometheus
from loadstar.clients.queries import Endpoint
from loadstar.controller.assembly import Operator, assemble
from loadstar.controller.election import LIMITS, Election, LeadershipLost, Terms, identity
from loadstar.controller.metrics import Metrics
from loadstar.controller.serving import serving
from loadstar.reporting.assembly import LIMITS as REPORTING_LIMITS
from loadstar.reporting.assembly import Reporting
from loadstar.settings import Settings

log = logging.getLogger(__name__)

YOUNG_OBJECTS = 20_000
"""Objects made and not yet freed until the garbage collector looks at them, some ten times Python's own number: most
are gone by then without it, and each look is a pause in which nobody is answered."""
DRAIN_SECONDS = 2.0
"""How long an orderly end may take to write the Events that were told."""


def run(settings: Settings) -> int:
    """Run the operator until it is told to stop. The exit code: 0 in order, 1 when it had to end."""
    logs.set_up(settings)
    gc.freeze()  # what was imported stays: to look through it again and again took a tenth of a second each time
    gc.set_threshold(YOUNG_OBJECTS)
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
        _kube(settings, metrics, REPORTING_LIMITS) as reporting_kube,
        _prometheus(settings) as prometheus,
    ):
        operator = assemble(settings, kube, prometheus, metrics, name)
        reporting = _reporting(settings, reporting_kube, operator, metrics)
        election = Election(lease_kube, _terms(settings), name)
        ends = _stop_on_signals()
        async with serving(operator.endpoints(settings), settings.serving_address, settings.serving_port):
            if not await _unless(ends, election.acquire()):
                return
            try:
                metrics.leading(True)
                await _lead(settings, Parts(operator, reporting, election), ends)
            finally:
                await election.release()


@dataclass(frozen=True, slots=True)
class Parts:
    """What works together in the active replica; `reporting` is None where programs can't report."""

    operator: Operator
    reporting: Reporting | None
    election: Election


def _reporting(settings: Settings, kube: Kube, operator: Operator, metrics: Metrics) -> Reporting | None:
    """The progress endpoint, known to the operator; None where no address for it is set."""
    if not settings.progress_url:
        return None
    reporting = Reporting(settings, kube, operator.caches, metrics.registry)
    operator.progress, operator.also_ready = reporting.endpoint, reporting.ready
    return reporting


async def _lead(settings: Settings, parts: Parts, ends: asyncio.Event) -> None:
    """Everything that the active replica does, until `ends` or until something fails."""
    operator, reporting = parts.operator, parts.reporting
    holding = asyncio.create_task(parts.election.hold())
    try:
        if not await _unless(ends, operator.prime(settings)):
            return
        if reporting and not await _unless(ends, reporting.prepare()):
            return
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(work) for work in operator.work(settings, ends)]
            if reporting:
                working.append(tasks.create_task(reporting.run()))
            working.append(tasks.create_task(_raising(holding)))
            await ends.wait()
            log.info("stopping")
            for task in working:
                task.cancel()
    finally:
        holding.cancel()
    with suppress(TimeoutError):  # the API server may be away: an orderly end all the same
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
    await asyncio.wait({first})
    return False


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
