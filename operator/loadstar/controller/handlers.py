"""An index of what Kopf watches. Handlers only note what was seen and whose turn it is; nothing is decided here."""

import asyncio
from typing import Any, cast

import kopf

from loadstar.api import labels
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key, Raw
from loadstar.controller.workqueue import WorkQueue

WATCH_SECONDS = 300
"""The API server ends a watch after this long and Kopf begins it anew: a connection that died silently is noticed."""

ECHO_SECONDS = 2.0
"""Until a status that is not ours is read: it mostly is ours, come before the answer to its write, and by then that
has come too."""


def register(
    registry: kopf.OperatorRegistry,
    caches: Caches,
    queue: WorkQueue[Key],
    board: Board,
    namespaces: frozenset[str],
) -> None:
    """Register one handler per watched kind. TrainingJobs outside of `namespaces` are ignored; empty means all."""

    @kopf.on.event(labels.GROUP, labels.VERSION, labels.PLURAL, registry=registry)
    async def training_job(event: kopf.RawEvent, **_: Any) -> None:
        """A TrainingJob was applied, changed or deleted: it is looked at."""
        raw: Raw = event["object"]
        key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
        if namespaces and key[0] not in namespaces:
            return
        if event["type"] == "DELETED":
            caches.drop_job(key, raw["metadata"]["uid"])
            queue.add(key)
            board.capacity_changed()
        elif note_job(caches, raw):
            queue.add(key)
        elif caches.jobs[key].outdated:
            asyncio.get_running_loop().call_later(ECHO_SECONDS, look_if_outdated, caches, queue, key)

    @kopf.on.event("", "v1", "nodes", registry=registry)
    async def node(event: kopf.RawEvent, **_: Any) -> None:
        """A node came, went, or changed in a way that matters to placement."""
        raw: Raw = event["object"]
        if event["type"] == "DELETED":
            caches.drop_node(raw["metadata"]["name"])
        elif caches.put_node(raw):
            board.capacity_changed()

    @kopf.on.event("scheduling.k8s.io", "v1", "priorityclasses", registry=registry)
    async def priority_class(event: kopf.RawEvent, **_: Any) -> None:
        """How urgent jobs are that name this class: the queue may have another order now."""
        raw: Raw = event["object"]
        if event["type"] == "DELETED":
            caches.priorities.pop(raw["metadata"]["name"], None)
        else:
            caches.put_priority_class(raw)
        board.capacity_changed()

    @kopf.on.event("", "v1", "resourcequotas", registry=registry)
    async def quota(event: kopf.RawEvent, **_: Any) -> None:
        """What a namespace may use, or what of it is used: jobs may wait for that."""
        raw: Raw = event["object"]
        if event["type"] == "DELETED":
            caches.quotas.pop((raw["metadata"]["namespace"], raw["metadata"]["name"]), None)
        else:
            caches.put_quota(raw)
        board.capacity_changed()


def note_job(caches: Caches, raw: Raw) -> bool:
    """Take a job in; whether it is new, or something was asked of it that was not asked before."""
    key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
    before = caches.jobs.get(key)
    was = (before.uid, before.generation, before.deleting) if before else None
    caches.put_job(raw)
    now = caches.jobs[key]
    return was != (now.uid, now.generation, now.deleting)


def look_if_outdated(caches: Caches, queue: WorkQueue[Key], key: Key) -> None:
    """Have a job looked at whose status turned out to be somebody else's work."""
    tracked = caches.jobs.get(key)
    if tracked is not None and tracked.outdated:
        queue.add(key)


def note_pod(deleted: bool, raw: Raw, caches: Caches, queue: WorkQueue[Key], board: Board) -> None:
    """Take a pod in or forget it, and have looked at whomever it matters to."""
    key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
    before = caches.pods.get(key)
    if deleted:
        seen = caches.drop_pod(key, raw["metadata"]["uid"])
    else:
        seen = caches.put_pod(raw)
        if seen is before:
            return
    if seen is None:
        return
    over = deleted or seen.terminal
    if seen.owner_name is not None:
        owner = (seen.namespace, seen.owner_name)
        if over:
            queue.add(owner)
        else:
            board.underway.made(owner)
            if seen.node is not None and (before is None or before.node is None):
                board.underway.launching()
    if over:
        board.capacity_changed()


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: Kopf would copy every object that it sees to compare it with the one before."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast(kopf.BodyEssence, {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _NoProgress(kopf.ProgressStorage):
    """Keeps nothing: event handlers have no progress."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def kopf_settings(settings: kopf.OperatorSettings) -> None:
    """Kopf as a watcher and nothing else: nothing posted, nothing persisted, no watch that stays silent for ever."""
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 20
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = 10
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
