"""The scheduling cycle: whenever somebody waits and something changed, one plan for all who wait."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from loadstar.controller import capacity
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.queueing import QueueWatch
from loadstar.controller.workqueue import WorkQueue
from loadstar.core.commitments import Commitment
from loadstar.core.health import Health
from loadstar.core.jobs import Job, Placement, Policy
from loadstar.core.plan import Loads, Offer, Turn, plan
from loadstar.core.volumes import Volume

log = logging.getLogger(__name__)

PACE = 2.0
"""A cycle is followed by a pause of this many times its own length, so that a long queue can't take all of the CPU."""
STEADY_SECONDS = 5.0
STEADY_SHARE = 0.1
"""An estimated start is told anew when it moves by this much, or by this share of the time until then."""
ECHO_SECONDS = 2.0
ECHOES_PER_SECOND = 50.0
"""A waiting job's status follows changes of its place in the queue after this delay, and at most at this rate."""


@dataclass(slots=True)
class Cycle:
    """Plans for the jobs on the board. `loads` gives what is known of load at the moment of asking, `commitments` what
    is decided or over and not to be seen there yet.

    `volumes` gives what is known of a job's claims; a job for which it is None is left out until it is known.
    """

    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    loads: Callable[[], Loads]
    commitments: Callable[[], list[Commitment]]
    volumes: Callable[[Job], tuple[Volume, ...] | None]
    books: QueueWatch
    clock: Callable[[], float]
    observe: Callable[[float, dict[str, Offer]], None]
    """(seconds, offers), told of each cycle."""
    vitals: Callable[[], Mapping[str, Health]] = dict
    """How nodes' GPUs are, of those of which it is known."""
    _turn: Turn | None = field(default=None)

    async def run(self) -> None:
        """Plan whenever woken, until cancelled."""
        while True:
            await self.board.wake.wait()
            self.board.wake.clear()
            started = time.perf_counter()
            offers = self.plan_once()
            taken = time.perf_counter() - started
            self.observe(taken, offers)
            await asyncio.sleep(PACE * taken)

    def plan_once(self) -> dict[str, Offer]:
        """One cycle over all who wait and have no placement offered yet; the offers are on the board afterwards."""
        waiting = self._waiting()
        if not waiting:
            return {}
        assumed = self.board.assumed(self.caches)
        offers = plan(
            (job for _, job in waiting),
            capacity.snapshot(self.caches, assumed, self.vitals()),
            self.commitments(),
            self.loads(),
            self._round_robin(),
            self.clock(),
            self.books.queues(),
        )
        self._evict(offers.values())
        echo = max(ECHO_SECONDS, len(waiting) / ECHOES_PER_SECOND)
        for key, job in waiting:
            self._publish(key, job, offers[job.uid], echo)
        return offers

    def _waiting(self) -> list[tuple[Key, Job]]:
        found = []
        for key, uid in self.board.waiting.items():
            tracked, offer = self.caches.jobs.get(key), self.board.offers.get(uid)
            asked = self.books.job_of(tracked) if tracked is not None else None
            if tracked is None or asked is None or tracked.uid != uid:
                continue
            if offer is not None and isinstance(offer.outcome, Placement):
                continue
            job = self._with_volumes(asked)
            if job is not None:
                found.append((key, job))
        return found

    def _with_volumes(self, job: Job) -> Job | None:
        if not job.claims:
            return job
        volumes = self.volumes(job)
        return None if volumes is None else replace(job, volumes=volumes)

    def _publish(self, key: Key, job: Job, offer: Offer, echo: float) -> None:
        before = self.board.offers.get(job.uid)
        offer = _steady(offer, before, self.clock())
        self.board.offers[job.uid] = offer
        if before is None or isinstance(offer.outcome, Placement):
            self.queue.add(key, urgent=True)
        elif offer != before:
            self.queue.add_after(key, echo)

    def _evict(self, offers: Iterable[Offer]) -> None:
        """Have those gangs ended that a job of higher priority gets the nodes of."""
        ended = {eviction.uid: eviction for offer in offers for eviction in offer.evictions}
        self.board.evictions |= ended
        for key, tracked in self.caches.jobs.items() if ended else ():
            if tracked.uid in ended:
                self.queue.add(key, urgent=True)

    def _round_robin(self) -> Turn:
        """Where round robin stands; after a restart, from the last such placement in any status."""
        if self._turn is None:
            last = max(
                (
                    (tracked.state.placement.decided_at, tracked.state.placement.ranks[-1].node)
                    for tracked in self.caches.jobs.values()
                    if tracked.state.placement and tracked.state.placement.policy is Policy.ROUND_ROBIN
                ),
                default=(0.0, None),
            )
            self._turn = Turn(last[1])
        return self._turn


def _steady(offer: Offer, before: Offer | None, now: float) -> Offer:
    """The offer with the start that was told before, where the new estimate hardly differs: not each is news."""
    if before is None or before.starts_at is None or offer.starts_at is None:
        return offer
    moved = abs(offer.starts_at - before.starts_at)
    if before.starts_at > now and moved <= max(STEADY_SECONDS, STEADY_SHARE * (before.starts_at - now)):
        return replace(offer, starts_at=before.starts_at)
    return offer
