"""What is known of the claims that waiting jobs name: read when a job comes to wait, and again while it waits."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from loadstar.api.claims import observe_bound, observe_unbound, volume_name
from loadstar.clients.errors import ClientError, Forbidden, NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import CLAIMS, VOLUMES
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.core.jobs import Job
from loadstar.core.volumes import Presence, Volume

log = logging.getLogger(__name__)

REREAD_SECONDS = 5.0
CLAIMS_PER_SECOND = 50.0
"""A claim is read again after this many seconds; later where so many wait that they would be more per second."""
READERS = 8


@dataclass(slots=True)
class ClaimWatch:
    """Reads claims and their volumes, and wakes the cycle when what it knows of them changed.

    A job whose claims are not read yet waits for that. Of a claim that the operator may not read nothing is known:
    it counts as one that any node can mount.
    """

    kube: Kube
    caches: Caches
    board: Board
    clock: Callable[[], float]
    _known: dict[Key, tuple[Volume, float]] = field(default_factory=dict)
    """By namespace and claim, with when it was read."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    def volumes_of(self, job: Job) -> tuple[Volume, ...] | None:
        """What is known of all claims of a waiting job; None where one is yet to be read, which is then done."""
        found = [self._known.get((job.namespace, claim)) for claim in job.claims]
        if None in found:
            self._asked.set()
            return None
        return tuple(seen[0] for seen in found if seen is not None)

    async def run(self) -> None:
        """Read what waiting jobs name, until cancelled."""
        while True:
            self._asked.clear()
            wanted = self._wanted()
            for key in self._known.keys() - wanted:
                del self._known[key]
            rest = max(REREAD_SECONDS, len(wanted) / CLAIMS_PER_SECOND)
            await self._read_due(wanted, rest)
            try:
                await asyncio.wait_for(self._asked.wait(), rest if wanted else None)
            except TimeoutError:
                continue

    def _wanted(self) -> set[Key]:
        tracked = (self.caches.jobs.get(key) for key in self.board.waiting)
        jobs = (it.job for it in tracked if it is not None and it.job is not None)
        return {(job.namespace, claim) for job in jobs for claim in job.claims}

    async def _read_due(self, wanted: set[Key], interval: float) -> None:
        now = self.clock()
        due = [
            key for key in sorted(wanted) if key not in self._known or now - self._known[key][1] >= interval
        ]
        turn = asyncio.Semaphore(READERS)

        async def read(key: Key) -> bool:
            async with turn:
                return await self._read(key)

        if any(await asyncio.gather(*(read(key) for key in due))):
            self.board.capacity_changed()

    async def _read(self, key: Key) -> bool:
        """Read one claim; whether anything is known now that was not before."""
        before = self._known.get(key)
        try:
            volume = await self._seen(*key)
        except Forbidden as error:
            volume = Volume(key[1])
            if before is None:
                log.warning("%s/%s may be placed where its claim can't be mounted: %s", *key, error)
        except ClientError as error:
            log.warning("the claim %s/%s could not be read, again in some seconds: %s", *key, error)
            return False
        self._known[key] = (volume, self.clock())
        return before is None or before[0] != volume

    async def _seen(self, namespace: str, name: str) -> Volume:
        try:
            claim = await self.kube.get(CLAIMS, name, namespace)
        except NotFound:
            return Volume(name, Presence.MISSING)
        volume = volume_name(claim)
        if not volume:
            return observe_unbound(claim)
        try:
            return observe_bound(claim, await self.kube.get(VOLUMES, volume))
        except NotFound:
            return Volume(name, Presence.LOST)
