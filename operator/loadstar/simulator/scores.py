"""How good forecasts of a set of series were, in figures that series of any unit can share.

Errors are counted in the mean absolute step of their own series (MASE, Hyndman & Koehler 2006). Skill at a horizon
is 1 - mean MASE / mean MASE of persistence: above 0 is better than "nothing changes".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Figure(StrEnum):
    """What is counted per horizon and series; errors in steps of the series."""

    ERROR = "mase"
    SQUARED = "rmsse"
    """Root mean squared error of the expected load (`mean` of a forecast)."""
    BIAS = "bias"
    """Mean of outcome - forecast: above 0, too little was forecast."""
    MEAN_BIAS = "meanBias"
    """The same of the expected load."""
    PINBALL = "pinball90"
    """Mean loss of the upper quantile at level 0.9."""
    COVERED = "coverage90"
    """The share of outcomes within forecast ± band."""
    INTERVAL = "interval90"
    """Mean interval score of the band (Winkler 1972): its width, and how far off the outcomes beyond it lie, times
    2 / .1. Least for the true quantiles: neither a wide band is good, nor one that misses much."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one set of series, each of shape (horizons, series)."""

    source: str
    step_seconds: float
    horizons: tuple[int, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    """Series that never move or are too short: there is no scale to count their errors in."""
    forecast: Mapping[Figure, Array]
    persistence: Mapping[Figure, Array]
    """The same of "nothing changes", which has no band."""
    baselines: Mapping[str, Array]
    """MASE of other methods by name."""

    def skill_by_horizon(self, figure: Figure = Figure.ERROR) -> Array:
        """1 - figure / figure of persistence, each the mean over the series."""
        return np.asarray(1 - self.forecast[figure].mean(axis=1) / self.persistence[figure].mean(axis=1))

    def skill(self, figure: Figure = Figure.ERROR) -> float:
        """Mean over the horizons."""
        return float(self.skill_by_horizon(figure).mean())

    def baseline_skill_by_horizon(self, name: str) -> Array:
        """Skill of a baseline at each horizon."""
        return np.asarray(1 - self.baselines[name].mean(axis=1) / self.persistence[Figure.ERROR].mean(axis=1))

    @property
    def better(self) -> float:
        """The share of series that are forecast better than by persistence."""
        ours, naive = self.forecast[Figure.ERROR], self.persistence[Figure.ERROR]
        return float((ours.mean(axis=0) < naive.mean(axis=0)).mean())

    @property
    def coverage(self) -> float:
        """The share of outcomes within the 90 % band."""
        return float(self.forecast[Figure.COVERED].mean())

    def document(self) -> dict[str, Any]:
        """All figures, for JSON."""
        figures = {figure.value: _rounded(values.mean()) for figure, values in self.forecast.items()}
        naive = {
            f"{figure}OfPersistence": _rounded(values.mean()) for figure, values in self.persistence.items()
        }
        return {
            "source": self.source,
            "stepSeconds": self.step_seconds,
            "series": len(self.names),
            "leftOut": list(self.left_out),
            "skill": _rounded(self.skill()),
            "skillByHorizon": self._by_horizon(self.skill_by_horizon()),
            "squaredSkill": _rounded(self.skill(Figure.SQUARED)),
            "betterThanPersistence": _rounded(self.better),
            **figures,
            **naive,
            "coverageByHorizon": self._by_horizon(self.forecast[Figure.COVERED].mean(axis=1)),
            "skillBySeries": dict(zip(self.names, map(_rounded, self._by_series()), strict=True)),
            "baselines": {
                name: _rounded(self.baseline_skill_by_horizon(name).mean()) for name in self.baselines
            },
        }

    def _by_series(self) -> Array:
        return np.asarray((1 - self.forecast[Figure.ERROR] / self.persistence[Figure.ERROR]).mean(axis=0))

    def _by_horizon(self, values: Array) -> dict[str, float]:
        return {str(horizon): _rounded(value) for horizon, value in zip(self.horizons, values, strict=True)}


def together(parts: Sequence[Scores]) -> Scores:
    """All series of several sets as one, named "all"."""

    def joined(each: Sequence[Mapping[Any, Array]]) -> dict[Any, Array]:
        return {key: np.concatenate([one[key] for one in each], axis=1) for key in each[0]}

    return Scores(
        source="all",
        step_seconds=parts[0].step_seconds,
        horizons=parts[0].horizons,
        names=tuple(f"{part.source}:{name}" for part in parts for name in part.names),
        left_out=tuple(f"{part.source}:{name}" for part in parts for name in part.left_out),
        forecast=joined([part.forecast for part in parts]),
        persistence=joined([part.persistence for part in parts]),
        baselines=joined([part.baselines for part in parts]),
    )


def _rounded(value: float) -> float:
    return round(float(value), 5)
