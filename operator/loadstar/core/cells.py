"""One signal of every node: what is learned when a sample comes, and the outlook from there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadstar.core.bands import Bands
from loadstar.core.columns import Columns, Floats, Rows, empty
from loadstar.core.experts import CHANGE, EXPERTS, HORIZONS, Slopes, Smoothers, predictions
from loadstar.core.mixture import Mixture
from loadstar.core.moments import Moments
from loadstar.core.ramps import Ramps

_GRID: Final = np.concatenate([[0], HORIZONS]).astype(np.float64)
_GAPS: Final = np.diff(_GRID)
_TREND: Final = EXPERTS.index("trend")
FORECAST, HALF, BIAS, UPPER = range(4)


class Cells(Columns):
    """The forecaster of one signal. Times are in steps Δ since the epoch; 0 is never."""

    def __init__(self) -> None:
        self.at = np.zeros(0)
        self.newest = np.zeros(0)
        self.smoothers = Smoothers()
        self.ramps = Ramps()
        self.slopes = Slopes()
        self.mixture = Mixture()
        self.bands = Bands()
        self._moments = Moments()
        self._outlook = empty(4, 1 + len(HORIZONS))

    def update(self, rows: Rows, at: NDArray[np.float64], samples: NDArray[np.float64]) -> None:
        """Each node's new sample, taken `at`."""
        y = samples.astype(np.float32)
        step = int(np.median(at))  # one clock that is ahead must not move everybody's moments
        last = self.at[rows]
        steps = np.where(last > 0, at - last, 1).astype(np.float32)
        self._learn(step, rows, at, y, np.minimum(steps, 1))
        self.smoothers.update(rows, y, steps)
        self.ramps.update(rows, y, steps, self.smoothers.restarted(rows))
        self.at[rows] = at
        self.newest[rows] = samples

        traits = self.smoothers.traits[:, rows]
        advice = predictions(traits[:, None], self.slopes.of(rows))
        mix = np.einsum("khn,khn->hn", self.mixture.weights(rows), advice)
        mix += self.ramps.steady(rows) * (advice[_TREND] - mix)
        half, upper = self.bands.spread(rows)
        self._moments.put(step, rows, at, traits, mix, half)
        self._look_out(rows, y, mix, half, upper)

    def _learn(self, step: int, rows: Rows, at: NDArray[np.float64], y: Floats, worth: Floats) -> None:
        """Settle what was forecast for now. `worth` is how much news a sample is, in steps (nodes)."""
        traits, (mix, half), known = self._moments.before(step, rows, at)
        evidence = known * worth
        advice = predictions(traits, self.slopes.of(rows))
        self.bands.learn(rows, y - mix, half, evidence)
        self.mixture.learn(rows, mix, advice, y, evidence)
        self.slopes.learn(rows, traits, y, evidence)

    def _look_out(self, rows: Rows, y: Floats, mix: Floats, half: Floats, upper: Floats) -> None:
        """The forecast, its band, bias and upper quantile, from now (0 steps ahead) to the last horizon."""
        outlook = np.zeros((4, *self._outlook.shape[1:-1], len(y)), np.float32)
        outlook[FORECAST] = np.concatenate([y[None], mix])
        outlook[HALF, 1:], outlook[UPPER, 1:] = half, upper
        outlook[BIAS, 1:] = self.bands.bias[:, rows]
        self._outlook[..., rows] = outlook

    def ahead(self, rows: Rows, age: NDArray[np.float64], horizon: float) -> NDArray[np.float64]:
        """Forecast, half width, bias and upper error `age` + `horizon` steps after each node's sample, (4, nodes).

        Linear between the learned horizons; beyond them widths grow with √h, as those of a random walk do. No width is
        less than that of a new sample.
        """
        steps = age + horizon
        left = np.minimum(np.searchsorted(_GRID, steps, side="right") - 1, len(HORIZONS) - 1)
        share = np.minimum((steps - _GRID[left]) / _GAPS[left], 1.0)
        outlook = self._outlook[..., rows]
        flat, place = outlook.reshape(4, -1), left * len(steps) + np.arange(len(steps))
        found = flat.take(place, axis=1) * (1.0 - share)
        found += flat.take(place + len(steps), axis=1) * share
        found[[HALF, UPPER]] *= np.sqrt(np.maximum(steps / _GRID[-1], 1.0))
        fresh = min(int(np.searchsorted(_GRID, horizon, side="right")) - 1, len(HORIZONS) - 1)
        part = min((horizon - _GRID[fresh]) / _GAPS[fresh], 1.0)
        least = outlook[HALF, fresh] * (1.0 - part) + outlook[HALF, fresh + 1] * part
        np.maximum(found[HALF], least, out=found[HALF])
        return np.asarray(found)

    def change(self, rows: Rows) -> Floats:
        """The difference of each node's last two samples, per step."""
        return self.smoothers.traits[CHANGE, rows]
