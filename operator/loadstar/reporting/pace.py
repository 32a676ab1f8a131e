"""When what is written next: at once, and then at most once per interval; the last wish is never lost. Pure."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Pace(Generic[K]):
    """Coalesces wishes per key. Times are seconds of any one clock."""

    interval: float
    _due: dict[K, float] = field(default_factory=dict)
    _last: dict[K, float] = field(default_factory=dict)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def wish(self, key: K, now: float) -> None:
        """Have the key come up: now, or `interval` after it last did."""
        self._due.setdefault(key, max(now, self._last.get(key, -self.interval) + self.interval))

    def again(self, key: K, at: float) -> None:
        """Have the key come up at a time that does not depend on when it last did: after a failure, or at the end."""
        self._due[key] = min(at, self._due.get(key, at))

    def take(self, now: float) -> list[K]:
        """The keys whose time has come, the longest due first. They come up again only when wished for."""
        ready = sorted((key for key, due in self._due.items() if due <= now), key=self._due.__getitem__)
        for key in ready:
            del self._due[key]
            self._last[key] = now
        return ready

    def next(self) -> float | None:
        """When the next key comes up."""
        return min(self._due.values(), default=None)

    def wished(self) -> list[K]:
        """All keys that wait."""
        return list(self._due)

    def forget(self, key: K) -> None:
        """The key is gone."""
        self._due.pop(key, None)
        self._last.pop(key, None)
