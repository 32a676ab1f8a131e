"""The experts of the load forecast: seven simple views of where a load goes from here, one of them the plain rule.

    last value     C
    plain rule     C + α_h·ΔC                        α_h learned per node and horizon
    reversion      C + β_h·(level - C)               β_h learned likewise
    trend          line + slope · Σ_{i=1..h} PHI^i   a discounted least-squares line, damped (Gardner & McKenzie 1985)
    level          a slow running mean that starts anew where the load has moved for good
    slow median,   running medians by stochastic approximation (Robbins & Monro 1951): what half of the samples
    fast median    lie below, untouched by how far the others spike

What an expert needs of a moment to forecast from it (its *traits*) is seven numbers, so that a forecast made some
time ago can be judged when its hour has come. Times are in steps Δ, and irregular ones are exact or nearly so: a
rate r per step is 1 - (1 - r)^d for a sample that comes d steps after the one before.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadstar.core.columns import Columns, Floats, Rows, empty, settle

HORIZONS: Final = np.array([1, 3, 5, 10, 15, 30], np.float32)
"""In steps; what is learned is learned for these, and what lies between is interpolated."""

EXPERTS: Final = ("last value", "plain rule", "reversion", "trend", "level", "slow median", "fast median")
TRAITS: Final = 7
VALUE, CHANGE, LEVEL, LINE, SLOPE, SLOW, FAST = range(TRAITS)

LEVEL_RATE: Final = np.float32(0.03)
"""Per step: a memory of half an hour at 30 s."""
MOVED: Final = np.float32(4.0)
"""Two samples in a row, off to the same side by this many mean deviations, are a new level: a job came or went."""
MEDIAN_RATES: Final = np.array([[0.02], [0.1]], np.float32)
"""Steps of the medians, as a share of the mean deviation, at the least; at the start 1/√n, which settles in minutes."""
DISCOUNT: Final = np.float32(0.8)
"""Per step, of the line: a memory of about five steps, short enough to follow jobs that come and go."""
PHI: Final = np.float32(0.9)
"""Damping per step: a trend is believed for about nine steps in all."""
RIDGE: Final = np.float32(0.5)
"""In steps²: the spread of sample times below which a slope counts as not yet known."""
SETTLED: Final = 3
"""Samples a level or a line has to hold before it can be given up: the miss after a jump is no second jump."""
DEVIATION_RATE: Final = np.float32(0.02)
SLOPE_DISCOUNT: Final = np.float32(0.998)
"""Per step, of what α and β are learned from: some four hours at 30 s."""
LENT: Final = np.float32(0.05)
"""How much of the next shorter horizon's evidence for α and β a horizon takes for its own: what it goes by while it
has seen little."""

_DAMPED: Final = (PHI * (1 - PHI**HORIZONS) / (1 - PHI))[:, None]
"""Σ_{i=1..h} PHI^i of each horizon."""
_LOWEST: Final = np.stack([-1 / _DAMPED, np.full_like(_DAMPED, -0.5)])
_HIGHEST: Final = np.float32(1.0)
"""Bounds of α_h/Σ PHI^i and β_h: -1 ≤ α_h ≤ Σ PHI^i. Beyond them lie overshoots that a few odd samples would teach."""


def damped_steps(steps: Floats) -> Floats:
    """Σ_{i=1..h} PHI^i for real h, the closed form of the geometric sum."""
    return np.asarray(PHI * (1 - PHI**steps) / (1 - PHI), np.float32)


def predictions(traits: Floats, slopes: Floats) -> Floats:
    """Every expert's forecast, (experts, horizons, nodes), from traits (traits, 1 or horizons, nodes).

    `slopes` are those of `Slopes.of`, (2, horizons, nodes). With a horizons axis the traits are those of
    the moments from which each horizon was forecast.
    """
    out = np.empty((len(EXPERTS), *slopes.shape[1:]), np.float32)
    value = traits[VALUE]
    out[0] = value
    np.multiply(slopes[0], _DAMPED, out=out[1])
    out[1] *= traits[CHANGE]
    out[1] += value
    np.multiply(slopes[1], traits[LEVEL] - value, out=out[2])
    out[2] += value
    np.multiply(traits[SLOPE], _DAMPED, out=out[3])
    out[3] += traits[LINE]
    out[4] = traits[LEVEL]
    out[5] = traits[SLOW]
    out[6] = traits[FAST]
    return out


class Smoothers(Columns):
    """The running levels, medians and lines of one signal; some twenty floats per node."""

    def __init__(self) -> None:
        self.traits = empty(TRAITS)
        self.count = empty()
        self._level_since = empty()
        self._level_off = empty()
        self._level_deviation = empty()
        self._median_deviation = empty(2)
        self._line_since = empty()
        self._line_deviation = empty()
        self._sums = empty(
            5
        )  # of the line: weights, x, x², y, xy; x counts steps back from the newest sample

    def update(self, rows: Rows, y: Floats, steps: Floats) -> None:
        """Take in each node's new sample `y`, `steps` after the one before (1 where there was none)."""
        count = self.count[rows]
        seen = count > 0
        early = np.reciprocal(count + 1)
        last = self.traits[VALUE, rows]
        self.traits[CHANGE, rows] = np.where(seen, (y - last) / steps, 0)
        self.traits[VALUE, rows] = y
        self._update_level(rows, y, steps, early)
        self._update_medians(rows, y, steps, seen)
        self._update_line(rows, y, steps, early)
        self.count[rows] = count + 1

    def restarted(self, rows: Rows) -> Floats:
        """1 where the line has just started anew, else 0 (nodes)."""
        return np.asarray(self._line_since[rows] == 0, np.float32)

    def _update_level(self, rows: Rows, y: Floats, steps: Floats, early: Floats) -> None:
        level, since, off = self.traits[LEVEL, rows], self._level_since[rows], self._level_off[rows]
        deviation = self._level_deviation[rows]
        miss = np.where(early < 1, y - level, 0)
        size = np.abs(miss)
        side = np.where((size > MOVED * deviation) & (since > SETTLED), np.sign(miss), 0)
        moved = (side * off > 0) | (early == 1)
        since = np.where(moved, 0, since + 1)
        rate = np.maximum(_rate(LEVEL_RATE, steps), 1 / (since + 1))
        self.traits[LEVEL, rows] = np.where(moved, y, level + rate * miss)
        self._level_since[rows] = since
        self._level_off[rows] = np.where(moved, 0, side)
        self._level_deviation[rows] = deviation + np.maximum(DEVIATION_RATE, early) * (size - deviation)

    def _update_medians(self, rows: Rows, y: Floats, steps: Floats, seen: NDArray[np.bool_]) -> None:
        median = self.traits[SLOW : FAST + 1, rows]
        deviation = self._median_deviation[:, rows]
        miss = np.where(seen, y - median, 0)
        early = np.reciprocal(self.count[rows] + 1)
        deviation += np.maximum(DEVIATION_RATE, early) * (np.abs(miss) - deviation)
        reach = np.maximum(_rate(MEDIAN_RATES, steps), np.sqrt(early)) * deviation
        self._median_deviation[:, rows] = deviation
        self.traits[SLOW : FAST + 1, rows] = np.where(seen, median + np.clip(miss, -reach, reach), y)

    def _update_line(self, rows: Rows, y: Floats, steps: Floats, early: Floats) -> None:
        since, deviation = self._line_since[rows] + 1, self._line_deviation[rows]
        expected = self.traits[LINE, rows] + self.traits[SLOPE, rows] * damped_steps(steps)
        miss = np.where(early < 1, np.abs(y - expected), 0)
        jumped = ((since > SETTLED) & (miss > MOVED * deviation)) | (early == 1)
        self._line_since[rows] = np.where(jumped, 0, since)
        self._line_deviation[rows] = deviation + np.maximum(DEVIATION_RATE, early) * (miss - deviation)
        decay = np.where(jumped, 0, DISCOUNT**steps)
        weight, x, xx, sum_y, xy = self._sums[:, rows]
        sums = np.stack(
            [
                decay * weight + 1,
                decay * (x - steps * weight),
                decay * (xx - 2 * steps * x + steps * steps * weight),
                decay * sum_y + y,
                decay * (xy - steps * sum_y),
            ]
        )
        self._sums[:, rows] = sums
        weight, x, xx, sum_y, xy = sums
        slope = (xy - x * sum_y / weight) / (xx - x * x / weight + RIDGE)
        self.traits[SLOPE, rows] = slope
        self.traits[LINE, rows] = (sum_y - slope * x) / weight


class Slopes(Columns):
    """α of the plain rule and β of reversion per node and horizon: discounted least squares through the origin.

    α_h is learned as a share of the damped steps Σ_{i=1..h} PHI^i, which makes it comparable between horizons.
    """

    def __init__(self) -> None:
        self._products = empty(2, len(HORIZONS))
        self._squares = empty(2, len(HORIZONS))

    def of(self, rows: Rows) -> Floats:
        """α_h/Σ PHI^i and β_h, (2, horizons, nodes); 0 while nothing speaks for more."""
        products, squares = self._products[..., rows].copy(), self._squares[..., rows].copy()
        for h in range(1, len(HORIZONS)):
            products[:, h] += LENT * products[:, h - 1]
            squares[:, h] += LENT * squares[:, h - 1]
        return np.clip(products / np.where(squares > 0, squares, 1), _LOWEST, _HIGHEST)

    def alphas(self, rows: Rows) -> Floats:
        """α_h, (horizons, nodes)."""
        return np.asarray(self.of(rows)[0] * _DAMPED)

    def learn(self, rows: Rows, traits: Floats, y: Floats, evidence: Floats) -> None:
        """What came (`y`) after the moments of `traits` (traits, horizons, nodes); evidence in steps, 0 to 1."""
        value = traits[VALUE]
        cause = np.stack([traits[CHANGE] * _DAMPED, traits[LEVEL] - value])
        decay = 1 - (1 - SLOPE_DISCOUNT) * evidence
        products, squares = self._products[..., rows], self._squares[..., rows]
        weighted = cause * evidence
        products *= decay
        products += weighted * (y - value)
        weighted *= cause
        squares *= decay
        squares += weighted
        settle(self._products, rows, products)
        settle(self._squares, rows, squares)


def _rate(per_step: Floats | np.float32, steps: Floats) -> Floats:
    return np.asarray(1 - (1 - per_step) ** steps, np.float32)
