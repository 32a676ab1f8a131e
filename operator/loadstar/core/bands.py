"""How far off the forecasts of a node have been: running mean and quantiles of their errors, per horizon.

A quantile q of level τ is tracked online (Robbins & Monro 1951): after each error e

    q += rate · max(mean|e|, |q|) · (τ if e > q else τ - 1)

The stride goes by q itself where that is larger, so that one wild hour does not leave a wide band for days. A fast
tracker follows what happens now and is noisy, a slow one is steady and late: the mean of both is better than either.

That makes the *present* width right. But the one that counts was given h steps before its outcome, and errors come
in runs: far ahead it holds too few. So the band's τ is itself steered by what the widths given in fact held, as in
adaptive conformal inference (Gibbs & Candès 2021), whatever the series does and however late its outcomes come:

    τ_h += STEER · (0.9 - (1 if the width given h steps ago held the outcome else 0))
"""

from typing import Final

import numpy as np

from loadstar.core.columns import Columns, Floats, Rows, empty
from loadstar.core.experts import HORIZONS

COVERAGE: Final = np.float32(0.9)
"""The share of outcomes that the band holds, and the level of the upper quantile."""
RATES: Final = np.stack([0.2 / HORIZONS**0.1, 0.1 / HORIZONS**0.6])[:, None, :, None]
"""Of the fast and the slow tracker. Less for far horizons: what reacts fast to late news overshoots."""
SETTLING: Final = np.float32(0.4)
"""The rate is n^-SETTLING at least, n the steps of evidence so far: a new node's band comes right within minutes."""
RECENT: Final = np.float32(0.15)
"""Rate per step of the mean of the last errors."""
DISCOUNT: Final = np.float32(0.995)
"""Per step, of the mean errors: a memory of an hour and a half at 30 s."""
QUIET: Final = np.float32(80.0)
"""A quantile that is so many times as large as the last errors is one of times that are over."""
HURRY: Final = np.float32(5.0)
"""So much faster it is given up then."""
STEER: Final = np.float32(0.001)
"""Per step of evidence: τ makes up within hours, and only for what lasts. Faster, it would add noise to each width."""
BOUNDS: Final = (np.float32(-0.05), np.float32(0.05))
"""How far τ may leave COVERAGE. A node that idles for days, its band never missed, must not lose it altogether."""
SEASONED: Final = np.float32(100.0)
"""Steps of evidence before τ is steered. What a band misses while it learns a new node is no fault of τ."""

_HALF, _UPPER = range(2)


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
        self._steered = empty(len(HORIZONS))
        """How far τ is from COVERAGE."""
        self._quantiles = empty(len(RATES), 2, len(HORIZONS))
        """By each tracker the τ quantile of |outcome - forecast|, and the COVERAGE quantile of outcome - forecast."""

    def learn(self, rows: Rows, error: Floats, given: Floats, evidence: Floats) -> None:
        """outcome - forecast (horizons, nodes), the half widths that were given with these forecasts, and the steps of
        evidence they hold: 0 for none, at most 1."""
        count = self.count[:, rows] + evidence
        rate = evidence * np.maximum(1 - DISCOUNT, 1 / np.maximum(count, 1))
        off = np.abs(error)
        bias, size, recent = self.bias[:, rows], self.size[:, rows], self._recent[:, rows]
        self.count[:, rows] = count
        self.bias[:, rows] = bias + rate * (error - bias)
        self.size[:, rows] = size + rate * (off - size)
        self._recent[:, rows] = recent + evidence * RECENT * (off - recent)
        owed = np.where(off <= given, COVERAGE - 1, COVERAGE) * np.where(count > SEASONED, evidence, 0)
        self._steered[:, rows] = np.clip(self._steered[:, rows] + STEER * owed, *BOUNDS)
        self._track(rows, np.stack([off, error]), evidence)

    def _track(self, rows: Rows, errors: Floats, evidence: Floats) -> None:
        """Move the quantiles; `errors` are absolute and signed ones (2, horizons, nodes)."""
        steered, quantiles = self._steered[:, rows], self._quantiles[..., rows]
        level = np.stack([COVERAGE + steered, np.full_like(steered, COVERAGE)])
        down = (level - 1) * np.where(quantiles > QUIET * self._recent[:, rows], HURRY, 1)
        rate = evidence * np.maximum(RATES, np.maximum(self.count[:, rows], 1) ** -SETTLING)
        stride = rate * np.maximum(self.size[:, rows], np.abs(quantiles))
        moved = quantiles + stride * np.where(errors > quantiles, level, down)
        np.maximum(moved[:, _HALF], 0, out=moved[:, _HALF])  # no distance lies below
        self._quantiles[..., rows] = moved

    def spread(self, rows: Rows) -> tuple[Floats, Floats]:
        """Half width and upper error, (horizons, nodes) each.

        A quantile is slow to notice that a long quiet is over: where the last errors are larger than is usual, the
        band is no narrower than their mean. And errors grow with the horizon: where the last ones are less than half
        as large further ahead, the far horizon has not yet seen what the near one has, and is given at least its width.
        """
        recent, quantiles = self._recent[:, rows], self._quantiles[..., rows].mean(axis=0)
        stirred = np.where(recent > self.size[:, rows], recent, 0)
        half, upper = np.maximum(quantiles[_HALF], stirred), quantiles[_UPPER]
        nearer = np.maximum.accumulate(recent)
        for h in range(1, len(HORIZONS)):
            behind = 2 * recent[h] < nearer[h - 1]
            half[h] = np.where(behind, np.maximum(half[h], half[h - 1]), half[h])
            upper[h] = np.where(behind, np.maximum(upper[h], upper[h - 1]), upper[h])
        return half, upper
