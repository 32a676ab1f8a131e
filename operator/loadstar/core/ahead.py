"""What is done for those who wait for what others use: nodes are kept for them, or gangs of lower priority ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from loadstar.core import preemption
from loadstar.core.backfill import Ask, Backfill, Promises, Reservation, reserve
from loadstar.core.durations import Durations
from loadstar.core.filters import Refusal
from loadstar.core.fleet import Amounts, Mask, Rows
from loadstar.core.jobs import Job, Placement
from loadstar.core.preemption import Endable, Eviction
from loadstar.core.queue import Order, work_ahead
from loadstar.core.refusals import Unplaceable
from loadstar.core.release import Entries, entries_of
from loadstar.core.running import GRACE_SECONDS, Running
from loadstar.core.snapshot import Snapshot
from loadstar.core.starts import Wait, estimated_starts

PREEMPTING = "Preempting"
"""Reason of a job that waits for gangs to end that were ended for it."""
MOST_SEARCHES = 8
"""Jobs that others are ended for in one cycle; the next ones follow in the next cycle, a moment later."""


@dataclass(slots=True)
class Ahead:
    """Within one cycle: what runs, what was placed, and what is kept for those who were refused."""

    snapshot: Snapshot
    running: tuple[Running, ...]
    durations: Durations
    promises: Promises
    order: Order
    ran: Mapping[str, float]
    """Seconds that waiting jobs ran in earlier attempts, by uid."""
    now: float
    backfill: Backfill = field(init=False)
    _placed: list[tuple[Rows, Amounts, float]] = field(default_factory=list)
    """Gangs placed since `_entries` were made."""
    _usual_ends: list[float] = field(default_factory=list)
    """When each gang that was placed in this cycle usually ends, numbered after those that run."""
    _entries: Entries | None = None
    _waits: list[Wait] = field(default_factory=list)
    _groups: set[str] = field(default_factory=set)
    """Groups whose first job waits."""
    _ending: set[int] = field(default_factory=set)
    """Running gangs, by number, that end or were ended in this cycle."""
    _searches: int = 0
    _endable: Endable = field(init=False)

    def __post_init__(self) -> None:
        self._ending.update(number for number, gang in enumerate(self.running) if gang.ending)
        self.backfill = Backfill(self.snapshot.free.shape[1])
        self._endable = Endable(self.running, self.order, self.durations, self.now)

    def barred(self, job: Job) -> Rows:
        """The nodes that a job has to leave to those ahead of it."""
        if not self.backfill.reservations:
            return self.backfill.rows
        return self.backfill.barred(self.snapshot.vector(job.request), self._ends_by(job))

    def placed(self, job: Job, placement: Placement) -> None:
        """The gang has its nodes, and they were taken from the snapshot."""
        rows = self.snapshot.rows(rank.node for rank in placement.ranks)
        asked, ran = self.snapshot.vector(job.request), self._ran_before(job)
        self.backfill.took(rows, asked, self._ends_by(job))
        self._placed.append((rows, asked, self._from_now(self.durations.length_of(job, ran))))
        self._usual_ends.append(self._from_now(self.durations.usual_length_of(job, ran)))

    def refused(
        self, job: Job, refusal: Unplaceable, fitting: Mask
    ) -> tuple[Unplaceable, tuple[Eviction, ...]]:
        """The job waits for nodes of those that are `fitting` by all but their use.

        The refusal in the words that hold after that, and who is to be ended for it.
        """
        ask = self._ask(job, fitting)
        refusal = self._behind(refusal)
        held, ended = self._keep(ask)
        length = self.durations.usual_length_of(job, self._ran_before(job))
        self._waits.append(Wait(ask, length, self.durations.to_start(job.family), held))
        if held is None:
            return refusal, ()
        self.backfill.keep(held)
        self.promises.made(job, held.at, self.now)
        return self._after(refusal, held), tuple(preemption.eviction(gang, job) for gang in ended)

    def starts(self) -> dict[str, float]:
        """When those who were refused are expected to start, by uid, as far as anybody can say."""
        if not self._waits:
            return {}
        running = (self.durations.usual_end_of(gang, self.now) for gang in self.running)
        ends = np.array([np.inf if end is None else end for end in running] + self._usual_ends)
        ending = list(self._ending)
        ends[ending] = np.minimum(ends[ending], self.now + GRACE_SECONDS)
        return estimated_starts(self._waits, self.snapshot.free, self._known().ending_at(ends), self.now)

    # --- what is kept, and who is ended for it ------------------------------------------------------------------------

    def _keep(self, ask: Ask) -> tuple[Reservation | None, tuple[Running, ...]]:
        """For the first job of each group, and for all who may end others."""
        job = ask.job
        victims = self._endable.for_(job, work_ahead(job, self.durations, self._ran_before(job)))
        first = job.group not in self._groups
        self._groups.add(job.group)
        if self.backfill.full or not (first or len(victims)):
            return None, ()
        trusting = not self.promises.broken(job, self.now)
        held = reserve(
            ask, self.snapshot.free, self._known(), self.backfill.rows, self.now, trusting=trusting
        )
        if held is not None and held.at <= self.now + GRACE_SECONDS:
            return held, ()
        return self._preempt(ask, victims) or (held, ())

    def _preempt(self, ask: Ask, victims: Rows) -> tuple[Reservation, tuple[Running, ...]] | None:
        if not len(victims) or self._searches >= MOST_SEARCHES:
            return None
        self._searches += 1
        free = self._known().gone(self.snapshot.free, self._ending)
        gangs = [self.running[number] for number in victims]
        choice = preemption.choose(ask, self.snapshot, free, gangs, self.backfill.rows, self.now)
        if choice is None or not choice.victims:
            return None
        ended = [int(number) for number in victims if self.running[number] in choice.victims]
        self._ending.update(ended)
        self._endable.ended(ended)
        self._entries = self._known().ending(self._ending, self.now + GRACE_SECONDS)
        extra = self._entries.gone(self.snapshot.free, self._ending)[choice.rows] - ask.asked
        return Reservation(ask.job, self.now + GRACE_SECONDS, choice.rows, extra), choice.victims

    def _known(self) -> Entries:
        if self._entries is None:
            gangs = ((gang.job, gang.nodes, self.durations.end_of(gang, self.now)) for gang in self.running)
            self._entries = entries_of(gangs, self.snapshot)
        if self._placed:
            first = len(self.running) + len(self._usual_ends) - len(self._placed)
            self._entries = self._entries.with_(self._placed, first)
            self._placed = []
        return self._entries

    # --- questions ----------------------------------------------------------------------------------------------------

    def _ends_by(self, job: Job) -> float:
        return self._from_now(self.durations.bound_of(job, self._ran_before(job)))

    def _from_now(self, seconds: float | None) -> float:
        return np.inf if seconds is None else self.now + seconds

    def _ran_before(self, job: Job) -> float:
        return self.ran.get(job.uid, 0.0)

    def _ask(self, job: Job, fitting: Mask) -> Ask:
        rows, level = np.flatnonzero(fitting), job.scheduling.topology
        choices = (rows,)
        if level is not None and level.required and job.ranks > 1:
            domains = self.snapshot.domains(level.level)[rows]
            choices = tuple(rows[domains == domain] for domain in np.unique(domains[domains >= 0]))
        return Ask(job, self.snapshot.vector(job.request), job.ranks, choices)

    def _behind(self, refusal: Unplaceable) -> Unplaceable:
        """In words that say for whom nodes are kept, where they are."""
        if not any(rejection.reason == Refusal.RESERVED for rejection in refusal.rejected):
            return refusal
        names = [_name(held.job) for held in self.backfill.reservations]
        return replace(refusal, message=f"{refusal.message} Nodes are kept for {_some(names)}, ahead of it")

    def _after(self, refusal: Unplaceable, held: Reservation) -> Unplaceable:
        """In words that say after whom it starts, where it only waits for gangs that were ended."""
        nodes = {self.snapshot.names[row] for row in held.rows}
        ending = [self.running[number] for number in sorted(self._ending)]
        names = [_name(gang.job) for gang in ending if nodes & set(gang.nodes)]
        if not names or held.at > self.now + GRACE_SECONDS:
            return refusal
        message = f"waiting for {_some(names)} to save and end, then it starts on {_some(sorted(nodes))}"
        return replace(refusal, reason=PREEMPTING, message=message)


def _name(job: Job) -> str:
    return f"{job.namespace}/{job.name}"


def _some(names: list[str], most: int = 4) -> str:
    """The names, as many as can be read at a glance."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
