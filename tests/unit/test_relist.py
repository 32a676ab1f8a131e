"""When everything is listed, and when every job is looked at. In virtual time, with an API server that has nothing."""

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from loadstar.clients.kube import Kube
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.relist import HEARTBEAT, SETTLING_SECONDS, SLICE_SECONDS, Relist
from loadstar.controller.workqueue import WorkQueue
from tests.unit import raw

Json = dict[str, Any]
Listing = tuple[list[Json], str]

pytestmark = pytest.mark.looptime

RESYNC, RELIST = 45.0, 600.0


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Listed:
    """Stands where the Kubernetes client does: lists hold `jobs`, and when each list was asked for is noted."""

    jobs: list[Json] = field(default_factory=list)
    at: dict[str, list[float]] = field(default_factory=dict)

    async def list(self, resource: Any) -> list[Json]:
        self.at.setdefault(resource.plural, []).append(round(now(), 3))
        return self.jobs if resource.plural == "trainingjobs" else []

    async def list_with_version(self, resource: Any) -> Listing:
        return await self.list(resource), "1"


async def running_for(seconds: float, jobs: int) -> tuple[Listed, list[tuple[Key, float]]]:
    """What was listed when, and which keys came up when."""
    listed = Listed([named(raw.job(uid=f"uid-{number}"), f"iris-{number}") for number in range(jobs)])
    caches, queue = Caches(), WorkQueue[Key]()
    for body in listed.jobs:
        caches.put_job(body)
    relist = Relist(cast(Kube, listed), caches, queue, Board(), frozenset(), now)
    looks: list[tuple[Key, float]] = []

    async def look() -> None:
        while True:
            key = await queue.get()
            looks.append((key, now()))
            queue.done(key)

    tasks = [asyncio.create_task(relist.run(RESYNC, RELIST)), asyncio.create_task(look())]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    return listed, looks


def named(body: Json, name: str) -> Json:
    return {**body, "metadata": {**body["metadata"], "name": name}}


async def test_all_is_listed_soon_after_the_start_and_then_in_its_own_rhythm() -> None:
    listed, _ = await running_for(2 * RELIST + 120, jobs=1)
    for at in listed.at.values():
        assert at[:2] == list(SETTLING_SECONDS)
        rhythm = [later - earlier for earlier, later in pairwise(at[1:])]
        assert len(rhythm) == 2
        assert all(RELIST <= pause <= RELIST + RESYNC for pause in rhythm)


async def test_every_job_is_looked_at_once_in_each_round() -> None:
    _, looks = await running_for(SETTLING_SECONDS[-1] + 4.9 * RESYNC, jobs=30)
    times: dict[Key, list[float]] = {}
    for key, at in looks:
        times.setdefault(key, []).append(at)
    assert len(times) == 31  # and the sign of life
    for looked_at in times.values():
        pauses = [later - earlier for earlier, later in pairwise(looked_at[2:])]
        assert len(pauses) >= 2
        assert pauses == pytest.approx([RESYNC] * len(pauses))


async def test_many_jobs_are_looked_at_a_few_at_a_time() -> None:
    _, looks = await running_for(SETTLING_SECONDS[0] + RESYNC, jobs=2000)
    moments: dict[float, int] = {}
    for key, at in looks:
        if key != HEARTBEAT:
            moments[at] = moments.get(at, 0) + 1
    assert sum(moments.values()) >= 2000
    assert max(moments.values()) <= 2000 / (RESYNC / 2 / SLICE_SECONDS) + 1


async def test_what_a_watch_told_while_a_list_was_read_is_newer_than_the_list() -> None:
    caches = Caches()
    classes = {name: {"metadata": {"name": name}, "value": 1} for name in ("gone", "missed", "stays", "new")}
    for name in ("gone", "missed", "stays"):
        caches.put_priority_class(classes[name])

    class WhileListing(Listed):
        async def list(self, resource: Any) -> list[Json]:
            if resource.plural != "priorityclasses":
                return await super().list(resource)
            del caches.priorities["gone"]
            caches.put_priority_class({**classes["stays"], "value": 2})
            return [classes["gone"], classes["stays"], classes["new"]]

    relist = Relist(cast(Kube, WhileListing()), caches, WorkQueue[Key](), Board(), frozenset(), now)
    await relist.everything()
    assert {name: seen.value for name, seen in caches.priorities.items()} == {"stays": 2, "new": 1}
