"""An index of what Kopf watches. Handlers only note what was seen and whose turn it is; nothing is decided here."""

from typing import Any, cast

import kopf

from loadstar.api import labels
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key, Raw
from loadstar.controller.workqueue import WorkQueue

WATCH_SECONDS = 300
"""The API server ends a watch after this long and Kopf begins it anew: a connection that died silently is noticed."""

ECHO_SECONDS = 0.5
"""Until a status that is not ours is read: it mostly is ours, come before the answer to its write."""

PROGRESS_SECONDS = 0.2
PROGRESS_SECONDS_EACH = 0.2
PROGRESS_CAP_SECONDS = 10.0
"""Until a pod's progress is noted in its job's status: at least, more for each job that waits for that, at most."""


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
            queue.add_after(key, ECHO_SECONDS)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod(event: kopf.RawEvent, **_: Any) -> None:
        """A pod of anybody's changed: its owner is looked at, and capacity may have come free."""
        raw: Raw = event["object"]
        note_pod(event["type"] == "DELETED", raw, caches, queue, board)

    @kopf.on.event("", "v1", "nodes", registry=registry)
    async def node(event: kopf.RawEvent, **_: Any) -> None:
        """A node came, went, or changed in a way that matters to placement."""
        raw: Raw = event["object"]
        if event["type"] == "DELETED":
            caches.drop_node(raw["metadata"]["name"])
        elif caches.put_node(raw):
            board.capacity_changed()


def note_job(caches: Caches, raw: Raw) -> bool:
    """Take a job in; whether it is new, or something was asked of it that was not asked before."""
    key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
    before = caches.jobs.get(key)
    was = (before.uid, before.generation, before.deleting) if before else None
    caches.put_job(raw)
    now = caches.jobs[key]
    return was != (now.uid, now.generation, now.deleting)


def note_pod(deleted: bool, raw: Raw, caches: Caches, queue: WorkQueue[Key], board: Board) -> None:
    """Take a pod in or forget it, and have looked at whomever it matters to."""
    key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
    if deleted:
        seen = caches.drop_pod(key, raw["metadata"]["uid"])
    else:
        before = caches.pods.get(key)
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
            board.progressing.add(owner)
            queue.add_after(owner, _progress_delay(len(board.progressing)))
    if over:
        board.capacity_changed()


def _progress_delay(progressing: int) -> float:
    """Seconds until a pod's progress is looked at: its steps follow each other closely and are noted as one.

    The more pods are on their way, the longer: in a burst, each of the API server's milliseconds goes to launching.
    """
    return min(PROGRESS_SECONDS + PROGRESS_SECONDS_EACH * progressing, PROGRESS_CAP_SECONDS)


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
