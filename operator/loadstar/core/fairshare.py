"""Fair shares by used GPU-seconds: groups that used less, for their weight, come first.

A group's usage is the GPU-seconds of its gangs, each second worth half as much one half-life H later:

    U(t) = Σ gpus · activity · ∫ 2^(-(t - s)/H) ds = Σ gpus · activity · τ · (2^(-(t - end)/H) - 2^(-(t - begin)/H))

with τ = H / ln 2, the usage that one GPU in use for ever comes to; a part of a GPU counts as its share of one. What a
group holds now counts as if it went on:

    share = (U + τ · gpus held) / weight

so that two groups that begin together get the same number of GPUs at once, not one after the other, and a group that
had all of the cluster for a night stands behind until the other has had its part.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from loadstar.core.running import Running

HALF_LIFE_SECONDS = 86_400.0
"""Who computed all night stands behind in the morning; last week is forgotten."""
FORGOTTEN_HALF_LIVES = 20
"""Usage this old is worth a millionth."""


@dataclass(slots=True)
class Usage:
    """What groups have used, of attempts that are over. `weights` are by group, 1 where none is given.

    Kept in memory and told of each attempt that ends; after a restart it is told of all that are remembered.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    half_life: float = HALF_LIFE_SECONDS
    _used: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Per group its usage and when it was that much."""
    _told: dict[Hashable, float] = field(default_factory=dict)
    """When each attempt ended that is in the books."""

    @property
    def time_constant(self) -> float:
        """τ in seconds."""
        return self.half_life / math.log(2.0)

    def settle(
        self, attempt: Hashable, group: str, gpus: float, span: tuple[float, float], activity: float = 1.0
    ) -> None:
        """An attempt is over that held `gpus` from span[0] to span[1]; `activity` in 0..1 is how busy they were.

        Telling of the same attempt again changes nothing.
        """
        begin, end = span
        if attempt in self._told or end <= begin or gpus <= 0:
            return
        self._told[attempt] = end
        used, at = self._used.get(group, (0.0, end))
        now = max(at, end)
        own = self._worth(gpus * activity, begin, end, now)
        self._used[group] = (used * self._faded(now - at) + own, now)
        self._forget(now)

    def of(self, group: str, now: float) -> float:
        """U of the attempts that are over, in GPU-seconds."""
        used, at = self._used.get(group, (0.0, now))
        return used * self._faded(max(0.0, now - at))

    def shares(self, running: Iterable[Running], now: float) -> "Shares":
        """Every group's share now, with what its running gangs used and hold."""
        total: dict[str, float] = defaultdict(float)
        for group in self._used:
            total[group] += self.of(group, now)
        for gang in running:
            begin = gang.started_at if gang.started_at is not None else now
            total[gang.job.group] += self._worth(gang.gpus, min(begin, now), now, now)
            if not gang.ending:
                total[gang.job.group] += self.time_constant * gang.gpus
        return Shares(total, self.weights, self.time_constant)

    def _worth(self, gpus: float, begin: float, end: float, now: float) -> float:
        return gpus * self.time_constant * (self._faded(now - end) - self._faded(now - begin))

    def _faded(self, seconds: float) -> float:
        return float(2.0 ** (-seconds / self.half_life))

    def _forget(self, now: float) -> None:
        oldest = now - FORGOTTEN_HALF_LIVES * self.half_life
        while self._told and next(iter(self._told.values())) < oldest:
            del self._told[next(iter(self._told))]


@dataclass(slots=True)
class Shares:
    """Shares at one moment, kept up within a cycle; smaller comes first."""

    used: dict[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    per_gpu: float = 1.0
    """What a GPU that is held adds to a usage."""

    def of(self, group: str) -> float:
        """The group's share; 0 for one that used nothing."""
        return self.used.get(group, 0.0) / self.weights.get(group, 1.0)

    def charge(self, group: str, gpus: float) -> None:
        """The group gets, or is next to get, this many GPUs."""
        self.used[group] = self.used.get(group, 0.0) + self.per_gpu * gpus
