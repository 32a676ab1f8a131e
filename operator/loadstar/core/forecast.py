"""The predictive load formula's f(C, ΔC): a damped trend per node and signal, online, vectorised over nodes.

Each cell keeps a discounted least-squares line through its samples (discount LAMBDA per step Δ) as five running
sums, so that memory is O(1), irregular sample times are exact and the slope is right from the first samples on
(Holt's recursion needs minutes to learn one). The trend is damped as in Gardner & McKenzie (1985):

    Ĉ(t+h) = level + slope · Σ_{i=1..h} PHI^i        h in steps of Δ, counted from the newest sample

The sums take time relative to the newest sample (x ≤ 0); moving the origin by d steps multiplies by LAMBDA^d and
shifts x by -d. RIDGE keeps a slope of a few noisy, close samples near zero.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.load import STEP_SECONDS, Sample, Samples, Signal

Array = NDArray[np.float64]

LAMBDA = 0.8
"""Discount per step: a memory of about five steps (2.5 minutes), short enough to follow jobs that come and go."""
PHI = 0.9
"""Damping per step: a trend is believed for about nine steps in all."""
RIDGE = 0.5
"""In steps²: the spread of sample times below which a slope counts as not yet known."""
JUMP = 0.1
JUMP_PER_STEP = 0.3
"""A miss of at least JUMP that came faster than JUMP_PER_STEP is a new level (a job came or went) and no trend: the
line begins anew at it."""
ERROR_DISCOUNT = 0.9
"""Discount of the mean absolute one-step error, per sample."""
BAND_FLOOR = 0.02
SPARE_ROWS = 16
"""Rows kept ready; also how many nodes that are gone are remembered at least."""
NORMAL_90 = 1.645
MEAN_ABS_TO_SIGMA = 1.2533
"""σ / E|x| of a normal variable, √(π/2)."""

SIGNALS: tuple[Signal, ...] = tuple(Signal)
_COLUMN = {signal: column for column, signal in enumerate(SIGNALS)}


@dataclass(frozen=True, slots=True)
class Forecast:
    """Arrays of shape (nodes, signals) in the order of the asked nodes and SIGNALS; NaN where no sample was seen.

    `current` and `change` (per step Δ) are the newest sample and its difference to the one before, `value` the
    forecast at the horizon, `band` its 90 % half-width, `age` seconds since the newest sample.
    """

    current: Array
    change: Array
    value: Array
    band: Array
    age: Array


class TrendForecaster:
    """Online damped-trend forecasts of every node and signal; about a dozen floats per cell."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}
        shape = (0, len(SIGNALS))
        self._at = np.full(shape, np.nan)
        self._last = np.full(shape, np.nan)
        self._change = np.zeros(shape)
        self._error = np.zeros(shape)
        self._sums = np.zeros((5, *shape))  # weights, x, x², y, xy

    def observe(self, samples: Samples) -> None:
        """Take in the newest samples; those not newer than what is known are ignored."""
        for signal, by_node in samples.items():
            if by_node:
                self._observe_signal(_COLUMN[signal], by_node.keys(), by_node.values())

    def keep(self, nodes: Container[str]) -> None:
        """Forget all nodes but these. Costs nothing while fewer than half of the known ones would go."""
        kept = [node for node in self._row if node in nodes]
        if len(self._row) <= SPARE_ROWS + 2 * len(kept):
            return
        rows = np.array([self._row[node] for node in kept], dtype=np.intp)
        self._row = {node: row for row, node in enumerate(kept)}
        self._at, self._last = self._at[rows], self._last[rows]
        self._change, self._error = self._change[rows], self._error[rows]
        self._sums = self._sums[:, rows]

    def _observe_signal(self, column: int, nodes: Iterable[str], samples: Iterable[Sample]) -> None:
        rows = np.fromiter((self._row_of(node) for node in nodes), dtype=np.intp)
        pairs = np.array([(sample.at, sample.value) for sample in samples])
        newer = ~(pairs[:, 0] <= self._at[rows, column])
        if newer.any():
            self._update(rows[newer], column, pairs[newer, 0], pairs[newer, 1])

    def _update(self, rows: NDArray[np.intp], column: int, at: Array, y: Array) -> None:
        cell = (rows, column)
        seen = np.isfinite(self._at[cell])
        steps = np.where(seen, (at - np.nan_to_num(self._at[cell])) / STEP_SECONDS, 1.0)
        level, slope = self._level_and_slope(cell)
        expected = level + slope * _damped_steps(steps)
        miss = np.where(seen, np.abs(y - expected), 0.0)
        self._error[cell] = ERROR_DISCOUNT * self._error[cell] + (1 - ERROR_DISCOUNT) * miss

        jumped = miss >= np.maximum(JUMP, JUMP_PER_STEP * steps)
        decay = np.where(seen & ~jumped, LAMBDA**steps, 0.0)
        weight, x, xx, sum_y, xy = self._sums[:, rows, column]
        self._sums[:, rows, column] = (
            decay * weight + 1.0,
            decay * (x - steps * weight),
            decay * (xx - 2 * steps * x + steps**2 * weight),
            decay * sum_y + y,
            decay * (xy - steps * sum_y),
        )
        self._change[cell] = np.where(seen, (y - np.nan_to_num(self._last[cell])) / steps, 0.0)
        self._last[cell] = y
        self._at[cell] = at

    def _level_and_slope(self, cell: tuple[NDArray[np.intp], int]) -> tuple[Array, Array]:
        """The fitted line at the newest sample, and its slope per step."""
        weight, x, xx, sum_y, xy = self._sums[:, cell[0], cell[1]]
        weight = np.maximum(weight, 1e-12)
        slope = (xy - x * sum_y / weight) / (xx - x**2 / weight + RIDGE)
        return (sum_y - slope * x) / weight, slope

    def forecast(self, nodes: Sequence[str], horizon_seconds: float, now: float) -> Forecast:
        """Forecasts for `now + horizon_seconds`, clipped to 0..1; the band grows with the square root of time."""
        rows = np.fromiter((self._row_of(node) for node in nodes), dtype=np.intp, count=len(nodes))
        age = np.maximum(now - self._at[rows], 0.0)
        steps = (age + horizon_seconds) / STEP_SECONDS
        value = np.full(age.shape, np.nan)
        for column in range(len(SIGNALS)):
            level, slope = self._level_and_slope((rows, column))
            value[:, column] = np.clip(level + slope * _damped_steps(steps[:, column]), 0.0, 1.0)
        value[np.isnan(age)] = np.nan
        band = NORMAL_90 * MEAN_ABS_TO_SIGMA * self._error[rows] * np.sqrt(steps)
        return Forecast(
            current=self._last[rows],
            change=self._change[rows],
            value=value,
            band=np.clip(np.maximum(band, BAND_FLOOR), 0.0, 1.0),
            age=age,
        )

    def _row_of(self, node: str) -> int:
        row = self._row.get(node)
        if row is None:
            row = self._row[node] = len(self._row)
            if row >= len(self._at):
                self._grow()
        return row

    def _grow(self) -> None:
        extra = max(SPARE_ROWS, len(self._at))
        pad = ((0, extra), (0, 0))
        self._at = np.pad(self._at, pad, constant_values=np.nan)
        self._last = np.pad(self._last, pad, constant_values=np.nan)
        self._change = np.pad(self._change, pad)
        self._error = np.pad(self._error, pad)
        self._sums = np.pad(self._sums, ((0, 0), *pad))


def _damped_steps(steps: Array) -> Array:
    """Σ_{i=1..h} PHI^i for real h, the closed form of the geometric sum."""
    return np.asarray(PHI * (1 - PHI**steps) / (1 - PHI))


def feedback(current: Array, change: Array, alpha: float) -> Array:
    """The plain feedback rule C(t+1) = C(t) + α·ΔC(t), clipped to 0..1."""
    return np.clip(current + alpha * change, 0.0, 1.0)
