"""How far off the forecasts of a node have been: running mean and quantiles of their errors, per horizon.

A quantile q of level τ is tracked online (Robbins & Monro 1951; Gibbs & Candès 2021 show that its coverage comes
right in the long run whatever the series does): after each error e

    q += rate_h · max(mean|e|, |q|) · (τ if e > q else τ - 1)

The stride goes by q itself where that is larger, so that one wild hour does not leave a wide band for days.
"""

from typing import Final

import numpy as np

from loadstar.core.columns import Columns, Floats, Rows, empty
from loadstar.core.experts import HORIZONS

COVERAGE: Final = np.float32(0.9)
"""The share of outcomes that the band holds, and the level of the upper quantile."""
RATE: Final = (0.2 / HORIZONS**0.3)[:, None]
"""Slower for far horizons: an outcome is known only h steps later, and one that reacts fast to late news overshoots."""
SETTLING: Final = np.float32(0.4)
"""The rate is n^-SETTLING at least, n the steps of evidence so far: a new node's band comes right within minutes."""
RECENT: Final = np.float32(0.15)
"""Rate per step of the mean of the last errors."""
DISCOUNT: Final = np.float32(0.995)
"""Per step, of the mean errors: a memory of an hour and a half at 30 s."""


class Bands(Columns):
    """Errors of the forecasts of one signal: (horizons, nodes) each."""

    def __init__(self) -> None:
        self.count = empty(len(HORIZONS))
        self.bias = empty(len(HORIZONS))
        """Mean of outcome - forecast."""
        self.size = empty(len(HORIZONS))
        """Mean of |outcome - forecast|."""
        self._recent = empty(len(HORIZONS))
        """The same over the last minutes."""
        self.half = empty(len(HORIZONS))
        """The COVERAGE quantile of |outcome - forecast|."""
        self.upper = empty(len(HORIZONS))
        """The COVERAGE quantile of outcome - forecast."""

    def learn(self, rows: Rows, error: Floats, evidence: Floats) -> None:
        """outcome - forecast (horizons, nodes), and the steps of evidence they hold: 0 for none, at most 1."""
        count = self.count[:, rows] + evidence
        rate = evidence * np.maximum(1 - DISCOUNT, 1 / np.maximum(count, 1))
        off = np.abs(error)
        bias, size = self.bias[:, rows], self.size[:, rows]
        self.count[:, rows] = count
        self.bias[:, rows] = bias + rate * (error - bias)
        self.size[:, rows] = size = size + rate * (off - size)
        recent = self._recent[:, rows]
        self._recent[:, rows] = recent + evidence * RECENT * (off - recent)
        rate = evidence * np.maximum(RATE, np.maximum(count, 1) ** -SETTLING)
        self.half[:, rows] = _tracked(self.half[:, rows], off, size, rate)
        self.upper[:, rows] = _tracked(self.upper[:, rows], error, size, rate)

    def spread(self, rows: Rows) -> tuple[Floats, Floats]:
        """Half width and upper error, (horizons, nodes) each.

        A quantile is slow to notice that a long quiet is over: the band is no narrower than the mean of the last
        errors. And errors grow with the horizon: where the last ones are less than half as large further ahead, the
        far horizon has not yet seen what the near one has, and is given at least its width.
        """
        recent = self._recent[:, rows]
        half, upper = np.maximum(self.half[:, rows], recent), self.upper[:, rows].copy()
        nearer = np.maximum.accumulate(recent)
        for h in range(1, len(HORIZONS)):
            behind = 2 * recent[h] < nearer[h - 1]
            half[h] = np.where(behind, np.maximum(half[h], half[h - 1]), half[h])
            upper[h] = np.where(behind, np.maximum(upper[h], upper[h - 1]), upper[h])
        return half, upper


def _tracked(quantile: Floats, value: Floats, size: Floats, rate: Floats) -> Floats:
    stride = rate * np.maximum(size, np.abs(quantile))
    return quantile + stride * np.where(value > quantile, COVERAGE, COVERAGE - 1)
