"""The watch of all pods: what Kopf's handlers are for the other kinds, without its queue and worker per object."""

import asyncio
import logging
import random
from contextlib import aclosing
from dataclasses import dataclass

from loadstar.clients.errors import ClientError, Expired
from loadstar.clients.kube import Kube
from loadstar.clients.resources import PODS
from loadstar.clients.watching import BOOKMARK, Change, watch
from loadstar.controller import handlers
from loadstar.controller.board import Board
from loadstar.controller.caches import Caches, Key
from loadstar.controller.relist import Relist
from loadstar.controller.workqueue import WorkQueue

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.1
"""Between two watches; doubled with each one in a row that brought nothing, up to PAUSE_DOUBLINGS times."""
PAUSE_DOUBLINGS = 5


@dataclass(frozen=True, slots=True)
class PodWatch:
    """Follows all pods from a full list on. A watch that breaks goes on where it was; where it can't, with a list."""

    kube: Kube
    caches: Caches
    queue: WorkQueue[Key]
    board: Board
    relist: Relist

    async def run(self) -> None:
        """Follow until cancelled."""
        version, idle = "", 0
        while True:
            try:
                version = version or await self.relist.pods()
                async with aclosing(watch(self.kube.connection, PODS, version)) as changes:
                    async for change in changes:
                        version, idle = change.version, 0
                        self._note(change)
            except Expired:
                version = ""
            except ClientError as error:
                log.warning("the watch of pods broke, it is begun anew: %s", error)
            await asyncio.sleep(PAUSE_SECONDS * 2 ** min(idle, PAUSE_DOUBLINGS) * random.uniform(0.5, 1.0))
            idle += 1

    def _note(self, change: Change) -> None:
        if change.type == BOOKMARK:
            return
        try:
            handlers.note_pod(change.type == "DELETED", change.object, self.caches, self.queue, self.board)
        except Exception:  # one pod that can't be read must not blind the operator to all others
            log.exception("a change of a pod was not understood: %s", change.object.get("metadata"))
