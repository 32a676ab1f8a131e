"""How much anybody may ask for in a time: token buckets, one per key, in bounded memory. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per second in the long run, and so many at once."""

    per_second: float
    burst: float


@dataclass(slots=True)
class Bucket:
    """One allowance."""

    rate: Rate
    level: float
    at: float

    def take(self, now: float) -> float:
        """Take one; 0 where it was there, else the seconds until it will be."""
        self.level = min(self.rate.burst, self.level + (now - self.at) * self.rate.per_second)
        self.at = now
        if self.level >= 1.0:
            self.level -= 1.0
            return 0.0
        return (1.0 - self.level) / self.rate.per_second


@dataclass(slots=True)
class Buckets(Generic[K]):
    """An allowance per key. Of more than `remembered` keys, the ones not heard of for longest start anew."""

    rate: Rate
    remembered: int = 4096
    _buckets: OrderedDict[K, Bucket] = field(default_factory=OrderedDict)

    def take(self, key: K, now: float) -> float:
        """As Bucket.take, for this key."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self.rate, self.rate.burst, now)
            if len(self._buckets) > self.remembered:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)
