"""EASY backfill: whoever fits may start now, as long as nobody further ahead starts later for it.

A job at the head that has to wait for others' nodes gets a reservation: the nodes that are ready for it first, by the
expected ends of what runs there, and when the last of them is (D. Lifka, "The ANL/IBM SP Scheduling System", 1995;
here with one rank to a node, on nodes of several resources). A job behind it may take part of these nodes if it has
given them back by then, all but certainly, or if what it takes is left over beside the job ahead. A job of unknown
length takes no more than what is left over; where the time of the reservation is unknown, so does everybody.

Expected ends can be wrong. A reservation whose first time has passed is not left to them any more: its job keeps the
emptiest nodes, and all take no more than what is left over. What is kept so only gets emptier, so that nobody waits
for ever behind jobs of its own priority.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from loadstar.core.fleet import Amounts, Mask, Rows
from loadstar.core.jobs import Job
from loadstar.core.release import Array, Entries, earliest

MOST_RESERVATIONS = 64
"""Jobs that nodes are kept for at a time."""
SLACK = 1.1
"""A reservation counts as missed only after a tenth more than the wait that it spoke of."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes that are kept for a job: `extra` (rows, columns) is what is left over beside it from `at` on.

    `at` in Unix seconds is infinite where nobody knows.
    """

    job: Job
    at: float
    rows: Rows
    extra: Amounts


@dataclass(slots=True)
class Promises:
    """When each waiting job's nodes were first said to be ready; kept from cycle to cycle."""

    _latest: dict[str, float] = field(default_factory=dict)
    """By uid: the first time that was given, with its slack."""

    def made(self, job: Job, at: float, now: float) -> None:
        """A reservation was given to the job."""
        if np.isfinite(at):
            self._latest.setdefault(job.uid, now + SLACK * (at - now))

    def broken(self, job: Job, now: float) -> bool:
        """Whether the job should have started by now."""
        return now > self._latest.get(job.uid, np.inf)

    def keep(self, waiting: Iterable[Job]) -> None:
        """Forget everybody else."""
        uids = {job.uid for job in waiting}
        for uid in self._latest.keys() - uids:
            del self._latest[uid]


class Backfill:
    """The reservations of one cycle, no two of them on one node, with what is left over beside them."""

    def __init__(self, columns: int) -> None:
        self.reservations: list[Reservation] = []
        self.rows: Rows = np.empty(0, dtype=np.intp)
        """All nodes that are kept."""
        self._from = np.empty(0)
        """From when on each of them is kept: where that is unknown, from now on."""
        self._extra: Amounts = np.empty((0, columns), dtype=np.int64)
        self._place: dict[int, int] = {}
        """Where each node stands in these arrays."""

    @property
    def full(self) -> bool:
        """Whether no more reservations are given."""
        return len(self.reservations) >= MOST_RESERVATIONS

    def keep(self, held: Reservation) -> None:
        """One more reservation."""
        self.reservations.append(held)
        self._place.update((int(row), len(self.rows) + place) for place, row in enumerate(held.rows))
        self.rows = np.concatenate([self.rows, held.rows])
        since = held.at if np.isfinite(held.at) else -np.inf
        self._from = np.concatenate([self._from, np.full(len(held.rows), since)])
        self._extra = np.concatenate([self._extra, held.extra])

    def barred(self, asked: Amounts, ends_at: float) -> Rows:
        """Nodes that a rank asking for this much, until `ends_at` at the latest, must leave alone."""
        short = ((self._extra < asked) & (asked > 0)).any(axis=1)
        return self.rows[short & (self._from < ends_at)]

    def took(self, rows: Rows, asked: Amounts, ends_at: float) -> None:
        """A gang was placed: what it takes of kept nodes beyond the reservation's time is not left over any more."""
        for row in rows.tolist():
            place = self._place.get(row)
            if place is not None and self._from[place] < ends_at:
                self._extra[place] -= asked


@dataclass(frozen=True, slots=True)
class Ask:
    """What a job waits for: `asked` of one rank in the snapshot's columns, on `ranks` of the nodes in one of `choices`.

    There is more than one choice where all ranks have to be within one domain, and each is one domain's rows.
    """

    job: Job
    asked: Amounts
    ranks: int
    choices: tuple[Rows, ...]

    def among(self, nodes: Mask) -> Iterator[Rows]:
        """The choices as far as they are among these nodes, if that is enough."""
        for choice in self.choices:
            left = choice[nodes[choice]]
            if len(left) >= self.ranks:
                yield left


def reserve(
    ask: Ask, free: Amounts, entries: Entries, kept: Rows, now: float, *, trusting: bool
) -> Reservation | None:
    """The nodes that are ready first of those not `kept` for others; None where there are not enough of them.

    `trusting` tells whether expected ends count; without, all that is known is how empty nodes are. A node that is not
    ready even when all of `entries` have ended is kept for nobody: who else is on it may stay for ever.
    """
    found = entries.first_fit(free, ask.asked)
    times = entries.times(found, now) if trusting else np.full(len(found), np.inf)
    open_ = found < len(entries.rows)
    open_[kept] = False
    best, at = first_ready(ask, free, times, open_)
    if not len(best):
        return None
    back = [entries.given_back(int(row), at if np.isfinite(at) else now, int(found[row])) for row in best]
    return Reservation(ask.job, at, best, free[best] + back - ask.asked)


def first_ready(ask: Ask, free: Amounts, times: Array, nodes: Mask) -> tuple[Rows, float]:
    """Of these nodes those that are ready first, and when the last of them is; none where there are too few."""
    best, at = np.empty(0, dtype=np.intp), np.inf
    for choice in ask.among(nodes):
        rows = earliest(times, free, ask.asked, choice, ask.ranks)
        ready = float(times[rows].max())
        if not len(best) or ready < at:
            best, at = rows, ready
    return best, at
