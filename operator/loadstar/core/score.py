"""From forecasts to one load per node, and from loads to scores with their terms (bigger is better)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.forecast import NORMAL_90, SIGNALS, Forecast, feedback
from loadstar.core.load import FreshnessPolicy, Signal

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of signals in a node's load and of terms in its score; `hot` is θ, the load that counts as too high.

    The overload term alone is flat below θ, so that any two calm nodes would tie; the load term ranks those too.
    """

    signals: Mapping[Signal, float]
    hot: float = 0.8
    overload: float = 1.0
    load: float = 0.2
    fragmentation: float = 0.05


@dataclass(frozen=True, slots=True)
class NodeLoads:
    """One load per node, in the snapshot's order. `measured` is False where allocation stands in for every signal."""

    current: Array
    plain_feedback: Array
    forecast: Array
    band: Array
    measured: NDArray[np.bool_]


def combine(
    forecast: Forecast,
    hidden: Array,
    allocated: Array,
    alpha: float,
    policy: FreshnessPolicy,
    weights: Weights,
) -> NodeLoads:
    """The weighted mean over signals of Ĉ = clip(f(C, ΔC) + R⁺, 0, 1), per node.

    `hidden` is R⁺ and `allocated` the allocated share, both of shape (nodes, signals). A missing signal is replaced
    by the allocated share, which already holds what is committed; a stale one widens its band.
    """
    missing = ~(forecast.age <= policy.missing_seconds)
    weight = np.array([weights.signals.get(signal, 0.0) for signal in SIGNALS])
    weight = weight / weight.sum()

    def mean(value: Array) -> Array:
        return np.asarray(np.where(missing, allocated, value) @ weight)

    widened = forecast.band * np.maximum(1.0, np.nan_to_num(forecast.age) / policy.fresh_seconds)
    band = np.where(missing, 0.0, np.minimum(widened, 1.0))
    return NodeLoads(
        current=mean(forecast.current),
        plain_feedback=mean(feedback(forecast.current, forecast.change, alpha)),
        forecast=mean(np.clip(forecast.value + hidden, 0.0, 1.0)),
        band=np.sqrt((band * weight) ** 2 @ np.ones(len(SIGNALS))),
        measured=np.asarray(~missing[:, weight > 0].all(axis=1)),
    )


@dataclass(frozen=True, slots=True)
class Scores:
    """Total and terms per node, in the snapshot's order; the total is the sum of the terms."""

    total: Array
    terms: Mapping[str, Array]


def _of(terms: Mapping[str, Array]) -> Scores:
    return Scores(total=np.sum(list(terms.values()), axis=0), terms=terms)


def predictive(loads: NodeLoads, own_use: Array, free_share_after: Array, weights: Weights) -> Scores:
    """-E[(L - θ)⁺] - w·L - w·fragmentation, L the node's forecast load with the new gang on it.

    `own_use` is the gang's expected load on each node, `free_share_after` the share of the node's GPUs that would
    stay free: capacity that only smaller jobs can use.
    """
    mean = loads.forecast + own_use
    overload = expected_excess(mean, loads.band / NORMAL_90, weights.hot)
    return _of(
        {
            "overload": -weights.overload * overload,
            "load": -weights.load * mean,
            "fragmentation": -weights.fragmentation * free_share_after,
        }
    )


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
    """E[(X - θ)⁺] of X ~ N(mean, σ²): σ·(φ(z) - z·(1 - Φ(z))), z = (θ - mean)/σ; (mean - θ)⁺ where σ = 0."""
    safe = np.maximum(sigma, 1e-9)
    z = (threshold - mean) / safe
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    excess = safe * (density - z * _normal_tail(z))
    return np.asarray(np.where(sigma > 1e-9, np.maximum(excess, 0.0), np.maximum(mean - threshold, 0.0)))


def _normal_tail(z: Array) -> Array:
    """1 - Φ(z), by Abramowitz & Stegun 26.2.17 (absolute error below 7.5e-8)."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = poly * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(np.where(z >= 0, tail, 1.0 - tail))
