"""Load that metrics don't tell rightly yet: R⁺ of jobs placed a moment ago, R⁻ of jobs that ended a moment ago.

A job placed a moment ago loads nothing that a scrape could see: images are pulled, data is read, and averages lag.
Each commitment adds (1 - v)·û to its node,

    v = clip((t - decided - lag - RAMP) / WINDOW, 0, 1)        t the time of the node's newest sample

with û and lag of the job's family; a sample that is late can't show what was decided after it was taken. A job that
ended is a ghost in the same averages: v(end)·û·clip(1 - (t - end) / FADE, 0, 1) is taken off its node.
What is not seen is known only roughly: UNCERTAINTY·û of each commitment's hidden part is added to the forecast's σ, in
quadrature, as one job's use tells nothing of another's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.families import EXPECTED, LAG_SECONDS, Families
from loadstar.core.forecast import SIGNALS
from loadstar.core.load import Signal
from loadstar.core.resources import Resources
from loadstar.core.snapshot import CPU, GPUS, MEMORY, Rows, Snapshot

Array = NDArray[np.float64]

RAMP_SECONDS = 60.0
"""From the first visible load to the plateau."""
WINDOW_SECONDS = 240.0
"""How long the forecast's averages take to show the plateau in full."""
FADE_SECONDS = 90.0
"""How long the load of a gang that ended is still forecast: samples are means over a minute, and the forecast follows
a drop within one or two of them. To take it off for longer would be to promise room that others use."""
UNCERTAINTY = 0.3
"""σ of a commitment's hidden load as a share of it."""

RESOURCE_OF: dict[Signal, int] = {
    Signal.GPU: GPUS,
    Signal.GPU_MEMORY: GPUS,
    Signal.CPU: CPU,
    Signal.MEMORY: MEMORY,
}
"""The resource whose share of the node stands for a signal where nothing is measured."""
COLUMNS = [RESOURCE_OF[signal] for signal in SIGNALS]


@dataclass(frozen=True, slots=True)
class Commitment:
    """One rank's request on a node, decided at `decided_at` (Unix seconds), by a job of this family.

    With `ended_at` it is a ghost: the rank is over. `lag` is its own, in seconds, once that was seen; else it is the
    family's.
    """

    node: str
    request: Resources
    decided_at: float
    family: str = ""
    ended_at: float | None = None
    lag: float | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What the newest samples don't tell, per node and signal in shares of the node, shape (nodes, signals).

    `coming` is R⁺, `leaving` R⁻ and `variance` the σ² that R⁺ adds to a forecast.
    """

    coming: Array
    leaving: Array
    variance: Array

    @property
    def net(self) -> Array:
        """R⁺ - R⁻: what is added to a forecast before it is clipped to 0..1."""
        return self.coming - self.leaving


def visibility(age: Array | float, lag: Array | float = LAG_SECONDS) -> Array:
    """The share of a job's load that metrics show `age` seconds after its placement was decided."""
    return np.asarray(np.clip((np.asarray(age) - lag - RAMP_SECONDS) / WINDOW_SECONDS, 0.0, 1.0))


def expires_at(decided_at: float, lag: float) -> float:
    """When all of a commitment's load is visible."""
    return decided_at + lag + RAMP_SECONDS + WINDOW_SECONDS


def expected_use(
    request: Resources, snapshot: Snapshot, use: Array = EXPECTED, rows: Rows | slice = slice(None)
) -> Array:
    """û of one rank on each of these nodes, as a share of the node per signal; shape (nodes, signals).

    `use` is the family's share of the request.
    """
    return np.asarray(use * snapshot.share_of(request, rows)[:, COLUMNS])


def use_by_node(ranks: Iterable[tuple[str, Resources, str]], snapshot: Snapshot, families: Families) -> Array:
    """û of all these ranks (node, request, family) together, as a share of each node; shape (nodes, signals)."""
    total = np.zeros((len(snapshot.names), len(SIGNALS)))
    here = [
        (row, request, family) for node, request, family in ranks if (row := snapshot.row(node)) is not None
    ]
    if here:
        rows = np.array([row for row, _, _ in here], dtype=np.intp)
        known = {family: families.use(family) for family in {family for _, _, family in here}}
        shares = snapshot.shares(rows, [request for _, request, _ in here])[:, COLUMNS]
        np.add.at(total, rows, np.array([known[family] for _, _, family in here]) * shares)
    return total


def committed(
    commitments: Iterable[Commitment],
    snapshot: Snapshot,
    now: float,
    families: Families | None = None,
    age: Array | None = None,
) -> Committed:
    """R⁺ and R⁻ of every node. `age` is that of the newest samples in seconds (Forecast.age; NaN: never any)."""
    shape = (len(snapshot.names), len(SIGNALS))
    result = Committed(np.zeros(shape), np.zeros(shape), np.zeros(shape))
    here = [one for one in commitments if snapshot.row(one.node) is not None]
    if not here:
        return result
    rows = np.array([snapshot.row(one.node) for one in here], dtype=np.intp)
    sampled_at = np.full((len(here), 1), now) if age is None else now - np.nan_to_num(age[rows])
    use, lag = _learned(here, families or Families())
    whole = use * snapshot.shares(rows, [one.request for one in here])[:, COLUMNS]
    coming, leaving = _shares(here, lag, sampled_at)
    np.add.at(result.coming, rows, coming * whole)
    np.add.at(result.leaving, rows, leaving * whole)
    np.add.at(result.variance, rows, (UNCERTAINTY * coming * whole) ** 2)
    return result


def _learned(commitments: Sequence[Commitment], families: Families) -> tuple[Array, Array]:
    """û (commitments, signals) and lag (commitments, 1)."""
    index: dict[str, int] = {}
    of = np.array([index.setdefault(one.family, len(index)) for one in commitments], dtype=np.intp)
    uses = np.array([families.use(family) for family in index])
    lags = np.array([families.lag(family) for family in index])
    own = np.array([np.nan if one.lag is None else one.lag for one in commitments])
    return uses[of], np.where(np.isnan(own), lags[of], own)[:, None]


def _shares(commitments: Sequence[Commitment], lag: Array, sampled_at: Array) -> tuple[Array, Array]:
    """The shares of each one's û that are still to be added and to be taken off."""
    decided = np.array([[one.decided_at] for one in commitments])
    ended = np.array([[np.inf if one.ended_at is None else one.ended_at] for one in commitments])
    shown = visibility(np.minimum(ended, sampled_at) - decided, lag)
    fading = np.clip(1.0 - (sampled_at - ended) / FADE_SECONDS, 0.0, 1.0)
    over = np.isfinite(ended)
    return np.where(over, 0.0, 1.0 - shown), np.where(over, shown * fading, 0.0)
