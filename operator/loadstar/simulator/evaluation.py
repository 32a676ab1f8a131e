"""Rolling-origin evaluation: every step of recorded loads is an origin, every horizon scored, nothing refitted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from loadstar.simulator.cells import TraceError
from loadstar.simulator.rolling import Grid, Rolled, grid, roll
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
    others = _baselines(sources, table, question) if question.baselines else {}
    found: list[Scores] = []
    for source, columns in zip(sources, _columns(sources), strict=True):
        theirs = {name: values[..., columns] for name, values in others.items()}
        found.append(_scores(source, table.actual[:, columns], rolled.of(columns), theirs, question))
    return [*found, together(found)] if len(found) > 1 else found


def _columns(sources: Sequence[Series]) -> list[slice]:
    """Where each source's series stand on the grid."""
    ends = np.cumsum([len(source.names) for source in sources]).tolist()
    return [slice(end - len(source.names), end) for source, end in zip(sources, ends, strict=True)]


def _baselines(sources: Sequence[Series], table: Grid, question: Question) -> dict[str, Array]:
    """Every other method's forecasts, (steps, horizons, series): all series of one rhythm at a time."""
    steps = np.concatenate([np.full(len(source.names), source.step) for source in sources])
    out: dict[str, Array] = {}
    for step in np.unique(steps):
        alike = np.flatnonzero(steps == step)
        for name, values in yardsticks(table.actual[:, alike], question.horizons, float(step)).items():
            whole = out.setdefault(name, np.empty((len(table.actual), len(question.horizons), len(steps))))
            whole[..., alike] = _each(values, question)
    return out


def _scores(
    source: Series, actual: Array, rolled: Rolled, others: Mapping[str, Array], question: Question
) -> Scores:
    scale = _scale(actual)
    naive = _each(persistence(actual), question)
    nothing_changes = replace(rolled, value=naive, mean=naive, upper=naive)
    ours = _figures(actual, rolled, question, scale)
    fit = np.asarray(np.isfinite(ours[Figure.ERROR]).all(axis=0))
    if not fit.any():
        raise TraceError(
            f"{source.source}: no series can be scored: one has to move, and to go on for more than "
            f"{question.warm_up} + {max(question.horizons)} steps (warm-up and longest horizon)"
        )
    theirs = _figures(actual, nothing_changes, question, scale)
    del theirs[Figure.COVERED], theirs[Figure.INTERVAL]
    return Scores(
        source=source.source,
        step_seconds=source.step,
        horizons=question.horizons,
        names=tuple(name for name, there in zip(source.names, fit, strict=True) if there),
        left_out=tuple(name for name, there in zip(source.names, fit, strict=True) if not there),
        forecast={figure: values[:, fit] for figure, values in ours.items()},
        persistence={figure: values[:, fit] for figure, values in theirs.items()},
        baselines={
            name: (_mean(np.abs(_misses(actual, values, question))) / scale)[:, fit]
            for name, values in others.items()
        },
    )


def _figures(actual: Array, rolled: Rolled, question: Question, scale: Array) -> dict[Figure, Array]:
    miss, mean_miss, upper_miss = (
        _misses(actual, forecast, question) for forecast in (rolled.value, rolled.mean, rolled.upper)
    )
    band = rolled.band[question.warm_up :] + _ROUNDING * np.abs(rolled.value[question.warm_up :])
    inside = np.where(np.isnan(miss), np.nan, np.abs(miss) <= band)
    interval = 2 * band + 2 / (1 - _LEVEL) * np.maximum(np.abs(miss) - band, 0.0)
    loss = np.maximum(_LEVEL * upper_miss, (_LEVEL - 1) * upper_miss)
    return {
        Figure.ERROR: _mean(np.abs(miss)) / scale,
        Figure.SQUARED: np.sqrt(_mean(mean_miss**2)) / scale,
        Figure.BIAS: _mean(miss) / scale,
        Figure.MEAN_BIAS: _mean(mean_miss) / scale,
        Figure.PINBALL: _mean(loss) / scale,
        Figure.COVERED: _mean(inside),
        Figure.INTERVAL: _mean(interval) / scale,
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
