"""What else one could forecast by: the views of other schedulers, and textbook methods with their usual constants.

All take the samples (steps, series) and give a forecast per step, (steps, series) where it is the same for every
horizon, (steps, horizons, series) where not. A missing sample leaves everything as it was.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def yardsticks(actual: Array, horizons: Sequence[int], step_seconds: float) -> Mapping[str, Array]:
    """Every baseline by name. `step_seconds` says how many samples the windows of minutes hold."""
    known = _filled(actual)

    def window(minutes: float) -> int:
        return max(1, round(60 * minutes / step_seconds))

    found = {f"C + {alpha:g}·ΔC": _plain_rule(known, alpha) for alpha in (0.1, 0.25, 0.5, 1.0)}
    found |= {"learned α": _learned_rule(known, horizons)}
    found |= {f"mean {minutes} min": _windowed(known, window(minutes), np.mean) for minutes in (5, 15, 60)}
    found |= {
        "max 60 min": _windowed(known, window(60), np.max),
        "p95 60 min": _windowed(known, window(60), lambda part, axis: np.percentile(part, 95, axis=axis)),
        "SES 0.1": _holt(known, horizons, 0.1, 0.0, 0.0),
        "Holt": _holt(known, horizons, 0.2, 0.03, 1.0),
        "damped Holt": _holt(known, horizons, 0.2, 0.03, 0.9),
    }
    return found


def persistence(actual: Array) -> Array:
    """The newest sample."""
    return _filled(actual)


def _filled(actual: Array) -> Array:
    """The newest sample of each step; before the first one that first one, from which nothing is scored."""
    known = actual.copy()
    for row in range(1, len(known)):
        known[row] = np.where(np.isnan(known[row]), known[row - 1], known[row])
    first = np.isfinite(actual).argmax(axis=0)
    return np.where(np.isnan(known), actual[first, np.arange(actual.shape[1])], known)


def _plain_rule(known: Array, alpha: float) -> Array:
    return known + alpha * np.diff(known, axis=0, prepend=known[:1])


def _learned_rule(
    known: Array, horizons: Sequence[int], discount: float = 0.998, bound: float = 0.8
) -> Array:
    change = np.diff(known, axis=0, prepend=known[:1])
    out = np.empty((len(known), len(horizons), known.shape[1]))
    for place, horizon in enumerate(horizons):
        products, squares = np.zeros(known.shape[1]), np.zeros(known.shape[1])
        for row in range(len(known)):
            if row >= horizon:
                cause = change[row - horizon]
                products = discount * products + cause * (known[row] - known[row - horizon])
                squares = discount * squares + cause**2
            alpha = np.clip(products / np.where(squares > 0, squares, 1.0), -bound, bound)
            out[row, place] = known[row] + alpha * change[row]
    return out


def _windowed(known: Array, length: int, reduce: Callable[..., Array]) -> Array:
    out = np.empty_like(known)
    for row in range(len(known)):
        out[row] = reduce(known[max(0, row - length + 1) : row + 1], axis=0)
    return out


def _holt(known: Array, horizons: Sequence[int], rate: float, slope_rate: float, damping: float) -> Array:
    level, slope = known[0].copy(), np.zeros(known.shape[1])
    ahead = np.array([sum(damping**i for i in range(1, horizon + 1)) for horizon in horizons])[:, None]
    out = np.empty((len(known), len(horizons), known.shape[1]))
    for row, value in enumerate(known):
        expected = level + damping * slope
        miss = value - expected if row else np.zeros_like(value)
        level = expected + rate * miss
        slope = damping * slope + slope_rate * rate * miss
        out[row] = level + ahead * slope
    return out
