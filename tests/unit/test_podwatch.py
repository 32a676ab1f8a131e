"""The watch of pods against a local HTTP server that plays the API server on its bad days."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadstar.clients.connection import connect
from loadstar.clients.errors import Expired, Forbidden, Unavailable
from loadstar.clients.kube import Kube
from loadstar.clients.resources import PODS
from loadstar.clients.watching import watch
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.podwatch import PodWatch
from loadstar.controller.relist import Relist
from loadstar.controller.workqueue import WorkQueue
from tests.unit import raw
from tests.unit.local_server import Handler, kubeconfig, serving

Open = Callable[[Handler], AbstractAsyncContextManager[Kube]]


@pytest.fixture
def client(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def start(handler: Handler) -> AsyncIterator[Kube]:
        async with serving(handler) as server, Kube(await connect(str(kubeconfig(tmp_path, server)))) as kube:
            yield kube

    return start


def change(type_: str, body: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": body}).encode() + b"\n"


EXPIRED = change("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


def pod(rank: int, version: int) -> dict[str, Any]:
    return raw.pod(rank, version)


async def streamed(request: web.Request, *parts: bytes) -> web.StreamResponse:
    """A watch's answer, part by part."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    for part in parts:
        await answer.write(part)
        await asyncio.sleep(0)
    return answer


# --- the stream --------------------------------------------------------------------------------------------------


async def test_changes_come_in_order_also_where_they_arrive_in_pieces(client: Open) -> None:
    text = change("ADDED", pod(0, 20)) + change("MODIFIED", pod(0, 21)) + change("DELETED", pod(0, 22))

    async def pieces(request: web.Request) -> web.StreamResponse:
        assert (request.query["watch"], request.query["resourceVersion"]) == ("1", "19")
        return await streamed(request, text[:30], text[30:500], text[500:])

    async with client(pieces) as kube:
        seen = [(it.type, it.version) async for it in watch(kube.connection, PODS, "19")]
    assert seen == [("ADDED", "20"), ("MODIFIED", "21"), ("DELETED", "22")]


async def test_a_version_that_is_too_old_is_told_as_such_also_in_the_middle_of_a_watch(client: Open) -> None:
    async def expires(request: web.Request) -> web.StreamResponse:
        return await streamed(request, EXPIRED)

    async with client(expires) as kube:
        with pytest.raises(Expired, match="too old"):
            _ = [it async for it in watch(kube.connection, PODS, "19")]


async def test_a_watch_that_is_refused_says_why(client: Open) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"reason": "Forbidden", "message": "no pods for you"}, status=403)

    async with client(refuse) as kube:
        with pytest.raises(Forbidden, match="no pods for you"):
            _ = [it async for it in watch(kube.connection, PODS, "19")]


@pytest.mark.parametrize("rubbish", [b"<html>\n", b'{"kind":"Pod"}\n', b"[]\n"])
async def test_what_is_no_change_ends_the_watch(client: Open, rubbish: bytes) -> None:
    async def talk(request: web.Request) -> web.StreamResponse:
        return await streamed(request, rubbish)

    async with client(talk) as kube:
        with pytest.raises(Unavailable, match="not a change"):
            _ = [it async for it in watch(kube.connection, PODS, "19")]


# --- the index ---------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """Lists pods at a version, and answers watches from a script; when that is over, they stay silent."""

    lists: list[tuple[int, list[dict[str, Any]]]]
    watches: list[list[bytes]]
    asked: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            version, items = self.lists.pop(0)
            return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": items})
        self.asked.append(request.query["resourceVersion"])
        if self.watches:
            return await streamed(request, *self.watches.pop(0))
        self.over.set()
        return await streamed(request, b"")

    async def play(self, client: Open) -> Caches:
        """What a pod watch knows when the script is over."""
        caches, queue, board = Caches(), WorkQueue[Key](), Board()
        async with client(self.answer) as kube:
            relist = Relist(kube, caches, queue, board, frozenset())
            running = asyncio.create_task(PodWatch(kube, caches, queue, board, relist).run())
            over = asyncio.create_task(self.over.wait())
            await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
            running.cancel()
            await asyncio.wait({running})
            assert running.cancelled(), running.exception()
        return caches


def names(caches: Caches) -> list[str]:
    return sorted(name for _, name in caches.pods)


async def test_pods_are_followed_from_a_full_list_on(client: Open) -> None:
    server = Server([(20, [pod(0, 20)])], [[change("ADDED", pod(1, 21)), change("DELETED", pod(0, 22))]])
    caches = await server.play(client)
    assert (names(caches), server.asked) == (["iris-1-1"], ["20", "22"])


async def test_bookmarks_only_say_where_to_go_on(client: Open) -> None:
    bookmark = change("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "30"}})
    server = Server([(20, [pod(0, 20)])], [[bookmark]])
    caches = await server.play(client)
    assert (names(caches), server.asked) == (["iris-1-0"], ["20", "30"])


async def test_where_a_watch_can_not_go_on_a_list_tells_what_is_there_and_what_is_gone(client: Open) -> None:
    server = Server([(20, [pod(0, 20)]), (40, [pod(1, 35)])], [[EXPIRED]])
    caches = await server.play(client)
    assert (names(caches), server.asked) == (["iris-1-1"], ["20", "40"])


async def test_a_watch_that_breaks_goes_on_where_it_was(client: Open) -> None:
    server = Server([(20, [])], [[change("ADDED", pod(0, 21)), b"<html>\n"], [change("ADDED", pod(1, 22))]])
    caches = await server.play(client)
    assert (names(caches), server.asked) == (["iris-1-0", "iris-1-1"], ["20", "21", "22"])


async def test_a_pod_that_can_not_be_read_does_not_blind_the_operator_to_others(client: Open) -> None:
    strange = {"metadata": {"resourceVersion": "21"}}
    server = Server([(20, [])], [[change("ADDED", strange), change("ADDED", pod(1, 22))]])
    assert names(await server.play(client)) == ["iris-1-1"]
