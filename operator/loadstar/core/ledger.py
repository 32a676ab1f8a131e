"""Which gangs were placed, and since when they are over: the memory behind R⁺, R⁻, what is learned, and hindsight.

Nothing in it has to survive a restart: gangs that run, and those that ended lately, are in their jobs' statuses.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import FADE_SECONDS, Commitment, expires_at
from loadstar.core.families import Families
from loadstar.core.jobs import Job, Placement
from loadstar.core.resources import Resources

Array = NDArray[np.float64]

PATIENCE_SECONDS = 300.0
"""How long after a gang's horizon a sample is waited for: a later one does not tell what the load was then."""
LATE_SECONDS = 300.0
"""The oldest sample that still counts: so much longer a commitment is kept, as such a sample does not show it."""

KNOWN = 0.5
"""A signal's use is known once its variance is below this share of what it began with."""

Key = tuple[str, int]
"""A job's uid and the second in which its gang was placed, which tells its attempts apart: a status rounds times."""


@dataclass(slots=True)
class Watched:
    """What one gang's ranks use as a share of their request, per signal, and the variance of that knowledge."""

    use: Array
    variance: Array
    first_variance: Array
    begun: float
    """When the first sample was taken that shows its plateau, Unix seconds."""

    def known(self) -> Array:
        """The use of the signals that samples have told something of; NaN for the others."""
        return np.where(self.variance < KNOWN * self.first_variance, self.use, np.nan)


@dataclass(slots=True)
class Gang:
    """One placement of a job and what is known of it by now.

    `runs_since` is when all of its ranks were first seen to run, `looked_at` when it was last seen not to show yet.
    `lag` is the time from its decision to its first visible load once that was `seen` and could be told, or how long
    none has been seen where that is longer than its family's. `judged` says that nothing more is to be said of its
    forecast, `watched` what was seen of its use, `taught` that its family has learned of that.
    """

    uid: str
    family: str
    request: Resources
    placement: Placement
    ended_at: float | None = None
    runs_since: float | None = None
    lag: float | None = None
    looked_at: float | None = None
    seen: bool = False
    judged: bool = False
    watched: Watched | None = None
    taught: bool = False

    @property
    def horizon_ends(self) -> float:
        """The time for which the load was forecast, Unix seconds."""
        return self.placement.decided_at + self.placement.horizon


@dataclass(slots=True)
class Ledger:
    """All gangs that run, and those that ended so lately that averages still show them or nobody has judged them."""

    families: Families = field(default_factory=Families)
    _gangs: dict[Key, Gang] = field(default_factory=dict)
    _living: set[Key] = field(default_factory=set)
    _starting: set[Key] = field(default_factory=set)
    """Those of the living that have not been seen to run."""

    def __iter__(self) -> Iterator[Gang]:
        return iter(self._gangs.values())

    def __len__(self) -> int:
        return len(self._gangs)

    def follow(
        self,
        running: Iterable[tuple[Job, Placement]],
        ended: Iterable[tuple[Job, Placement, float]],
        now: float,
        started: Container[str] = (),
    ) -> None:
        """Take in which gangs are placed now, which are over since when, and (by their jobs' uids) whose ranks all run.

        A gang that was placed before and is in neither is over since now: its job was deleted, suspended or starts
        anew.
        """
        living = {self._take_in(job, placement) for job, placement in running}
        for key in self._living - living:
            self._gangs[key].ended_at = now
        for key in living - self._living:
            self._gangs[key].ended_at = None
            self._starting.add(key)
        for job, placement, at in ended:
            key = self._take_in(job, placement)
            self._gangs[key].ended_at = at
            living.discard(key)
        self._living = living
        self._starting = {key for key in self._starting & living if not self._runs(key, started, now)}
        for key in [key for key in self._gangs.keys() - living if _settled(self._gangs[key], now)]:
            del self._gangs[key]

    def _runs(self, key: Key, started: Container[str], now: float) -> bool:
        gang = self._gangs[key]
        if gang.runs_since is None and gang.uid in started:
            gang.runs_since = now
        return gang.runs_since is not None

    def commitments(self, now: float) -> list[Commitment]:
        """Every rank whose load samples may not show yet, and every ghost."""
        return [
            Commitment(rank.node, gang.request, gang.placement.decided_at, gang.family, gang.ended_at, lag)
            for gang in self._gangs.values()
            if _matters(gang, lag := self._lag(gang, now), now)
            for rank in gang.placement.ranks
        ]

    def _lag(self, gang: Gang, now: float) -> float:
        """From the decision to the first visible load: nothing can be seen of ranks that do not run yet."""
        lag = self.families.lag(gang.family) if gang.lag is None else gang.lag
        if gang.seen or gang.ended_at is not None:
            return lag
        runs_since = now if gang.runs_since is None else gang.runs_since
        return max(lag, runs_since - gang.placement.decided_at)

    def _take_in(self, job: Job, placement: Placement) -> Key:
        key = job.uid, round(placement.decided_at)
        if key not in self._gangs:
            seen = placement.hindsight
            gang = Gang(job.uid, job.family, job.request, placement, judged=seen is not None)
            gang.taught = bool(seen and seen.use)
            self._gangs[key] = gang
        return key


def _matters(gang: Gang, lag: float, now: float) -> bool:
    """Whether samples may not tell all of its load, or still tell of it."""
    if gang.ended_at is not None:
        return now <= gang.ended_at + FADE_SECONDS + LATE_SECONDS
    return now <= expires_at(gang.placement.decided_at, lag) + LATE_SECONDS


def _settled(gang: Gang, now: float) -> bool:
    """Whether it is over and nothing will ask for it any more."""
    if gang.ended_at is None or now <= gang.ended_at + FADE_SECONDS + LATE_SECONDS:
        return False
    return gang.judged or now > gang.horizon_ends + PATIENCE_SECONDS
