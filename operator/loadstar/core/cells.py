"""One signal of every node: what is learned when a sample comes, and the outlook from there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadstar.core.bands import Bands
from loadstar.core.columns import Columns, Floats, Rows, empty
from loadstar.core.experts import CHANGE, HORIZONS, Slopes, Smoothers, predictions
from loadstar.core.mixture import Mixture
from loadstar.core.moments import Moments

_GRID: Final = np.concatenate([[0], HORIZONS]).astype(np.float64)
FORECAST, HALF, BIAS, UPPER = range(4)


class Cells(Columns):
    """The forecaster of one signal. Times are in steps Δ since the epoch; 0 is never."""

    def __init__(self) -> None:
        self.at = np.zeros(0)
        self.newest = np.zeros(0)
        self.smoothers = Smoothers()
        self.slopes = Slopes()
        self.mixture = Mixture()
        self.bands = Bands()
        self._moments = Moments()
        self._outlook = empty(4, 1 + len(HORIZONS))

    def update(self, rows: Rows, at: NDArray[np.float64], samples: NDArray[np.float64]) -> None:
        """Each node's new sample, taken `at`."""
        y = samples.astype(np.float32)
        step = int(at.max())
        last = self.at[rows]
        steps = np.where(last > 0, at - last, 1).astype(np.float32)
        self._learn(step, rows, at, y, np.minimum(steps, 1))
        self.smoothers.update(rows, y, steps)
        self.at[rows] = at
        self.newest[rows] = samples

        traits = self.smoothers.traits[:, rows]
        advice = predictions(traits[:, None], self.slopes.of(rows))
        mix = np.einsum("khn,khn->hn", self.mixture.weights(rows), advice)
        self._moments.put(step, rows, at, traits, mix)
        self._look_out(rows, y, mix)

    def _learn(self, step: int, rows: Rows, at: NDArray[np.float64], y: Floats, worth: Floats) -> None:
        """Settle what was forecast for now. `worth` is how much news a sample is, in steps (nodes)."""
        traits, mix, known = self._moments.before(step, rows, at)
        evidence = known * worth
        advice = predictions(traits, self.slopes.of(rows))
        self.bands.learn(rows, y - mix, evidence)
        self.mixture.learn(rows, mix, advice, y, evidence)
        self.slopes.learn(rows, traits, y, evidence)

    def _look_out(self, rows: Rows, y: Floats, mix: Floats) -> None:
        """The forecast, its band, bias and upper quantile, from now (0 steps ahead) to the last horizon."""
        bands = self.bands
        outlook = np.zeros((4, *self._outlook.shape[1:-1], len(y)), np.float32)
        outlook[FORECAST] = np.concatenate([y[None], mix])
        outlook[BIAS, 1:] = bands.bias[:, rows]
        outlook[HALF, 1:], outlook[UPPER, 1:] = bands.spread(rows)
        self._outlook[..., rows] = outlook

    def ahead(self, rows: Rows, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecast, half width, bias and upper error so many steps after each node's sample, (4, nodes)."""
        outlook = self._outlook[..., rows]
        left = np.clip(np.searchsorted(_GRID, steps, side="right") - 1, 0, len(HORIZONS) - 1)
        share = np.minimum((steps - _GRID[left]) / (_GRID[left + 1] - _GRID[left]), 1.0)
        node = np.arange(len(steps))
        before, after = outlook[:, left, node], outlook[:, left + 1, node]
        found = np.asarray(before + share * (after - before))
        found[[HALF, UPPER]] *= np.sqrt(np.maximum(steps / _GRID[-1], 1.0))
        return found

    def change(self, rows: Rows) -> Floats:
        """The difference of each node's last two samples, per step."""
        return self.smoothers.traits[CHANGE, rows]
