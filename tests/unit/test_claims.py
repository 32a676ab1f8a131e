"""What waiting jobs name is read when they come, and again while they wait; others are not read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from loadstar.clients.errors import Forbidden, NotFound, Unavailable
from loadstar.clients.resources import CLAIMS, VOLUMES, Resource
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches
from loadstar.controller.claims import REREAD_SECONDS, ClaimWatch
from loadstar.core.jobs import Job
from loadstar.core.volumes import Presence, Volume
from tests.contract.jobs import UID
from tests.unit import raw
from tests.unit.raw import KEY

pytestmark = pytest.mark.looptime

BOUND = {"metadata": {"name": "data"}, "spec": {"volumeName": "pv-1", "accessModes": ["ReadWriteOnce"]}}
SHARED = {"metadata": {"name": "pv-1"}, "spec": {"accessModes": ["ReadWriteMany"]}}


@dataclass
class Server:
    """Holds claims and volumes by name; an exception in place of one is raised."""

    claims: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Any] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    async def get(self, resource: Resource, name: str, _namespace: str = "") -> Any:
        held = {CLAIMS: self.claims, VOLUMES: self.volumes}[resource]
        self.reads.append(name)
        await asyncio.sleep(0.01)
        found = held.get(name, NotFound(f"{name} not found"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Stage:
    """One job that mounts the claim `data`, and whether it waits."""

    server: Server
    board: Board = field(default_factory=Board)
    caches: Caches = field(default_factory=Caches)

    def __post_init__(self) -> None:
        self.caches.put_job(raw.job(trainer={"volumes": [{"claim": "data", "mountPath": "/data"}]}))
        clock = asyncio.get_running_loop().time
        self.watch = ClaimWatch(cast(Any, self.server), self.caches, self.board, clock)

    @property
    def job(self) -> Job:
        job = self.caches.jobs[KEY].job
        assert job is not None
        return job

    async def known(self) -> tuple[Volume, ...] | None:
        """What is known a moment after the cycle looked at the waiting job."""
        self.board.want(KEY, UID)
        self.watch.volumes_of(self.job)
        self.board.wake.clear()
        await asyncio.sleep(0.1)
        return self.watch.volumes_of(self.job)


@asynccontextmanager
async def stage(server: Server) -> AsyncIterator[Stage]:
    on = Stage(server)
    running = asyncio.create_task(on.watch.run())
    try:
        yield on
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_claim_is_read_with_its_volume_and_the_cycle_is_woken() -> None:
    async with stage(Server({"data": BOUND}, {"pv-1": SHARED})) as on:
        assert on.watch.volumes_of(on.job) is None
        assert await on.known() == (Volume("data"),)
        assert on.board.wake.is_set()
        assert on.server.reads == ["data", "pv-1"]


async def test_what_is_not_there_is_known_as_such() -> None:
    async with stage(Server()) as on:
        assert await on.known() == (Volume("data", Presence.MISSING),)
    async with stage(Server({"data": BOUND})) as on:
        assert await on.known() == (Volume("data", Presence.LOST),)


async def test_a_claim_that_comes_while_its_job_waits_wakes_the_cycle() -> None:
    async with stage(Server()) as on:
        await on.known()
        on.server.claims["data"] = {"metadata": {"name": "data"}}
        on.board.wake.clear()
        await asyncio.sleep(REREAD_SECONDS)
        assert on.watch.volumes_of(on.job) == (Volume("data"),)
        assert on.board.wake.is_set()


async def test_a_claim_that_stays_as_it_is_wakes_nobody() -> None:
    async with stage(Server()) as on:
        await on.known()
        on.board.wake.clear()
        await asyncio.sleep(3 * REREAD_SECONDS)
        assert len(on.server.reads) > 1
        assert not on.board.wake.is_set()


async def test_nothing_is_read_for_jobs_that_do_not_wait() -> None:
    async with stage(Server()) as on:
        await on.known()
        on.board.leave(KEY)
        await asyncio.sleep(REREAD_SECONDS)
        on.server.reads.clear()
        await asyncio.sleep(10 * REREAD_SECONDS)
        assert on.server.reads == []
        assert on.watch.volumes_of(on.job) is None, "what was known is out of date by now"


async def test_an_api_server_that_is_away_changes_nothing_that_is_known() -> None:
    async with stage(Server({"data": BOUND}, {"pv-1": SHARED})) as on:
        before = await on.known()
        on.server.claims["data"] = Unavailable("connection refused")
        await asyncio.sleep(2 * REREAD_SECONDS)
        assert on.watch.volumes_of(on.job) == before


async def test_a_claim_that_could_not_be_read_yet_is_read_when_that_works_again() -> None:
    async with stage(Server({"data": Unavailable("connection refused")})) as on:
        assert await on.known() is None
        on.server.claims["data"] = {"metadata": {"name": "data"}}
        await asyncio.sleep(REREAD_SECONDS + 1)
        assert on.watch.volumes_of(on.job) == (Volume("data"),)


async def test_a_claim_that_may_not_be_read_keeps_no_job_waiting() -> None:
    async with stage(Server({"data": BOUND}, {"pv-1": Forbidden("may not get persistentvolumes")})) as on:
        assert await on.known() == (Volume("data"),)
