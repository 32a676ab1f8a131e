"""The progress endpoint's parts, put together: what there is, and how it starts and ends."""

import asyncio
import logging
import ssl
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from loadstar.api.pods import ProgressEndpoint
from loadstar.api.record import parse_posted
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.retry import Retry
from loadstar.controller.caches import Caches, Posted
from loadstar.reporting.access import Reporter, is_known
from loadstar.reporting.certificates import tls_context
from loadstar.reporting.keeper import Keeper
from loadstar.reporting.metrics import ProgressMetrics
from loadstar.reporting.payload import InvalidReport, Report
from loadstar.reporting.progress import Progress
from loadstar.reporting.server import ProgressServer, Sinks
from loadstar.reporting.tokens import Tokens
from loadstar.reporting.writer import Writer
from loadstar.settings import Settings

log = logging.getLogger(__name__)

LIMITS: Final = Limits(concurrency=8, timeout=5.0, retry=Retry(attempts=2))
"""For the client of this endpoint: a client that waits for an answer has five seconds, and the lifecycle's calls must
not queue behind it."""
RENEWAL_SECONDS: Final = 6 * 3600.0
"""Between two looks whether the certificate is due."""
DRAIN_SECONDS: Final = 2.0
"""How long an orderly end may take to write what was reported last."""


class Reporting:
    """Takes reports in and writes them out, while this replica leads."""

    def __init__(self, settings: Settings, kube: Kube, caches: Caches, registry: CollectorRegistry) -> None:
        """`kube` is a client of its own, with LIMITS."""
        self._settings = settings
        self._caches = caches
        self._metrics = ProgressMetrics(registry)
        self._progress = Progress()
        self._writer = Writer(kube, caches, self._progress, time.time, self._metrics.wrote)
        self._keeper = Keeper(kube, settings.namespace, settings.progress_secret, _hosts(settings))
        tokens = Tokens(kube, time.time, lambda bearer: is_known(caches, bearer), self._metrics.reviewed)
        sinks = Sinks(self._reported, self._recorded, self._metrics.answered, self._metrics.turned_away)
        self._server = ProgressServer(caches, tokens, sinks, time.time)
        self._context: ssl.SSLContext | None = None
        self._endpoint: ProgressEndpoint | None = None
        self._serves = False
        self._metrics.watch(lambda: len(self._progress.tracks))

    def endpoint(self) -> ProgressEndpoint | None:
        """What new pods are told; None until it is prepared."""
        return self._endpoint

    async def prepare(self) -> None:
        """Get the certificates, so that pods can be told whom to trust. To be awaited before any is created."""
        await self._renew()

    async def run(self) -> None:
        """Serve and write until cancelled. Raises OSError where the port is taken."""
        settings = self._settings
        async with self._server.serving(settings.serving_address, settings.progress_port, self._tls):
            log.info("programs report to %s", settings.progress_url)
            self._serves = True
            try:
                async with asyncio.TaskGroup() as working:
                    working.create_task(self._writer.run())
                    working.create_task(self._renewing())
            finally:
                self._serves = False
                with suppress(TimeoutError):
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await self._writer.drain()

    def ready(self) -> str | None:
        """A probe: None while reports are taken in."""
        return None if self._serves else "the progress endpoint is not served yet"

    def _reported(self, who: Reporter, report: Report) -> Report:
        stands = self._progress.take(who.key, who.tracked, report, time.time())
        self._writer.wake()
        return stands

    def _recorded(self, who: Reporter, body: bytes) -> None:
        now = time.time()
        posted = parse_posted(body, now)
        if posted is None:
            raise InvalidReport("the body is no final record of version 1")
        record = posted.record
        if (record.job_uid, record.attempt) != (who.tracked.uid, who.attempt):
            raise InvalidReport(f"the record must be of the job {who.tracked.uid}, attempt {who.attempt}")
        self._caches.records[who.tracked.uid] = Posted(who.attempt, record)
        self._progress.complete(who.key, who.tracked, posted.curves, now)
        self._writer.wake()

    def _tls(self) -> ssl.SSLContext:
        assert self._context is not None, "the certificates come before the first connection"
        return self._context

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            await self._renew()

    async def _renew(self) -> None:
        certificates = await self._keeper.certificates(datetime.now(UTC))
        self._context = tls_context(certificates)
        self._endpoint = ProgressEndpoint(self._settings.progress_url, certificates.authority.decode())


def _hosts(settings: Settings) -> tuple[str, ...]:
    """The names in the server's certificate."""
    return (urlsplit(settings.progress_url).hostname or "",)
