"""Whose nodes a job of higher priority gets: whole gangs, as few and with as little lost as possible.

The gangs that are chosen are ended with the grace of their pods, in which they write a checkpoint; they go back to the
queue, and on from there. Nobody is ended for a job that would not fit afterwards, or that fits once those are gone who
are ending already; nor anybody who has not run for its protected time yet.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.backfill import Ask
from loadstar.core.durations import Durations
from loadstar.core.fleet import Amounts, Rows
from loadstar.core.jobs import Job
from loadstar.core.queue import Order, size_class, work_ahead
from loadstar.core.release import FITS_NOW, Entries, entries_of
from loadstar.core.running import Running
from loadstar.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Eviction:
    """A gang that is to be ended, with its grace: the job's uid, the number of its attempt, and the reason in words."""

    uid: str
    attempt: int
    message: str


@dataclass(frozen=True, slots=True)
class Preemption:
    """Who is ended and on which nodes the job fits then."""

    victims: tuple[Running, ...]
    rows: Rows


class Endable:
    """Which running gangs may be ended for whom: lower in priority, or by Order.SHORTEST of the same priority and group
    and with more work ahead, by a size class; nobody who is protected yet. Those who are ending are none of them."""

    def __init__(self, running: Sequence[Running], order: Order, durations: Durations, now: float) -> None:
        self._free = np.array(
            [_unprotected(gang, now) and not gang.ending for gang in running], dtype=np.bool_
        )
        self._priority = np.array([gang.job.scheduling.priority for gang in running], dtype=np.int64)
        self._lowest = int(self._priority[self._free].min(initial=np.iinfo(np.int64).max))
        self._shortest = order is Order.SHORTEST
        self._groups: dict[str, int] = {}
        if self._shortest:
            codes = [self._groups.setdefault(gang.job.group, len(self._groups)) for gang in running]
            ahead = [work_ahead(gang.job, durations, gang.ran(now)) for gang in running]
            self._group = np.array(codes, dtype=np.intp)
            self._size = np.array([size_class(work) for work in ahead], dtype=np.int64)

    def ended(self, numbers: Collection[int]) -> None:
        """These were ended just now."""
        self._free[list(numbers)] = False

    def for_(self, job: Job, work: float) -> Rows:
        """The numbers of the gangs that may be ended for a job with so much work ahead."""
        priority = job.scheduling.priority
        if (
            not job.scheduling.preempts
            or priority < self._lowest
            or not (priority > self._lowest or self._shortest)
        ):
            return np.empty(0, dtype=np.intp)
        lower = self._priority < priority
        if self._shortest:
            same = (self._priority == priority) & (self._group == self._groups.get(job.group, -1))
            lower |= same & (self._size > size_class(work))
        return np.flatnonzero(lower & self._free)


def _unprotected(gang: Running, now: float) -> bool:
    return gang.started_at is None or gang.runs_for(now) >= gang.job.scheduling.protected_seconds


def eviction(victim: Running, job: Job) -> Eviction:
    """What the victim is told."""
    name, theirs, ours = f"{job.namespace}/{job.name}", victim.job.scheduling, job.scheduling
    why = (
        f"of priority {ours.priority}, above its {theirs.priority}" if ours.priority > theirs.priority else ""
    )
    why = why or "with less work ahead"
    message = f"ended for {name} {why}: it goes on from its newest checkpoint as soon as it is placed again"
    return Eviction(victim.job.uid, victim.attempt, message)


def choose(
    ask: Ask, snapshot: Snapshot, free: Amounts, gangs: Sequence[Running], kept: Rows, now: float
) -> Preemption | None:
    """The best of `gangs` (all of whom may be ended) to end for the job, on nodes not `kept` for others.

    None where the job would not fit even without all of them. `free` is what is free on the snapshot's nodes once
    those are gone who are ending already.
    """
    victims = _Victims(
        ask, free, gangs, entries_of([(gang.job, gang.nodes, None) for gang in gangs], snapshot), now
    )
    open_ = victims.found < len(victims.entries.rows)
    open_[kept] = False
    found = [victims.within(rows) for rows in ask.among(open_)]
    return min(found, key=victims.cost, default=None)


class _Victims:
    """What each gang's end would bring on which node."""

    def __init__(
        self, ask: Ask, free: Amounts, gangs: Sequence[Running], entries: Entries, now: float
    ) -> None:
        self.asked, self.ranks, self.free, self.gangs = ask.asked, ask.ranks, free, gangs
        self.lost = np.array([gang.lost(now) for gang in gangs])
        self.priority = np.array([gang.job.scheduling.priority for gang in gangs], dtype=float)
        self.entries = _cheapest_first(entries, self.lost, self.priority)
        self.found = self.entries.first_fit(free, ask.asked)

    def cost(self, choice: Preemption) -> tuple[float, int, float, tuple[str, ...]]:
        """Highest priority first, then how many, then what is lost; the names make it total."""
        return (
            max((gang.job.scheduling.priority for gang in choice.victims), default=-np.inf),
            len(choice.victims),
            float(sum(self.lost[self.gangs.index(gang)] for gang in choice.victims)),
            tuple(gang.job.uid for gang in choice.victims),
        )

    def within(self, rows: Rows) -> Preemption:
        """The cheapest choice on these nodes, all of which would do."""
        single = self._single(rows)
        chosen = [single] if single is not None else self._spared(self._of_nodes(rows), rows)
        fitting = rows[self._fits(chosen, rows)]
        return Preemption(tuple(self.gangs[number] for number in sorted(chosen)), fitting[: self.ranks])

    def _single(self, rows: Rows) -> int | None:
        """The cheapest gang whose end alone is enough."""
        entries, fits_now = self.entries, self.found == FITS_NOW
        here = np.zeros(len(self.free), dtype=np.bool_)
        here[rows] = True
        opens = ((self.free[entries.rows] + entries.amounts >= self.asked) | (self.asked == 0)).all(axis=1)
        opens &= here[entries.rows] & ~fits_now[entries.rows]
        opened = np.bincount(entries.gangs[opens], minlength=len(self.gangs))
        enough = np.flatnonzero(opened + int(fits_now[rows].sum()) >= self.ranks)
        if not len(enough):
            return None
        order = np.lexsort((enough, self.lost[enough], self.priority[enough]))
        return int(enough[order[0]])

    def _of_nodes(self, rows: Rows) -> list[int]:
        """Everybody who is in the way on the cheapest nodes."""
        entries, found = self.entries, self.found
        starts = np.searchsorted(entries.rows, rows)
        count = np.where(found[rows] == FITS_NOW, 0, found[rows] - starts + 1)
        sums = np.concatenate([[0.0], np.cumsum(self.lost[entries.gangs])])
        lost = np.where(count > 0, sums[starts + count] - sums[starts], 0.0)
        last = entries.gangs[np.minimum(found[rows], len(entries.gangs) - 1)]
        priority = np.where(count > 0, self.priority[last], -np.inf)
        best = np.lexsort((rows, lost, count, priority))[: self.ranks]
        return sorted(
            {int(gang) for node in best for gang in entries.gangs[starts[node] : starts[node] + count[node]]}
        )

    def _spared(self, chosen: list[int], rows: Rows) -> list[int]:
        """Those of them without whom it does not do, the costliest are spared first."""
        for number in sorted(chosen, key=lambda n: (-self.priority[n], -self.lost[n], n)):
            fewer = [one for one in chosen if one != number]
            if int(self._fits(fewer, rows).sum()) >= self.ranks:
                chosen = fewer
        return chosen

    def _fits(self, chosen: Collection[int], rows: Rows) -> NDArray[np.bool_]:
        """On which of the nodes a rank fits when these are gone."""
        free = self.entries.gone(self.free, chosen)
        return np.asarray(((free[rows] >= self.asked) | (self.asked == 0)).all(axis=1))


def _cheapest_first(entries: Entries, lost: NDArray[np.float64], priority: NDArray[np.float64]) -> Entries:
    """On each node the lowest priority first, then who loses least."""
    gangs = entries.gangs
    return Entries.of(
        entries.rows,
        entries.amounts,
        entries.ends,
        gangs,
        (gangs.astype(float), lost[gangs], priority[gangs]),
    )
