"""How the active replica comes to an orderly end, whatever it is doing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from loadstar.main import Parts, _lead

pytestmark = pytest.mark.looptime


@dataclass
class Replica:
    """Stands in for the operator and the election: each thing it is asked for takes its time (seconds)."""

    prime_seconds: float = 0.0
    drain_seconds: float = 0.0
    done: list[str] = field(default_factory=list)

    @property
    def events(self) -> "Replica":
        return self

    async def prime(self, _: Any) -> None:
        await asyncio.sleep(self.prime_seconds)
        self.done.append("primed")

    def work(self, *_: Any) -> list[Any]:
        return [asyncio.sleep(1e9)]

    async def drain(self) -> None:
        await asyncio.sleep(self.drain_seconds)
        self.done.append("drained")

    async def hold(self) -> None:
        await asyncio.sleep(1e9)


@dataclass
class Reports:
    """Stands in for the progress endpoint of a replica."""

    replica: Replica

    async def prepare(self) -> None:
        self.replica.done.append("prepared")

    async def run(self) -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            self.replica.done.append("reports written")


async def lead(replica: Replica, reporting: Reports | None = None) -> list[str]:
    """The replica leads, and is told to stop after a second."""
    ends = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, ends.set)
    parts = Parts(operator=cast(Any, replica), reporting=cast(Any, reporting), election=cast(Any, replica))
    await _lead(cast(Any, None), parts, ends)
    return replica.done


async def test_events_that_were_told_are_written_before_the_end() -> None:
    assert await lead(Replica()) == ["primed", "drained"]


async def test_events_that_cannot_be_written_do_not_hold_up_the_end() -> None:
    assert await lead(Replica(drain_seconds=1e6)) == ["primed"]


async def test_a_replica_told_to_stop_before_it_has_seen_the_cluster_stops() -> None:
    assert await lead(Replica(prime_seconds=1e6)) == []


async def test_whom_pods_report_to_is_known_before_any_is_launched_and_the_last_report_is_written() -> None:
    replica = Replica()
    assert await lead(replica, Reports(replica)) == ["primed", "prepared", "reports written", "drained"]
