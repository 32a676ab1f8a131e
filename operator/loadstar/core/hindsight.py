"""How right a placement's forecast was: judged once its horizon has passed, and how right forecasts are on the whole.

A node's forecast says what its load would be without the gang; so the gang's own expected use is added before it is
compared with what was measured. The same is added to the load at the decision, which makes the error of "no change".
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import isnan

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import COLUMNS, RAMP_SECONDS
from loadstar.core.families import Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.jobs import Hindsight, Placement
from loadstar.core.ledger import PATIENCE_SECONDS, Gang, Ledger
from loadstar.core.score import NodeLoads
from loadstar.core.snapshot import Snapshot
from loadstar.core.view import Known

Array = NDArray[np.float64]
REMEMBERED_SECONDS = 86_400.0
REMEMBERED = 10_000
"""What the figures are means over: a day, and so many placements at most."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A node's combined load (0..1) by its newest samples, taken `at` (Unix seconds)."""

    load: float
    at: float


OwnUse = Callable[[str], float]
"""The load that one rank of the gang was expected to add to the node of this name by the horizon."""


def judge(placement: Placement, own_use: OwnUse, measured: Mapping[str, Measured]) -> Hindsight | None:
    """What became of the forecasts; None while samples of that time are missing on a node, or where none was made."""
    reached_at = placement.decided_at + placement.horizon
    judged = [
        _of_node(rank.forecast, rank.load, rank.band, own_use(rank.node), measured[rank.node].load)
        for rank in placement.ranks
        if rank.load is not None
        and rank.band is not None
        and rank.node in measured
        and measured[rank.node].at >= reached_at
    ]
    if len(judged) < len(placement.ranks):
        return None
    others = [
        min(1.0, measured[other.node].load + own_use(other.node))
        for other in placement.alternatives
        if other.node in measured and measured[other.node].at >= reached_at
    ]
    nodes = len(judged)
    return Hindsight(
        reached_at=reached_at,
        load=sum(node.load for node in judged) / nodes,
        error=sum(node.error for node in judged) / nodes,
        persistence_error=sum(node.persistence_error for node in judged) / nodes,
        within_band=sum(node.within_band for node in judged) / nodes,
        regret=sum(max(0.0, node.load - min(others, default=node.load)) for node in judged) / nodes,
    )


@dataclass(frozen=True, slots=True)
class _Node:
    load: float
    error: float
    persistence_error: float
    within_band: bool


def _of_node(forecast: float, before: float, band: float, own_use: float, load: float) -> _Node:
    error = _share(forecast + own_use) - load
    return _Node(load, error, _share(before + own_use) - load, abs(error) <= band)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of samples shows. `loads` and `age` (seconds, by signal) are in the snapshot's order."""

    snapshot: Snapshot
    loads: NodeLoads
    age: Array
    known: Known
    now: float

    def review(self, ledger: Ledger) -> dict[str, Hindsight]:
        """What became of the gangs whose horizon has passed and that nobody has judged yet, by their jobs' uids."""
        found = {}
        for gang in ledger:
            if gang.judged or self.now < gang.horizon_ends:
                continue
            seen = judge(gang.placement, partial(self.own_use, gang), self._measured(gang.placement))
            gang.judged = seen is not None or self.now > gang.horizon_ends + PATIENCE_SECONDS
            if seen is not None:
                found[gang.uid] = replace(seen, use=_use(gang), lag=gang.lag if gang.seen else None)
        return found

    def own_use(self, gang: Gang, node: str) -> float:
        """The load that one rank of the gang was expected to add to a node by its horizon; none where it was over."""
        row, ends = self.snapshot.row(node), gang.horizon_ends
        if row is None or (gang.ended_at is not None and gang.ended_at < ends):
            return 0.0
        families = self.known.families
        there = np.clip((gang.placement.horizon - families.lag(gang.family)) / RAMP_SECONDS, 0.0, 1.0)
        share = self.snapshot.share_of(gang.request, np.array([row]))[0, COLUMNS]
        measured = self.age[row] <= self.known.freshness.missing_seconds
        use = np.where(measured, families.use(gang.family) * there, 1.0)  # what is allocated counts at once
        return float(use * share @ self.known.weights.of_signals)

    def _measured(self, placement: Placement) -> dict[str, Measured]:
        """The loads of the placement's nodes and of its alternatives, as far as they are known."""
        nodes = {rank.node for rank in placement.ranks} | {other.node for other in placement.alternatives}
        rows = {node: row for node in nodes if (row := self.snapshot.row(node)) is not None}
        return {
            node: Measured(float(self.loads.current[row]), self.now - self._oldest(row))
            for node, row in rows.items()
            if self.loads.measured[row]
        }

    def _oldest(self, row: int) -> float:
        """The age of the oldest sample that the node's load is made of."""
        age = self.age[row]
        counts = (self.known.weights.of_signals > 0) & (age <= self.known.freshness.missing_seconds)
        return float(np.max(age, where=counts, initial=0.0))


def _use(gang: Gang) -> dict[str, float]:
    """What it was seen to use of its request, by signal."""
    if gang.watched is None:
        return {}
    known = zip(SIGNALS, gang.watched.known().tolist(), strict=True)
    return {signal.value: use for signal, use in known if not isnan(use)}


def learn(family: str, seen: Hindsight, families: Families) -> None:
    """Teach a family what is remembered of one of its jobs, after a restart."""
    if seen.use:
        families.learn_use(family, np.array([seen.use.get(signal.value, np.nan) for signal in SIGNALS]))
    if seen.lag is not None:
        families.learn_lag(family, seen.lag)


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over placements: absolute error, of the forecast and of "no change", coverage of the 90 % band, regret.

    All are NaN where there was no placement. `skill` is 1 - error / error of "no change": above 0 the forecast is worth
    having.
    """

    placements: int
    mae: float
    persistence_mae: float
    coverage: float
    regret: float

    @property
    def skill(self) -> float:
        return 1.0 - self.mae / self.persistence_mae if self.persistence_mae > 0 else float("nan")


@dataclass(slots=True)
class Record:
    """The hindsights of the last day."""

    _seen: deque[Hindsight] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, hindsights: Iterable[Hindsight]) -> None:
        """Remember these too. After a restart those in the statuses of jobs are the ones to begin with."""
        added = sorted(hindsights, key=lambda one: one.reached_at)
        self._seen.extend(added)

    def figures(self, now: float) -> Figures:
        """The means over the last day."""
        recent = [one for one in self._seen if now - one.reached_at <= REMEMBERED_SECONDS]
        return Figures(
            placements=len(recent),
            mae=_mean(abs(one.error) for one in recent),
            persistence_mae=_mean(abs(one.persistence_error) for one in recent),
            coverage=_mean(one.within_band for one in recent),
            regret=_mean(one.regret for one in recent),
        )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else float("nan")
