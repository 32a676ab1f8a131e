"""Pods on their way: their progress is noted in their jobs' statuses when launching leaves room for it.

In a burst each of the API server's milliseconds goes to launching: a status that tells of progress costs as much as
the status that a launch begins with. A launch ends when its pods are bound.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from loadstar.controller.caches import Key

PROGRESS_SECONDS: Final = 0.2
"""From a pod's progress until it is noted: its steps follow each other closely and are noted as one."""
BURST_STEPS: Final = 10
BURST_SECONDS: Final = 2.0
"""So many steps of launches within this time are a burst."""
PATIENCE_SECONDS: Final = 20.0
"""How long a burst may hold progress back."""


@dataclass(slots=True)
class Underway:
    """The jobs whose pods have made progress that their status does not tell yet, the longest first."""

    clock: Callable[[], float] = time.monotonic
    _since: dict[Key, float] = field(default_factory=dict)
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=BURST_STEPS))

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, key: Key) -> bool:
        return key in self._since

    def made(self, key: Key) -> None:
        """A pod of the job came a step further."""
        self._since.setdefault(key, self.clock())

    def noted(self, key: Key) -> None:
        """The job is looked at: its status will tell all that was seen."""
        self._since.pop(key, None)

    def launching(self) -> None:
        """A launch came a step further: a job was given nodes, or a pod of a job was bound to its own."""
        self._steps.append(self.clock())

    def due(self) -> list[Key]:
        """The jobs whose progress has waited long enough; they wait no more."""
        latest = self.clock() - (PATIENCE_SECONDS if self._in_burst() else PROGRESS_SECONDS)
        found = []
        for key, since in self._since.items():
            if since > latest:
                break
            found.append(key)
        for key in found:
            del self._since[key]
        return found

    async def run(self, look: Callable[[Key], None]) -> None:
        """Have the jobs looked at whose progress is due, until cancelled."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS / 2)
            for key in self.due():
                look(key)

    def _in_burst(self) -> bool:
        full = len(self._steps) == BURST_STEPS
        return full and self.clock() - self._steps[0] < BURST_SECONDS
