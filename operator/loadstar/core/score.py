"""From forecasts to one load per node, and from loads to scores with their terms (bigger is better)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import erfc, exp, pi, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from loadstar.core.commitments import UNCERTAINTY, Committed
from loadstar.core.families import EXPECTED_USE
from loadstar.core.forecast import NORMAL_90, SIGNALS, Forecast, feedback
from loadstar.core.load import FreshnessPolicy, Signal

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


NEAR, CELLS = 5.0, 2048
"""In σ. Beyond it, what is left out of an expected excess is less than a ten-millionth of σ. Up to it, the excess is
interpolated between so many places, and no further off than that either."""


def _excess_beyond(z: float) -> float:
    """E[(X - z)⁺] of X ~ N(0, 1): φ(z) - z·(1 - Φ(z))."""
    return exp(-z * z / 2) / sqrt(2 * pi) - z * erfc(z / sqrt(2)) / 2


_BEYOND = np.array([_excess_beyond(NEAR * cell / CELLS) - _excess_beyond(NEAR) for cell in range(CELLS + 1)])
_SLOPES = np.append(np.diff(_BEYOND), 0.0).astype(np.float32)
_BEYOND = _BEYOND.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of signals in a node's load and of terms in its score; `hot` is θ, the load that counts as too high.

    The overload term alone is flat below θ, so that any two calm nodes would tie; the load term ranks those too. It is
    small: a calm node is no better for being calmer, but spreading jobs for it leaves no node free for large ones.
    `headroom` is overload's at the time when newcomers have taken what stays free (core/newcomers.py).
    `fragmentation` and `drain` are weights in a full cluster; they go with the fourth power of the share of GPUs that
    are taken.
    """

    signals: Mapping[Signal, float]
    hot: float = 0.8
    overload: float = 1.0
    headroom: float = 1.0
    load: float = 0.001
    fragmentation: float = 0.2
    drain: float = 0.2
    network_split: float = 0.1
    watts: float = 0.02
    health: float = 0.1
    sharing: float = 0.1
    discouraged: float = 0.1
    of_signals: Array = field(init=False, repr=False, compare=False)
    """The signals' weights in the order of SIGNALS, as shares of their sum."""
    of_overloads: Array = field(init=False, repr=False, compare=False)
    """The same as shares of the largest: overload of the weightiest signal counts in full."""

    def __post_init__(self) -> None:
        weights = np.array([self.signals.get(signal, 0.0) for signal in SIGNALS])
        object.__setattr__(self, "of_signals", weights / weights.sum())
        object.__setattr__(self, "of_overloads", weights / weights.max())


@dataclass(frozen=True, slots=True)
class NodeLoads:
    """One load per node, in the snapshot's order. `measured` is False where allocation stands in for every signal.

    `expected` and `sigma`, of shape (nodes, signals), are what is behind it: each signal's mean at the horizon and its
    standard deviation. A signal that nobody measured is expected to be what jobs use of what is allocated.
    """

    current: Array
    plain_feedback: Array
    forecast: Array
    band: Array
    measured: NDArray[np.bool_]
    expected: Array
    sigma: Array

    def rows(self, rows: Rows | slice) -> "NodeLoads":
        """These nodes' loads, to be read only."""
        return NodeLoads(
            self.current[rows],
            self.plain_feedback[rows],
            self.forecast[rows],
            self.band[rows],
            self.measured[rows],
            self.expected[rows],
            self.sigma[rows],
        )

    def update(self, rows: Rows, loads: "NodeLoads") -> None:
        """Overwrite these nodes' loads."""
        self.current[rows] = loads.current
        self.plain_feedback[rows] = loads.plain_feedback
        self.forecast[rows] = loads.forecast
        self.band[rows] = loads.band
        self.measured[rows] = loads.measured
        self.expected[rows] = loads.expected
        self.sigma[rows] = loads.sigma


def combine(
    forecast: Forecast,
    committed: Committed,
    allocated: Array,
    alpha: float,
    policy: FreshnessPolicy,
    weights: Weights,
) -> NodeLoads:
    """The weighted mean over signals of Ĉ = clip(f(C, ΔC) + R⁺ - R⁻, 0, 1), per node.

    `allocated` is the allocated share, of shape (nodes, signals) as all the others. A missing signal is replaced by
    it, as it already holds what is committed; a stale one widens its band, and so does the doubt in what is committed.
    """
    missing = ~(forecast.age <= policy.missing_seconds)
    weight = weights.of_signals

    def mean(value: Array) -> Array:
        return _weighted(np.where(missing, allocated, value), weight)

    net = committed.coming - committed.leaving
    widened = forecast.band * np.maximum(1.0, np.nan_to_num(forecast.age) / policy.fresh_seconds)
    variance = np.minimum(widened, 1.0) ** 2 / NORMAL_90**2 + committed.variance
    variance = np.where(missing, 0.0, variance)
    expected = np.where(missing, EXPECTED_USE * allocated, np.clip(forecast.mean + net, 0.0, 1.0))
    return NodeLoads(
        current=mean(forecast.current),
        plain_feedback=mean(feedback(forecast.current, forecast.change, alpha)),
        forecast=mean(np.clip(forecast.value + net, 0.0, 1.0)),
        band=NORMAL_90 * np.sqrt(_weighted(variance, weight**2)),
        measured=np.asarray(~missing[:, weight > 0].all(axis=1)),
        expected=expected,
        sigma=np.sqrt(variance),
    )


def _weighted(values: Array, weights: Array) -> Array:
    """`values @ weights`, a row's result never depending on which other rows there are, as it may with BLAS."""
    total = np.zeros(len(values))
    for column, weight in enumerate(weights.tolist()):
        total += values[:, column] * weight
    return total


@dataclass(frozen=True, slots=True)
class Scores:
    """Total and terms per node, in the snapshot's order; the total is the sum of the terms."""

    total: Array
    terms: Mapping[str, Array]

    def spread(self, where: NDArray[np.bool_]) -> "Scores":
        """The same scores for the nodes that are marked, in their order, and 0 for the others."""

        def among(values: Array) -> Array:
            all_ = np.zeros(len(where))
            all_[where] = values
            return all_

        return Scores(among(self.total), {name: among(values) for name, values in self.terms.items()})

    def update(self, rows: Rows | slice, scores: "Scores") -> None:
        """Overwrite these nodes' scores."""
        self.total[rows] = scores.total
        for name, values in self.terms.items():
            values[rows] = scores.terms[name]


def _of(terms: Mapping[str, Array]) -> Scores:
    total = sum(terms.values(), start=np.zeros(()))
    return Scores(total=np.asarray(total), terms=terms)


def predictive(
    loads: NodeLoads,
    own_use: Array,
    fragmentation: Array,
    weights: Weights,
    others: Mapping[str, Array] = MappingProxyType({}),
) -> Scores:
    """-Σ_s w_s·(E[(L_s + u_s - θ)⁺] - E[(L_s - θ)⁺]) - w·L - `fragmentation` + `others`: the terms and their sum.

    `own_use` u, of shape (nodes, signals), is what one rank is expected to add; as with all that is not seen yet, it is
    known only roughly. Overload is what the rank adds to it: what is there anyway is no reason against a node that has
    room. `fragmentation` and `others`, which no load changes, are weighed already.
    """
    variance = loads.sigma**2 + (UNCERTAINTY * own_use) ** 2
    after = loads.expected + own_use
    terms = {
        "overload": -weights.overload * excess_growth(loads.expected, after, variance, weights),
        "load": -weights.load * (loads.forecast + _weighted(own_use, weights.of_signals)),
        "fragmentation": -fragmentation,
    }
    return _of({**terms, **others})


def excess_growth(before: Array, after: Array, variance: Array, weights: Weights) -> Array:
    """By how much the expected excess over θ grows, of all signals by their weights; shape (nodes,).

    Where `after` is not below `before` it is never less for more load.
    """
    least, most = expected_excess(np.stack([before, after]), np.sqrt(variance), weights.hot)
    return _weighted(most - least, weights.of_overloads)


def plain_feedback(loads: NodeLoads) -> Scores:
    """-(C + α·ΔC): the node with the least load by the feedback rule."""
    return _of({"load": -loads.plain_feedback})


def least_loaded(loads: NodeLoads) -> Scores:
    """-C: the node with the least load now, C_j = min(C_1 … C_n)."""
    return _of({"load": -loads.current})


def round_robin(nodes: int, last: int | None) -> Scores:
    """The node after the `last` one chosen (a row) is next; -0 is next, -(n-1)/n the last one itself."""
    start = 0 if last is None else last + 1
    turns = (np.arange(nodes) - start) % max(nodes, 1)
    return _of({"turn": -turns / max(nodes, 1)})


def expected_excess(mean: Array, sigma: Array, threshold: float) -> Array:
    """E[(X - θ)⁺] of X ~ N(mean, σ²), (mean - θ)⁺ where σ = 0.

    With z = |mean - θ| / σ it is (mean - θ)⁺ + σ·(φ(z) - z·(1 - Φ(z))); the latter factor is read from a table.
    """
    above = mean - threshold
    cells = (np.abs(above) * (CELLS / NEAR) / np.maximum(sigma, 1e-9)).astype(np.float32)
    np.minimum(cells, np.float32(CELLS), out=cells)
    cell = cells.astype(np.int32)
    cells -= cell
    cells *= _SLOPES.take(cell)
    cells += _BEYOND.take(cell)
    return np.asarray(np.maximum(above, 0.0) + cells * sigma)
