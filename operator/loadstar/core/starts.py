"""When each waiting job is expected to start: the queue played forward over the expected ends of what runs.

Each job in order takes the nodes that are ready for it first, and holds them for as long as its family lasts. That is
how the queue is worked off, short of smaller jobs that may yet pass, so that most start no later than is said. It has
started when all its pods run, as `startTime` tells it afterwards: some time after its nodes are ready.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loadstar.core.backfill import Ask, Reservation, first_ready
from loadstar.core.fleet import Amounts, Rows
from loadstar.core.release import Entries

WORK = 1_000_000
"""How many nodes and running ranks are looked at for all estimates of a cycle together: some 0.1 s. On a cluster of
5,000 nodes that is for the first 65 jobs of the queue; who is further behind is told its position only."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One job that waits for what others use, how long it will hold its nodes (None: nobody knows), how much of that
    its pods take to run, and what it was promised."""

    ask: Ask
    length: float | None
    to_start: float
    reservation: Reservation | None


def estimated_starts(waits: Iterable[Wait], free: Amounts, entries: Entries, now: float) -> dict[str, float]:
    """The expected start of each job by uid, as far as anybody can say; `waits` in the order of the queue."""
    free, starts, budget = free.copy(), {}, WORK
    for wait in waits:
        budget -= len(free) + len(entries.rows)
        if budget < 0:
            break
        at, rows = _start(wait, free, entries, now)
        if not len(rows):
            continue
        asked = wait.ask.asked
        free[rows] -= asked
        if np.isfinite(at):
            starts[wait.ask.job.uid] = at + wait.to_start
            if wait.length is not None:
                entries = entries.with_([(rows, asked, at + wait.length)])
    return starts


def _start(wait: Wait, free: Amounts, entries: Entries, now: float) -> tuple[float, Rows]:
    found, held = entries.first_fit(free, wait.ask.asked), wait.reservation
    times = entries.times(found, now)
    if held is not None:
        return float(times[held.rows].max()) if np.isfinite(held.at) else np.inf, held.rows
    rows, at = first_ready(wait.ask, free, times, found < len(entries.rows))
    return at, rows
