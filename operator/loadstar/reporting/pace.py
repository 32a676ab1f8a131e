"""When what is written next: at once, and then at most once per interval; the last wish is never lost. Pure.

Keys that are due at one time come up one after the other, so closely that all known ones have their turn within
SPREAD of an interval: what began together would else come up together in every interval from then on.
"""

from collections.abc import Hashable, KeysView
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SPREAD = 0.8
LONGEST_GAP = 0.05
"""Seconds: as long as few are known, they hardly wait for each other."""
AT_ONCE = 4
"""So many may come up together after a quiet moment."""


@dataclass(slots=True)
class Pace(Generic[K]):
    """Coalesces wishes per key. Times are seconds of any one clock."""

    interval: float
    _due: dict[K, float] = field(default_factory=dict)
    _last: dict[K, float] = field(default_factory=dict)
    _order: list[tuple[float, int, K]] = field(default_factory=list)
    """A heap of all times that were ever due; only those that `_due` still says count."""
    _number: "count[int]" = field(default_factory=count)
    _free_at: float = 0.0
    """When the next key may come up, after the one before."""

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def wish(self, key: K, now: float) -> None:
        """Have the key come up: now, or `interval` after it last did."""
        if key not in self._due:
            self._set(key, max(now, self._last.get(key, -self.interval) + self.interval))

    def again(self, key: K, at: float) -> None:
        """Have the key come up at a time that does not depend on when it last did: after a failure, or at the end."""
        if at < self._due.get(key, float("inf")):
            self._set(key, at)

    def _set(self, key: K, due: float) -> None:
        self._due[key] = due
        heappush(self._order, (due, next(self._number), key))

    def take(self, now: float) -> list[K]:
        """The keys whose time has come, the longest due first. They come up again only when wished for."""
        ready = []
        while (due := self.next()) is not None and due <= now:
            key = heappop(self._order)[2]
            del self._due[key]
            self._last[key] = now
            known = max(len(self._last), len(self._due))
            gap = min(SPREAD * self.interval / known, LONGEST_GAP)
            self._free_at = max(self._free_at, now - AT_ONCE * gap) + gap
            ready.append(key)
        return ready

    def next(self) -> float | None:
        """When the next key comes up."""
        while self._order:
            due, _, key = self._order[0]
            if self._due.get(key) == due:
                return max(due, self._free_at)
            heappop(self._order)
        return None

    def wished(self) -> list[K]:
        """All keys that wait."""
        return list(self._due)

    def known(self) -> KeysView[K]:
        """All keys that ever came up and were not forgotten."""
        return self._last.keys()

    def forget(self, key: K) -> None:
        """The key is gone."""
        self._due.pop(key, None)
        self._last.pop(key, None)
