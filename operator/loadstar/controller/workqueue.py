"""A queue of keys to look at: each key once, never by two workers at a time, with delays."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys added while they wait are merged; keys added while they are worked on come again afterwards.

    Urgent keys (a job to be launched) go before others (progress to be noted), so that a burst of launches is not
    slowed down by its own echo.
    """

    def __init__(self) -> None:
        self._urgent: deque[K] = deque()
        self._usual: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._available = asyncio.Semaphore(0)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Have the key looked at soon."""
        if key in self._working:
            self._again[key] = self._again.get(key, False) or urgent
        elif key not in self._waiting:
            self._waiting.add(key)
            (self._urgent if urgent else self._usual).append(key)
            self._available.release()
        elif urgent and key not in self._urgent:
            self._usual.remove(key)
            self._urgent.append(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key looked at after a delay; of several wishes the earliest counts."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        when = loop.time() + max(seconds, 0.0)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    async def get(self) -> K:
        """The next key; the caller says `done` when it has looked at it."""
        await self._available.acquire()
        key = (self._urgent or self._usual).popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The worker is finished with the key."""
        self._working.discard(key)
        urgent = self._again.pop(key, None)
        if urgent is not None:
            self.add(key, urgent=urgent)
