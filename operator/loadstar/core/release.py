"""What nodes get back from running gangs, and when: the ground of reservations, preemption and start times.

Every rank that runs is an entry: its node, what it holds, and the order in which its node gets that back. How far down
a node's entries one has to go until a request fits is found for all nodes at once, by sums within each node.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from loadstar.core.fleet import Amounts, Rows
from loadstar.core.jobs import Job
from loadstar.core.resources import Resources
from loadstar.core.snapshot import Snapshot

Array = NDArray[np.float64]

FITS_NOW = -1
NO_GANG = -1


@dataclass(frozen=True, slots=True)
class Entries:
    """Ranks that hold something, sorted by node and then by what goes first; all arrays have one item per entry.

    `ends` is when it goes (Unix seconds, infinite where nobody knows) and `gangs` the number of its gang
    (NO_GANG for one that has none).
    """

    rows: Rows
    amounts: Amounts
    ends: Array
    gangs: Rows

    @classmethod
    def of(
        cls, rows: Rows, amounts: Amounts, ends: Array, gangs: Rows, order: tuple[Array, ...] = ()
    ) -> Self:
        """Sorted by node, then by `order` (its last array counts most), which is the end where it is not given."""
        by = np.lexsort((*(order or (gangs, ends)), rows))
        return cls(rows[by], amounts[by], ends[by], gangs[by])

    def with_(self, held: Sequence[tuple[Rows, Amounts, float]], first_gang: int | None = None) -> "Entries":
        """These and more gangs: (rows of its ranks, what each holds, when it ends), numbered from `first_gang` on."""
        rows = np.concatenate([rows for rows, _, _ in held])
        sizes = [len(rows) for rows, _, _ in held]
        ends = np.repeat([end for *_, end in held], sizes)
        gangs = np.full(len(held), NO_GANG) if first_gang is None else first_gang + np.arange(len(held))
        amounts = np.concatenate([np.broadcast_to(amount, (len(on), len(amount))) for on, amount, _ in held])
        order = np.lexsort((ends, rows))
        rows, ends, amounts, gangs = rows[order], ends[order], amounts[order], np.repeat(gangs, sizes)[order]
        first, last = np.searchsorted(self.rows, rows), np.searchsorted(self.rows, rows + 1)
        at = first + [
            np.searchsorted(self.ends[a:b], end) for a, b, end in zip(first, last, ends, strict=True)
        ]
        return Entries(
            np.insert(self.rows, at, rows),
            np.insert(self.amounts, at, amounts, axis=0),
            np.insert(self.ends, at, ends),
            np.insert(self.gangs, at, gangs),
        )

    def ending_at(self, ends: Array) -> "Entries":
        """These, with an end for each gang by its number; all must have one."""
        return Entries.of(self.rows, self.amounts, ends[self.gangs], self.gangs)

    def ending(self, gangs: Collection[int], by: float) -> "Entries":
        """These, with the gangs of these numbers gone by then at the latest."""
        ends = np.where(np.isin(self.gangs, list(gangs)), np.minimum(self.ends, by), self.ends)
        return Entries.of(self.rows, self.amounts, ends, self.gangs)

    def gone(self, free: Amounts, gangs: Collection[int]) -> Amounts:
        """What is free once the gangs of these numbers are gone."""
        free, going = free.copy(), np.isin(self.gangs, list(gangs))
        np.add.at(free, self.rows[going], self.amounts[going])
        return free

    def first_fit(self, free: Amounts, asked: Amounts) -> Rows:
        """Per node the entry with whose going `asked` fits, FITS_NOW where it does already, len(self) if never."""
        columns = np.flatnonzero(asked)
        lacking = asked[columns] - free[:, columns]
        found = np.where((lacking <= 0).all(axis=1), FITS_NOW, len(self.rows)).astype(np.intp)
        if not len(self.rows):
            return found
        starts = np.flatnonzero(np.diff(self.rows, prepend=-1))
        sums = np.cumsum(self.amounts[:, columns], axis=0)
        before = (sums - self.amounts[:, columns])[starts]
        sizes = np.diff(starts, append=len(self.rows))
        short = (sums - np.repeat(before, sizes, axis=0) < lacking[self.rows]).any(axis=1)
        waits = np.add.reduceat(short.astype(np.intp), starts)
        rows = self.rows[starts]
        later = (found[rows] != FITS_NOW) & (waits < sizes)
        found[rows[later]] = (starts + waits)[later]
        return found

    def times(self, found: Rows, now: float) -> Array:
        """When each node has got to what `first_fit` found: `now`, the entry's end, or infinite."""
        return np.concatenate([np.maximum(self.ends, now), [np.inf, now]])[found]

    def given_back(self, row: int, by: float, found: int) -> Amounts:
        """What the node of this row has got back at `by`, and with entry `found` in any case."""
        first, last = np.searchsorted(self.rows, [row, row + 1])
        gone = self.ends[first:last] <= by
        gone[: max(0, found + 1 - first)] = True
        return np.asarray(self.amounts[first:last][gone].sum(axis=0))


def entries_of(gangs: Iterable[tuple[Job, Iterable[str], float | None]], snapshot: Snapshot) -> Entries:
    """Entries of (job, nodes of its ranks, expected end if known) of each gang, numbered as they come."""
    rows: list[int] = []
    ends: list[float] = []
    numbers: list[int] = []
    amounts: list[Amounts] = []
    vectors: dict[Resources, Amounts] = {}
    for number, (job, nodes, end) in enumerate(gangs):
        amount = vectors.get(job.request)
        if amount is None:
            amount = vectors[job.request] = snapshot.vector(job.request)
        for node in nodes:
            row = snapshot.row(node)
            if row is not None:
                rows.append(row)
                amounts.append(amount)
                ends.append(np.inf if end is None else end)
                numbers.append(number)
    width = snapshot.free.shape[1]
    return Entries.of(
        np.array(rows, dtype=np.intp),
        np.array(amounts, dtype=np.int64).reshape(-1, width),
        np.array(ends, dtype=float),
        np.array(numbers, dtype=np.intp),
    )


def earliest(times: Array, free: Amounts, asked: Amounts, candidates: Rows, ranks: int) -> Rows:
    """The `ranks` rows among `candidates` that are ready first; fewer where there are not so many.

    Of those whose time nobody knows the emptiest come first: as these are kept free, they stay so, and the choice does
    not change from cycle to cycle.
    """
    if ranks < len(candidates):
        among = times[candidates]
        candidates = candidates[among <= np.partition(among, ranks - 1)[ranks - 1]]
    columns = np.flatnonzero(asked)
    lacking = np.maximum(asked[columns] - free[np.ix_(candidates, columns)], 0) / asked[columns]
    order = np.lexsort((candidates, lacking.max(axis=1, initial=0.0), times[candidates]))
    return candidates[order[:ranks]]
