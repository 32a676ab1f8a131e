"""Rolling-origin evaluation: every step of recorded loads is an origin, every horizon scored, nothing refitted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loadstar.simulator.cells import TraceError
from loadstar.simulator.rolling import Rolled, grid, roll
from loadstar.simulator.scores import Figure, Scores, together
from loadstar.simulator.series import Series
from loadstar.simulator.yardsticks import persistence, yardsticks

Array = NDArray[np.float64]

HORIZONS = (1, 3, 5, 10, 15, 30)
WARM_UP = 120

_LEVEL = 0.9
_ROUNDING = 1e-6
"""The forecaster counts in single precision: that much of a load is no miss."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to score: horizons in steps, how many first steps are only learned from, and whether to score baselines."""

    horizons: tuple[int, ...] = HORIZONS
    warm_up: int = WARM_UP
    baselines: bool = True


def evaluate(
    sources: Sequence[Series], question: Question, progress: Callable[[float], None] | None = None
) -> list[Scores]:
    """Scores of each source and, where there are several, of all together. `progress` is told the share done.

    Raises TraceError where a source has no series that can be scored.
    """
    table = grid(sources)
    rolled = roll(table, question.horizons, progress)
    found: list[Scores] = []
    first = 0
    for source in sources:
        columns = slice(first, first + len(source.names))
        found.append(_scores(source, table.actual[:, columns], rolled.of(columns), question))
        first = columns.stop
    return [*found, together(found)] if len(found) > 1 else found


def _scores(source: Series, actual: Array, rolled: Rolled, question: Question) -> Scores:
    scale = _scale(actual)
    naive = persistence(actual)
    nothing_changes = replace(
        rolled, value=_each(naive, question), mean=_each(naive, question), upper=_each(naive, question)
    )
    ours = _figures(actual, rolled, question, scale)
    fit = np.asarray(np.isfinite(ours[Figure.ERROR]).all(axis=0))
    if not fit.any():
        raise TraceError(
            f"{source.source}: no series can be scored: one has to move, and to go on for more than "
            f"{question.warm_up} + {max(question.horizons)} steps (warm-up and longest horizon)"
        )
    theirs = _figures(actual, nothing_changes, question, scale)
    others = yardsticks(actual, question.horizons, source.step) if question.baselines else {}
    errors = {
        name: _mean(np.abs(_misses(actual, _each(value, question), question))) / scale
        for name, value in others.items()
    }
    return Scores(
        source=source.source,
        step_seconds=source.step,
        horizons=question.horizons,
        names=tuple(name for name, there in zip(source.names, fit, strict=True) if there),
        left_out=tuple(name for name, there in zip(source.names, fit, strict=True) if not there),
        forecast={figure: values[:, fit] for figure, values in ours.items()},
        persistence={
            figure: values[:, fit] for figure, values in theirs.items() if figure is not Figure.COVERED
        },
        baselines={name: values[:, fit] for name, values in errors.items()},
    )


def _figures(actual: Array, rolled: Rolled, question: Question, scale: Array) -> dict[Figure, Array]:
    miss, mean_miss, upper_miss = (
        _misses(actual, forecast, question) for forecast in (rolled.value, rolled.mean, rolled.upper)
    )
    band = rolled.band[question.warm_up :] + _ROUNDING * np.abs(rolled.value[question.warm_up :])
    inside = np.where(np.isnan(miss), np.nan, np.abs(miss) <= band)
    loss = np.maximum(_LEVEL * upper_miss, (_LEVEL - 1) * upper_miss)
    return {
        Figure.ERROR: _mean(np.abs(miss)) / scale,
        Figure.SQUARED: np.sqrt(_mean(mean_miss**2)) / scale,
        Figure.BIAS: _mean(miss) / scale,
        Figure.MEAN_BIAS: _mean(mean_miss) / scale,
        Figure.PINBALL: _mean(loss) / scale,
        Figure.COVERED: _mean(inside),
    }


def _misses(actual: Array, forecast: Array, question: Question) -> Array:
    """Outcome - forecast from every origin after the warm-up that has a sample, (origins, horizons, series)."""
    outcome = np.full(forecast.shape, np.nan)
    for place, horizon in enumerate(question.horizons):
        outcome[:-horizon, place] = actual[horizon:]
    outcome[np.isnan(actual)[:, None].repeat(len(question.horizons), axis=1)] = np.nan
    return np.asarray((outcome - forecast)[question.warm_up :])


def _each(forecast: Array, question: Question) -> Array:
    """One forecast for all horizons, spread over them."""
    return forecast if forecast.ndim == 3 else np.repeat(forecast[:, None], len(question.horizons), axis=1)


def _scale(actual: Array) -> Array:
    """Mean absolute step of each series; NaN where it never moves."""
    scale = _mean(np.abs(np.diff(actual, axis=0)))
    return np.where(scale > 0, scale, np.nan)


def _mean(values: Array) -> Array:
    """Mean over the first axis of what is there; NaN where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    return np.where(count > 0, np.where(there, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
