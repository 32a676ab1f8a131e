"""The last half hour of every node, step by step: where its experts stood, what was forecast then, and how widely."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadstar.core.columns import Columns, Floats, Rows, empty
from loadstar.core.experts import HORIZONS, TRAITS

SLOTS: Final = int(HORIZONS[-1]) + 2
LATE: Final = 1.5
"""A moment may lie this many steps further back than the horizon asks: a scrape was lost, or comes at half the pace."""
EARLY: Final = 0.5

_BACK: Final = HORIZONS.astype(np.intp)
_FORECAST: Final = TRAITS + np.arange(2 * len(HORIZONS)).reshape(2, -1)
"""Where a moment holds the forecasts and their half widths."""


class Moments(Columns):
    """A ring of `SLOTS` steps for one signal. Slots go by the clock; every moment keeps its node's own time."""

    def __init__(self) -> None:
        self._at = np.zeros((SLOTS, 0))
        self._held = empty(SLOTS, TRAITS + 2 * len(HORIZONS))

    def put(
        self, step: int, rows: Rows, at: NDArray[np.float64], traits: Floats, mix: Floats, half: Floats
    ) -> None:
        """Keep the moment of step number `step`: traits, and what was forecast with which half widths (horizons,
        nodes). Times `at` (nodes) are in steps. The last moment of a step stays."""
        slot = step % SLOTS
        self._at[slot, rows] = at
        held = self._held[slot]
        held[:TRAITS, rows] = traits
        held[TRAITS : TRAITS + len(HORIZONS), rows] = mix
        held[TRAITS + len(HORIZONS) :, rows] = half

    def before(
        self, step: int, rows: Rows, at: NDArray[np.float64]
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """For each horizon h the moment h steps before `at`: its traits (traits, horizons, nodes), what was forecast
        for h then and its half width (2, horizons, nodes), and whether there is such a moment at all."""
        traits, forecast, known = self._back(step - _BACK, rows, at)
        if not known.all():
            older_traits, older_forecast, older_known = self._back(step - _BACK - 1, rows, at)
            traits = np.where(known, traits, older_traits)
            forecast = np.where(known, forecast, older_forecast)
            known |= older_known
        return traits, forecast, known

    def _back(
        self, steps: NDArray[np.intp], rows: Rows, at: NDArray[np.float64]
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        slots = steps % SLOTS
        then = self._at[slots][:, rows]
        beyond = at - then - _BACK[:, None]
        known = (then > 0) & (beyond >= -EARLY) & (beyond <= LATE)
        held = self._held[slots, :TRAITS][..., rows].swapaxes(0, 1)
        return held, self._held[slots, _FORECAST][..., rows], known
