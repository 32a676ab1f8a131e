"""Writes progress into the cluster: the status of jobs, and their curves' points into a ConfigMap beside each.

Level-triggered like everything else: what is written is what is known at that moment, so of many reports only the
newest costs anything, and a write that failed is simply made again.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from loadstar.api import labels
from loadstar.clients.errors import AlreadyExists, ClientError, Conflict, Invalid, NotFound
from loadstar.clients.kube import Kube
from loadstar.clients.resources import CONFIG_MAPS, TRAINING_JOBS
from loadstar.controller.caches import Caches, Key, Tracked
from loadstar.reporting.progress import Progress
from loadstar.reporting.tracks import CURVES_KEY, Track

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 2.0
"""Between two looks for progress that is outdated and jobs that are over."""
AT_ONCE: Final = 8
CONFLICT_SECONDS: Final = 0.2
"""Until a write is made again that met another one; the watch has brought that one by then."""
RETRY_SECONDS: Final = 2.0
SUFFIX: Final = "-curves"

Observe = Callable[[str, bool], None]
"""(status or curves, whether it succeeded), told of every write."""


@dataclass(slots=True)
class Writer:
    """The one who writes progress. `clock` gives Unix seconds; `kube` should be its own, apart from the lifecycle's."""

    kube: Kube
    caches: Caches
    progress: Progress
    clock: Callable[[], float]
    observe: Observe = field(default=lambda _what, _good: None)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[tuple[str, Key]] = field(default_factory=set)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def wake(self) -> None:
        """Something is due that was not."""
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as writes:
            writes.create_task(self._sweep())
            while True:
                self._wake.clear()
                now = self.clock()
                for key in self.progress.statuses.take(now):
                    self._start(writes, "status", key)
                for key in self.progress.curves.take(now):
                    self._start(writes, "curves", key)
                await self._until_due()

    async def drain(self) -> None:
        """Write all that waits, for an orderly end, within a time-out of the caller's."""
        waiting = [("status", key) for key in self.progress.statuses.wished()]
        waiting += [("curves", key) for key in self.progress.curves.wished()]
        await asyncio.gather(*(self._write(what, key) for what, key in waiting))

    async def _sweep(self) -> None:
        while True:
            self.progress.sweep(self.caches.jobs, self.clock())
            self.wake()
            await asyncio.sleep(SWEEP_SECONDS)

    async def _until_due(self) -> None:
        due = self.progress.next()
        wait = None if due is None else max(due - self.clock(), 0.0)
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _start(self, writes: asyncio.TaskGroup, what: str, key: Key) -> None:
        if (what, key) in self._busy:  # the one on its way may have looked too early
            self._again(what, key, CONFLICT_SECONDS)
            return
        self._busy.add((what, key))
        writes.create_task(self._work(what, key))

    async def _work(self, what: str, key: Key) -> None:
        try:
            async with self._turn:
                await self._write(what, key)
        finally:
            self._busy.discard((what, key))

    async def _write(self, what: str, key: Key) -> None:
        """One write; whatever fails is tried again later, but for what can never succeed."""
        try:
            await (self._write_status(key) if what == "status" else self._write_curves(key))
            self.observe(what, True)
        except NotFound:  # the job is gone: the watch says so, too
            log.debug("%s/%s is gone", *key)
        except Conflict:
            self._again(what, key, CONFLICT_SECONDS)
        except Invalid as error:
            log.error("%s/%s: its %s is not accepted, is the CRD up to date? %s", *key, what, error)
            self.observe(what, False)
        except ClientError as error:
            log.warning("%s/%s: its %s was not written, again in %g s: %s", *key, what, RETRY_SECONDS, error)
            self.observe(what, False)
            self._again(what, key, RETRY_SECONDS)

    def _again(self, what: str, key: Key, seconds: float) -> None:
        pace = self.progress.statuses if what == "status" else self.progress.curves
        pace.again(key, self.clock() + seconds)
        self.wake()

    async def _write_status(self, key: Key) -> None:
        """Make the status say what is known now.

        The version that it is decided from goes along: so a job that was made anew under the name does not get the
        progress of the one before, and an older write that was held up does not undo a newer one.
        """
        tracked = self.caches.jobs.get(key)
        if tracked is None or tracked.deleting:
            return
        wanted = self.progress.wanted(key, tracked)
        if wanted == tracked.reported:
            return
        namespace, name = key
        metadata = {"namespace": namespace, "name": name, "uid": tracked.uid}
        metadata["resourceVersion"] = str(tracked.version)
        body = {"metadata": metadata, "status": wanted}
        self.caches.put_job(
            await self.kube.apply_status(TRAINING_JOBS, body, field_manager=labels.PROGRESS_OWNER)
        )

    async def _write_curves(self, key: Key) -> None:
        track, tracked = self.progress.tracks.get(key), self.caches.jobs.get(key)
        if track is None or tracked is None or tracked.deleting or tracked.uid != track.uid:
            return
        name = f"{key[1]}{SUFFIX}"
        track.curves_unsaved = False  # what is reported from here on is not in it for sure
        try:
            saved = await self._save(key[0], name, track, tracked)
        except ClientError:
            track.curves_unsaved = True
            raise
        if not saved:
            log.warning(
                "%s/%s: a ConfigMap %s exists that is not this job's; its curves are not kept", *key, name
            )
            return
        if track.config_map != name:
            track.config_map = name
            self.progress.saved(key, track, self.clock())
            self.wake()

    async def _save(self, namespace: str, name: str, track: Track, tracked: Tracked) -> bool:
        """Whether the points were written: not into a ConfigMap that is somebody else's."""
        if track.config_map is None:
            try:
                body = _config_map(namespace, name, tracked, key=name.removesuffix(SUFFIX))
                await self.kube.create(
                    CONFIG_MAPS, body | {"data": {CURVES_KEY: track.document()}}, namespace
                )
                return True
            except AlreadyExists:
                track.earlier_unread = True
        try:
            if track.earlier_unread and not await self._read_earlier(namespace, name, track):
                return False
            patch = {"data": {CURVES_KEY: track.document()}}
            await self.kube.patch(CONFIG_MAPS, name, namespace, patch)
        except NotFound:  # somebody deleted it
            track.config_map, track.earlier_unread = None, False
            raise Conflict(f"the ConfigMap {name} is gone") from None
        return True

    async def _read_earlier(self, namespace: str, name: str, track: Track) -> bool:
        """Put the saved points of an earlier operator before ours; False where they are not this job's."""
        found = await self.kube.get(CONFIG_MAPS, name, namespace)
        owners = found["metadata"].get("ownerReferences") or ()
        if track.uid not in {owner["uid"] for owner in owners}:
            return False
        track.precede((found.get("data") or {}).get(CURVES_KEY, ""))
        track.earlier_unread = False
        return True


def _config_map(namespace: str, name: str, tracked: Tracked, key: str) -> dict[str, Any]:
    """An empty ConfigMap that goes with its job."""
    owner = {
        "apiVersion": labels.API_VERSION,
        "kind": labels.KIND,
        "name": key,
        "uid": tracked.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {labels.JOB_NAME_LABEL: key, labels.MANAGED_BY_LABEL: "loadstar"},
            "ownerReferences": [owner],
        },
    }
