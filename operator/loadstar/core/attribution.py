"""Whose load it is that a node shows: how û and lag of families are learned from what is measured of nodes alone.

A node's load is taken for the sum of its own (what it shows when no gang is on it) and of what each rank uses,

    y = b + Σ share·use + noise        share: the rank's request over what the node offers, per signal

and each sample's surprise is shared out among them by how little is known of each: a Kalman filter whose covariance is
kept diagonal, O(ranks) per round. A job that has its node to itself is so known after one sample, those that share one
as soon as families meet in different company. Only nodes all of whose ranks have reached their plateau tell anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import COLUMNS, FADE_SECONDS, RAMP_SECONDS, UNCERTAINTY
from loadstar.core.families import PRIOR_JOBS, Families
from loadstar.core.fleet import carried
from loadstar.core.forecast import SIGNALS
from loadstar.core.ledger import Gang, Ledger, Watched
from loadstar.core.load import Signal
from loadstar.core.snapshot import Snapshot

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

NOISE = 0.03
"""σ of a sample around a plateau."""
OWN_SPREAD = 0.02
"""σ of what a node shows by itself, from one sample to the next."""
OWN_MEMORY = 0.2
"""Weight of the newest sample in a node's own load."""
SEEN_SHARE = 0.2
"""A job shows once a node is loaded by more than this share of its û beyond what is known of it."""
LONGEST_LAG = 900.0
"""A job that shows nothing for this long is not waited for any more: it uses little."""
TELLING_SECONDS = 600.0
"""A job that runs on tells its family of its use after so much of its plateau, another one at its end."""

LONGEST_GAP = 90.0
"""From the last look at a job that did not show, or its decision, to the first that shows it: after a longer silence
nobody knows when it began."""
LEAST_USE = 0.2
"""A family that uses next to nothing may yet be wrong about by a part of this."""

GPU, CPU = SIGNALS.index(Signal.GPU), SIGNALS.index(Signal.CPU)


@dataclass(slots=True)
class Attribution:
    """Follows a ledger's gangs through the rounds of samples and teaches the ledger's families."""

    ledger: Ledger
    _names: tuple[str, ...] = ()
    _own: Array = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))
    """b: what each node shows by itself."""
    _newest: Array = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))

    def observe(self, current: Array, age: Array, snapshot: Snapshot, now: float) -> None:
        """Take in the newest samples, shape (nodes, signals) in the snapshot's order; NaN where there is none."""
        self._align(snapshot.names)
        at = now - age
        new = np.isfinite(current) & (at > self._newest)
        self._newest = np.where(new, at, self._newest)
        families = self.ledger.families
        for gang in self.ledger:
            _tell(gang, families, now)
        ranks = _Ranks.of([gang for gang in self.ledger if gang.ended_at is None], families, snapshot)
        clean = new & ~self._fading(at, snapshot)
        idle = clean.copy()
        idle[ranks.rows] = False
        self._own = np.where(idle, self._own + OWN_MEMORY * (current - self._own), self._own)
        if len(ranks.rows):
            settled = at[ranks.rows] >= ranks.plateau_from
            surprise = current - self._own - _by_node(ranks.shares * ranks.use, settled, ranks.rows, at.shape)
            self._learn_lags(ranks, surprise, at, clean, settled)
            self._learn_use(ranks, surprise, at, clean, settled)

    def _align(self, names: tuple[str, ...]) -> None:
        """Have a row for each node of a snapshot; those that are new show nothing by themselves."""
        if names != self._names:
            self._own = carried(self._own, self._names, names)
            self._newest = carried(self._newest, self._names, names)
            self._names = names

    def _fading(self, at: Array, snapshot: Snapshot) -> Mask:
        """Where samples may still show a gang that ended."""
        fading = np.zeros(at.shape, dtype=np.bool_)
        for gang in self.ledger:
            if gang.ended_at is not None:
                for placed in gang.placement.ranks:
                    row = snapshot.row(placed.node)
                    if row is not None:
                        fading[row] |= at[row] < gang.ended_at + FADE_SECONDS
        return fading

    def _learn_lags(self, ranks: "_Ranks", surprise: Array, at: Array, clean: Mask, settled: Mask) -> None:
        """Of gangs that have not shown yet, on nodes where it can't be anybody else."""
        each, rows = np.arange(len(ranks.rows)), ranks.rows
        signal = np.where(ranks.shares[:, GPU] > 0, GPU, CPU)
        there = settled[each, signal]
        others_come = np.bincount(rows, weights=~there, minlength=len(at))[rows] > ~there
        expected = (ranks.shares * ranks.first_use)[each, signal]
        rise = surprise[rows, signal] + np.where(there, (ranks.shares * ranks.use)[each, signal], 0.0)
        waited = at[rows, signal] - ranks.decided
        unseen = np.array([not gang.seen for gang in ranks.gangs])
        told_apart = ~others_come & (SEEN_SHARE * expected >= OWN_SPREAD / 2) & clean[rows, signal]
        for rank in np.flatnonzero(unseen & told_apart & (waited > 0)):
            gang, seconds = ranks.gangs[rank], float(waited[rank])
            if rise[rank] >= max(SEEN_SHARE * expected[rank], OWN_SPREAD):
                self._show(gang, seconds)
                continue
            gang.looked_at = gang.placement.decided_at + seconds
            if seconds > self.ledger.families.lag(gang.family) - RAMP_SECONDS:
                gang.lag = min(seconds + RAMP_SECONDS, LONGEST_LAG)

    def _show(self, gang: Gang, seconds: float) -> None:
        """A gang's load shows for the first time; what was believed of its use before was not its plateau."""
        if gang.seen:
            return
        decided = gang.placement.decided_at
        last_look = decided if gang.looked_at is None else gang.looked_at
        gang.seen, gang.lag, gang.watched = True, None, None
        if decided + seconds - last_look <= LONGEST_GAP:
            gang.lag = seconds
            self.ledger.families.learn_lag(gang.family, seconds)

    def _learn_use(self, ranks: "_Ranks", surprise: Array, at: Array, clean: Mask, settled: Mask) -> None:
        rows, shares = ranks.rows, ranks.shares
        coming = _by_node(np.ones(shares.shape), ~settled, rows, at.shape)
        learns = (clean & (coming == 0))[rows]
        doubt = _by_node(shares**2 * ranks.variance, settled, rows, at.shape)[rows] + OWN_SPREAD**2 + NOISE**2
        gain = np.where(learns, ranks.variance * shares / doubt, 0.0)
        step = ranks.mean(gain * np.nan_to_num(surprise[rows]))
        known = ranks.mean(gain * shares)
        for number in np.unique(ranks.gang[learns.any(axis=1)]):
            gang, mine = ranks.one_of(number)
            use, variance = ranks.use[mine], ranks.variance[mine]
            if gang.watched is None:
                gang.watched = Watched(use, variance, variance, float(np.nanmax(at[rows[mine]])))
            gang.watched.use = np.maximum(use + step[number], 0.0)
            gang.watched.variance = variance * (1.0 - known[number])


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Every rank that runs, a row each: its gang's number, its node, and what is believed of it."""

    gangs: list[Gang]
    gang: Rows
    rows: Rows
    shares: Array
    first_use: Array
    """û of its family."""
    use: Array
    variance: Array
    decided: Array
    plateau_from: Array
    """When each one's load is all there, Unix seconds, shape (ranks, 1)."""

    @staticmethod
    def of(running: Iterable[Gang], families: Families, snapshot: Snapshot) -> "_Ranks":
        gangs, numbers, rows, beliefs = [], [], [], []
        for number, gang in enumerate(running):
            belief = _belief(gang, families)
            for placed in gang.placement.ranks:
                row = snapshot.row(placed.node)
                if row is not None:
                    gangs.append(gang)
                    numbers.append(number)
                    rows.append(row)
                    beliefs.append(belief)
        where, shape = np.array(rows, dtype=np.intp), (len(rows), len(SIGNALS))
        return _Ranks(
            gangs,
            np.array(numbers, dtype=np.intp),
            where,
            snapshot.shares(where, [gang.request for gang in gangs])[:, COLUMNS],
            np.array([families.use(gang.family) for gang in gangs]).reshape(shape),
            np.array([use for use, _ in beliefs]).reshape(shape),
            np.array([variance for _, variance in beliefs]).reshape(shape),
            np.array([gang.placement.decided_at for gang in gangs]),
            np.array([[_plateau_from(gang, families)] for gang in gangs]).reshape(-1, 1),
        )

    def mean(self, values: Array) -> Array:
        """The means over each gang's ranks, by the gang's number."""
        ranks = np.bincount(self.gang)
        total = np.zeros((len(ranks), values.shape[1]))
        np.add.at(total, self.gang, values)
        return total / np.maximum(ranks, 1)[:, None]

    def one_of(self, number: int) -> tuple[Gang, int]:
        """The gang of this number, and the first of its ranks."""
        first = int(np.searchsorted(self.gang, number))
        return self.gangs[first], first


def _belief(gang: Gang, families: Families) -> tuple[Array, Array]:
    """The gang's use as far as known, and its variance: at first its family's, the surer the more of it were seen."""
    if gang.watched is not None:
        return gang.watched.use, gang.watched.variance
    use = families.use(gang.family)
    return use, (UNCERTAINTY * np.maximum(use, LEAST_USE)) ** 2 * PRIOR_JOBS / families.evidence(gang.family)


def _plateau_from(gang: Gang, families: Families) -> float:
    """When a gang's load is all there. One that has not shown yet may be a light one, but not before it runs."""
    decided = gang.placement.decided_at
    if gang.seen:
        return decided + (families.lag(gang.family) if gang.lag is None else gang.lag) + RAMP_SECONDS
    if gang.runs_since is None:
        return np.inf
    return max(decided + families.lag(gang.family), gang.runs_since) + RAMP_SECONDS


def _tell(gang: Gang, families: Families, now: float) -> None:
    """Teach the family what the gang uses, once: at its end, or after a while of its plateau."""
    watched = gang.watched
    if watched is None or gang.taught:
        return
    if gang.ended_at is not None or now >= watched.begun + TELLING_SECONDS:
        families.learn_use(gang.family, watched.known())
        gang.taught = True


def _by_node(values: Array, where: Mask, rows: Rows, shape: tuple[int, ...]) -> Array:
    """The ranks' values summed by node."""
    total = np.zeros(shape)
    np.add.at(total, rows, np.where(where, values, 0.0))
    return total
