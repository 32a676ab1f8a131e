"""Events against a local HTTP server that keeps what it is sent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadstar.clients.connection import connect
from loadstar.clients.kube import Kube, Limits
from loadstar.clients.retry import Retry
from loadstar.controller.events import BACKLOG, Events
from loadstar.core.decisions import Event
from tests.unit.local_server import kubeconfig, serving

KEY = ("team-a", "iris")
PLACED = Event("Placed", "on gpu-1")


class Api:
    """Keeps Events by name; `refuses` is a status code to answer with instead."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.refuses = 0

    async def handle(self, request: web.Request) -> web.Response:
        if self.refuses:
            return web.json_response({"message": "no"}, status=self.refuses)
        body = await request.json()
        if request.method == "POST":
            self.events[body["metadata"]["name"]] = body
            return web.json_response(body, status=201)
        name = request.path.rpartition("/")[2]
        if name not in self.events:
            return web.json_response({"reason": "NotFound"}, status=404)
        self.events[name] |= body
        return web.json_response(self.events[name])


class Teller:
    """The Events under test, with a clock to set and a count of what was lost."""

    def __init__(self, kube: Kube) -> None:
        self.now = 1_700_000_000.0
        self.lost = 0
        self._events = Events(kube, "pod-1", lambda: self.now, self._lose)

    def _lose(self) -> None:
        self.lost += 1

    def tell(self, event: Event, uid: str = "u1") -> None:
        self._events.tell(KEY, uid, event)

    async def written(self, *events: Event, uid: str = "u1") -> None:
        for event in events:
            self.tell(event, uid)
        await self._events.drain()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def teller(api: Api, tmp_path: Path) -> AsyncIterator[Teller]:
    async with serving(api.handle) as server:
        limits = Limits(retry=Retry(attempts=1))
        async with Kube(await connect(str(kubeconfig(tmp_path, server))), limits=limits) as kube:
            yield Teller(kube)


async def test_an_event_names_the_job_and_what_happened(api: Api, teller: Teller) -> None:
    await teller.written(Event("Failed", "rank 1 ended with exit code 1", warning=True))
    (event,) = api.events.values()
    assert event["regarding"] == {
        "apiVersion": "loadstar.dev/v1alpha1",
        "kind": "TrainingJob",
        "namespace": "team-a",
        "name": "iris",
        "uid": "u1",
    }
    assert (event["type"], event["reason"], event["note"]) == (
        "Warning",
        "Failed",
        "rank 1 ended with exit code 1",
    )
    assert event["eventTime"] == "2023-11-14T22:13:20.000000Z"


async def test_the_same_event_soon_after_counts_up_the_first(api: Api, teller: Teller) -> None:
    await teller.written(PLACED)
    teller.now += 599
    await teller.written(PLACED, PLACED)
    (event,) = api.events.values()
    assert event["series"] == {"count": 3, "lastObservedTime": "2023-11-14T22:23:19.000000Z"}


@pytest.mark.parametrize(
    ("other", "uid"),
    [
        pytest.param(Event("Placed", "on gpu-2"), "u1", id="another message"),
        pytest.param(Event("Running", "on gpu-1"), "u1", id="another reason"),
        pytest.param(Event("Placed", "on gpu-1", warning=True), "u1", id="another type"),
        pytest.param(PLACED, "u2", id="another job of that name"),
    ],
)
async def test_a_different_event_is_one_of_its_own(api: Api, teller: Teller, other: Event, uid: str) -> None:
    await teller.written(PLACED)
    await teller.written(other, uid=uid)
    assert len(api.events) == 2


async def test_the_same_event_much_later_is_one_of_its_own(api: Api, teller: Teller) -> None:
    await teller.written(PLACED)
    teller.now += 601
    await teller.written(PLACED)
    assert len(api.events) == 2


async def test_an_event_that_the_server_forgot_is_made_again(api: Api, teller: Teller) -> None:
    await teller.written(PLACED)
    api.events.clear()
    await teller.written(PLACED)
    assert len(api.events) == 1


async def test_a_long_message_with_escape_sequences_is_cut_and_made_plain(api: Api, teller: Teller) -> None:
    await teller.written(Event("Failed", "\x1b[31mred\n\u202etext\x00 " + "ü" * 2000))
    (event,) = api.events.values()
    assert event["note"].startswith("[31mred text ü")
    assert event["note"].endswith("ü…")
    assert 1022 <= len(event["note"].encode()) <= 1024


async def test_an_event_that_cannot_be_written_is_lost_and_counted(api: Api, teller: Teller) -> None:
    api.refuses = 403
    await teller.written(PLACED)
    assert teller.lost == 1


async def test_telling_more_than_can_wait_loses_the_newest(teller: Teller) -> None:
    for number in range(BACKLOG + 3):
        teller.tell(Event("Placed", str(number)))
    assert teller.lost == 3
