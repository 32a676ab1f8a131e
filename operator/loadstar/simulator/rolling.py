"""Forecasts at every step of recorded loads, by the operator's own forecaster: never a look ahead, never a refit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadstar.core.forecast import SIGNALS, Forecaster, Scale
from loadstar.core.load import Sample
from loadstar.simulator.series import Series

Array = NDArray[np.float64]

_START: Final = 1000.0
"""Steps before the first sample: the forecaster counts from the epoch."""
_SIGNAL: Final = SIGNALS[0]
_ANY_UNIT: Final = Scale(step_seconds=1.0, ceiling=float("inf"), least_band=0.0)
"""Time is counted in steps of the series, and loads have whatever unit and range they have."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Series of one or several sources side by side, one row per step from their own start on.

    `actual` (steps, series) holds the samples, NaN where there is none, `at` their own times in steps.
    """

    actual: Array
    at: Array


@dataclass(frozen=True, slots=True)
class Rolled:
    """What was forecast at each step, (steps, horizons, series), NaN where there was no sample to forecast from."""

    value: Array
    band: Array
    mean: Array
    upper: Array

    def of(self, series: slice) -> "Rolled":
        """Those of some series."""
        return Rolled(*(part[..., series] for part in (self.value, self.band, self.mean, self.upper)))


def grid(sources: Sequence[Series]) -> Grid:
    """All series on one grid. Of several samples within a step the last one counts."""
    steps = [(source.times - source.times[0]) / source.step for source in sources]
    rows = [np.rint(step).astype(int) for step in steps]
    shape = (max(int(row[-1]) for row in rows) + 1, sum(len(source.names) for source in sources))
    actual, at = np.full(shape, np.nan), np.full(shape, np.nan)
    first = 0
    for source, step, row in zip(sources, steps, rows, strict=True):
        columns = slice(first, first + len(source.names))
        actual[row, columns] = source.values
        at[row, columns] = step[:, None]
        first = columns.stop
    return Grid(actual, at)


def roll(table: Grid, horizons: Sequence[int], progress: Callable[[float], None] | None = None) -> Rolled:
    """Feed the forecaster row by row and ask it at each one. `progress` is told the share done."""
    forecaster = Forecaster(_ANY_UNIT)
    steps, series = table.actual.shape
    nodes = np.array([str(number) for number in range(series)])
    rolled = Rolled(*(np.full((steps, len(horizons), series), np.nan) for _ in range(4)))
    for row, (values, times) in enumerate(zip(table.actual, table.at, strict=True)):
        there = np.flatnonzero(~np.isnan(values))
        if there.size:
            names = nodes[there].tolist()
            samples = zip(names, values[there].tolist(), (_START + times[there]).tolist(), strict=True)
            forecaster.observe({_SIGNAL: {name: Sample(value, at) for name, value, at in samples}})
            for place, horizon in enumerate(horizons):
                found = forecaster.forecast(names, horizon, _START + row - 0.5)
                rolled.value[row, place, there] = found.value[:, 0]
                rolled.band[row, place, there] = found.band[:, 0]
                rolled.mean[row, place, there] = found.mean[:, 0]
                rolled.upper[row, place, there] = found.upper[:, 0]
        if progress is not None:
            progress((row + 1) / steps)
    return rolled
