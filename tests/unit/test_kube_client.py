"""The client against a local HTTP server that answers as the API server can at its worst."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadstar.clients.connection import connect
from loadstar.clients.errors import (
    AlreadyExists,
    ApiError,
    ConfigurationError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.resources import NODES, PODS, TRAINING_JOBS
from loadstar.clients.retry import Retry
from tests.unit.local_server import Handler, kubeconfig, serving

AT_ONCE = Retry(attempts=3, first=0.0)
Open = Callable[..., AbstractAsyncContextManager[Kube]]


@pytest.fixture
def client(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def start(
        handler: Handler, *, timeout: float = 5.0, concurrency: int = 32, **seams: Any
    ) -> AsyncIterator[Kube]:
        limits = Limits(concurrency=concurrency, timeout=timeout, retry=AT_ONCE)
        async with serving(handler) as server:
            path = kubeconfig(tmp_path, server)
            async with Kube(await connect(str(path)), limits=limits, **seams) as kube:
                yield kube

    return start


def status(code: int, reason: str = "", message: str = "", **headers: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code, headers=headers)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (422, "Invalid", Invalid),
        (400, "BadRequest", Invalid),
        (403, "Forbidden", Forbidden),
    ],
)
async def test_a_refusal_is_its_own_error_and_is_not_repeated(
    client: Open, code: int, reason: str, error: type[ApiError]
) -> None:
    calls = 0

    async def refuse(_: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return status(code, reason, "because")

    async with client(refuse) as kube:
        with pytest.raises(error, match=r"get /api/v1/namespaces/a/pods/p: .*because") as refusal:
            await kube.get(PODS, "p", "a")
    assert (calls, type(refusal.value), refusal.value.status, refusal.value.reason) == (
        1,
        error,
        code,
        reason,
    )


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_passing_trouble_is_met_by_asking_again(client: Open, code: int) -> None:
    answers = iter([status(code), status(code), web.json_response({"metadata": {"name": "p"}})])

    async def recover(_: web.Request) -> web.Response:
        return next(answers)

    async with client(recover) as kube:
        assert await kube.get(PODS, "p", "a") == {"metadata": {"name": "p"}}


async def test_a_lasting_trouble_ends_as_unavailable_with_the_servers_wish(client: Open) -> None:
    async def busy(_: web.Request) -> web.Response:
        return status(429, "TooManyRequests", "slow down", **{"Retry-After": "0"})

    async with client(busy) as kube:
        with pytest.raises(Unavailable, match="slow down") as refusal:
            await kube.get(PODS, "p", "a")
    assert refusal.value.retry_after == 0.0


async def test_a_longer_wait_than_patience_allows_is_left_to_the_caller(client: Open) -> None:
    calls = 0

    async def busy(_: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return status(503, **{"Retry-After": "3600"})

    async with client(busy) as kube:
        with pytest.raises(Unavailable) as refusal:
            await kube.get(PODS, "p", "a")
    assert (calls, refusal.value.retry_after) == (1, 3600.0)


async def test_a_server_that_does_not_answer_ends_as_unavailable(client: Open) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with client(hang, timeout=0.02) as kube:
        with pytest.raises(Unavailable, match=r"no answer within 0\.02 s"):
            await kube.get(PODS, "p", "a")


async def test_a_dropped_connection_ends_as_unavailable(client: Open) -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with client(drop) as kube:
        with pytest.raises(Unavailable):
            await kube.create(PODS, {"metadata": {"name": "p"}}, "a")


async def test_a_page_of_html_is_no_object(client: Open) -> None:
    async def portal(_: web.Request) -> web.Response:
        return web.Response(text="<html>Please log in</html>", content_type="text/html")

    async with client(portal) as kube:
        with pytest.raises(Unavailable, match="Please log in"):
            await kube.get(PODS, "p", "a")


async def test_a_list_is_read_page_by_page(client: Open) -> None:
    async def pages(request: web.Request) -> web.Response:
        assert request.query["limit"] == "500"
        assert request.query["labelSelector"] == "x=y"
        token = request.query.get("continue", "")
        items = {"": ["a", "b"], "second": ["c"]}[token]
        metadata = {"continue": "second"} if not token else {}
        return web.json_response(
            {"metadata": metadata, "items": [{"metadata": {"name": item}} for item in items]}
        )

    async with client(pages) as kube:
        listed = await kube.list(NODES, label_selector="x=y")
    assert [item["metadata"]["name"] for item in listed] == ["a", "b", "c"]


async def test_a_list_whose_token_expired_half_way_starts_again(client: Open) -> None:
    expired = False

    async def pages(request: web.Request) -> web.Response:
        nonlocal expired
        if "continue" not in request.query:
            return web.json_response({"metadata": {"continue": "t"}, "items": [{"n": 1}]})
        if not expired:
            expired = True
            return status(410, "Expired")
        return web.json_response({"metadata": {}, "items": [{"n": 2}]})

    async with client(pages) as kube:
        assert await kube.list(NODES) == [{"n": 1}, {"n": 2}]


async def test_deleting_what_is_gone_or_has_been_replaced_is_no_error(client: Open) -> None:
    answers = iter([status(404, "NotFound"), status(409, "Conflict"), web.json_response({})])
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return next(answers)

    async with client(answer) as kube:
        assert await kube.delete(PODS, "p", "a") is False
        assert await kube.delete(PODS, "p", "a", uid="u1") is False
        assert await kube.delete(PODS, "p", "a", uid="u2", grace_seconds=0) is True
    assert seen[1]["preconditions"] == {"uid": "u1"}
    assert (seen[2]["gracePeriodSeconds"], seen[2]["preconditions"]) == (0, {"uid": "u2"})


async def test_status_is_applied_as_one_field_owner(client: Open) -> None:
    async def apply(request: web.Request) -> web.Response:
        assert request.path == "/apis/loadstar.dev/v1alpha1/namespaces/a/trainingjobs/iris/status"
        assert (request.query["fieldManager"], request.query["force"]) == ("loadstar", "true")
        assert request.content_type == "application/apply-patch+yaml"
        return web.json_response(await request.json())

    body = {"metadata": {"name": "iris", "namespace": "a"}, "status": {"phase": "Queued"}}
    async with client(apply) as kube:
        applied = await kube.apply_status(TRAINING_JOBS, body, field_manager="loadstar")
    assert applied == {"apiVersion": "loadstar.dev/v1alpha1", "kind": "TrainingJob", **body}


async def test_a_create_without_a_name_is_refused_as_it_could_not_be_repeated(client: Open) -> None:
    async with client(answer_nothing) as kube:
        with pytest.raises(ValueError, match=r"metadata\.name"):
            await kube.create(PODS, {"metadata": {"generateName": "p-"}}, "a")


async def test_a_replaced_token_is_read_again_when_the_old_one_is_refused(
    client: Open, tmp_path: Path
) -> None:
    async def authenticate(request: web.Request) -> web.Response:
        known = request.headers["Authorization"] == "Bearer second"
        return web.json_response({"ok": True}) if known else status(401, "Unauthorized")

    async with client(authenticate) as kube:
        with pytest.raises(Unauthorized):
            await kube.get(NODES, "n")
        (tmp_path / "token").write_text("second")
        assert await kube.get(NODES, "n") == {"ok": True}


async def test_no_more_requests_are_in_flight_than_allowed(client: Open) -> None:
    flying = most = 0

    async def count(_: web.Request) -> web.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0)
        flying -= 1
        return web.json_response({})

    async with client(count, concurrency=3) as kube:
        await asyncio.gather(*(kube.get(NODES, f"n{number}") for number in range(20)))
    assert most <= 3


async def test_a_fault_before_the_call_is_met_like_a_real_one(client: Open) -> None:
    faults = iter([ConnectionResetError("injected"), None])
    seen: list[tuple[str, str]] = []

    async def before(verb: str, path: str) -> None:
        seen.append((verb, path))
        if (fault := next(faults)) is not None:
            raise fault

    async with client(answer_nothing, before_call=before) as kube:
        assert await kube.get(NODES, "n") == {}
    assert seen == [("get", "/api/v1/nodes/n")] * 2


async def test_an_answer_lost_after_the_write_landed_leads_to_already_exists(client: Open) -> None:
    answers = iter([web.json_response({}, status=201), status(409, "AlreadyExists")])

    async def create(_: web.Request) -> web.Response:
        return next(answers)

    async def lose(verb: str, path: str, code: int) -> None:
        if code == 201:
            raise ConnectionResetError("lost")

    async with client(create, after_call=lose) as kube:
        with pytest.raises(AlreadyExists):
            await kube.create(PODS, {"metadata": {"name": "p"}}, "a")


async def test_each_attempt_is_counted_by_verb_kind_and_code(client: Open) -> None:
    answers = iter([status(503), web.json_response({})])
    calls: list[tuple[str, str, int]] = []

    async def recover(_: web.Request) -> web.Response:
        return next(answers)

    async with client(
        recover, observe=lambda verb, plural, code, _: calls.append((verb, plural, code))
    ) as kube:
        await kube.get(PODS, "p", "a")
    assert calls == [("get", "pods", 503), ("get", "pods", 200)]


async def test_a_missing_kubeconfig_is_refused_with_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--kubeconfig"):
        await connect(str(tmp_path / "absent"))


@pytest.mark.parametrize("content", ["", "a: [", "current-context: x", "[]"])
async def test_a_broken_kubeconfig_is_refused_by_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=str(path)):
        await connect(str(path))


def test_an_object_of_a_namespaced_kind_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="needs a namespace"):
        PODS.path("p")
    assert NODES.path("n") == "/api/v1/nodes/n"
    assert PODS.path() == "/api/v1/pods"


async def answer_nothing(_: web.Request) -> web.Response:
    return web.json_response({})
