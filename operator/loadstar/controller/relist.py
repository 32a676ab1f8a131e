"""The whole truth from time to time: full lists, so that an event that was missed is not missed for ever."""

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from loadstar.api.cluster import observe_priority_class, observe_quota
from loadstar.clients.errors import ClientError, Forbidden
from loadstar.clients.kube import Kube
from loadstar.clients.resources import NODES, PODS, PRIORITY_CLASSES, QUOTAS, TRAINING_JOBS, Resource
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.handlers import note_job, note_pod
from loadstar.controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

HEARTBEAT: Final[Key] = ("", "")
"""Goes through the queue and the workers like a job, so that liveness is that of the whole path."""

SETTLING_SECONDS: Final = (2.0, 10.0)
"""From the start until everything is listed once more: Kopf's watches begin some moments after our first lists, on a
busy machine later, and of what went away in between no watch tells."""

SWEEP_SHARE: Final = 0.5
SLICE_SECONDS: Final = 0.05
"""A sweep takes this share of the time between two, in slices so far apart."""


@dataclass(frozen=True, slots=True)
class Relist:
    """Compares the caches with full lists; what was there before a list began and is not in it, is gone."""

    kube: Kube
    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    namespaces: frozenset[str]
    clock: Callable[[], float] = time.monotonic
    _listing_pods: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One list of pods at a time: what went since it began is remembered for one."""

    async def everything(self) -> None:
        """List nodes, jobs and pods. Raises what the client raises; NotFound means that the CRD is not installed."""
        await self._rules()
        await self._nodes()
        await self._jobs()
        await self.pods()  # after the jobs: a pod that a status speaks of is then there, unless it is gone
        self.board.capacity_changed()

    async def run(self, resync: float, relist: float) -> None:
        """Sweep every `resync` seconds and list every `relist` seconds, until cancelled; more often at the start."""
        settling = [self.clock() + seconds for seconds in SETTLING_SECONDS]
        listed_at = swept_at = self.clock()
        while True:
            due = swept_at + resync
            await asyncio.sleep(max(0.0, min([due, *settling]) - self.clock()))
            now = swept_at = self.clock()
            if now - listed_at >= relist or (settling and now >= settling[0]):
                settling = [moment for moment in settling if moment > now]
                listed_at = now
                await self._list_again()
            await self._sweep(SWEEP_SHARE * resync)

    async def _list_again(self) -> None:
        try:
            await self.everything()
        except ClientError as error:
            log.warning("the periodic list failed, the watches go on: %s", error)

    def sweep(self) -> None:
        """Have every job looked at, for what time alone changes, and a key of nobody's, as a sign of life."""
        self.queue.add(HEARTBEAT)
        self._look_at(list(self.caches.jobs))

    async def _sweep(self, seconds: float) -> None:
        """The same spread over up to that many seconds: nobody else waits for thousands of looks in a row."""
        self.queue.add(HEARTBEAT)
        keys = list(self.caches.jobs)
        slices = max(1, min(len(keys), round(seconds / SLICE_SECONDS)))
        for number in range(slices):
            await asyncio.sleep(SLICE_SECONDS)
            self._look_at(keys[number::slices])

    def _look_at(self, keys: list[Key]) -> None:
        for key in keys:
            if key not in self.board.underway:  # those whose pods are under way are looked at soon anyway
                self.queue.add(key)

    async def _rules(self) -> None:
        """Priorities and quotas; where they may not be read, there are none for the queue."""
        known = self.caches.priorities.copy()
        classes = [observe_priority_class(raw) for raw in await self._allowed(PRIORITY_CLASSES)]
        _compare(self.caches.priorities, known, {seen.name: seen for seen in classes})
        before = self.caches.quotas.copy()
        quotas = [observe_quota(raw) for raw in await self._allowed(QUOTAS)]
        _compare(self.caches.quotas, before, {(seen.namespace, seen.name): seen for seen in quotas})

    async def _allowed(self, resource: Resource) -> list[dict[str, Any]]:
        try:
            return await self.kube.list(resource)
        except Forbidden as error:
            log.warning("the queue goes without them: %s", error)
            return []

    async def _nodes(self) -> None:
        before = set(self.caches.nodes)
        listed = await self.kube.list(NODES)
        for raw in listed:
            self.caches.put_node(raw)
        for name in before - {raw["metadata"]["name"] for raw in listed}:
            self.caches.drop_node(name)

    async def pods(self) -> str:
        """List the pods; the resourceVersion to watch them from."""
        async with self._listing_pods:
            return await self._compare_pods()

    async def _compare_pods(self) -> str:
        self.caches.forget_gone()
        before = {key: seen.uid for key, seen in self.caches.pods.items()}
        present = set()
        listed, version = await self.kube.list_with_version(PODS)
        for raw in listed:
            metadata = raw["metadata"]
            present.add((metadata["namespace"], metadata["name"], metadata["uid"]))
            note_pod(False, raw, self.caches, self.queue, self.board)
        for (namespace, name), uid in before.items():
            seen = self.caches.pods.get((namespace, name))
            if (namespace, name, uid) not in present and seen is not None and seen.uid == uid:
                gone = {"metadata": {"namespace": namespace, "name": name, "uid": uid}}
                note_pod(True, gone, self.caches, self.queue, self.board)
        return version

    async def _jobs(self) -> None:
        before = {key: tracked.uid for key, tracked in self.caches.jobs.items()}
        present = set()
        for raw in await self.kube.list(TRAINING_JOBS):
            metadata = raw["metadata"]
            key = (metadata["namespace"], metadata["name"])
            if self.namespaces and key[0] not in self.namespaces:
                continue
            present.add((key, metadata["uid"]))
            if note_job(self.caches, raw):
                self.queue.add(key)
        for key, uid in before.items():
            if (key, uid) not in present:
                self.caches.drop_job(key, uid)
                self.queue.add(key)


def _compare(known: dict[K, V], before: dict[K, V], listed: dict[K, V]) -> None:
    """Make `known` what was listed, but for what watches have told of since it was as `before`, when the list began."""
    for key in before.keys() | listed.keys():
        if known.get(key) is not before.get(key):
            continue
        if key in listed:
            known[key] = listed[key]
        else:
            del known[key]
