"""The Lease in virtual time, against a store that keeps it as the API server does."""

import asyncio
from typing import Any, cast

import pytest

from loadstar.clients.errors import AlreadyExists, Conflict, NotFound, Unavailable
from loadstar.clients.kube import Kube, Object
from loadstar.clients.resources import Resource
from loadstar.controller.election import Election, LeadershipLost, Terms

pytestmark = pytest.mark.looptime

TERMS = Terms("loadstar-system")


class Store:
    """One Lease with optimistic locking; `away` makes every call fail, `silent` makes it hang."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.version = 0
        self.away = False
        self.silent = False

    async def get(self, _: Resource, name: str, __: str) -> Object:
        await self._reach()
        if self.lease is None:
            raise NotFound(name, status=404)
        return self.lease

    async def create(self, _: Resource, body: Object, __: str) -> Object:
        await self._reach()
        if self.lease is not None:
            raise AlreadyExists(body["metadata"]["name"], status=409)
        return self._store(body)

    async def replace(self, _: Resource, body: Object, __: str) -> Object:
        await self._reach()
        if (
            self.lease is None
            or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]
        ):
            raise Conflict(body["metadata"]["name"], status=409)
        return self._store(body)

    async def _reach(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("away")

    def _store(self, body: Object) -> Object:
        self.version += 1
        self.lease = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        return self.lease

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return dict(self.lease["spec"])


@pytest.fixture
def store() -> Store:
    return Store()


def candidate(store: Store, identity: str) -> Election:
    return Election(cast(Kube, store), TERMS, identity, clock=lambda: asyncio.get_running_loop().time())


async def lead(election: Election) -> None:
    await election.acquire()
    await election.hold()


async def killed(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_new_lease_is_taken_at_once(store: Store) -> None:
    await candidate(store, "a").acquire()
    assert now() == 0
    assert (store.spec["holderIdentity"], store.spec["leaseTransitions"]) == ("a", 0)


async def test_a_holder_keeps_the_lease_for_as_long_as_it_lives(store: Store) -> None:
    first, second = (asyncio.create_task(lead(candidate(store, name))) for name in "ab")
    await asyncio.sleep(3600)
    assert store.spec["holderIdentity"] == "a"
    assert not first.done()
    await killed(first)
    await killed(second)


@pytest.mark.parametrize("after", [10.0, 10.7, 11.5, 11.99])
async def test_a_killed_holder_is_followed_within_fifteen_seconds(store: Store, after: float) -> None:
    first = asyncio.create_task(lead(candidate(store, "a")))
    await asyncio.sleep(0.3)
    second = asyncio.create_task(candidate(store, "b").acquire())
    await asyncio.sleep(after)
    await killed(first)
    died = now()
    await second
    assert now() - died <= 15
    assert (store.spec["holderIdentity"], store.spec["leaseTransitions"]) == ("b", 1)


async def test_a_holder_without_an_api_server_stops_before_anybody_can_follow_it(store: Store) -> None:
    holder = asyncio.create_task(lead(candidate(store, "a")))
    await asyncio.sleep(10)
    store.away = True
    with pytest.raises(LeadershipLost, match="could not be renewed for 8 s"):
        await holder
    assert now() - 10 < TERMS.duration


async def test_a_renewal_that_hangs_does_not_outlast_the_lease(store: Store) -> None:
    holder = asyncio.create_task(lead(candidate(store, "a")))
    await asyncio.sleep(10.5)
    store.silent = True
    with pytest.raises(LeadershipLost):
        await holder
    assert now() == pytest.approx(10 + TERMS.renew)


async def test_a_short_absence_of_the_api_server_costs_nothing(store: Store) -> None:
    holder = asyncio.create_task(lead(candidate(store, "a")))
    await asyncio.sleep(10)
    store.away = True
    await asyncio.sleep(5)
    store.away = False
    await asyncio.sleep(60)
    assert not holder.done()
    await killed(holder)


async def test_a_holder_that_finds_another_in_its_place_stops(store: Store) -> None:
    holder = asyncio.create_task(lead(candidate(store, "a")))
    await asyncio.sleep(10)
    assert store.lease is not None
    store._store(store.lease | {"spec": store.spec | {"holderIdentity": "b"}})
    with pytest.raises(LeadershipLost, match="taken by b"):
        await holder


async def test_the_holders_own_duration_counts_for_those_who_wait(store: Store) -> None:
    patient = Terms("loadstar-system", duration=60, renew=8, retry=2)
    clock = lambda: asyncio.get_running_loop().time()  # noqa: E731
    await Election(cast(Kube, store), patient, "a", clock).acquire()
    await candidate(store, "b").acquire()
    assert now() >= 60
