"""The operator's own HTTP endpoints: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

Handler = Callable[[web.Request], Awaitable[web.Response]]
Probe = Callable[[], str | None]
"""None while all is well, otherwise what is wrong, in a sentence."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What is served. `live` failing means that only a restart helps; `ready`, that work has not begun."""

    live: Probe
    ready: Probe
    metrics: Callable[[], bytes]
    """The exposition in Prometheus's text format."""


def passes_recent(last_pass: Callable[[], float], clock: Callable[[], float], limit: float) -> Probe:
    """A probe that fails when the last finished pass is more than `limit` seconds ago, so that an operator
    that hangs, and still answers HTTP, is restarted. Both callables give seconds of one clock."""

    def probe() -> str | None:
        age = clock() - last_pass()
        return f"the last pass ended {age:.0f} s ago, more than {limit:g} s" if age > limit else None

    return probe


@asynccontextmanager
async def serving(endpoints: Endpoints, address: str, port: int) -> AsyncIterator[int]:
    """Serve while the context is open; gives the port (the one chosen, where `port` is 0).

    Raises OSError where the port is taken.
    """
    application = web.Application()
    application.router.add_get("/healthz", _probing(endpoints.live))
    application.router.add_get("/readyz", _probing(endpoints.ready))
    application.router.add_get("/metrics", _exposing(endpoints.metrics))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _probing(probe: Probe) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        problem = probe()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    return answer


def _exposing(metrics: Callable[[], bytes]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return answer
