"""The API server's verbs, over plain dicts. Everything but watches goes through here.

Every write can be repeated safely, so every verb is retried alike: a create is by name (the second one meets
`AlreadyExists`), apply is declarative, replace and delete carry a resourceVersion or uid.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias, TypeVar

import aiohttp
from pydantic_core import from_json

from loadstar.clients.connection import Answer, Connection, Exchange
from loadstar.clients.errors import Conflict, Expired, NotFound, Unauthorized, Unavailable, from_status
from loadstar.clients.resources import PODS, Resource
from loadstar.clients.retry import Retry, parse_retry_after

Object: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[Object]
BeforeCall: TypeAlias = Callable[[str, str], Awaitable[None]]
"""(verb, path), awaited before each attempt; what it raises is met as if the call itself had raised it."""
AfterCall: TypeAlias = Callable[[str, str, int], Awaitable[None]]
"""(verb, path, HTTP status), awaited when the server has answered; raising loses that answer."""
Observe: TypeAlias = Callable[[str, str, int, float], None]
"""(verb, plural, HTTP status or 0, seconds), told of each attempt."""

T = TypeVar("T")
Read: TypeAlias = Callable[[str, Answer], T]
"""(call in words, its answer): what the answer stands for."""

RELISTS: Final = 3
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard the client presses."""

    concurrency: int = 32
    """Requests in flight; further calls wait for their turn."""
    timeout: float = 15.0
    """Seconds for one attempt, from sending to the last byte; waiting for a turn does not count."""
    page: int = 500
    """Objects per list request: keeps one response, and the pause that decoding it makes, small."""
    retry: Retry = field(default_factory=Retry)


class Kube:
    """A client of one API server. Raises the errors of clients.errors, and nothing else."""

    def __init__(
        self,
        connection: Connection,
        *,
        limits: Limits | None = None,
        observe: Observe | None = None,
        before_call: BeforeCall | None = None,
        after_call: AfterCall | None = None,
    ) -> None:
        self._connection = connection
        self._limits = limits or Limits()
        self._observe = observe
        self._before_call = before_call
        self._after_call = after_call
        self._turn = asyncio.Semaphore(self._limits.concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    @property
    def connection(self) -> Connection:
        return self._connection

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """The object as it is now. Raises NotFound."""
        return await self._call("get", resource, Exchange("GET", resource.path(name, namespace), {}))

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> Objects:
        """All objects, read page by page; an empty `namespace` means all of them.

        One consistent snapshot: where its continue token expires half-way, the list starts again.
        Items of built-in kinds come without `apiVersion` and `kind`, as the API server sends them.
        """
        found, _ = await self.list_with_version(
            resource, namespace, label_selector=label_selector, field_selector=field_selector
        )
        return found

    async def list_with_version(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Objects, str]:
        """What `list` gives, and the resourceVersion that it is of: a watch from there misses nothing."""
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {"limit": str(self._limits.page)} | {key: value for key, value in selectors.items() if value}
        for _ in range(RELISTS):
            try:
                return await self._pages(resource, resource.path(namespace=namespace), query)
            except Expired:
                continue
        raise Unavailable(f"list {resource.plural}: the continue token expired {RELISTS} times")

    async def log(
        self, pod: str, namespace: str, *, container: str, tail_lines: int, limit_bytes: int
    ) -> bytes:
        """The last lines of a container's log, and of these no more than the first `limit_bytes`. Raises NotFound."""
        query = {"container": container, "tailLines": str(tail_lines), "limitBytes": str(limit_bytes)}
        exchange = Exchange("GET", PODS.path(pod, namespace, "log"), query)
        return await self._repeated("get", PODS, exchange, _text)

    async def create(self, resource: Resource, body: Object, namespace: str = "") -> Object:
        """Create a named object. Raises AlreadyExists; ValueError for a body without a name.

        Names that the server makes up are refused: a create whose answer was lost could not be repeated.
        """
        if not body.get("metadata", {}).get("name"):
            raise ValueError(f"a {resource.kind} to create needs metadata.name")
        request = Exchange("POST", resource.path(namespace=namespace), {"fieldValidation": "Strict"}, body)
        return await self._call("create", resource, request)

    async def replace(self, resource: Resource, body: Object, namespace: str = "") -> Object:
        """Replace an object whole. Raises Conflict where its resourceVersion is not the newest."""
        path = resource.path(body["metadata"]["name"], namespace)
        return await self._call("update", resource, Exchange("PUT", path, {}, body))

    async def patch(
        self, resource: Resource, name: str, namespace: str, patch: Object, *, subresource: str = ""
    ) -> Object:
        """Merge `patch` into the object (RFC 7386: null removes a field, lists are replaced)."""
        path = resource.path(name, namespace, subresource)
        return await self._call("patch", resource, Exchange("PATCH", path, {}, patch, MERGE_PATCH))

    async def apply_status(
        self, resource: Resource, body: Object, *, field_manager: str, force: bool = True
    ) -> Object:
        """Server-side apply of the status in `body` (`metadata.name`, `metadata.namespace`, `status`).

        What `field_manager` applied before and leaves out now is removed; a field that the kind does not have
        raises Invalid. With `metadata.uid`, Conflict is raised where the name belongs to another object by now.
        The API server itself ignores the uid of a status, so this is told after the write; with
        `metadata.resourceVersion`, Conflict is raised before it, and wherever the object changed since.
        """
        metadata = body["metadata"]
        uid, path = (
            metadata.get("uid"),
            resource.path(metadata["name"], metadata.get("namespace", ""), "status"),
        )
        # To apply is to name no field that the kind does not have, whatever validation is asked for; asking for none
        # spares the API server from reading the body, and checking what comes of it, a second time.
        query = {"fieldManager": field_manager, "force": str(force).lower(), "fieldValidation": "Ignore"}
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        applied = await self._call("apply", resource, Exchange("PATCH", path, query, full, APPLY_PATCH))
        if uid is not None and applied["metadata"]["uid"] != uid:
            raise Conflict(f"apply {path}: the name belongs to another object than {uid} by now", status=409)
        return applied

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> bool:
        """Ask for deletion, dependents in the background. False: that object is gone already.

        With `uid`, an object that took over the name is left alone; `grace_seconds` 0 kills at once.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._call(
                "delete", resource, Exchange("DELETE", resource.path(name, namespace), {}, options)
            )
        except NotFound:
            return False
        except Conflict:
            if not uid:
                raise
            return False
        return True

    async def _pages(self, resource: Resource, path: str, query: dict[str, str]) -> tuple[Objects, str]:
        items: Objects = []
        token = ""
        while True:
            page = query | ({"continue": token} if token else {})
            answer = await self._call("list", resource, Exchange("GET", path, page))
            items += answer.get("items") or []
            metadata = answer.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return items, metadata.get("resourceVersion") or ""

    async def _call(self, verb: str, resource: Resource, request: Exchange) -> Object:
        return await self._repeated(verb, resource, request, _decode)

    async def _repeated(self, verb: str, resource: Resource, request: Exchange, read: Read[T]) -> T:
        """One call with its retries; credentials that were refused are read again once."""
        started = time.monotonic()
        attempt = 1
        renewed = False
        while True:
            sent = time.monotonic()
            try:
                call = f"{verb} {request.path}"
                return read(call, await self._attempt(call, verb, resource, request))
            except Unauthorized:
                if renewed:
                    raise
                renewed = True
                await self._connection.refresh(sent)
            except Unavailable as error:
                elapsed = time.monotonic() - started
                wait = self._limits.retry.delay(attempt, elapsed, error.retry_after)
                if wait is None:
                    raise
                attempt += 1
                await asyncio.sleep(wait)

    async def _attempt(self, call: str, verb: str, resource: Resource, request: Exchange) -> Answer:
        async with self._turn:
            started = time.monotonic()
            status = 0
            try:
                if self._before_call is not None:
                    await self._before_call(verb, request.path)
                answer = await self._connection.exchange(request, self._limits.timeout)
                status = answer.status
                if self._after_call is not None:
                    await self._after_call(verb, request.path, status)
            except TimeoutError as error:
                raise Unavailable(f"{call}: no answer within {self._limits.timeout:g} s") from error
            except (OSError, aiohttp.ClientError) as error:
                raise Unavailable(f"{call}: {error or type(error).__name__}") from error
            finally:
                if self._observe is not None:
                    self._observe(verb, resource.plural, status, time.monotonic() - started)
        return answer


def _text(call: str, answer: Answer) -> bytes:
    """The body of a response as it is, or the error that the response stands for."""
    if answer.status >= 300:
        _decode(call, answer)
    return answer.body


def _decode(call: str, answer: Answer) -> Object:
    """The object in a response, or the error that the response stands for."""
    try:
        body = from_json(answer.body) if answer.body else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        start = answer.body[:200].decode(errors="replace")
        if answer.status < 300:  # something between us and the API server answered
            raise Unavailable(f"{call}: the answer is not a JSON object: {start!r}", status=answer.status)
        body = {"message": start}
    if answer.status < 300:
        return body
    retry_after = parse_retry_after(answer.headers.get("Retry-After"))
    raise from_status(answer.status, body, call=call, retry_after=retry_after)
