"""The endpoint itself: paths, who may use them, and what is answered. The protocol is Kubeflow Trainer's."""

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from aiohttp import web

from loadstar.controller.caches import Caches, Key
from loadstar.reporting.access import AccessRefused, Reporter, audience, reporter
from loadstar.reporting.limits import Buckets, Rate
from loadstar.reporting.listener import ConnectionLimits, Listener, listening_socket
from loadstar.reporting.payload import LARGEST_BODY, InvalidReport, Report, parse_report
from loadstar.reporting.tokens import ReviewUnavailable, TokenRefused, Tokens, TooManyReviews

log = logging.getLogger(__name__)

STATUS_PATH: Final = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/{name}/status"
RECORD_PATH: Final = "/apis/loadstar.dev/v1alpha1/namespaces/{namespace}/trainingjobs/{name}/record"
OF_A_TOKEN: Final = Rate(5.0, 20)
"""Requests with one token: every process of a pod of eight GPUs may report every 5 s, and all of them at once."""
READ_SECONDS: Final = 5.0
"""For the body to arrive."""
_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}

Answer = dict[str, Any]


class Refused(Exception):
    """The request is answered with a metav1.Status of this code."""

    def __init__(self, code: int, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where what was reported goes. `reported` gives the report that stands then, which may be a later one;
    `recorded` raises InvalidReport."""

    reported: Callable[[Reporter, Report], Report]
    recorded: Callable[[Reporter, bytes], None]
    answered: Callable[[int, float], None]
    """(HTTP status, seconds), told of each request."""
    turned_away: Callable[[], None]
    """Told of each connection beyond the limits."""


@dataclass(slots=True)
class ProgressServer:
    """Serves both paths. `clock` gives Unix seconds."""

    caches: Caches
    tokens: Tokens
    sinks: Sinks
    clock: Callable[[], float]
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    _of_tokens: Buckets[bytes] = field(default_factory=lambda: Buckets(OF_A_TOKEN))

    @asynccontextmanager
    async def serving(self, address: str, port: int, context: Callable[[], Any]) -> AsyncIterator[int]:
        """Serve while the context is open, with the TLS that `context` gives; gives the port. Raises OSError."""
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=1.0,
            lingering_time=1.0,
            auto_decompress=False,  # a small body must not become a large one
        )
        await runner.setup()
        assert runner.server is not None
        listener = Listener(runner.server, context, self.limits, self.sinks.turned_away)
        with listening_socket(address, port) as listening:
            accepting = asyncio.create_task(listener.run(listening))
            try:
                yield int(listening.getsockname()[1])
            finally:
                accepting.cancel()
                await asyncio.gather(accepting, return_exceptions=True)
                await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._answering])
        application.router.add_post(STATUS_PATH, self._status)
        application.router.add_post(RECORD_PATH, self._record)
        return application

    @web.middleware
    async def _answering(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every answer is JSON, errors are metav1.Status, and each ends its connection."""
        began = monotonic()
        try:
            response = await handler(request)
        except Refused as refused:
            response = _failure(refused.code, str(refused), refused.wait)
        except web.HTTPException as refused:
            response = _failure(refused.status, refused.reason)
        except Exception:
            log.exception("a progress report failed")
            response = _failure(500, "the operator failed, its log says how")
        response.force_close()
        self.sinks.answered(response.status, monotonic() - began)
        return response

    async def _status(self, request: web.Request) -> web.Response:
        who = await self._reporter(request)
        body = await _body(request)
        try:
            report = parse_report(body, self.clock())
        except InvalidReport as invalid:
            raise Refused(422, str(invalid)) from None
        if report is None:
            return _success({})
        return _success({"trainerStatus": self.sinks.reported(who, report).wire()})

    async def _record(self, request: web.Request) -> web.Response:
        who = await self._reporter(request)
        try:
            self.sinks.recorded(who, await _body(request))
        except InvalidReport as invalid:
            raise Refused(422, str(invalid)) from None
        return _success({})

    async def _reporter(self, request: web.Request) -> Reporter:
        """Who sends this. Raises Refused."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "the header Authorization: Bearer <token> is missing")
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        if wait := self._of_tokens.take(digest, monotonic()):
            raise Refused(429, "too many requests with this token", wait)
        key: Key = (request.match_info["namespace"], request.match_info["name"])
        try:
            bearer = await self.tokens.bearer(token, audience(key), request.remote or "")
            return reporter(self.caches, key, bearer)
        except (TokenRefused, AccessRefused) as refused:
            raise Refused(refused.status, str(refused)) from None
        except TooManyReviews as refused:
            raise Refused(429, str(refused), refused.wait) from None
        except ReviewUnavailable as error:
            log.warning("a token can't be verified now: %s", error)
            raise Refused(503, "the token can't be verified now", 1.0) from None


async def _body(request: web.Request) -> bytes:
    """The whole body, within bounds of size and time. Raises Refused."""
    if (request.content_length or 0) > LARGEST_BODY:
        raise Refused(413, f"the body has more than {LARGEST_BODY} bytes")
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused(413, f"the body has more than {LARGEST_BODY} bytes") from None
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {READ_SECONDS:g} s") from None
    except (ConnectionError, web.RequestPayloadError):  # nobody is left to read this answer
        raise Refused(400, "the body ended before it was whole") from None


def _success(body: Answer) -> web.Response:
    return web.json_response(body)


def _failure(code: int, message: str, wait: float | None = None) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "InternalError"),
        "code": code,
    }
    headers = {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))}
    return web.json_response(status, status=code, headers=headers, dumps=json.dumps)
