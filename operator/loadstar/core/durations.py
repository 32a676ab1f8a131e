"""How long jobs last and take to start, learned from those that did: (family, how long it ran already) → what is left.

Nobody says in advance how long a training takes, but those of one family last alike. Of the last REMEMBERED jobs of a
family, those that lasted longer than this one has run so far tell what is left for it: the conditional distribution
D - ran | D > ran. Where too few of its family ended, all jobs together tell: good enough to plan by. What people are
told goes by the family alone, or by its kind that others own ("mlp" of "mlp/vision"); else they are told nothing.
"""

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from loadstar.core.jobs import Job
from loadstar.core.running import GRACE_SECONDS, Running

REMEMBERED = 500
"""Durations kept per family, and of all families together."""
RECENT = 50
"""Durations that the mean of what remains is taken of: a family's jobs change with the work that people do."""
TO_EXPECT = 3
"""Ends that must be known to speak of what is usual."""
TO_BOUND = 20
"""Ends that must be known to speak of what is hardly ever exceeded."""
AT_MOST = 0.95
"""The share of jobs that do not exceed a bound that is learned."""
UNKNOWN_SECONDS = 600.0
"""What remains of a job of which nothing is known, at least; one that ran longer goes on as long again."""


@dataclass(slots=True)
class _Ends:
    """The newest durations, by age and by length."""

    newest: deque[float] = field(default_factory=deque)
    lengths: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.newest.append(seconds)
        insort(self.lengths, seconds)
        if len(self.newest) > REMEMBERED:
            self.lengths.pop(bisect_right(self.lengths, self.newest.popleft()) - 1)

    def quantile(self, share: float, ran: float, enough: int) -> float | None:
        """The quantile of D - ran among D > ran; None where fewer than `enough` lasted that long."""
        first = bisect_right(self.lengths, ran)
        longer = len(self.lengths) - first
        if longer < enough:
            return None
        return self.lengths[first + min(longer - 1, int(share * longer))] - ran

    @property
    def tells(self) -> bool:
        """Whether enough are known to speak of what is usual."""
        return len(self.lengths) >= TO_EXPECT

    @property
    def median(self) -> float:
        return self.lengths[len(self.lengths) // 2]

    def left(self, ran: float) -> float:
        """The median of D - ran among D > ran; where none lasted this long, by how much the longest is longer than
        usual: who is late among those that hardly differ ends soon."""
        told = self.quantile(0.5, ran, 1)
        return self.lengths[-1] - self.median if told is None else told


@dataclass(slots=True)
class _Known:
    """What is known of each family, of each kind whoever owns it, and of all together."""

    families: dict[str, _Ends] = field(default_factory=dict)
    kinds: dict[str, _Ends] = field(default_factory=dict)
    all: _Ends = field(default_factory=_Ends)

    def add(self, family: str, seconds: float) -> None:
        self.families.setdefault(family, _Ends()).add(seconds)
        kind = _kind(family)
        if kind is not None:
            self.kinds.setdefault(kind, _Ends()).add(seconds)
        self.all.add(seconds)

    def alike(self, family: str) -> _Ends | None:
        """The family's own, else those of its kind; None where too few of either are known."""
        kind = _kind(family)
        found = self.families.get(family), None if kind is None else self.kinds.get(kind)
        return next((ends for ends in found if ends and ends.tells), None)


@dataclass(slots=True)
class Durations:
    """What is known of how long jobs last, and of how long they take to start; all of it in seconds."""

    _lasted: _Known = field(default_factory=_Known)
    _started: _Known = field(default_factory=_Known)

    def learn(self, family: str, seconds: float) -> None:
        """A job of this family was done after running for this long."""
        self._lasted.add(family, seconds)

    def learn_start(self, family: str, seconds: float) -> None:
        """All pods of a job of this family ran this long after it was given its nodes."""
        self._started.add(family, seconds)

    def to_start(self, family: str) -> float:
        """From when a job is given its nodes until all its pods run: the median, as images and volumes take their time.

        0 where nothing tells yet.
        """
        ends = self._started.alike(family) or self._started.all
        return ends.median if ends.tells else 0.0

    def expected(self, family: str, ran: float = 0.0) -> float | None:
        """The median of what is left; None where nothing tells."""
        return self._quantile(family, 0.5, ran, TO_EXPECT)

    def at_most(self, family: str, ran: float = 0.0) -> float | None:
        """What is left at most of 95 of 100 such jobs; None where too few have ended to say so."""
        return self._quantile(family, AT_MOST, ran, TO_BOUND)

    def remaining(self, family: str, ran: float = 0.0) -> float:
        """The mean of what is left, by the family's last RECENT jobs: mean(D - ran | D > ran).

        Where none lasted this long, a job goes on for as long again as it ran: the median under a prior without scale.
        """
        ends = self._lasted.families.get(family)
        recent = islice(reversed(ends.newest), RECENT) if ends else ()
        longer = [length - ran for length in recent if length > ran]
        return fmean(longer) if longer else max(ran, UNKNOWN_SECONDS)

    def remaining_of(self, family: str, ran: NDArray[np.float64]) -> NDArray[np.float64]:
        """`remaining` for many jobs of one family at once."""
        ends = self._lasted.families.get(family)
        recent = np.array(list(islice(reversed(ends.newest), RECENT)) if ends else [], dtype=float)
        left = np.maximum(recent - ran[:, None], 0.0)
        longer = np.count_nonzero(left, axis=1)
        mean = left.sum(axis=1) / np.maximum(longer, 1)
        return np.asarray(np.where(longer > 0, mean, np.maximum(ran, UNKNOWN_SECONDS)))

    def usual(self, family: str, ran: float = 0.0) -> float | None:
        """`expected` as people are told it: None where neither the family nor its kind tells."""
        ends = self._lasted.alike(family)
        return ends.left(ran) if ends else None

    def length_of(self, job: Job, ran: float = 0.0) -> float | None:
        """How long a job that starts now, and `ran` before, is expected to run: as its family does, and never beyond
        its deadline."""
        return _least(self.expected(job.family, ran), job.run_policy.active_deadline)

    def usual_length_of(self, job: Job, ran: float = 0.0) -> float | None:
        """`length_of` as people are told it."""
        return _least(self.usual(job.family, ran), job.run_policy.active_deadline)

    def bound_of(self, job: Job, ran: float = 0.0) -> float | None:
        """After how long a job that starts now has given its nodes back, all but certainly; None where nobody knows."""
        return _least(self.at_most(job.family, ran), _deadline(job))

    def end_of(self, gang: Running, now: float) -> float | None:
        """When a running gang is expected to be over (Unix seconds, not before `now`); None where nobody knows.

        What it says itself of its progress counts first, then its family, then its deadline.
        """
        return _end(gang, now, self.expected)

    def usual_end_of(self, gang: Running, now: float) -> float | None:
        """`end_of` as people are told it."""
        return _end(gang, now, self.usual)

    def _quantile(self, family: str, share: float, ran: float, enough: int) -> float | None:
        own = self._lasted.families.get(family)
        told = own.quantile(share, ran, enough) if own else None
        return self._lasted.all.quantile(share, ran, max(enough, TO_BOUND)) if told is None else told


def _end(gang: Running, now: float, left_of: Callable[[str, float], float | None]) -> float | None:
    """When a gang ends by its own word, else by what is left of its family's length and until its deadline."""
    if gang.ends_at is not None:
        return max(now, gang.ends_at)
    limit = _deadline(gang.job)
    rest = None if limit is None else limit - gang.runs_for(now)
    left = _least(left_of(gang.job.family, gang.ran(now)), rest)
    return None if left is None else now + max(0.0, left)


def _kind(family: str) -> str | None:
    """The kind in "kind/owner"; None of a family without an owner."""
    kind, owned, _ = family.rpartition("/")
    return kind if owned else None


def _deadline(job: Job) -> float | None:
    """activeDeadlineSeconds with the grace that its pods get to end."""
    limit = job.run_policy.active_deadline
    return None if limit is None else limit + GRACE_SECONDS


def _least(*seconds: float | None) -> float | None:
    return min((value for value in seconds if value is not None), default=None)
