"""Where the reconciler and the scheduling cycle meet: who waits for a placement, and what the cycle offers them."""

import asyncio
from dataclasses import dataclass, field

from loadstar.controller.caches import Caches, Key
from loadstar.controller.underway import Underway
from loadstar.core.jobs import Job, Placement
from loadstar.core.plan import Offer
from loadstar.core.preemption import Eviction


@dataclass(slots=True)
class Board:
    """`waiting` is kept by the reconciler, `offers` (by job uid) by the cycle; `wake` asks for a cycle.

    `underway` are those that were launched, whose status does not tell yet how far their pods are.
    """

    waiting: dict[Key, str] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    underway: Underway = field(default_factory=Underway)
    evictions: dict[str, Eviction] = field(default_factory=dict)
    """By the uid of the job whose gang is to be ended for another one."""

    def want(self, key: Key, uid: str) -> None:
        """A job waits for nodes; the cycle is woken when it is new to it."""
        if self.waiting.get(key) != uid:
            self.leave(key)  # another job of that name, which is gone
            self.waiting[key] = uid
            self.wake.set()

    def leave(self, key: Key) -> None:
        """A job does not wait (any more). An offer it did not take is given back, which may help others."""
        uid = self.waiting.pop(key, None)
        if uid is not None and self.offers.pop(uid, None) is not None:
            self.capacity_changed()

    def take(self, uid: str) -> None:
        """A job's state now holds the placement that was offered to it."""
        self.offers.pop(uid, None)
        self.underway.launching()

    def capacity_changed(self) -> None:
        """Something may fit now that did not before."""
        if self.waiting:
            self.wake.set()

    def assumed(self, caches: Caches) -> list[tuple[Job, Placement]]:
        """Placements offered and not yet taken: they count as if their pods were there."""
        found = []
        for key, uid in self.waiting.items():
            offer, tracked = self.offers.get(uid), caches.jobs.get(key)
            if offer is None or tracked is None or tracked.job is None or tracked.uid != uid:
                continue
            if isinstance(offer.outcome, Placement):
                found.append((tracked.job, offer.outcome))
        return found
