"""Ramps in progress: how far the last minutes of a load lie on one straight line that leads somewhere.

What experts were worth is known of far horizons only when those are over, and a node whose ramps ended soon so far has
taught its mix that trends are not worth following. A ramp that is under way is evidence of its own: while a line
explains nearly all of the last samples, the mix gives way to the trend (Gardner & McKenzie 1985, damped as ever).
"""

from typing import Final

import numpy as np

from loadstar.core.columns import Columns, Floats, Rows, empty

DISCOUNT: Final = np.float32(0.6)
"""Per step: a memory of two to three steps, so that a ramp soon stands out from what was before it."""
DOUBTFUL, PLAIN = np.float32(0.94), np.float32(0.98)
"""Shares of the variance that the line explains (R²): up to the first it is no ramp, from the second it surely is."""
BRIEF, LONG = np.float32(0.3), np.float32(0.6)
"""Variances of the samples' times, in steps²: a ramp of a minute is too brief to be followed, one of 80 s is not."""
FEWEST: Final = 4
"""Samples: three lie near a line by chance."""


class Ramps(Columns):
    """A discounted line through each node's last samples: its weight, means and central moments."""

    def __init__(self) -> None:
        self._count = empty()
        self._weight = empty()
        self._means = empty(2)
        """Of time, in steps from the newest sample, and of load."""
        self._moments = empty(3)
        """Σ of squared times, of times · loads, of squared loads, about the means."""

    def update(self, rows: Rows, y: Floats, steps: Floats, restarts: Floats) -> None:
        """Take in each node's new sample `y`, `steps` after the one before; 1 in `restarts` forgets what was before."""
        kept = 1 - restarts
        decay = kept * DISCOUNT**steps
        before = decay * self._weight[rows]
        weight = before + 1
        time, load = self._means[:, rows]
        time = time - steps  # the newest sample's time is 0
        off = np.stack([-time, y - load])
        share = before / weight
        self._count[rows] = kept * self._count[rows] + 1
        self._weight[rows] = weight
        self._means[:, rows] = np.stack([time, load]) + off / weight
        products = np.stack([off[0] * off[0], off[0] * off[1], off[1] * off[1]])
        self._moments[:, rows] = decay * self._moments[:, rows] + share * products

    def steady(self, rows: Rows) -> Floats:
        """How surely each node is on a ramp, 0 to 1 (nodes)."""
        times, both, loads = self._moments[:, rows]
        whole = times * loads
        explained = np.divide(both * both, whole, out=np.zeros_like(whole), where=whole > 0)
        spread = times / np.maximum(self._weight[rows], 1)
        straight = np.clip((explained - DOUBTFUL) / (PLAIN - DOUBTFUL), 0, 1)
        lasting = np.clip((spread - BRIEF) / (LONG - BRIEF), 0, 1)
        return np.asarray(straight * lasting * (self._count[rows] >= FEWEST), np.float32)
